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

var offerListing = listing[client.Offer]{
	id: func(o client.Offer) string { return o.ID },
	columns: []column[client.Offer]{
		{name: "id", head: "OFFER", text: func(o client.Offer) string { return o.ID }},
		{name: "gpuCount", head: "GPUS", right: true, text: func(o client.Offer) string { return strconv.Itoa(o.GPUCount) }},
		{name: "gpuType", head: "GPU", text: func(o client.Offer) string { return o.GPUType }},
		{name: "gpuMemoryGb", head: "GPU MEMORY", wide: true, right: true, text: func(o client.Offer) string { return fmt.Sprintf("%d GB", o.GPUMemoryGB) },
			raw: func(o client.Offer) string { return strconv.Itoa(o.GPUMemoryGB) }},
		{name: "hourlyPrice", head: "PRICE", right: true, text: func(o client.Offer) string { return hourly(o.HourlyPrice) }, raw: func(o client.Offer) string { return o.HourlyPrice.Decimal() }},
		{name: "hourlyPricePerGpu", head: "PER GPU", right: true, text: func(o client.Offer) string { return perGPU(o.HourlyPricePerGPU) }, raw: func(o client.Offer) string { return o.HourlyPricePerGPU.Decimal() }},
		{name: "stock", head: "STOCK", right: true, text: offerStock, raw: func(o client.Offer) string {
			if o.Stock == nil {
				return ""
			}
			return strconv.Itoa(*o.Stock)
		}},
		{name: "provider", head: "PROVIDER", text: func(o client.Offer) string { return o.Provider }},
		{name: "region", head: "REGION", text: func(o client.Offer) string { return o.Region }},
		{name: "country", head: "COUNTRY", wide: true, text: func(o client.Offer) string { return or(o.Country, "") }},
		{name: "instanceType", head: "TYPE", wide: true, text: func(o client.Offer) string { return string(o.InstanceType) }},
		{name: "vcpus", head: "CPUS", wide: true, right: true, text: func(o client.Offer) string { return strconv.Itoa(o.VCPUs) }},
		{name: "memoryGb", head: "MEMORY", wide: true, right: true, text: func(o client.Offer) string { return fmt.Sprintf("%d GB", o.MemoryGB) }, raw: func(o client.Offer) string { return strconv.Itoa(o.MemoryGB) }},
		{name: "storageGb", head: "STORAGE", wide: true, right: true, text: func(o client.Offer) string { return fmt.Sprintf("%d GB", o.StorageGB) }, raw: func(o client.Offer) string { return strconv.Itoa(o.StorageGB) }},
		{name: "interconnect", head: "INTERCONNECT", wide: true, text: func(o client.Offer) string { return or(o.Interconnect, "") }},
		{name: "medianSecondsToSsh", head: "READY IN", right: true, text: typical, raw: func(o client.Offer) string {
			if s := o.Reliability.MedianSecondsToSSH; s != nil {
				return strconv.Itoa(*s)
			}
			return ""
		}},
	},
	none: "No offers match. 'billet offers --all' has those that are sold out, too.",
}

// offerStock says how many there are.
func offerStock(o client.Offer) string {
	switch {
	case !o.Available:
		return "sold out"
	case o.Stock == nil:
		return "yes"
	}
	return strconv.Itoa(*o.Stock)
}

// typical is how long a deploy of the offer usually takes.
func typical(o client.Offer) string {
	if s := o.Reliability.MedianSecondsToSSH; s != nil {
		return "~" + since(time.Duration(*s)*time.Second)
	}
	return ""
}

func (t *tool) offers() *cobra.Command {
	var q client.OfferQuery
	var instance, most string
	var all bool
	cmd := &cobra.Command{
		Use: "offers [words…]", Aliases: []string{"offer"}, Short: "What can be deployed now, with price and stock",
		Long: `Shows what can be deployed now, cheapest first, with live price and stock.

Words narrow it: all of them must occur in GPU type, provider, region or interconnect.`,
		Example: `  billet offers b200
  billet offers h100 --gpus 8 --max-price 20
  billet offers --sort pricePerGpu -o wide
  billet offers show off_abc123`,
	}
	f := cmd.Flags()
	f.StringVar(&q.GPUType, "gpu", "", "the GPU's whole name, such as \"NVIDIA B200\"")
	f.IntVar(&q.GPUCount, "gpus", 0, "exactly so many GPUs")
	f.IntVar(&q.MinGPUCount, "min-gpus", 0, "at least so many GPUs")
	f.StringVar(&q.Provider, "provider", "", "a provider's slug")
	f.StringVar(&q.Region, "region", "", "a region's slug")
	f.StringVar(&instance, "type", "", "BARE_METAL, VM, SPOT or CLUSTER")
	f.StringVar(&most, "max-price", "", "the most that the whole machine may cost in an hour, in US dollars")
	f.StringVar(&q.Sort, "sort", "", "price, pricePerGpu, gpuCount, gpuMemoryGb, name, provider or region; with a hyphen before it downwards")
	f.BoolVarP(&all, "all", "a", false, "those that are sold out, too")
	t.verb(cmd, func(ctx context.Context, c *client.Client, args []string) error {
		q.Search, q.InstanceType = strings.Join(args, " "), client.InstanceType(strings.ToUpper(instance))
		if most != "" {
			m, err := dollars("--max-price", most)
			if err != nil {
				return err
			}
			q.MaxHourlyPrice = &m
		}
		if yes := true; !all {
			q.Available = &yes
		}
		items, err := collect(c.Offers.All(ctx, q))
		if err != nil {
			return err
		}
		return list(t, offerListing, items)
	})
	cmd.AddCommand(t.offerShow(), t.offerHistory())
	return cmd
}

func (t *tool) offerShow() *cobra.Command {
	return t.verb(&cobra.Command{Use: "show <offer>", Short: "Everything about one offer", Args: cobra.ExactArgs(1)}, func(ctx context.Context, c *client.Client, args []string) error {
		o, err := c.Offers.Get(ctx, args[0])
		if err != nil {
			return err
		}
		minimum := ""
		if o.MinimumRuntimeMinutes > 0 {
			minimum = fmt.Sprintf("%d minutes", o.MinimumRuntimeMinutes)
		}
		reached := ""
		if r := o.Reliability.ReachedSSH; r != nil {
			reached = fmt.Sprintf("%.0f %% of %d deploys in 30 days came to run; typical time to SSH %s", *r*100, o.Reliability.Deployments, cmp.Or(typical(*o), "unknown"))
		}
		return show(t, o.ID, o,
			row{"Offer", o.ID}, row{"GPUs", fmt.Sprintf("%d × %s, %d GB each", o.GPUCount, o.GPUType, o.GPUMemoryGB)},
			row{"Price", fmt.Sprintf("%s (%s per GPU)", hourly(o.HourlyPrice), hourly(o.HourlyPricePerGPU))}, row{"Stock", offerStock(*o)},
			row{"Provider", o.Provider}, row{"Region", strings.TrimSpace(o.Region + ", " + o.RegionName + " " + or(o.Country, ""))},
			row{"Machine", fmt.Sprintf("%s, %d CPUs, %d GB memory, %d GB storage", o.InstanceType, o.VCPUs, o.MemoryGB, o.StorageGB)}, row{"Interconnect", or(o.Interconnect, "")},
			row{"Systems", strings.Join(o.OperatingSystems, ", ")}, row{"Minimum runtime", minimum}, row{"Reliability", reached}, row{"Confirmed", when(o.AsOf)})
	})
}
