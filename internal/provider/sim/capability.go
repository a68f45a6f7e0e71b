package sim

import (
	"context"
	"slices"
	"time"

	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/provider"
)

// compose returns a provider that has the methods of what it can do and no others, so that a type
// assertion tells the truth. A catalog with another set of capabilities needs another line here;
// its absence is found when the world is opened.
func compose(b *basic) provider.Provider {
	r, p, i, v := rebooter{b}, powerer{b}, reinstaller{b}, volumeKeeper{b}
	can := b.source.Capabilities
	can.CloudInit = false // a matter of Launch, without methods of its own
	switch can {
	case provider.Capabilities{}:
		return b
	case provider.Capabilities{Reboot: true, Power: true}:
		return struct {
			*basic
			rebooter
			powerer
		}{b, r, p}
	case provider.Capabilities{Reboot: true, Reinstall: true}:
		return struct {
			*basic
			rebooter
			reinstaller
		}{b, r, i}
	case provider.Capabilities{Reboot: true, Reinstall: true, CustomImages: true}:
		return struct {
			*basic
			rebooter
			imageReinstaller
		}{b, r, imageReinstaller{i}}
	case provider.Capabilities{Reboot: true, Power: true, Volumes: true}:
		return struct {
			*basic
			rebooter
			powerer
			volumeKeeper
		}{b, r, p, v}
	case provider.Capabilities{Reboot: true, Power: true, Reinstall: true, Volumes: true}:
		return struct {
			*basic
			rebooter
			powerer
			reinstaller
			volumeKeeper
		}{b, r, p, i, v}
	}
	return nil
}

type rebooter struct{ b *basic }

// Reboot restarts a machine that is on. One that is booting already is success.
func (r rebooter) Reboot(ctx context.Context, reference id.ID) error {
	return do(ctx, r.b, "reboot", func(ctx context.Context) error {
		return r.b.with(ctx, reference, func(m *machine, rec machineRecord) error {
			switch rec.Phase {
			case phaseBooting:
				return nil
			case phaseOn:
				return r.b.boot(m, rec, "rebooting")
			case phaseOff:
				return refuse(provider.KindRejected, "The machine is switched off; switch it on instead.")
			}
			return notNow(rec)
		})
	})
}

type powerer struct{ b *basic }

// PowerOn starts a machine that is off. One that is on or booting is success.
func (p powerer) PowerOn(ctx context.Context, reference id.ID) error {
	return do(ctx, p.b, "power-on", func(ctx context.Context) error {
		return p.b.with(ctx, reference, func(m *machine, rec machineRecord) error {
			switch rec.Phase {
			case phaseBooting, phaseOn:
				return nil
			case phaseOff:
				return p.b.boot(m, rec, "booting")
			}
			return notNow(rec)
		})
	})
}

// PowerOff stops a machine, keeping its files. One that is off is success.
func (p powerer) PowerOff(ctx context.Context, reference id.ID) error {
	return do(ctx, p.b, "power-off", func(ctx context.Context) error {
		return p.b.with(ctx, reference, func(m *machine, rec machineRecord) error {
			switch rec.Phase {
			case phaseOff:
				return nil
			case phaseBooting, phaseOn:
				rec.Phase, rec.Detail, rec.Since, rec.DueAt = phaseOff, "", time.Time{}, time.Time{}
				return p.b.world.save(m, rec)
			}
			return notNow(rec)
		})
	})
}

type reinstaller struct{ b *basic }

// Reinstall wipes a machine that is on or off and installs the operating system, with the keys and
// the cloud-config of its launch. One that is being installed with that operating system already is
// success.
func (i reinstaller) Reinstall(ctx context.Context, reference id.ID, operatingSystem string) error {
	return i.install(ctx, reference, operatingSystem, func(o *offer) error {
		if o == nil || !slices.Contains(o.OperatingSystems, operatingSystem) {
			return refuse(provider.KindRejected, "The offer has no operating system %q.", operatingSystem)
		}
		return nil
	})
}

func (i reinstaller) install(
	ctx context.Context, reference id.ID, operatingSystem string, check func(*offer) error,
) error {
	return do(ctx, i.b, "reinstall", func(ctx context.Context) error {
		return i.b.with(ctx, reference, func(m *machine, rec machineRecord) error {
			if err := check(i.b.source.offer(rec.OfferKey)); err != nil {
				return err
			}
			switch {
			case rec.Phase == phaseInstalling && rec.OperatingSystem == operatingSystem:
				return nil
			case rec.Phase == phaseOn || rec.Phase == phaseOff || rec.Phase == phaseBooting:
				w, now := i.b.world, i.b.world.clock.Now()
				rec.Phase, rec.OperatingSystem, rec.Detail, rec.HostKeys, rec.HostKey = phaseInstalling,
					operatingSystem, "", nil, ""
				rec.Since, rec.DueAt = now, now.Add(w.installTakes(i.b.key(reference), rec.OfferKey, "reinstall", now))
				return w.save(m, rec)
			}
			return notNow(rec)
		})
	})
}

// imageReinstaller pretends to install images: nothing is downloaded.
type imageReinstaller struct{ reinstaller }

// ReinstallImage is Reinstall with an image.
func (i imageReinstaller) ReinstallImage(ctx context.Context, reference id.ID, image provider.Image) error {
	return i.install(ctx, reference, image.Name, func(*offer) error { return nil })
}

// boot stops the machine where it is on and has it start a little later.
func (b *basic) boot(m *machine, rec machineRecord, detail string) error {
	now := b.world.clock.Now()
	rec.Phase, rec.Detail, rec.Since, rec.DueAt = phaseBooting, detail, now, now.Add(bootTakes)
	return b.world.save(m, rec)
}

func notNow(rec machineRecord) error {
	return refuse(provider.KindRejected, "The machine cannot do that while it is %s.", rec.Phase)
}
