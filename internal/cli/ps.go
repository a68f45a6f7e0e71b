package cli

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/billetcloud/billet/client"
	"github.com/spf13/cobra"
)

// live are the statuses of what has not ended.
var live = []client.DeploymentStatus{client.DeploymentPending, client.DeploymentDeploying, client.DeploymentRunning, client.DeploymentStopped, client.DeploymentTerminating}

func (t *tool) deploymentListing() listing[client.Deployment] {
	return listing[client.Deployment]{
		id: func(d client.Deployment) string { return d.ID },
		columns: []column[client.Deployment]{
			{name: "id", head: "DEPLOYMENT", text: func(d client.Deployment) string { return d.ID }},
			{name: "name", head: "NAME", text: func(d client.Deployment) string { return d.Name }},
			{name: "status", head: "STATUS", text: func(d client.Deployment) string { return string(d.Status) }},
			{name: "gpus", head: "GPUS", text: func(d client.Deployment) string { return fmt.Sprintf("%d × %s", d.GPUCount, d.GPUType) }},
			{name: "hourlyPrice", head: "PRICE", right: true, text: func(d client.Deployment) string { return hourly(d.HourlyPrice) }, raw: func(d client.Deployment) string { return d.HourlyPrice.Decimal() }},
			{name: "costToDate", head: "COST", right: true, text: func(d client.Deployment) string { return total(d.CostToDate) }, raw: func(d client.Deployment) string { return d.CostToDate.Decimal() }},
			{name: "createdAt", head: "AGE", right: true, text: func(d client.Deployment) string { return since(t.Now().Sub(d.CreatedAt)) }, raw: func(d client.Deployment) string { return stamp(d.CreatedAt) }},
			{name: "ipAddress", head: "ADDRESS", text: func(d client.Deployment) string { return or(d.IPAddress, "") }},
			{name: "sshPort", head: "PORT", wide: true, right: true, text: func(d client.Deployment) string {
				if d.SSHPort == nil {
					return ""
				}
				return strconv.Itoa(*d.SSHPort)
			}},
			{name: "provider", head: "PROVIDER", wide: true, text: func(d client.Deployment) string { return d.Provider }},
			{name: "region", head: "REGION", wide: true, text: func(d client.Deployment) string { return d.Region }},
			{name: "offerId", head: "OFFER", wide: true, text: func(d client.Deployment) string { return d.OfferID }},
			{name: "tags", head: "TAGS", wide: true, text: func(d client.Deployment) string { return strings.Join(d.Tags, " ") }},
		},
		none: "No deployments. 'billet deploy' makes one; 'billet ps --all' shows those that have ended.",
	}
}

func (t *tool) ps() *cobra.Command {
	var q client.DeploymentQuery
	var all bool
	var statuses []string
	cmd := &cobra.Command{
		Use: "ps", Aliases: []string{"deployments", "list", "ls"}, Short: "Your machines", Args: cobra.NoArgs,
		Long: "Shows your machines that have not ended, newest first.",
		Example: `  billet ps
  billet ps --all -o wide
  billet ps --tag training -o id`,
	}
	f := cmd.Flags()
	f.BoolVarP(&all, "all", "a", false, "those that have ended, too")
	f.StringSliceVar(&statuses, "status", nil, "only those with one of these statuses")
	f.StringVar(&q.Tag, "tag", "", "only those with this tag")
	f.StringVar(&q.Provider, "provider", "", "a provider's slug")
	f.StringVar(&q.Region, "region", "", "a region's slug")
	f.StringVar(&q.Search, "name", "", "a part of the name")
	f.StringVar(&q.Sort, "sort", "", "createdAt or name; with a hyphen before it downwards")
	return t.verb(cmd, func(ctx context.Context, c *client.Client, _ []string) error {
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
