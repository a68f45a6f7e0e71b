package ironic

import (
	"context"
	"fmt"

	"github.com/billetcloud/billet/internal/provider"
	"github.com/billetcloud/billet/internal/provider/upstream"
)

// Offers implements provider.Provider. An offer is a resource class in a region, and its stock is
// how many nodes are available.
func (x *Adapter) Offers(ctx context.Context) ([]provider.Offer, error) {
	all, err := x.nodes.Fresh(ctx)
	if err != nil {
		return nil, err
	}
	for _, n := range all {
		if n.problem != "" && n.stated {
			x.warnings.Warn(ctx, x.account.Log, "a node of Ironic cannot be sold",
				"provider", x.account.Slug, "node", upstream.CleanText(n.name()), "problem", n.problem)
		}
	}
	return x.account.WithoutExcluded(x.offersOf(all)), nil
}

func (x *Adapter) offersOf(all []node) []provider.Offer {
	at, offers := map[[2]string]int{}, []provider.Offer{}
	for _, n := range all {
		if n.problem != "" {
			continue
		}
		name := [2]string{n.terms.Region, n.class()}
		i, known := at[name]
		if !known {
			i = len(offers)
			at[name] = i
			offers = append(offers, x.offer(n))
		}
		if n.free() {
			*offers[i].Stock++
			offers[i].Available = true
		}
	}
	return offers
}

func (x *Adapter) offer(n node) provider.Offer {
	t := n.terms
	o := provider.Offer{
		Key: n.class(), Region: t.Region, RegionName: t.RegionName, Country: t.Country,
		GPUType: t.GPUType, GPUCount: t.GPUCount, GPUMemoryGB: t.GPUMemoryGB,
		VCPUs: t.VCPUs, MemoryGB: t.MemoryGB, StorageGB: t.StorageGB, Interconnect: t.Interconnect,
		InstanceType: provider.BareMetal, HourlyPrice: t.HourlyPrice.Amount, Stock: new(int),
		Capabilities: provider.Capabilities{Reboot: true, Power: true, Reinstall: true, CloudInit: true},
	}
	for _, i := range x.images {
		o.OperatingSystems = append(o.OperatingSystems, i.name)
	}
	return o
}

// Examine implements provider.Examiner. It reports the nodes that are not sold because of what is
// stated about them.
func (x *Adapter) Examine(ctx context.Context) ([]string, error) {
	all, err := x.nodes.Fresh(ctx)
	if err != nil {
		return nil, err
	}
	var out []string
	sold := 0
	for _, n := range all {
		switch {
		case n.problem == "":
			sold++
		case n.stated:
			out = append(out, fmt.Sprintf("The node %s is not sold: %s.", upstream.CleanText(n.name()), n.problem))
		}
	}
	if sold == 0 {
		out = append(out, fmt.Sprintf("None of the %d nodes can be sold. Set a resource class, and the terms under "+
			`"billet" in extra.`, len(all)))
	}
	return out, nil
}
