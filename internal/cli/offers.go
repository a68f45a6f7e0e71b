package cli

import (
	"cmp"
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/billetcloud/billet/client"
	"github.com/spf13/cobra"
)

var offerCol columnsOf[client.Offer]

var offerListing = listing[client.Offer]{
	id: func(o client.Offer) string { return o.ID },
	columns: []column[client.Offer]{
		offerCol.text("id", "OFFER", func(o client.Offer) string { return o.ID }),
		offerCol.number("gpuCount", "GPUS", "", func(o client.Offer) int { return o.GPUCount }),
		offerCol.text("gpuType", "GPU", func(o client.Offer) string { return o.GPUType }),
		offerCol.number("gpuMemoryGb", "GPU MEMORY", " GB",
			func(o client.Offer) int { return o.GPUMemoryGB }).onlyWide(),
		offerCol.money("hourlyPrice", "PRICE", hourly, func(o client.Offer) client.Money { return o.HourlyPrice }),
		offerCol.money("hourlyPricePerGpu", "PER GPU", perGPU,
			func(o client.Offer) client.Money { return o.HourlyPricePerGPU }),
		{
			name: "stock", head: "STOCK", right: true, text: offerStock,
			raw: offerCol.optionalNumber("", "", func(o client.Offer) *int { return o.Stock }).text,
		},
		offerCol.text("provider", "PROVIDER", func(o client.Offer) string { return o.Provider }),
		offerCol.text("region", "REGION", func(o client.Offer) string { return o.Region }),
		offerCol.text("country", "COUNTRY", func(o client.Offer) string { return valueOr(o.Country, "") }).onlyWide(),
		offerCol.text("instanceType", "TYPE", func(o client.Offer) string { return string(o.InstanceType) }).onlyWide(),
		offerCol.number("vcpus", "CPUS", "", func(o client.Offer) int { return o.VCPUs }).onlyWide(),
		offerCol.number("memoryGb", "MEMORY", " GB", func(o client.Offer) int { return o.MemoryGB }).onlyWide(),
		offerCol.number("storageGb", "STORAGE", " GB", func(o client.Offer) int { return o.StorageGB }).onlyWide(),
		offerCol.text("interconnect", "INTERCONNECT",
			func(o client.Offer) string { return valueOr(o.Interconnect, "") }).onlyWide(),
		{
			name: "medianSecondsToSsh", head: "TYPICAL START", right: true, text: typical,
			raw: offerCol.optionalNumber("", "",
				func(o client.Offer) *int { return o.Reliability.MedianSecondsToSSH }).text,
		},
	},
	none: "No available offers match. Run 'billet offers --all' to include sold-out offers.",
}

// offerStock formats the stock of an offer.
func offerStock(o client.Offer) string {
	switch {
	case !o.Available:
		return "sold out"
	case o.Stock == nil:
		return "available"
	}
	return strconv.Itoa(*o.Stock)
}

// typical formats the median time from deploy to SSH.
func typical(o client.Offer) string {
	if s := o.Reliability.MedianSecondsToSSH; s != nil {
		return "≈ " + duration(time.Duration(*s)*time.Second)
	}
	return ""
}

func (t *tool) offers() *cobra.Command {
	var q client.OfferQuery
	var instance, most string
	var all bool
	cmd := &cobra.Command{
		Use: "offers [words…]", Aliases: []string{"offer"}, Short: "List available offers",
		Long: `Lists the available offers, cheapest first, with live price and stock.

Words filter the list: each must occur in the GPU type, provider, region or interconnect.`,
		Example: `  billet offers b200
  billet offers h100 --gpus 8 --max-price 20
  billet offers --sort pricePerGpu -o wide
  billet offers show off_abc123`,
	}
	f := cmd.Flags()
	f.StringVar(&q.GPUType, "gpu", "", "full GPU `name`, such as \"NVIDIA B200\"")
	f.IntVar(&q.GPUCount, "gpus", 0, "exact `number` of GPUs")
	f.IntVar(&q.MinGPUCount, "min-gpus", 0, "minimum `number` of GPUs")
	f.StringVar(&q.Provider, "provider", "", "provider `slug`")
	f.StringVar(&q.Region, "region", "", "region `slug`")
	f.StringVar(&instance, "type", "", typeHelp)
	f.StringVar(&most, "max-price", "", "maximum price per machine and hour, in `USD`")
	f.StringVar(&q.Sort, "sort", "", sortBy(client.OfferSortKeys()))
	f.BoolVarP(&all, "all", "a", false, "include sold-out offers")
	t.withClient(cmd, func(ctx context.Context, c *client.Client, args []string) error {
		q.Search, q.InstanceType = strings.Join(args, " "), client.InstanceType(strings.ToUpper(instance))
		if most != "" {
			m, err := dollars("--max-price", most)
			if err != nil {
				return err
			}
			q.MaxHourlyPrice = &m
		}
		if !all {
			q.Available = new(true)
		}
		q.Limit = client.PageSize
		page, err := c.Offers.List(ctx, q)
		if err != nil {
			return err
		}
		for _, w := range page.Warnings { // the same on each page
			t.note("Warning: %s", clean(fieldText(cmd, w)))
		}
		items := page.Items
		if page.NextCursor != nil {
			q.Cursor = *page.NextCursor
			rest, err := collect(c.Offers.All(ctx, q))
			if err != nil {
				return err
			}
			items = append(items, rest...)
		}
		return list(t, offerListing, items)
	})
	cmd.AddCommand(t.offerShow(), t.offerHistory())
	return cmd
}

func (t *tool) offerShow() *cobra.Command {
	return t.withClient(
		&cobra.Command{Use: "show <offer>", Short: "Show an offer", Args: cobra.ExactArgs(1)},
		func(ctx context.Context, c *client.Client, args []string) error {
			o, err := c.Offers.Get(ctx, args[0])
			if err != nil {
				return err
			}
			minimum := ""
			if o.MinimumRuntimeMinutes > 0 {
				minimum = duration(time.Duration(o.MinimumRuntimeMinutes) * time.Minute)
			}
			reliability := ""
			if r := o.Reliability.ReachedSSH; r != nil {
				reliability = fmt.Sprintf("%.0f%% of %d launches in 30 days succeeded; typical time to SSH: %s",
					*r*100, o.Reliability.Deployments, cmp.Or(typical(*o), "unknown"))
			}
			return show(
				t,
				o.ID,
				o,
				row{"Offer", o.ID},
				row{"GPUs", fmt.Sprintf("%d × %s, %d GB each", o.GPUCount, o.GPUType, o.GPUMemoryGB)},
				row{
					"Price",
					fmt.Sprintf("%s (%s per GPU)", hourly(o.HourlyPrice), hourly(o.HourlyPricePerGPU)),
				},
				row{"Stock", offerStock(*o)},
				row{
					"Provider",
					o.Provider,
				},
				row{"Region", strings.TrimSpace(o.Region + ", " + o.RegionName + " " + valueOr(o.Country, ""))},
				row{
					"Hardware",
					fmt.Sprintf("%s, %d CPUs, %d GB memory, %d GB storage", o.InstanceType, o.VCPUs, o.MemoryGB,
						o.StorageGB),
				},
				row{"Interconnect", valueOr(o.Interconnect, "")},
				row{
					"Operating systems",
					strings.Join(o.OperatingSystems, ", "),
				},
				row{"Minimum runtime", minimum},
				row{"Reliability", reliability},
				row{"Updated", localTime(o.AsOf)},
			)
		},
	)
}
