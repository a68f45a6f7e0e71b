package volume_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/provider"
)

// cloud is a provider with a memory and with the faults that the test gives it.
type cloud struct {
	mu       sync.Mutex
	perGB    money.Micros
	noOffers bool
	volumes  map[id.ID]provider.Volume
	machines map[id.ID]provider.MachineState
	calls    map[string]int
	// listed are on the list of volumes beside those that there are.
	listed []provider.Volume
	// making keeps new volumes from being ready.
	making bool
	// remembered is what Volume answers until something is changed through this replica, if not
	// nil: another replica has changed it.
	remembered *provider.Volume
	// settle is for how long a create without an answer may take effect, in which it makes a second
	// volume where asked for again.
	settle time.Duration
	// fault says what befalls a call.
	fault func(op string) trouble
	// meanwhile is called once, while a call is on its way.
	meanwhile func()
}

// trouble is an error and whether the work was done all the same.
type trouble struct {
	err  error
	done bool
}

var (
	silent   = &provider.Error{Kind: provider.KindUnavailable, Cause: errors.New("time-out")}
	rejected = &provider.Error{Kind: provider.KindRejected, Message: "Computer says\x00 no."}
)

func newCloud() *cloud {
	return &cloud{
		perGB:    100,
		volumes:  map[id.ID]provider.Volume{},
		machines: map[id.ID]provider.MachineState{},
		calls:    map[string]int{},
		fault:    func(string) trouble { return trouble{} },
	}
}

func (c *cloud) set(f func(c *cloud)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f(c)
}

// called returns how often the operation was called.
func (c *cloud) called(op string) (n int) {
	c.set(func(c *cloud) { n = c.calls[op] })
	return n
}

// failing makes these operations fail in that way, and all others work.
func (c *cloud) failing(t trouble, ops ...string) {
	c.set(func(c *cloud) {
		c.fault = func(op string) trouble {
			if slices.Contains(ops, op) {
				return t
			}
			return trouble{}
		}
	})
}

func (c *cloud) do(ctx context.Context, op string, work func() error) error {
	if db.InsideTx(ctx) {
		panic("a provider was called inside a transaction: " + op)
	}
	c.mu.Lock()
	first := c.meanwhile
	c.meanwhile = nil
	c.mu.Unlock()
	if first != nil {
		first()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.calls[op]++
	t := c.fault(op)
	if t.err != nil && !t.done {
		return t.err
	}
	if err := work(); err != nil {
		return err
	}
	return t.err
}

func (c *cloud) Info() provider.Info {
	return provider.Info{
		Slug:        "voltage-park",
		Name:        "Voltage Park",
		SyncEvery:   time.Minute,
		PollEvery:   2 * time.Second,
		LaunchLimit: 20 * time.Minute,
		SettleTime:  c.settle,
	}
}

func (c *cloud) Offers(context.Context) ([]provider.Offer, error) {
	if c.noOffers {
		return nil, silent
	}
	return nil, nil
}

func (c *cloud) Launch(context.Context, provider.LaunchRequest) (provider.Machine, error) {
	return provider.Machine{}, errors.New("not for sale")
}

func (c *cloud) Machine(ctx context.Context, reference id.ID) (m provider.Machine, err error) {
	err = c.do(ctx, "machine", func() error {
		state, found := c.machines[reference]
		if !found {
			return &provider.Error{Kind: provider.KindNotFound}
		}
		m = provider.Machine{Reference: reference, State: state}
		return nil
	})
	return m, err
}

func (c *cloud) Machines(context.Context) ([]provider.Machine, error) { return nil, nil }
func (c *cloud) Terminate(context.Context, id.ID) error               { return nil }

func (c *cloud) VolumePricing(context.Context) ([]provider.VolumePricing, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return []provider.VolumePricing{
		{Region: "dallas-usa-5", PerGBHour: c.perGB, MinSizeGB: 10, MaxSizeGB: 10_000},
		{Region: "oslo-1", PerGBHour: c.perGB, MinSizeGB: 10, MaxSizeGB: 100},
	}, nil
}

func (c *cloud) CreateVolume(ctx context.Context, request provider.VolumeRequest) (v provider.Volume, err error) {
	err = c.do(ctx, "create", func() error {
		if _, there := c.volumes[request.Reference]; !there {
			c.volumes[request.Reference] = provider.Volume{
				Reference: request.Reference,
				SizeGB:    request.SizeGB,
				MountPath: "/mnt/" + request.Name,
			}
		}
		v = c.view(request.Reference)
		return nil
	})
	return v, err
}

func (c *cloud) view(reference id.ID) provider.Volume {
	v := c.volumes[reference]
	v.Ready = !c.making && !v.Failed
	return v
}

func (c *cloud) Volume(ctx context.Context, reference id.ID) (v provider.Volume, err error) {
	err = c.do(ctx, "volume", func() error {
		if _, there := c.volumes[reference]; !there {
			return &provider.Error{Kind: provider.KindNotFound}
		}
		if v = c.view(reference); c.remembered != nil {
			v = *c.remembered
		}
		return nil
	})
	return v, err
}

func (c *cloud) Volumes(ctx context.Context) (all []provider.Volume, err error) {
	err = c.do(ctx, "volumes", func() error {
		all = slices.Clone(c.listed)
		for reference := range c.volumes {
			all = append(all, c.view(reference))
		}
		return nil
	})
	return all, err
}

func (c *cloud) edit(ctx context.Context, op string, reference id.ID, f func(v *provider.Volume) error) error {
	return c.do(ctx, op, func() error {
		v, there := c.volumes[reference]
		if !there {
			return &provider.Error{Kind: provider.KindNotFound}
		}
		err := f(&v)
		c.remembered = nil
		if err == nil {
			c.volumes[reference] = v
		}
		return err
	})
}

func (c *cloud) GrowVolume(ctx context.Context, reference id.ID, sizeGB int64) error {
	return c.edit(ctx, "grow", reference, func(v *provider.Volume) error {
		if sizeGB < v.SizeGB {
			return rejected
		}
		v.SizeGB = sizeGB
		return nil
	})
}

func (c *cloud) DeleteVolume(ctx context.Context, reference id.ID) error {
	return c.do(ctx, "delete", func() error {
		if c.volumes[reference].AttachedTo != "" {
			return rejected
		}
		delete(c.volumes, reference)
		return nil
	})
}

func (c *cloud) AttachVolume(ctx context.Context, volume, machine id.ID) error {
	return c.edit(ctx, "attach", volume, func(v *provider.Volume) error {
		switch {
		case c.machines[machine] != provider.MachineReady:
			return &provider.Error{Kind: provider.KindNotFound}
		case v.AttachedTo != "" && v.AttachedTo != machine:
			return rejected
		}
		v.AttachedTo = machine
		return nil
	})
}

func (c *cloud) DetachVolume(ctx context.Context, volume id.ID) error {
	return c.edit(ctx, "detach", volume, func(v *provider.Volume) error { v.AttachedTo = ""; return nil })
}

// plainCloud is a provider without volumes.
type plainCloud struct{ provider.Provider }

func (plainCloud) Info() provider.Info {
	return provider.Info{Slug: "plain", SyncEvery: time.Minute}
}

// always is the fault of one operation.
func always(op string, t trouble) func(string) trouble {
	return func(o string) trouble {
		if o == op {
			return t
		}
		return trouble{}
	}
}
