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
		Use: "wallet", Aliases: []string{"balance"}, Short: "Your money: what there is, what is set aside, and how long it lasts", Args: cobra.NoArgs,
		Long: "Shows your money: what there is, what of it is set aside, what runs and costs something now, and how long the rest lasts at that.",
		Example: `  billet wallet
  billet wallet -o json
  billet wallet statement --from 7d`,
	}
	t.verb(cmd, func(ctx context.Context, c *client.Client, _ []string) error {
		w, err := c.Wallet.Get(ctx)
		if err != nil {
			return err
		}
		if t.format == "id" {
			return usage("a wallet has no id; take json or yaml.")
		}
		held := total(w.Held)
		if w.Held > 0 {
			held += ", set aside for the first hour of what does not run yet"
		}
		if err := show(t, "", w, row{"Available", total(w.Available)}, row{"Held", held}, row{"Balance", total(w.Balance)},
			row{"DEBT", debt(w)}, row{"Costs now", costsNow(w)}, row{"Lasts", lasts(w)}, row{"To deploy", total(w.MinimumToDeploy) + " must be available"}); err != nil || !t.forPeople() {
			return err
		}
		return t.costing(w)
	})
	cmd.AddCommand(t.statement())
	return cmd
}

// debt says what is owed; nothing where nothing is.
func debt(w *client.Wallet) string {
	if w.Available >= 0 {
		return ""
	}
	text := fmt.Sprintf("you owe %s", total(-w.Available))
	if w.NegativeSince != nil {
		text += " since " + when(*w.NegativeSince)
	}
	return text + ". Nothing can be deployed; pay in soon, or what runs is ended."
}

func costsNow(w *client.Wallet) string {
	if len(w.ActiveDeployments)+len(w.Volumes) == 0 {
		return "nothing"
	}
	var of []string
	for _, kind := range []struct {
		n    int
		name string
	}{{len(w.ActiveDeployments), "machine"}, {len(w.Volumes), "volume"}} {
		if kind.n > 0 {
			of = append(of, plural(kind.n, kind.name))
		}
	}
	return fmt.Sprintf("%s for %s", hourly(w.HourlyCost), strings.Join(of, " and "))
}

func plural(n int, word string) string {
	if n == 1 {
		return "1 " + word
	}
	return fmt.Sprintf("%d %ss", n, word)
}

// lasts is how long the money lasts, where anything costs some.
func lasts(w *client.Wallet) string {
	if w.HoursLeft == nil || w.Available <= 0 {
		return ""
	}
	const years = 5 * 365 * 24
	if *w.HoursLeft > years {
		return "more than 5 years at that"
	}
	left := time.Duration(*w.HoursLeft * float64(time.Hour))
	return since(left) + " at that"
}

// costing shows what is paid for now.
func (t *tool) costing(w *client.Wallet) error {
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
	return t.table([]string{"NAME", "PRICE", "COST SO FAR", "ID"}, rows, func(_, column int) lipgloss.Style {
		if column == 1 || column == 2 {
			return lipgloss.NewStyle().Align(lipgloss.Right)
		}
		return lipgloss.NewStyle()
	})
}
