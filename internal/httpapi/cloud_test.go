package httpapi

import (
	"context"
	"io"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/provider"
)

// cloud is a provider whose machines are ready at once.
type cloud struct {
	mu       sync.Mutex
	machines map[id.ID]provider.Machine
	volumes  map[id.ID]provider.Volume
	images   map[id.ID]provider.Image // that machines were installed with
	down     bool
	address  string // of every machine's SSH
	port     int
	// consoles opens every machine's console.
	consoles func() (io.ReadWriteCloser, error)
	busy     bool // consoles are not available now
	// trusted has the first offer for trusted tenants only.
	trusted bool
}

func newCloud() *cloud {
	return &cloud{
		machines: map[id.ID]provider.Machine{},
		volumes:  map[id.ID]provider.Volume{},
		images:   map[id.ID]provider.Image{},
		address:  "203.0.113.42",
		port:     22,
	}
}

func (c *cloud) Info() provider.Info {
	return provider.Info{
		Slug: "voltage-park", Name: "Voltage Park",
		Regions:     []provider.Region{{Slug: "dallas-usa-5", Name: "Dallas 5", Country: "US"}},
		LaunchLimit: time.Hour, SyncEvery: time.Minute, PollEvery: time.Second, PrivateAddresses: true,
	}
}

func (c *cloud) Offers(context.Context) ([]provider.Offer, error) {
	if c.down {
		return nil, &provider.Error{Kind: provider.KindUnavailable}
	}
	stock := 3
	offer := func(key, gpu string, count int, price money.Micros, available bool, can provider.Capabilities,
		systems ...string) provider.Offer {
		return provider.Offer{
			Key: key, Region: "dallas-usa-5", GPUType: gpu, GPUCount: count, GPUMemoryGB: 180, VCPUs: 128,
			MemoryGB: 2000, StorageGB: 8000, Interconnect: "3.2 Tb/s InfiniBand",
			InstanceType: provider.BareMetal, OperatingSystems: systems, HourlyPrice: price, Available: available,
			Stock: &stock, Capabilities: can,
		}
	}
	all := provider.Capabilities{
		Reboot: true, Power: true, Reinstall: true, Volumes: true, CloudInit: true, Console: true,
		CustomImages: true,
	}
	offers := []provider.Offer{
		offer("off_abc123", "NVIDIA B200", 8, 23_920_000, true, all, "Ubuntu 22.04"),
		offer("off_plain", "NVIDIA H100", 1, 1_990_000, true, provider.Capabilities{}, "Ubuntu 22.04", "Ubuntu 24.04"),
		offer("off_sold", "NVIDIA H200", 8, 20_000_000, false, all, "Ubuntu 22.04"),
		offer("off_dear", "NVIDIA GB300", 72, 2_000_000_000, true, all, "Ubuntu 22.04"),
	}
	offers[0].TrustedTenantsOnly = c.trusted
	return offers, nil
}

func noSuch() error { return &provider.Error{Kind: provider.KindNotFound} }

func (c *cloud) Launch(_ context.Context, r provider.LaunchRequest) (provider.Machine, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if m, there := c.machines[r.Reference]; there {
		return m, nil
	}
	if r.Image != nil {
		c.images[r.Reference] = *r.Image
	}
	c.machines[r.Reference] = provider.Machine{
		ID: "m-" + string(
			r.Reference,
		), Reference: r.Reference, State: provider.MachineReady, Address: c.address, SSHUser: "root", SSHPort: c.port,
		SSHHostKeys: []string{"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBqhDkOPm5UBnhCCu1GVvJ5lOMl1H8i4w4W2U3J8kPrk"},
	}
	return c.machines[r.Reference], nil
}

func (c *cloud) Machine(_ context.Context, reference id.ID) (provider.Machine, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	m, there := c.machines[reference]
	if !there {
		return m, noSuch()
	}
	return m, nil
}

func (c *cloud) Machines(context.Context) ([]provider.Machine, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := []provider.Machine{}
	for _, m := range c.machines {
		out = append(out, m)
	}
	return out, nil
}

func (c *cloud) Terminate(_ context.Context, reference id.ID) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.machines, reference)
	return nil
}

func (c *cloud) Reboot(context.Context, id.ID) error            { return nil }
func (c *cloud) PowerOn(context.Context, id.ID) error           { return nil }
func (c *cloud) PowerOff(context.Context, id.ID) error          { return nil }
func (c *cloud) Reinstall(context.Context, id.ID, string) error { return nil }

func (c *cloud) HasConsole(_ context.Context, reference id.ID) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, there := c.machines[reference]; !there {
		return noSuch()
	}
	if c.busy {
		return &provider.Error{Kind: provider.KindRejected, Message: "It is being installed."}
	}
	return nil
}

func (c *cloud) OpenConsole(context.Context, id.ID) (io.ReadWriteCloser, error) { return c.consoles() }

func (c *cloud) ReinstallImage(_ context.Context, reference id.ID, image provider.Image) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.images[reference] = image
	return nil
}

func (c *cloud) VolumePricing(context.Context) ([]provider.VolumePricing, error) {
	return []provider.VolumePricing{{Region: "dallas-usa-5", PerGBHour: 137, MinSizeGB: 10, MaxSizeGB: 100_000}}, nil
}

func (c *cloud) CreateVolume(_ context.Context, r provider.VolumeRequest) (provider.Volume, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.volumes[r.Reference] = provider.Volume{
		ID:        "v-" + string(r.Reference),
		Reference: r.Reference,
		Ready:     true,
		SizeGB:    r.SizeGB,
		MountPath: "/mnt/data",
	}
	return c.volumes[r.Reference], nil
}

func (c *cloud) change(reference id.ID, f func(*provider.Volume)) (provider.Volume, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	v, there := c.volumes[reference]
	if !there {
		return v, noSuch()
	}
	f(&v)
	c.volumes[reference] = v
	return v, nil
}

func (c *cloud) Volume(_ context.Context, reference id.ID) (provider.Volume, error) {
	return c.change(reference, func(*provider.Volume) {})
}

func (c *cloud) Volumes(context.Context) ([]provider.Volume, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Collect(maps.Values(c.volumes)), nil
}

func (c *cloud) GrowVolume(_ context.Context, reference id.ID, size int64) error {
	_, err := c.change(reference, func(v *provider.Volume) { v.SizeGB = size })
	return err
}

func (c *cloud) DeleteVolume(_ context.Context, reference id.ID) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.volumes, reference)
	return nil
}

func (c *cloud) AttachVolume(_ context.Context, reference, machine id.ID) error {
	_, err := c.change(reference, func(v *provider.Volume) { v.AttachedTo = machine })
	return err
}

func (c *cloud) DetachVolume(_ context.Context, reference id.ID) error {
	_, err := c.change(reference, func(v *provider.Volume) { v.AttachedTo = "" })
	return err
}
