package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/provider"
)

// warehouse is a provider in this process with many offers, whose machines are ready at once.
type warehouse struct {
	offers int

	mu       sync.Mutex
	machines map[id.ID]provider.Machine
}

const depot = "warehouse"

var (
	gpus = []string{
		"NVIDIA A100", "NVIDIA H100", "NVIDIA H200", "NVIDIA B200", "NVIDIA GB300", "NVIDIA L40S", "AMD MI300X",
	}
	regions = []string{"dallas-usa-5", "oslo-nor-1", "paris-fra-2", "osaka-jpn-1", "sydney-aus-1", "pune-ind-3"}
)

func (w *warehouse) Info() provider.Info {
	info := provider.Info{
		Slug: depot, Name: "Warehouse", LaunchLimit: time.Hour, SyncEvery: time.Hour, PollEvery: time.Minute,
		PrivateAddresses: true,
	}
	for _, r := range regions {
		info.Regions = append(info.Regions, provider.Region{Slug: r, Name: "Region " + r, Country: "US"})
	}
	return info
}

func (w *warehouse) Offers(context.Context) ([]provider.Offer, error) {
	out := make([]provider.Offer, w.offers)
	for i := range out {
		stock := i % 5
		count := 1 << (i % 4)
		out[i] = provider.Offer{
			Key: fmt.Sprintf(
				"off_warehouse%06d",
				i,
			), Region: regions[i%len(regions)], GPUType: gpus[i%len(gpus)], GPUCount: count, GPUMemoryGB: 80 + 16*(i%8),
			VCPUs: 16 * count, MemoryGB: 256 * count, StorageGB: 1000 * count, Interconnect: "3.2 Tb/s " +
				"InfiniBand", InstanceType: provider.BareMetal,
			OperatingSystems: []string{
				"Ubuntu 22.04", "Ubuntu 24.04",
			}, HourlyPrice: money.Micros(1_000_000+1000*(i*7919%9000)) * money.Micros(count),
			Available: stock > 0, Stock: &stock, Capabilities: provider.Capabilities{CloudInit: true},
		}
	}
	return out, nil
}

func noSuch() error { return &provider.Error{Kind: provider.KindNotFound} }

func (w *warehouse) Launch(_ context.Context, r provider.LaunchRequest) (provider.Machine, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if m, there := w.machines[r.Reference]; there {
		return m, nil
	}
	w.machines[r.Reference] = provider.Machine{
		ID: "m-" + string(
			r.Reference,
		), Reference: r.Reference, State: provider.MachineReady, Address: "203.0.113.42", SSHUser: "root", SSHPort: 22,
		SSHHostKeys: []string{"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBqhDkOPm5UBnhCCu1GVvJ5lOMl1H8i4w4W2U3J8kPrk"},
	}
	return w.machines[r.Reference], nil
}

func (w *warehouse) Machine(_ context.Context, reference id.ID) (provider.Machine, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	m, there := w.machines[reference]
	if !there {
		return m, noSuch()
	}
	return m, nil
}

func (w *warehouse) Machines(context.Context) ([]provider.Machine, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := []provider.Machine{}
	for _, m := range w.machines {
		out = append(out, m)
	}
	return out, nil
}

func (w *warehouse) Terminate(_ context.Context, reference id.ID) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.machines, reference)
	return nil
}
