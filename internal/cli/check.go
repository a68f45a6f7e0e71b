package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/billetcloud/billet/client"
	"github.com/spf13/cobra"
)

var shareCol columnsOf[client.Share]

var shareListing = listing[client.Share]{
	id: func(s client.Share) string { return s.Offer.ID },
	columns: []column[client.Share]{
		shareCol.number("count", "MACHINES", "", func(s client.Share) int { return s.Count }),
		shareCol.text("id", "OFFER", func(s client.Share) string { return s.Offer.ID }),
		shareCol.number("gpuCount", "GPUS", "", func(s client.Share) int { return s.Offer.GPUCount }),
		shareCol.text("gpuType", "GPU", func(s client.Share) string { return s.Offer.GPUType }),
		shareCol.money("hourlyPrice", "PRICE", hourly,
			func(s client.Share) client.Money { return s.Offer.HourlyPrice }),
		shareCol.text("provider", "PROVIDER", func(s client.Share) string { return s.Offer.Provider }),
		shareCol.text("region", "REGION", func(s client.Share) string { return s.Offer.Region }),
	},
}

func (t *tool) check() *cobra.Command {
	var in client.CheckOffers
	var instance, most string
	cmd := &cobra.Command{
		Use: "check", Aliases: []string{"capacity"}, Short: "Check capacity for several machines", Args: cobra.NoArgs,
		Long: `Checks whether enough machines are available and shows the cheapest ones and their
total price. Nothing is reserved.

The exit code is 6 if capacity is insufficient, so that a script can wait for it.`,
		Example: `  billet check --count 4 --gpu "NVIDIA B200" --gpus 8
  billet check --gpu "NVIDIA H100" --max-price 20 --region dallas-usa-5,oslo-nor-2
  until billet check --count 2 --gpu "NVIDIA B200" -o id; do sleep 300; done`,
	}
	f := cmd.Flags()
	f.IntVar(&in.Count, "count", 1, "`number` of machines")
	f.StringVar(&in.GPUType, "gpu", "", "full GPU `name`, such as \"NVIDIA H100\"; see 'billet gpus'")
	f.IntVar(&in.GPUCount, "gpus", 0, "GPUs per machine")
	f.StringVar(&instance, "type", "", typeHelp)
	f.StringVar(&most, "max-price", "", "maximum price per machine and hour, in `USD`")
	f.StringVar(&in.Provider, "provider", "", "provider `slug`")
	f.StringSliceVar(&in.Regions, "region", nil, "region `slug`s, comma-separated; any of them")
	return t.withClient(cmd, func(ctx context.Context, c *client.Client, _ []string) error {
		if in.InstanceType = client.InstanceType(strings.ToUpper(instance)); in.Count < 1 {
			return usageError("--count must be at least 1.")
		}
		if most != "" {
			m, err := dollars("--max-price", most)
			if err != nil {
				return err
			}
			in.MaxHourlyPrice = &m
		}
		capacity, err := c.Offers.Check(ctx, in)
		if err != nil {
			return err
		}
		if err := t.showCapacity(capacity); err != nil || capacity.Enough {
			return err
		}
		return exit(exitConflict)
	})
}

// shortfallText lists what each region with a matching offer lacks.
func shortfallText(c *client.Capacity) string {
	var b strings.Builder
	for _, s := range c.Shortfalls {
		switch {
		case s.Reason == client.ShortfallSoldOut:
			_, _ = fmt.Fprintf(&b, "  %s: sold out\n", s.Region)
		case s.Reason == client.ShortfallTooExpensive && s.LowestHourlyPrice != nil:
			_, _ = fmt.Fprintf(&b, "  %s: the cheapest offer is %s\n", s.Region, hourly(*s.LowestHourlyPrice))
		case s.Reason == client.ShortfallTooFew:
			_, _ = fmt.Fprintf(&b, "  %s: only %d available\n", s.Region, s.Found)
		}
	}
	return b.String()
}

func (t *tool) showCapacity(c *client.Capacity) error {
	switch {
	case t.format == "json" || t.format == "yaml":
		return t.encode(c)
	case !t.humanOutput():
		return list(t, shareListing, c.Offers)
	}
	text := fmt.Sprintf("No: only %d of %d machines are available", c.Found, c.Count)
	switch {
	case c.Enough && c.Count == 1:
		text = "Yes: 1 machine is available"
	case c.Enough:
		text = fmt.Sprintf("Yes: %d machines are available", c.Count)
	case c.Found == 0:
		return t.print("No: none available.\n" + shortfallText(c))
	}
	text += fmt.Sprintf(" for %s", hourly(c.TotalHourlyPrice))
	if c.Found > 1 {
		text += " in total"
	}
	if err := t.print(text + ".\n"); err != nil {
		return err
	}
	if err := list(t, shareListing, c.Offers); err != nil {
		return err
	}
	if !c.Certain {
		t.note("Some providers do not report stock. Each of their offers counts as one machine, so there may be more.")
	}
	return nil
}
