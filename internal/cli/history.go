package cli

import (
	"context"
	"fmt"
	"time"

	"github.com/billetcloud/billet/client"
	"github.com/spf13/cobra"
)

var pointCol columnsOf[client.PricePoint]

var pointListing = listing[client.PricePoint]{
	id: func(p client.PricePoint) string { return rfc3339(p.At) },
	columns: []column[client.PricePoint]{
		pointCol.time("at", "FROM", func(p client.PricePoint) time.Time { return p.At }),
		pointCol.money("hourlyPrice", "PRICE", hourly, func(p client.PricePoint) client.Money { return p.HourlyPrice }),
		pointCol.yesNo("available", "AVAILABLE", func(p client.PricePoint) bool { return p.Available }),
		pointCol.optionalNumber("stock", "STOCK", func(p client.PricePoint) *int { return p.Stock }),
	},
}

func (t *tool) offerHistory() *cobra.Command {
	var from, to string
	cmd := &cobra.Command{
		Use: "history <offer>", Aliases: []string{"price-history"}, Short: "Show an offer's price history",
		Args: cobra.ExactArgs(1),
		Long: `Shows an offer's price and availability over the last 30 days, or since --from, up to
90 days. These are list prices, even if your account has custom prices. -o wide, json, yaml and csv
include every change.

` + timesHelp,
		Example: "  billet offers history off_abc123\n  billet offers history off_abc123 --from 7d -o csv",
	}
	timeFlags(cmd, &from, &to)
	t.completeFirstArg(cmd, offerIDs)
	return t.withClient(cmd, func(ctx context.Context, c *client.Client, args []string) error {
		q := client.PriceHistoryQuery{}
		var err error
		if q.From, q.To, err = t.interval(ctx, c, from, to); err != nil {
			return err
		}
		h, err := c.Offers.PriceHistory(ctx, args[0], q)
		if err != nil {
			return err
		}
		switch {
		case t.format == "json" || t.format == "yaml":
			return t.encode(h)
		case !t.humanOutput():
			return list(t, pointListing, h.Points)
		case len(h.Points) == 0:
			t.note("No history from %s to %s.", localTime(h.From), localTime(h.To))
			return nil
		}
		return t.showHistory(h)
	})
}

// showHistory prints a summary of the history with a plot.
func (t *tool) showHistory(h *client.PriceHistory) error {
	begin := h.From
	if h.Points[0].At.After(begin) {
		begin = h.Points[0].At
	}
	lowest, highest, last := h.Points[0], h.Points[0], h.Points[len(h.Points)-1]
	var available time.Duration
	for i, p := range h.Points {
		if p.HourlyPrice < lowest.HourlyPrice {
			lowest = p
		}
		if p.HourlyPrice > highest.HourlyPrice {
			highest = p
		}
		until := h.To
		if i+1 < len(h.Points) {
			until = h.Points[i+1].At
		}
		if p.Available {
			available += until.Sub(later(p.At, begin))
		}
	}
	rows := []row{{"Offer", h.OfferID}, {"Price", hourly(last.HourlyPrice)}}
	if lowest.HourlyPrice != highest.HourlyPrice {
		rows = append(rows, row{"Lowest", fmt.Sprintf("%s on %s", hourly(lowest.HourlyPrice), localTime(lowest.At))},
			row{"Highest", fmt.Sprintf("%s on %s", hourly(highest.HourlyPrice), localTime(highest.At))})
	}
	if length := h.To.Sub(begin); length > 0 {
		rows = append(rows, row{"Available", fmt.Sprintf("%.0f%% of the time", float64(available)/float64(length)*100)},
			row{"Changes", fmt.Sprintf("%s since %s", plural(len(h.Points)-1, "change"), localTime(begin))})
	}
	const beside = len("Available  ")
	width := t.plotWidth(beside)
	if width > 0 && len(h.Points) > 1 {
		values := sampled(h.Points, begin, h.To, width)
		rows = append(rows, row{"Prices", spark(values)})
		for _, v := range values {
			if v < 0 {
				rows = append(rows, row{"", "· not available"})
				break
			}
		}
	}
	if err := show(t, h.OfferID, h, rows...); err != nil || t.format != "wide" {
		return err
	}
	if err := t.print(""); err != nil {
		return err
	}
	return list(t, pointListing, h.Points)
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// sampled returns the price at n instants from begin to end, and -1 where the offer was not
// available.
func sampled(points []client.PricePoint, begin, end time.Time, n int) []float64 {
	values := make([]float64, n)
	step, at := end.Sub(begin)/time.Duration(n), 0
	for i := range values {
		instant := begin.Add(step*time.Duration(i) + step/2)
		for at+1 < len(points) && !points[at+1].At.After(instant) {
			at++
		}
		if values[i] = float64(points[at].HourlyPrice); !points[at].Available {
			values[i] = -1
		}
	}
	return values
}
