package cli

import (
	"context"
	"time"

	"github.com/billetcloud/billet/client"
	"github.com/spf13/cobra"
)

var serviceCreditCol columnsOf[client.ServiceCredit]

var serviceCreditListing = listing[client.ServiceCredit]{
	id: func(c client.ServiceCredit) string { return c.ID },
	columns: []column[client.ServiceCredit]{
		serviceCreditCol.text("id", "SERVICE CREDIT", func(c client.ServiceCredit) string { return c.ID }),
		serviceCreditCol.text("deploymentName", "DEPLOYMENT",
			func(c client.ServiceCredit) string { return c.DeploymentName }),
		serviceCreditCol.text("cause", "CAUSE", func(c client.ServiceCredit) string { return string(c.Cause) }),
		serviceCreditCol.time("from", "FROM", func(c client.ServiceCredit) time.Time { return c.From }),
		serviceCreditCol.time("to", "TO", func(c client.ServiceCredit) time.Time { return c.To }),
		serviceCreditCol.money("amount", "AMOUNT", total,
			func(c client.ServiceCredit) client.Money { return c.Amount }),
		serviceCreditCol.text("note", "NOTE", func(c client.ServiceCredit) string { return c.Note }),
		serviceCreditCol.text("deploymentId", "DEPLOYMENT ID",
			func(c client.ServiceCredit) string { return c.DeploymentID }).onlyWide(),
		serviceCreditCol.text("formula", "FORMULA",
			func(c client.ServiceCredit) string { return c.Formula }).onlyWide(),
	},
	none: "No service credits.",
}

func (t *tool) serviceCredits() *cobra.Command {
	var deployment string
	limit := 50
	cmd := &cobra.Command{
		Use: "service-credits", Short: "List service credits", Args: cobra.NoArgs,
		Long: `Lists what was credited for machines, or GPUs of machines, that did not work, newest first. -o wide
has how each amount is computed.

A table shows the newest 50 unless --limit is set; json, yaml, csv and id have all.`,
		Example: `  billet service-credits
  billet service-credits --deployment dep_01j8z3k4m5n6p7q8r9s0t1v2w3 -o wide`,
	}
	cmd.Flags().StringVar(&deployment, "deployment", "", "only service credits for the deployment with this `ID`")
	cmd.Flags().IntVar(&limit, "limit", limit, "maximum `number` in a table; 0 for all")
	return t.withClient(cmd, func(ctx context.Context, c *client.Client, _ []string) error {
		if limit < 0 {
			return usageError("--limit must be at least 0.")
		}
		most := limit
		if !t.humanOutput() && !cmd.Flags().Changed("limit") {
			most = 0
		}
		q := client.ServiceCreditQuery{DeploymentID: deployment}
		return listLimited(t, serviceCreditListing, c.Wallet.AllServiceCredits(ctx, q), most)
	})
}
