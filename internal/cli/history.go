package cli

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/billetcloud/billet/client"
	"github.com/spf13/cobra"
)

var pointListing = listing[client.PricePoint]{
	id: func(p client.PricePoint) string { return stamp(p.At) },
	columns: []column[client.PricePoint]{
		{name: "at", head: "FROM", text: func(p client.PricePoint) string { return when(p.At) }, raw: func(p client.PricePoint) string { return stamp(p.At) }},
		{name: "hourlyPrice", head: "PRICE", right: true, text: func(p client.PricePoint) string { return hourly(p.HourlyPrice) }, raw: func(p client.PricePoint) string { return p.HourlyPrice.Decimal() }},
		{name: "available", head: "COULD BE HAD", text: func(p client.PricePoint) string { return yesNo(p.Available) }, raw: func(p client.PricePoint) string { return strconv.FormatBool(p.Available) }},
		{name: "stock", head: "STOCK", right: true, text: func(p client.PricePoint) string {
			if p.Stock == nil {
				return ""
			}
			return strconv.Itoa(*p.Stock)
		}},
	},
}

func (t *tool) offerHistory() *cobra.Command {
	var from, to string
	cmd := &cobra.Command{
		Use: "history <offer>", Aliases: []string{"price-history"}, Short: "What an offer has cost, and when it could be had", Args: cobra.ExactArgs(1),
		Long: `Shows what an offer has cost, and when it could be had: of the last 30 days, or as --from says; 90 days are kept. They are the usual prices,
also where yours are others. -o wide, json, yaml and csv have every change.

` + timesHelp,
		Example: "  billet offers history off_abc123\n  billet offers history off_abc123 --from 7d -o csv",
	}
	timeFlags(cmd, &from, &to)
	t.suggest(cmd, offerIDs)
	return t.verb(cmd, func(ctx context.Context, c *client.Client, args []string) error {
		q := client.PriceHistoryQuery{}
		var err error
		if q.From, q.To, err = interval(from, to, t.Now()); err != nil {
			return err
		}
		h, err := c.Offers.PriceHistory(ctx, args[0], q)
		if err != nil {
			return err
		}
		switch {
		case t.format == "json" || t.format == "yaml":
			return t.encode(h)
		case !t.forPeople():
			return list(t, pointListing, h.Points)
		case len(h.Points) == 0:
			t.note("Nothing is known of it from %s to %s.", when(h.From), when(h.To))
			return nil
		}
		return t.showHistory(h)
	})
}

// showHistory shows what the points say to somebody who wants to see it at a glance.
func (t *tool) showHistory(h *client.PriceHistory) error {
	begin := h.From
	if h.Points[0].At.After(begin) {
		begin = h.Points[0].At
	}
	lowest, highest, last := h.Points[0], h.Points[0], h.Points[len(h.Points)-1]
	var had time.Duration
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
			had += until.Sub(later(p.At, begin))
		}
	}
	rows := []row{{"Offer", h.OfferID}, {"Price", hourly(last.HourlyPrice)}}
	if lowest.HourlyPrice != highest.HourlyPrice {
		rows = append(rows, row{"Lowest", fmt.Sprintf("%s on %s", hourly(lowest.HourlyPrice), when(lowest.At))}, row{"Highest", fmt.Sprintf("%s on %s", hourly(highest.HourlyPrice), when(highest.At))})
	}
	if length := h.To.Sub(begin); length > 0 {
		rows = append(rows, row{"Could be had", fmt.Sprintf("%.0f %% of the time", float64(had)/float64(length)*100)},
			row{"Changes", fmt.Sprintf("%s since %s", plural(len(h.Points)-1, "change"), when(begin))})
	}
	const beside = len("Could be had  ")
	width := t.plotWidth(beside)
	if width > 0 && len(h.Points) > 1 {
		values := sampled(h.Points, begin, h.To, width)
		rows = append(rows, row{"Prices", spark(values)})
		for _, v := range values {
			if v < 0 {
				rows = append(rows, row{"", "· is when it could not be had"})
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

// sampled is the price at so many instants from begin to end; -1 where the offer could not be had.
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
