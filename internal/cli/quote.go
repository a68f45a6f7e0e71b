package cli

import (
	"context"
	"fmt"

	"github.com/billetcloud/billet/client"
	"github.com/spf13/cobra"
)

func (t *tool) quote() *cobra.Command {
	cmd := &cobra.Command{
		Use: "quote <offer>", Aliases: []string{"quotes"}, Short: "Lock an offer's price for ten minutes",
		Args: cobra.ExactArgs(1),
		Long: `Locks an offer's price for ten minutes and shows the hold of a deploy and whether
your balance covers it. A quote is free and reserves no machine.`,
		Example: `  billet quote off_abc123
  billet deploy --quote $(billet quote off_abc123 -o id)
  billet quote show quo_01…`,
	}
	t.completeFirstArg(cmd, offerIDs)
	t.mutating(cmd, func(ctx context.Context, c *client.Client, args []string) error {
		q, err := c.Quotes.Create(ctx, args[0])
		if err != nil {
			return err
		}
		return t.showQuote(q, true)
	})
	cmd.AddCommand(t.withClient(&cobra.Command{
		Use: "show <quote>", Short: "Show a quote", Args: cobra.ExactArgs(1), Example: "  billet quote show quo_01…",
	}, func(ctx context.Context, c *client.Client, args []string) error {
		q, err := c.Quotes.Get(ctx, args[0])
		if err != nil {
			return err
		}
		return t.showQuote(q, false)
	}))
	return cmd
}

// showQuote prints a quote. For one that is not fresh it does not print the time left, which
// depends on the server's clock.
func (t *tool) showQuote(q *client.Quote, fresh bool) error {
	created, until := localTime(q.CreatedAt), localTime(q.ExpiresAt)
	if fresh {
		created, until = "", fmt.Sprintf("%s (in %s)", until, duration(q.ExpiresAt.Sub(q.CreatedAt)))
	}
	if q.UsedBy != nil {
		until = "used"
	}
	err := show(t, q.QuoteID, q, row{"Quote", q.QuoteID}, row{"Offer", q.OfferID}, row{"Price", hourly(q.HourlyPrice)},
		row{"Created", created}, row{"Expires", until}, row{"Hold", total(q.Hold)},
		row{"Required balance", total(q.Required)},
		row{"Available", availableText(q)}, row{"Used by", valueOr(q.UsedBy, "")})
	if err == nil && t.humanOutput() && fresh {
		t.note("Run 'billet deploy --quote %s' to deploy at this price.", q.QuoteID)
	}
	return err
}

// availableText describes the balance; "" for a key that may not read it.
func availableText(q *client.Quote) string {
	switch {
	case q.Available == nil:
		return ""
	case *q.Available < q.Required:
		return fmt.Sprintf("%s (%s short)", total(*q.Available), total(q.Required-*q.Available))
	}
	return total(*q.Available) + " (sufficient)"
}

func offerIDs(ctx context.Context, c *client.Client) ([]cobra.Completion, error) {
	p, err := c.Offers.List(ctx, client.OfferQuery{Paging: client.Paging{Limit: client.PageSize}, Available: new(true)})
	if err != nil {
		return nil, err
	}
	ids := make([]cobra.Completion, len(p.Items))
	for i, o := range p.Items {
		about := fmt.Sprintf("%d × %s, %s, %s", o.GPUCount, o.GPUType, hourly(o.HourlyPrice), o.Region)
		ids[i] = cobra.CompletionWithDesc(o.ID, about)
	}
	return ids, nil
}
