package cli

import (
	"context"
	"iter"
	"strings"
	"time"

	"github.com/billetcloud/billet/client"
	"github.com/spf13/cobra"
)

var (
	providerCol columnsOf[client.Provider]
	regionCol   columnsOf[client.Region]
	gpuCol      columnsOf[client.GPUType]
)

var providerListing = listing[client.Provider]{
	id: func(p client.Provider) string { return p.Slug },
	columns: []column[client.Provider]{
		providerCol.text("slug", "PROVIDER", func(p client.Provider) string { return p.Slug }),
		providerCol.text("name", "NAME", func(p client.Provider) string { return p.Name }),
		providerCol.text("status", "STATUS", func(p client.Provider) string { return string(p.Status) }),
		providerCol.number("offers", "OFFERS", "", func(p client.Provider) int { return p.Offers }),
		providerCol.number("availableOffers", "AVAILABLE", "",
			func(p client.Provider) int { return p.AvailableOffers }),
		providerCol.optionalPrice("lowestHourlyPrice", "FROM",
			func(p client.Provider) *client.Money { return p.LowestHourlyPrice }),
		providerCol.optionalPrice("lowestHourlyPricePerGpu", "PER GPU",
			func(p client.Provider) *client.Money { return p.LowestHourlyPricePerGPU }),
		providerCol.yesNo("volumes", "VOLUMES", func(p client.Provider) bool { return p.Volumes }),
		providerCol.optionalTime("asOf", "LAST RESPONSE",
			func(p client.Provider) *time.Time { return p.AsOf }).onlyWide(),
	},
	none: "No providers.",
}

var regionListing = listing[client.Region]{
	id: func(r client.Region) string { return r.Slug },
	columns: []column[client.Region]{
		regionCol.text("slug", "REGION", func(r client.Region) string { return r.Slug }),
		regionCol.text("name", "NAME", func(r client.Region) string { return r.Name }),
		regionCol.text("country", "COUNTRY", func(r client.Region) string { return valueOr(r.Country, "") }),
		regionCol.text("provider", "PROVIDER", func(r client.Region) string { return r.Provider }),
		regionCol.number("offers", "OFFERS", "", func(r client.Region) int { return r.Offers }),
		regionCol.number("availableOffers", "AVAILABLE", "", func(r client.Region) int { return r.AvailableOffers }),
		regionCol.optionalPrice("lowestHourlyPrice", "FROM",
			func(r client.Region) *client.Money { return r.LowestHourlyPrice }),
		regionCol.optionalPrice("lowestHourlyPricePerGpu", "PER GPU",
			func(r client.Region) *client.Money { return r.LowestHourlyPricePerGPU }),
		regionCol.yesNo("volumes", "VOLUMES", func(r client.Region) bool { return r.Volumes }),
	},
	none: "No regions.",
}

var gpuListing = listing[client.GPUType]{
	id: func(g client.GPUType) string { return g.GPUType },
	columns: []column[client.GPUType]{
		gpuCol.text("gpuType", "GPU", func(g client.GPUType) string { return g.GPUType }),
		gpuCol.number("gpuMemoryGb", "MEMORY", " GB", func(g client.GPUType) int { return g.GPUMemoryGB }),
		gpuCol.number("offers", "OFFERS", "", func(g client.GPUType) int { return g.Offers }),
		gpuCol.number("availableOffers", "AVAILABLE", "", func(g client.GPUType) int { return g.AvailableOffers }),
		gpuCol.optionalPrice("lowestHourlyPrice", "FROM",
			func(g client.GPUType) *client.Money { return g.LowestHourlyPrice }),
		gpuCol.optionalPrice("lowestHourlyPricePerGpu", "PER GPU",
			func(g client.GPUType) *client.Money { return g.LowestHourlyPricePerGPU }),
		gpuCol.text("providers", "PROVIDERS", func(g client.GPUType) string { return strings.Join(g.Providers, " ") }),
	},
	none: "No GPU types.",
}

// listAll makes printing the list that all returns the work of cmd.
func listAll[T any](
	t *tool, cmd *cobra.Command, l listing[T], all func(context.Context, *client.Client) iter.Seq2[T, error],
) *cobra.Command {
	return t.withClient(cmd, func(ctx context.Context, c *client.Client, _ []string) error {
		items, err := collect(all(ctx, c))
		if err != nil {
			return err
		}
		return list(t, l, items)
	})
}

func (t *tool) providers() *cobra.Command {
	return listAll(t, &cobra.Command{
		Use: "providers", Aliases: []string{"provider"}, Short: "List providers and status", Args: cobra.NoArgs,
		Example: "  billet providers\n  billet offers --provider voltage-park",
	}, providerListing, func(ctx context.Context, c *client.Client) iter.Seq2[client.Provider, error] {
		return c.Providers.All(ctx)
	})
}

func (t *tool) regions() *cobra.Command {
	return listAll(t, &cobra.Command{
		Use: "regions", Aliases: []string{"region"}, Short: "List regions", Args: cobra.NoArgs,
		Example: "  billet regions\n  billet offers --region dallas-usa-5",
	}, regionListing, func(ctx context.Context, c *client.Client) iter.Seq2[client.Region, error] {
		return c.Regions.All(ctx)
	})
}

func (t *tool) gpus() *cobra.Command {
	return listAll(t, &cobra.Command{
		Use: "gpus", Aliases: []string{"gpu", "gpu-types"}, Short: "List GPU types and prices", Args: cobra.NoArgs,
		Example: "  billet gpus\n  billet offers --gpu \"NVIDIA B200\"",
	}, gpuListing, func(ctx context.Context, c *client.Client) iter.Seq2[client.GPUType, error] {
		return c.GPUTypes.All(ctx)
	})
}
