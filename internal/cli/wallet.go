package cli

import (
	"context"
	"fmt"
	"strings"
	"time"

	"charm.land/lipgloss/v2"
	"github.com/billetcloud/billet/client"
	"github.com/spf13/cobra"
)

func (t *tool) wallet() *cobra.Command {
	cmd := &cobra.Command{
		Use: "wallet", Aliases: []string{"balance"}, Short: "Show balance, holds and runway", Args: cobra.NoArgs,
		Long: "Shows the balance, the holds, the current hourly spend and how long the balance lasts at that rate.",
		Example: `  billet wallet
  billet wallet -o json
  billet wallet statement --from 7d`,
	}
	t.withClient(cmd, func(ctx context.Context, c *client.Client, _ []string) error {
		w, err := c.Wallet.Get(ctx)
		if err != nil {
			return err
		}
		if t.format == "id" {
			return usageError("a wallet has no ID. Use json or yaml.")
		}
		held := total(w.Held)
		if w.Held > 0 {
			held += " (pending deployments)"
		}
		err = show(
			t,
			"",
			w,
			row{"Available", total(w.Available)},
			row{"On hold", held},
			row{"Balance", total(w.Balance)},
			row{"Credits", expiringCredits(w)},
			row{"Past due", pastDue(w)},
			row{"Hourly spend", hourlySpend(w)},
			row{
				"Runway",
				runway(w),
			},
			row{"Low balance", lowBalance(w)},
			row{"Minimum to deploy", total(w.MinimumToDeploy)},
		)
		if err != nil || !t.humanOutput() {
			return err
		}
		return t.activeResources(w)
	})
	cmd.AddCommand(t.statement())
	return cmd
}

// pastDue describes a negative balance and its consequences, or returns "".
func pastDue(w *client.Wallet) string {
	if w.Available >= 0 {
		return ""
	}
	text := total(-w.Available)
	if w.NegativeSince != nil {
		text += " since " + localTime(*w.NegativeSince)
	}
	text += ". You cannot deploy."
	if p := w.PastDue; p != nil {
		text += fmt.Sprintf("\nUnless you add funds, machines are terminated on %s\nand volumes are deleted on %s.",
			localTime(p.DeploymentsEndAt), localTime(p.VolumesDeletedAt))
	}
	return text
}

// lowBalance describes what happens when the balance ends soon, or returns "".
func lowBalance(w *client.Wallet) string {
	if w.LowBalance == nil || w.RunsDryAt == nil {
		return ""
	}
	return fmt.Sprintf("The balance ends on %s.\nUnless you add funds, machines are terminated on %s\n"+
		"and volumes are deleted on %s.", localTime(*w.RunsDryAt), localTime(w.LowBalance.DeploymentsEndAt),
		localTime(w.LowBalance.VolumesDeletedAt))
}

func hourlySpend(w *client.Wallet) string {
	if len(w.ActiveDeployments)+len(w.Volumes) == 0 {
		return total(0)
	}
	var parts []string
	for _, kind := range []struct {
		n    int
		name string
	}{{len(w.ActiveDeployments), "machine"}, {len(w.Volumes), "volume"}} {
		if kind.n > 0 {
			parts = append(parts, plural(kind.n, kind.name))
		}
	}
	return fmt.Sprintf("%s (%s)", hourly(w.HourlyCost), strings.Join(parts, ", "))
}

func plural(n int, word string) string {
	if n == 1 {
		return "1 " + word
	}
	return fmt.Sprintf("%d %ss", n, word)
}

// runway formats how long the balance lasts at the current hourly spend, or returns "" if nothing
// is billed.
func runway(w *client.Wallet) string {
	if w.HoursLeft == nil || w.Available <= 0 {
		return ""
	}
	const years = 5 * 365 * 24
	if *w.HoursLeft > years {
		return "more than 5 years"
	}
	return "≈ " + duration(time.Duration(*w.HoursLeft*float64(time.Hour)))
}

// activeResources prints a table of what is being billed.
func (t *tool) activeResources(w *client.Wallet) error {
	var rows [][]string
	for _, d := range w.ActiveDeployments {
		rows = append(rows, []string{clean(d.Name), hourly(d.HourlyPrice), total(d.CostToDate), d.ID})
	}
	for _, v := range w.Volumes {
		rows = append(rows, []string{clean(v.Name), hourly(v.HourlyPrice), "", v.ID})
	}
	if len(rows) == 0 {
		return nil
	}
	if err := t.print(""); err != nil {
		return err
	}
	return t.table([]string{"NAME", "PRICE", "TOTAL COST", "ID"}, rows, func(_, column int) lipgloss.Style {
		if column == 1 || column == 2 {
			return lipgloss.NewStyle().Align(lipgloss.Right)
		}
		return lipgloss.NewStyle()
	})
}
