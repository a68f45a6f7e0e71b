package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/billetcloud/billet/client"
	"github.com/spf13/cobra"
)

// live are the statuses of deployments that have not ended.
var live = slices.DeleteFunc(client.DeploymentStatuses(), client.DeploymentStatus.Final)

var deploymentCol columnsOf[client.Deployment]

func (t *tool) deploymentListing() listing[client.Deployment] {
	return listing[client.Deployment]{
		id: func(d client.Deployment) string { return d.ID },
		columns: []column[client.Deployment]{
			deploymentCol.text("id", "DEPLOYMENT", func(d client.Deployment) string { return d.ID }),
			deploymentCol.text("name", "NAME", func(d client.Deployment) string { return d.Name }),
			deploymentCol.text("status", "STATUS", func(d client.Deployment) string { return string(d.Status) }),
			deploymentCol.text("gpus", "GPUS",
				func(d client.Deployment) string { return fmt.Sprintf("%d × %s", d.GPUCount, d.GPUType) }),
			deploymentCol.money("hourlyPrice", "PRICE", hourly,
				func(d client.Deployment) client.Money { return d.HourlyPrice }),
			deploymentCol.money("costToDate", "TOTAL COST", total,
				func(d client.Deployment) client.Money { return d.CostToDate }),
			{
				name: "createdAt", head: "AGE", right: true,
				text: func(d client.Deployment) string { return duration(t.Now().Sub(d.CreatedAt)) },
				raw:  func(d client.Deployment) string { return rfc3339(d.CreatedAt) },
			},
			deploymentCol.text("ipAddress", "ADDRESS",
				func(d client.Deployment) string { return valueOr(d.IPAddress, "") }),
			deploymentCol.optionalNumber("sshPort", "PORT",
				func(d client.Deployment) *int { return d.SSHPort }).onlyWide(),
			deploymentCol.text("provider", "PROVIDER",
				func(d client.Deployment) string { return d.Provider }).onlyWide(),
			deploymentCol.text("region", "REGION", func(d client.Deployment) string { return d.Region }).onlyWide(),
			deploymentCol.text("offerId", "OFFER", func(d client.Deployment) string { return d.OfferID }).onlyWide(),
			deploymentCol.text("tags", "TAGS",
				func(d client.Deployment) string { return strings.Join(d.Tags, " ") }).onlyWide(),
			deploymentCol.text("project", "PROJECT",
				func(d client.Deployment) string { return valueOr(d.Project, "") }).onlyWide(),
			deploymentCol.text("createdBy", "CREATED BY",
				func(d client.Deployment) string { return d.CreatedBy.Name }).onlyWide(),
		},
		none: "No deployments. Run 'billet deploy' to create one, or 'billet ps --all' to include ended ones.",
	}
}

func (t *tool) ps() *cobra.Command {
	var q client.DeploymentQuery
	var all bool
	var statuses []string
	cmd := &cobra.Command{
		Use: "ps", Aliases: []string{"deployments", "list", "ls"}, Short: "List machines", Args: cobra.NoArgs,
		Long: "Lists your machines that have not ended, newest first.",
		Example: `  billet ps
  billet ps --all -o wide
  billet ps --tag training -o id
  billet ps --sort -hourlyPrice -o wide`,
	}
	f := cmd.Flags()
	f.BoolVarP(&all, "all", "a", false, "include ended machines")
	f.StringSliceVar(
		&statuses,
		"status",
		nil,
		"only machines with one of these `status`es: "+joined(client.DeploymentStatuses()),
	)
	f.StringVar(&q.Tag, "tag", "", "only machines with this `tag`")
	f.StringVar(&q.Project, "project", "", "only machines of this `project`")
	f.StringVar(&q.CreatedBy, "created-by", "", "only machines that the user or API key with this `id` created")
	f.StringVar(&q.GPUType, "gpu", "", "GPU `type`, such as \"NVIDIA B200\"")
	f.StringVar(&q.Provider, "provider", "", "provider `slug`")
	f.StringVar(&q.Region, "region", "", "region `slug`")
	f.StringVar(&q.Search, "name", "", "only machines whose name, tags, address or ID contain this `text`")
	f.StringVar(&q.Sort, "sort", "", sortBy(client.DeploymentSortKeys()))
	_ = cmd.RegisterFlagCompletionFunc("status", fixed(client.DeploymentStatuses()))
	return t.withClient(cmd, func(ctx context.Context, c *client.Client, _ []string) error {
		switch {
		case len(statuses) > 0:
			for _, s := range statuses {
				q.Statuses = append(q.Statuses, client.DeploymentStatus(s))
			}
		case !all:
			q.Statuses = live
		}
		items, err := collect(c.Deployments.All(ctx, q))
		if err != nil {
			return err
		}
		return list(t, t.deploymentListing(), items)
	})
}
