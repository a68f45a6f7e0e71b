package sim_test

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/provider"
	"github.com/billetcloud/billet/internal/provider/providertest"
	"github.com/billetcloud/billet/internal/provider/sim"
)

// able is a provider that can do everything.
type able interface {
	provider.Provider
	provider.Rebooter
	provider.Powerer
	provider.Reinstaller
	provider.VolumeProvider
}

// noTime is a real time in which waiting takes none.
type noTime struct{ clock.System }

func (noTime) SleepUntil(ctx context.Context, _ time.Time) error { return ctx.Err() }

// persistent asks again where the outcome is not known, as every package does.
type persistent struct{ able }

// tries is how often; that many answers in a row are not lost by chance.
const tries = 40

func again[T any](f func() (T, error)) (answer T, err error) {
	for range tries {
		if answer, err = f(); err == nil || provider.KindOf(err) != provider.KindUnavailable {
			break
		}
	}
	return answer, err
}

func retry(f func() error) error {
	_, err := again(func() (struct{}, error) { return struct{}{}, f() })
	return err
}

func (p persistent) Offers(ctx context.Context) ([]provider.Offer, error) {
	return again(func() ([]provider.Offer, error) { return p.able.Offers(ctx) })
}

func (p persistent) Launch(ctx context.Context, r provider.LaunchRequest) (provider.Machine, error) {
	return again(func() (provider.Machine, error) { return p.able.Launch(ctx, r) })
}

func (p persistent) Machine(ctx context.Context, reference id.ID) (provider.Machine, error) {
	return again(func() (provider.Machine, error) { return p.able.Machine(ctx, reference) })
}

func (p persistent) Machines(ctx context.Context) ([]provider.Machine, error) {
	return again(func() ([]provider.Machine, error) { return p.able.Machines(ctx) })
}

func (p persistent) Terminate(ctx context.Context, reference id.ID) error {
	return retry(func() error { return p.able.Terminate(ctx, reference) })
}

func (p persistent) Reboot(ctx context.Context, reference id.ID) error {
	return retry(func() error { return p.able.Reboot(ctx, reference) })
}

func (p persistent) PowerOn(ctx context.Context, reference id.ID) error {
	return retry(func() error { return p.able.PowerOn(ctx, reference) })
}

func (p persistent) PowerOff(ctx context.Context, reference id.ID) error {
	return retry(func() error { return p.able.PowerOff(ctx, reference) })
}

func (p persistent) Reinstall(ctx context.Context, reference id.ID, operatingSystem string) error {
	return retry(func() error { return p.able.Reinstall(ctx, reference, operatingSystem) })
}

func (p persistent) Volumes(ctx context.Context) ([]provider.Volume, error) {
	return again(func() ([]provider.Volume, error) { return p.able.Volumes(ctx) })
}

func (p persistent) VolumePricing(ctx context.Context) ([]provider.VolumePricing, error) {
	return again(func() ([]provider.VolumePricing, error) { return p.able.VolumePricing(ctx) })
}

func (p persistent) CreateVolume(ctx context.Context, r provider.VolumeRequest) (provider.Volume, error) {
	return again(func() (provider.Volume, error) { return p.able.CreateVolume(ctx, r) })
}

func (p persistent) Volume(ctx context.Context, reference id.ID) (provider.Volume, error) {
	return again(func() (provider.Volume, error) { return p.able.Volume(ctx, reference) })
}

func (p persistent) GrowVolume(ctx context.Context, reference id.ID, sizeGB int64) error {
	return retry(func() error { return p.able.GrowVolume(ctx, reference, sizeGB) })
}

func (p persistent) DeleteVolume(ctx context.Context, reference id.ID) error {
	return retry(func() error { return p.able.DeleteVolume(ctx, reference) })
}

func (p persistent) AttachVolume(ctx context.Context, volume, machine id.ID) error {
	return retry(func() error { return p.able.AttachVolume(ctx, volume, machine) })
}

func (p persistent) DetachVolume(ctx context.Context, volume id.ID) error {
	return retry(func() error { return p.able.DetachVolume(ctx, volume) })
}

// TestConformsUnderFaults shows that who asks again is served as if nothing had gone wrong,
// whatever call it was.
func TestConformsUnderFaults(t *testing.T) {
	for name, faults := range map[string][]sim.Fault{
		"slow":         {{Kind: sim.FaultSlow, Seconds: sim.Span{Min: 1, Median: 60, Max: 120}}},
		"lost answers": {{Kind: sim.FaultLostAnswer, Percent: 50, Seed: 4}},
		"everything": {
			{Kind: sim.FaultLostAnswer, Percent: 25, Seed: 1}, {Kind: sim.FaultUnavailable, Percent: 15, Seed: 2},
			{Kind: sim.FaultGarbage, Percent: 15, Seed: 3},
			{Kind: sim.FaultRateLimited, Percent: 15, Seed: 4}, {Kind: sim.FaultSlow, Percent: 50, Seed: 5},
			{Kind: sim.FaultProvisioningTime, Seconds: sim.Span{Min: 1, Median: 60, Max: 300}, Seed: 6},
			{Kind: sim.FaultPrice, Value: "+10%"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			providertest.Run(t, func(t *testing.T) providertest.Harness {
				dir, c := t.TempDir(), clock.NewFrozen(start)
				var w *sim.World
				open := func() provider.Provider {
					var err error
					w, err = sim.Open(t.Context(), sim.Config{
						Dir: dir, Clock: c, Seed: seed, Log: slog.New(slog.DiscardHandler), Listen: sim.ListenBanner,
						Faults: faults, Real: noTime{},
					})
					if err != nil {
						t.Fatal(err)
					}
					p := w.Providers()[0].(able)
					if name == "slow" {
						return p
					}
					return persistent{p}
				}
				h := providertest.Harness{
					Provider: open(),
					Advance:  c.Advance,
					Reopen:   func() provider.Provider { shut(t, w); return open() },
				}
				t.Cleanup(func() {
					if left := w.Machines(); len(left) != 0 {
						t.Errorf("left in the world: %+v", left)
					}
					if f := w.Faults()[0]; f.Injected == 0 && f.Checked > 20 {
						t.Errorf("never injected: %+v", f)
					}
					shut(t, w)
				})
				return h
			})
		})
	}
}
