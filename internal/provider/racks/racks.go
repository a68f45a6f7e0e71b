package racks

import (
	"cmp"
	"context"
	"errors"
	"io"
	"time"

	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/provider"
	"github.com/billetcloud/billet/internal/rack"
)

// Slug is the slug of the provider.
const Slug = rack.Slug

const (
	// launchLimit is how long a machine may take until it answers SSH: two starts of a large
	// server, and an image.
	launchLimit = 90 * time.Minute
	syncEvery   = 10 * time.Second
	pollEvery   = 5 * time.Second
)

// Provider sells the operator's own servers.
type Provider struct {
	db   *db.DB
	rack *rack.Service
	info provider.Info
}

// New returns the provider.
func New(d *db.DB, s *rack.Service) *Provider {
	return &Provider{db: d, rack: s, info: provider.Info{
		Slug: Slug, Name: "Own racks", LaunchLimit: launchLimit, SyncEvery: syncEvery, PollEvery: pollEvery,
		PrivateAddresses: true, // the operator chose the addresses
	}}
}

// Info implements provider.Provider.
func (p *Provider) Info() provider.Info { return p.info }

// TakesHostKey implements provider.HostKeyTaker: cloud-init gets the key with its configuration.
func (p *Provider) TakesHostKey(string) bool { return true }

// call runs f outside of transactions, and returns its error as a provider's.
func call[T any](ctx context.Context, f func() (T, error)) (T, error) {
	if err := provider.CheckOutsideTx(ctx); err != nil {
		var none T
		return none, err
	}
	v, err := f()
	return v, failure(err)
}

// failure returns the error as a provider's.
func failure(err error) error {
	for cause, as := range map[error]provider.Error{
		rack.ErrNoCapacity: {Kind: provider.KindNoCapacity, Message: "All machines of this kind are in use."},
		rack.ErrNoOffer:    {Kind: provider.KindNotFound, Message: "This kind of machine is no longer offered."},
		rack.ErrNoImage:    {Kind: provider.KindRejected, Message: "This operating system is not offered."},
		rack.ErrEnded:      {Kind: provider.KindRejected, Message: "The machine has been returned."},
		rack.ErrNone:       {Kind: provider.KindNotFound},
		rack.ErrNoPower:    {Kind: provider.KindUnsupported, Message: "The power of this machine cannot be changed."},
		rack.ErrNoConsole:  {Kind: provider.KindUnsupported, Message: "This machine has no serial console."},
		rack.ErrNotInstalled: {
			Kind:    provider.KindRejected,
			Message: "Nothing is installed on the machine, because its last reinstallation failed. Reinstall it.",
		},
		rack.ErrRescueBusy: {
			Kind:    provider.KindRejected,
			Message: "An operating system is being installed. Try again once that is done.",
		},
		rack.ErrConsoleBusy: {
			Kind:    provider.KindRejected,
			Message: "The serial console is available once the operating system is installed.",
		},
	} {
		if errors.Is(err, cause) {
			as.Cause = err
			return &as
		}
	}
	if err != nil {
		return &provider.Error{Kind: provider.KindUnavailable, Cause: err}
	}
	return nil
}

// Offers implements provider.Provider.
func (p *Provider) Offers(ctx context.Context) ([]provider.Offer, error) {
	return call(ctx, func() ([]provider.Offer, error) {
		groups, err := p.rack.Groups(ctx, p.db)
		if err != nil {
			return nil, err
		}
		images, err := p.rack.Images(ctx, p.db)
		if err != nil || len(images) == 0 {
			return nil, err // nothing can be installed
		}
		var offers []provider.Offer
		for _, g := range groups {
			stock := int(g.Ready)
			o := provider.Offer{
				Key: g.Key, Region: g.Region, RegionName: g.Region, GPUType: g.GPUType, GPUCount: int(g.GPUCount),
				GPUMemoryGB: int(g.GPUMemoryGB), VCPUs: int(g.VCPUs), MemoryGB: int(g.MemoryGB),
				StorageGB: int(g.StorageGB), Interconnect: g.Fabric, InstanceType: provider.BareMetal,
				HourlyPrice: g.HourlyPrice, Available: stock > 0, Stock: &stock,
				Capabilities: provider.Capabilities{
					Reboot: !g.OverSSH, Power: !g.OverSSH, Reinstall: true, CloudInit: true, Console: g.Console,
					CustomImages: !g.OverSSH, Rescue: !g.OverSSH,
				},
				TrustedTenantsOnly: g.OverSSH,
			}
			for _, i := range images {
				o.OperatingSystems = append(o.OperatingSystems, i.Name)
			}
			offers = append(offers, o)
		}
		return offers, nil
	})
}

// Launch implements provider.Provider.
func (p *Provider) Launch(ctx context.Context, r provider.LaunchRequest) (provider.Machine, error) {
	return call(ctx, func() (provider.Machine, error) {
		t, err := p.rack.Assign(ctx, rack.Launch{
			Deployment: r.Reference, Name: r.Name, OfferKey: r.OfferKey, Region: r.Region,
			OperatingSystem: r.OperatingSystem, Image: r.Image, AuthorizedKeys: r.AuthorizedKeys,
			CloudInit: r.CloudInit, HostKey: r.HostKey, IgnoreEnded: r.IgnoreEnded,
		})
		if err != nil {
			return provider.Machine{}, err
		}
		return machine(t), nil
	})
}

// Machine implements provider.Provider.
func (p *Provider) Machine(ctx context.Context, reference id.ID) (provider.Machine, error) {
	return call(ctx, func() (provider.Machine, error) {
		t, err := p.rack.Tenant(ctx, p.db, reference)
		if err != nil {
			return provider.Machine{}, err
		}
		return machine(t), nil
	})
}

// Machines implements provider.Provider.
func (p *Provider) Machines(ctx context.Context) ([]provider.Machine, error) {
	return call(ctx, func() ([]provider.Machine, error) {
		all, err := p.rack.Tenants(ctx, p.db)
		var out []provider.Machine
		for _, t := range all {
			out = append(out, machine(t))
		}
		return out, err
	})
}

// machine returns a machine as deployments see it.
func machine(t rack.Tenant) provider.Machine {
	m := provider.Machine{ID: string(t.ID), Reference: *t.DeploymentID, CreatedAt: t.AssignedAt}
	switch {
	case !t.State.Tenanted():
		m.State = provider.MachineTerminating
	case t.Tenancy == rack.Failed:
		m.State, m.ImageFault = provider.MachineFailed, rack.ImageFault(t.Detail)
		m.Detail = cmp.Or(rack.ImageProblem(t.Detail), "The operating system could not be installed.")
	case t.Tenancy == rack.Refused:
		m.State, m.ImageFault = provider.MachineProvisioning, true
		m.Detail = cmp.Or(rack.ImageProblem(t.Detail), "The reinstallation could not be started.")
	case t.Tenancy == rack.Rescuing:
		m.State, m.Rescue = provider.MachineReady, true
	case t.Tenancy == rack.Running:
		m.State = provider.MachineReady
	case t.Tenancy == rack.SwitchedOff:
		m.State = provider.MachineOff
	default:
		m.State, m.Detail = provider.MachineProvisioning, "Installing the operating system."
	}
	if m.State == provider.MachineReady || m.State == provider.MachineOff {
		m.Address, m.SSHUser, m.SSHPort = t.IP(), "root", 22
	}
	return m
}

// Terminate implements provider.Provider.
func (p *Provider) Terminate(ctx context.Context, reference id.ID) error {
	return do(ctx, func() error { return p.rack.Return(ctx, reference) })
}

// Reboot implements provider.Rebooter.
func (p *Provider) Reboot(ctx context.Context, reference id.ID) error {
	return do(ctx, func() error { return p.rack.Want(ctx, reference, rack.WantReboot) })
}

// PowerOn implements provider.Powerer.
func (p *Provider) PowerOn(ctx context.Context, reference id.ID) error {
	return do(ctx, func() error { return p.rack.Want(ctx, reference, rack.WantOn) })
}

// PowerOff implements provider.Powerer.
func (p *Provider) PowerOff(ctx context.Context, reference id.ID) error {
	return do(ctx, func() error { return p.rack.Want(ctx, reference, rack.WantOff) })
}

// Rescue implements provider.Rescuer.
func (p *Provider) Rescue(ctx context.Context, reference id.ID) error {
	return do(ctx, func() error { return p.rack.Rescue(ctx, reference) })
}

// EndRescue implements provider.Rescuer.
func (p *Provider) EndRescue(ctx context.Context, reference id.ID) error {
	return do(ctx, func() error { return p.rack.EndRescue(ctx, reference) })
}

// Reinstall implements provider.Reinstaller.
func (p *Provider) Reinstall(ctx context.Context, reference id.ID, operatingSystem string) error {
	return do(ctx, func() error { return p.rack.Reinstall(ctx, reference, operatingSystem, nil) })
}

// ReinstallImage implements provider.ImageReinstaller.
func (p *Provider) ReinstallImage(ctx context.Context, reference id.ID, image provider.Image) error {
	return do(ctx, func() error { return p.rack.Reinstall(ctx, reference, image.Name, &image) })
}

// HasConsole implements provider.Consoler.
func (p *Provider) HasConsole(ctx context.Context, reference id.ID) error {
	return failure(p.rack.HasConsole(ctx, p.db, reference))
}

// OpenConsole implements provider.Consoler. Unlike the other calls, it connects to the BMC.
func (p *Provider) OpenConsole(ctx context.Context, reference id.ID) (io.ReadWriteCloser, error) {
	return call(ctx, func() (io.ReadWriteCloser, error) {
		c, err := p.rack.OpenConsole(ctx, reference)
		if err != nil {
			return nil, err // not a nil *bmc.Console
		}
		return c, nil
	})
}

func do(ctx context.Context, f func() error) error {
	_, err := call(ctx, func() (struct{}, error) { return struct{}{}, f() })
	return err
}
