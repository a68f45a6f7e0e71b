package cli

import (
	"context"
	"fmt"

	"github.com/billetcloud/billet/client"
	"github.com/spf13/cobra"
)

func (t *tool) quotas() *cobra.Command {
	cmd := &cobra.Command{
		Use: "quotas", Aliases: []string{"quota"}, Short: "Show quotas and usage", Args: cobra.NoArgs,
		Long: `Shows the account's quotas and how much of each is used. Deploys and volumes that would exceed a
quota are refused. Only the operator can change quotas.`,
		Example: `  billet quotas
  billet quotas -o json`,
	}
	t.withClient(cmd, func(ctx context.Context, c *client.Client, _ []string) error {
		q, err := c.Quotas.Get(ctx)
		if err != nil {
			return err
		}
		if t.format == "id" {
			return usageError("quotas have no ID. Use json or yaml.")
		}
		return show(t, "", q,
			row{"Machines", quotaText(q.Used.Machines, q.Limits.Machines, "")},
			row{"GPUs", quotaText(q.Used.GPUs, q.Limits.GPUs, "")},
			row{"Hourly spend", spendQuota(q)},
			row{"Volumes", quotaText(q.Used.Volumes, q.Limits.Volumes, "")},
			row{"Size of volumes", quotaText(q.Used.VolumeGB, q.Limits.VolumeGB, " GB")})
	})
	return cmd
}

// quotaText describes what is used of a limit.
func quotaText(used int, limit *int, unit string) string {
	if limit == nil {
		return fmt.Sprintf("%d%s (no limit)", used, unit)
	}
	return fmt.Sprintf("%d of %d%s", used, *limit, unit)
}

func spendQuota(q *client.Quotas) string {
	if q.Limits.HourlySpend == nil {
		return total(q.Used.HourlySpend) + "/h (no limit)"
	}
	return fmt.Sprintf("%s of %s/h", total(q.Used.HourlySpend), total(*q.Limits.HourlySpend))
}
