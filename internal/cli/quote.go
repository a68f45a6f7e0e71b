package cli

import (
	"context"
	"fmt"

	"github.com/billetcloud/billet/client"
	"github.com/spf13/cobra"
)

func (t *tool) quote() *cobra.Command {
	cmd := &cobra.Command{
		Use: "quote <offer>", Aliases: []string{"quotes"}, Short: "Fix an offer's price for ten minutes", Args: cobra.ExactArgs(1),
		Long: `Fixes an offer's price for ten minutes, and shows what a deploy would set aside and whether your money covers it. It costs nothing, and keeps
no machine back.`,
		Example: `  billet quote off_abc123
  billet deploy --quote $(billet quote off_abc123 -o id)
  billet quote show quo_01…`,
	}
	t.suggest(cmd, offerIDs)
	t.act(cmd, func(ctx context.Context, c *client.Client, args []string) error {
		q, err := c.Quotes.Create(ctx, args[0])
		if err != nil {
			return err
		}
		return t.showQuote(q, true)
	})
	cmd.AddCommand(t.verb(&cobra.Command{
		Use: "show <quote>", Short: "A quote that was made, for a day", Args: cobra.ExactArgs(1), Example: "  billet quote show quo_01…",
	}, func(ctx context.Context, c *client.Client, args []string) error {
		q, err := c.Quotes.Get(ctx, args[0])
		if err != nil {
			return err
		}
		return t.showQuote(q, false)
	}))
	return cmd
}

// showQuote shows a quote, which was made just now or some time ago. Whether that is over is not said then: it goes by the server's clock.
func (t *tool) showQuote(q *client.Quote, fresh bool) error {
	made, until := when(q.CreatedAt), when(q.ExpiresAt)
	if fresh {
		made, until = "", until+", for "+since(q.ExpiresAt.Sub(q.CreatedAt))
	}
	if q.UsedBy != nil {
		until = "used"
	}
	enough := "which is enough"
	if q.Available < q.Required {
		enough = fmt.Sprintf("%s short", total(q.Required-q.Available))
	}
	err := show(t, q.QuoteID, q, row{"Quote", q.QuoteID}, row{"Offer", q.OfferID}, row{"Price", hourly(q.HourlyPrice)}, row{"Made", made}, row{"Holds until", until},
		row{"Set aside", total(q.Hold) + " by a deploy"}, row{"Required", total(q.Required) + " must be available for it"},
		row{"Available", total(q.Available) + ", " + enough}, row{"Used by", or(q.UsedBy, "")})
	if err == nil && t.forPeople() && fresh {
		t.note("'billet deploy --quote %s' takes it.", q.QuoteID)
	}
	return err
}

func offerIDs(ctx context.Context, c *client.Client) ([]cobra.Completion, error) {
	yes := true
	p, err := c.Offers.List(ctx, client.OfferQuery{Paging: client.Paging{Limit: client.PageSize}, Available: &yes})
	if err != nil {
		return nil, err
	}
	ids := make([]cobra.Completion, len(p.Items))
	for i, o := range p.Items {
		ids[i] = cobra.CompletionWithDesc(o.ID, fmt.Sprintf("%d × %s, %s, %s", o.GPUCount, o.GPUType, hourly(o.HourlyPrice), o.Region))
	}
	return ids, nil
}
