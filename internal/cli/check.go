package cli

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/billetcloud/billet/client"
	"github.com/spf13/cobra"
)

var shareListing = listing[client.Share]{
	id: func(s client.Share) string { return s.Offer.ID },
	columns: []column[client.Share]{
		{name: "count", head: "MACHINES", right: true, text: func(s client.Share) string { return strconv.Itoa(s.Count) }},
		{name: "id", head: "OFFER", text: func(s client.Share) string { return s.Offer.ID }},
		{name: "gpuCount", head: "GPUS", right: true, text: func(s client.Share) string { return strconv.Itoa(s.Offer.GPUCount) }},
		{name: "gpuType", head: "GPU", text: func(s client.Share) string { return s.Offer.GPUType }},
		{name: "hourlyPrice", head: "PRICE EACH", right: true, text: func(s client.Share) string { return hourly(s.Offer.HourlyPrice) }, raw: func(s client.Share) string { return s.Offer.HourlyPrice.Decimal() }},
		{name: "provider", head: "PROVIDER", text: func(s client.Share) string { return s.Offer.Provider }},
		{name: "region", head: "REGION", text: func(s client.Share) string { return s.Offer.Region }},
	},
}

func (t *tool) check() *cobra.Command {
	var in client.CheckOffers
	var instance, most string
	cmd := &cobra.Command{
		Use: "check", Aliases: []string{"capacity"}, Short: "Whether so many machines can be had now, and for how much", Args: cobra.NoArgs,
		Long: `Tells whether so many machines can be had now, the cheapest first, and what they cost together. Nothing is kept back.

It ends with exit code 6 where there are not enough, so that a script can wait for them.`,
		Example: `  billet check --count 4 --gpu "NVIDIA B200" --gpus 8
  billet check --gpu "NVIDIA H100" --max-price 20 --region dallas-usa-5,oslo-nor-2
  until billet check --count 2 --gpu "NVIDIA B200" -o id; do sleep 300; done`,
	}
	f := cmd.Flags()
	f.IntVar(&in.Count, "count", 1, "how many machines")
	f.StringVar(&in.GPUType, "gpu", "", "the GPU's whole name, such as \"NVIDIA H100\"; 'billet gpus' shows them")
	f.IntVar(&in.GPUCount, "gpus", 0, "how many GPUs each machine has")
	f.StringVar(&instance, "type", "", "BARE_METAL, VM, SPOT or CLUSTER")
	f.StringVar(&most, "max-price", "", "the most that each machine may cost in an hour, in US dollars")
	f.StringVar(&in.Provider, "provider", "", "a provider's slug")
	f.StringSliceVar(&in.Regions, "region", nil, "regions' slugs, any of which will do")
	return t.verb(cmd, func(ctx context.Context, c *client.Client, _ []string) error {
		if in.InstanceType = client.InstanceType(strings.ToUpper(instance)); in.Count < 1 {
			return usage("--count must be at least 1.")
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

// lacking says what each region lacks that has anything of the kind.
func lacking(c *client.Capacity) string {
	var b strings.Builder
	for _, s := range c.Shortfalls {
		switch {
		case s.Reason == client.ShortfallSoldOut:
			_, _ = fmt.Fprintf(&b, "  %s: sold out\n", s.Region)
		case s.Reason == client.ShortfallTooExpensive && s.LowestHourlyPrice != nil:
			_, _ = fmt.Fprintf(&b, "  %s: the cheapest costs %s\n", s.Region, hourly(*s.LowestHourlyPrice))
		case s.Reason == client.ShortfallTooFew:
			_, _ = fmt.Fprintf(&b, "  %s: only %d\n", s.Region, s.Found)
		}
	}
	return b.String()
}

func (t *tool) showCapacity(c *client.Capacity) error {
	switch {
	case t.format == "json" || t.format == "yaml":
		return t.encode(c)
	case !t.forPeople():
		return list(t, shareListing, c.Offers)
	}
	text := fmt.Sprintf("No: %d of %d machines can be had now", c.Found, c.Count)
	switch {
	case c.Enough && c.Count == 1:
		text = "Yes: 1 machine can be had now"
	case c.Enough:
		text = fmt.Sprintf("Yes: %d machines can be had now", c.Count)
	case c.Found == 0:
		return t.print("No: there is none now.\n" + lacking(c))
	}
	text += fmt.Sprintf(", for %s", hourly(c.TotalHourlyPrice))
	if c.Found > 1 {
		text += " together"
	}
	if err := t.print(text + ".\n"); err != nil {
		return err
	}
	if err := list(t, shareListing, c.Offers); err != nil {
		return err
	}
	if !c.Certain {
		t.note("Not every provider says how many it has; one was counted of each such offer, so there may be more.")
	}
	return nil
}
