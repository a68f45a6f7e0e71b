package cli

import (
	"context"
	"fmt"
	"iter"
	"strings"
	"time"

	"github.com/billetcloud/billet/client"
	"github.com/spf13/cobra"
)

var budgetCol columnsOf[client.Budget]

var budgetListing = listing[client.Budget]{
	id: func(b client.Budget) string { return b.ID },
	columns: []column[client.Budget]{
		budgetCol.text("id", "BUDGET", func(b client.Budget) string { return b.ID }),
		budgetCol.text("name", "NAME", func(b client.Budget) string { return b.Name }),
		budgetCol.text("scope", "SCOPE", budgetScope),
		budgetCol.money("spent", "SPENT", total, func(b client.Budget) client.Money { return b.Spent }),
		budgetCol.money("committed", "COMMITTED", total,
			func(b client.Budget) client.Money { return b.Committed }),
		budgetCol.money("amount", "AMOUNT", total, func(b client.Budget) client.Money { return b.Amount }),
		budgetCol.text("period", "PERIOD", func(b client.Budget) string { return string(b.Period) }),
		budgetCol.text("mode", "MODE", func(b client.Budget) string { return string(b.Mode) }),
		budgetCol.optionalTime("resetsAt", "RESETS", func(b client.Budget) *time.Time { return b.ResetsAt }).onlyWide(),
	},
	none: "No budgets. Run 'billet budgets create' to create one.",
}

func budgetScope(b client.Budget) string {
	switch s := b.Scope; {
	case s.Project != nil:
		return "project " + *s.Project
	case s.Tag != nil:
		return "tag " + *s.Tag
	case s.APIKeyID != nil:
		return "API key " + *s.APIKeyID
	}
	return "account"
}

func (t *tool) budgets() *cobra.Command {
	cmd := &cobra.Command{
		Use: "budgets", Aliases: []string{"budget"}, Short: "Manage budgets", Args: cobra.NoArgs,
		Long: `Lists budgets: how much the account, a project, a tag or an API key may cost per day, per month
(UTC) or in total. Thresholds are reported as events and by email. With --mode block, new machines and
volumes that would exceed the amount are refused. With --mode terminate, machines also terminate
before an hour that would exceed it begins. Refer to a budget by ID or name.`,
		Example: `  billet budgets create research --amount 5000 --period month --project llm --mode block
  billet budgets update research --amount 6000
  billet budgets rm research`,
	}
	listAll(t, cmd, budgetListing, func(ctx context.Context, c *client.Client) iter.Seq2[client.Budget, error] {
		return c.Budgets.All(ctx)
	})
	cmd.AddCommand(t.budgetCreate(), t.budgetUpdate(), t.budgetRemove())
	return cmd
}

// budget finds a budget by id or name.
func budget(ctx context.Context, c *client.Client, ref string) (*client.Budget, error) {
	if strings.HasPrefix(ref, "bud_") {
		if b, err := c.Budgets.Get(ctx, ref); !isUnknownID(err) {
			return b, err
		}
	}
	var found []client.Budget
	for b, err := range c.Budgets.All(ctx) {
		if err != nil {
			return nil, err
		}
		if b.Name == ref {
			found = append(found, b)
		}
	}
	return resolve("budget", ref, found, nil, func(b client.Budget) string { return b.ID })
}

func budgetNames(ctx context.Context, c *client.Client) ([]cobra.Completion, error) {
	items, err := collect(c.Budgets.All(ctx))
	names := make([]cobra.Completion, len(items))
	for i, b := range items {
		names[i] = cobra.CompletionWithDesc(b.Name, b.ID)
	}
	return names, err
}

const (
	budgetModeHelp      = "what the budget does: alert, block or terminate"
	budgetThresholdHelp = "percentages (`percent`) at which to alert"
)

func (t *tool) budgetCreate() *cobra.Command {
	var in client.CreateBudget
	var amount, period, mode, project, tag, key string
	cmd := &cobra.Command{
		Use: "create <name>", Aliases: []string{"add"}, Short: "Create a budget", Args: cobra.ExactArgs(1),
		Example: `  billet budgets create everything --amount 500 --period day
  billet budgets create research --amount 5000 --period month --project llm --mode terminate`,
	}
	f := cmd.Flags()
	f.StringVar(&amount, "amount", "", "`USD` for each period")
	f.StringVar(&period, "period", "month", "day, month (UTC) or total")
	f.StringVar(&mode, "mode", "alert", budgetModeHelp)
	f.StringVar(&project, "project", "", "count only this `project`")
	f.StringVar(&tag, "tag", "", "count only machines with this `tag`")
	f.StringVar(&key, "api-key", "", "count only what this API key, key_…, creates")
	f.IntSliceVar(&in.Thresholds, "threshold", nil, budgetThresholdHelp+"; default: 50, 80 and 100")
	return t.mutating(cmd, func(ctx context.Context, c *client.Client, args []string) error {
		if amount == "" {
			return usageError("missing --amount: US dollars for each period.")
		}
		usd, err := dollars("--amount", amount)
		if err != nil {
			return err
		}
		in.Name, in.Amount = args[0], usd
		in.Period, in.Mode = client.BudgetPeriod(period), client.BudgetMode(mode)
		if project != "" {
			in.Scope.Project = &project
		}
		if tag != "" {
			in.Scope.Tag = &tag
		}
		if key != "" {
			in.Scope.APIKeyID = &key
		}
		b, err := c.Budgets.Create(ctx, in)
		if err != nil {
			return err
		}
		each := "a " + string(b.Period)
		if b.Period == client.BudgetTotal {
			each = "in total"
		}
		return printResult(t, b.ID, b, "Created the budget %s: %s %s.", b.Name, total(b.Amount), each)
	})
}

func (t *tool) budgetUpdate() *cobra.Command {
	var in client.UpdateBudget
	var amount, period, mode string
	cmd := &cobra.Command{
		Use: "update <budget>", Aliases: []string{"set"}, Short: "Update a budget", Args: cobra.ExactArgs(1),
		Example: "  billet budgets update research --amount 6000 --mode terminate",
	}
	f := cmd.Flags()
	f.StringVar(&in.Name, "name", "", "new `name`")
	f.StringVar(&amount, "amount", "", "`USD` for each period")
	f.StringVar(&period, "period", "", "day, month (UTC) or total")
	f.StringVar(&mode, "mode", "", budgetModeHelp)
	f.IntSliceVar(&in.Thresholds, "threshold", nil, budgetThresholdHelp)
	t.completeFirstArg(cmd, budgetNames)
	return t.mutating(cmd, func(ctx context.Context, c *client.Client, args []string) error {
		if amount != "" {
			usd, err := dollars("--amount", amount)
			if err != nil {
				return err
			}
			in.Amount = &usd
		}
		in.Period, in.Mode = client.BudgetPeriod(period), client.BudgetMode(mode)
		if in.Name == "" && amount == "" && period == "" && mode == "" && in.Thresholds == nil {
			return usageError("nothing to change. Use --name, --amount, --period, --mode or --threshold.")
		}
		b, err := budget(ctx, c, args[0])
		if err != nil {
			return err
		}
		if b, err = c.Budgets.Update(ctx, b.ID, in); err != nil {
			return err
		}
		return printResult(t, b.ID, b, "Updated %s.", b.Name)
	})
}

func (t *tool) budgetRemove() *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use: "rm <budget>", Aliases: []string{"remove", "delete"}, Short: "Delete a budget", Args: cobra.ExactArgs(1),
		Example: "  billet budgets rm research --yes",
	}
	yesFlag(cmd, &yes)
	t.completeFirstArg(cmd, budgetNames)
	return t.mutating(cmd, func(ctx context.Context, c *client.Client, args []string) error {
		b, err := budget(ctx, c, args[0])
		if err != nil {
			return err
		}
		if err := t.confirm(ctx, yes, fmt.Sprintf("Delete the budget %s?", clean(b.Name))); err != nil {
			return err
		}
		if err := c.Budgets.Delete(ctx, b.ID); err != nil {
			return err
		}
		return printResult(t, b.ID, b, "Deleted %s.", b.Name)
	})
}
