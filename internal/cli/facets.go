package cli

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/billetcloud/billet/client"
	"github.com/spf13/cobra"
)

// offered are the columns that providers, regions and GPUs have in common.
func offered[T any](offers, available func(T) int, lowest, perGPU func(T) *client.Money) []column[T] {
	price := func(of func(T) *client.Money) (text, raw func(T) string) {
		text = func(v T) string {
			if m := of(v); m != nil {
				return hourly(*m)
			}
			return ""
		}
		raw = func(v T) string {
			if m := of(v); m != nil {
				return m.Decimal()
			}
			return ""
		}
		return text, raw
	}
	cheapest, cheapestRaw := price(lowest)
	gpu, gpuRaw := price(perGPU)
	return []column[T]{
		{name: "offers", head: "OFFERS", right: true, text: func(v T) string { return strconv.Itoa(offers(v)) }},
		{name: "availableOffers", head: "CAN BE HAD", right: true, text: func(v T) string { return strconv.Itoa(available(v)) }},
		{name: "lowestHourlyPrice", head: "FROM", right: true, text: cheapest, raw: cheapestRaw},
		{name: "lowestHourlyPricePerGpu", head: "PER GPU FROM", right: true, text: gpu, raw: gpuRaw},
	}
}

func yesNo(yes bool) string {
	if yes {
		return "yes"
	}
	return "no"
}

func (t *tool) providers() *cobra.Command {
	l := listing[client.Provider]{id: func(p client.Provider) string { return p.Slug }, none: "There are no providers."}
	l.columns = append([]column[client.Provider]{
		{name: "slug", head: "PROVIDER", text: func(p client.Provider) string { return p.Slug }},
		{name: "name", head: "NAME", text: func(p client.Provider) string { return p.Name }},
		{name: "status", head: "STATUS", text: func(p client.Provider) string { return string(p.Status) }},
	}, offered(func(p client.Provider) int { return p.Offers }, func(p client.Provider) int { return p.AvailableOffers },
		func(p client.Provider) *client.Money { return p.LowestHourlyPrice }, func(p client.Provider) *client.Money { return p.LowestHourlyPricePerGPU })...)
	l.columns = append(l.columns,
		column[client.Provider]{name: "volumes", head: "VOLUMES", text: func(p client.Provider) string { return yesNo(p.Volumes) }, raw: func(p client.Provider) string { return strconv.FormatBool(p.Volumes) }},
		column[client.Provider]{name: "asOf", head: "ANSWERED", wide: true, text: func(p client.Provider) string { return whenever(p.AsOf) }, raw: func(p client.Provider) string { return stampOf(p.AsOf) }})
	return t.verb(&cobra.Command{
		Use: "providers", Aliases: []string{"provider"}, Short: "Who has machines, and whether they answer", Args: cobra.NoArgs, Example: "  billet providers\n  billet offers --provider voltage-park",
	}, func(ctx context.Context, c *client.Client, _ []string) error {
		items, err := collect(c.Providers.All(ctx))
		if err != nil {
			return err
		}
		return list(t, l, items)
	})
}

func stampOf(at *time.Time) string {
	if at == nil {
		return ""
	}
	return stamp(*at)
}

func (t *tool) regions() *cobra.Command {
	l := listing[client.Region]{id: func(r client.Region) string { return r.Slug }, none: "There are no regions."}
	l.columns = append([]column[client.Region]{
		{name: "slug", head: "REGION", text: func(r client.Region) string { return r.Slug }},
		{name: "name", head: "NAME", text: func(r client.Region) string { return r.Name }},
		{name: "country", head: "COUNTRY", text: func(r client.Region) string { return or(r.Country, "") }},
		{name: "provider", head: "PROVIDER", text: func(r client.Region) string { return r.Provider }},
	}, offered(func(r client.Region) int { return r.Offers }, func(r client.Region) int { return r.AvailableOffers },
		func(r client.Region) *client.Money { return r.LowestHourlyPrice }, func(r client.Region) *client.Money { return r.LowestHourlyPricePerGPU })...)
	l.columns = append(l.columns, column[client.Region]{name: "volumes", head: "VOLUMES", text: func(r client.Region) string { return yesNo(r.Volumes) }, raw: func(r client.Region) string { return strconv.FormatBool(r.Volumes) }})
	return t.verb(&cobra.Command{
		Use: "regions", Aliases: []string{"region"}, Short: "Where there are machines", Args: cobra.NoArgs, Example: "  billet regions\n  billet offers --region dallas-usa-5",
	}, func(ctx context.Context, c *client.Client, _ []string) error {
		items, err := collect(c.Regions.All(ctx))
		if err != nil {
			return err
		}
		return list(t, l, items)
	})
}

func (t *tool) gpus() *cobra.Command {
	l := listing[client.GPUType]{id: func(g client.GPUType) string { return g.GPUType }, none: "There are no GPUs."}
	l.columns = append([]column[client.GPUType]{
		{name: "gpuType", head: "GPU", text: func(g client.GPUType) string { return g.GPUType }},
		{name: "gpuMemoryGb", head: "MEMORY", right: true, text: func(g client.GPUType) string { return fmt.Sprintf("%d GB", g.GPUMemoryGB) }, raw: func(g client.GPUType) string { return strconv.Itoa(g.GPUMemoryGB) }},
	}, offered(func(g client.GPUType) int { return g.Offers }, func(g client.GPUType) int { return g.AvailableOffers },
		func(g client.GPUType) *client.Money { return g.LowestHourlyPrice }, func(g client.GPUType) *client.Money { return g.LowestHourlyPricePerGPU })...)
	l.columns = append(l.columns, column[client.GPUType]{name: "providers", head: "PROVIDERS", text: func(g client.GPUType) string { return strings.Join(g.Providers, " ") }})
	return t.verb(&cobra.Command{
		Use: "gpus", Aliases: []string{"gpu", "gpu-types"}, Short: "Which GPUs there are, and from how much", Args: cobra.NoArgs, Example: "  billet gpus\n  billet offers --gpu \"NVIDIA B200\"",
	}, func(ctx context.Context, c *client.Client, _ []string) error {
		items, err := collect(c.GPUTypes.All(ctx))
		if err != nil {
			return err
		}
		return list(t, l, items)
	})
}
