package cli

import (
	"context"
	"time"

	"github.com/billetcloud/billet/client"
	"github.com/spf13/cobra"
)

var creditCol columnsOf[client.Credit]

var creditListing = listing[client.Credit]{
	id: func(c client.Credit) string { return c.ID },
	columns: []column[client.Credit]{
		creditCol.text("id", "CREDIT", func(c client.Credit) string { return c.ID }),
		creditCol.text("state", "STATE", func(c client.Credit) string { return string(c.State) }),
		creditCol.money("amount", "AMOUNT", total, func(c client.Credit) client.Money { return c.Amount }),
		creditCol.text("remaining", "LEFT", func(c client.Credit) string {
			if c.Remaining == nil {
				return ""
			}
			return total(*c.Remaining)
		}),
		creditCol.optionalTime("expiresAt", "EXPIRES", func(c client.Credit) *time.Time { return c.ExpiresAt }),
		creditCol.text("note", "NOTE", func(c client.Credit) string { return c.Note }),
		creditCol.text("source", "SOURCE", func(c client.Credit) string { return string(c.Source) }).onlyWide(),
		creditCol.money("expiredAmount", "EXPIRED", total,
			func(c client.Credit) client.Money { return c.ExpiredAmount }).onlyWide(),
		creditCol.time("createdAt", "GIVEN", func(c client.Credit) time.Time { return c.CreatedAt }).onlyWide(),
	},
	none: "No credits.",
}

func (t *tool) credits() *cobra.Command {
	var state string
	limit := 50
	cmd := &cobra.Command{
		Use: "credits", Short: "List credits and when they expire", Args: cobra.NoArgs,
		Long: `Lists what was given to the account, newest first. Credits that expire are spent before other
money, the one that expires soonest first. What is left at the expiry is taken out of the balance.

A table shows the newest 50 unless --limit is set; json, yaml, csv and id have all.`,
		Example: `  billet credits
  billet credits --state active`,
	}
	cmd.Flags().StringVar(&state, "state", "", "only credits in this `state`: "+joined(client.CreditStates()))
	cmd.Flags().IntVar(&limit, "limit", limit, "maximum `number` in a table; 0 for all")
	_ = cmd.RegisterFlagCompletionFunc("state", fixed(client.CreditStates()))
	return t.withClient(cmd, func(ctx context.Context, c *client.Client, _ []string) error {
		if limit < 0 {
			return usageError("--limit must be at least 0.")
		}
		most := limit
		if !t.humanOutput() && !cmd.Flags().Changed("limit") {
			most = 0
		}
		q := client.CreditQuery{State: client.CreditState(state)}
		return listLimited(t, creditListing, c.Wallet.AllCredits(ctx, q), most)
	})
}

func (t *tool) redeem() *cobra.Command {
	cmd := &cobra.Command{
		Use: "redeem <code>", Short: "Redeem a promo code", Args: cobra.ExactArgs(1),
		Long: `Adds the credit of a promo code to the balance. An account can redeem a code once.

The API key needs the scope wallet:write, which a key has only if it was created with it.`,
		Example: `  billet redeem WELCOME50`,
	}
	return t.mutating(cmd, func(ctx context.Context, c *client.Client, args []string) error {
		given, err := c.Wallet.Redeem(ctx, args[0])
		if err != nil {
			return err
		}
		until := ""
		if given.ExpiresAt != nil {
			until = " It expires on " + localTime(*given.ExpiresAt) + "."
		}
		return printResult(t, given.ID, given, "Added a credit of %s.%s", total(given.Amount), until)
	})
}

// expiringCredits describes which part of the balance expires, or returns "".
func expiringCredits(w *client.Wallet) string {
	if w.NextCreditExpiresAt == nil {
		return ""
	}
	return total(w.ExpiringCredits) + " of the available balance expires, starting " +
		localTime(*w.NextCreditExpiresAt)
}
