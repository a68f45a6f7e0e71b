package providertest

import (
	"context"
	"errors"
	"time"

	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/db/dbtest"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/provider"
)

// calls returns every method of the provider, by name. Those that create something use the request.
func (s *suite) calls(r provider.LaunchRequest) map[string]func(ctx context.Context) error {
	p, volume := s.Provider, s.ids.New(id.Volume)
	calls := map[string]func(ctx context.Context) error{
		"Offers":    func(ctx context.Context) error { _, err := p.Offers(ctx); return err },
		"Launch":    func(ctx context.Context) error { _, err := p.Launch(ctx, r); return err },
		"Machine":   func(ctx context.Context) error { _, err := p.Machine(ctx, r.Reference); return err },
		"Machines":  func(ctx context.Context) error { _, err := p.Machines(ctx); return err },
		"Terminate": func(ctx context.Context) error { return p.Terminate(ctx, r.Reference) },
	}
	if p, ok := p.(provider.Rebooter); ok {
		calls["Reboot"] = func(ctx context.Context) error { return p.Reboot(ctx, r.Reference) }
	}
	if p, ok := p.(provider.Powerer); ok {
		calls["PowerOn"] = func(ctx context.Context) error { return p.PowerOn(ctx, r.Reference) }
		calls["PowerOff"] = func(ctx context.Context) error { return p.PowerOff(ctx, r.Reference) }
	}
	if p, ok := p.(provider.Rescuer); ok {
		calls["Rescue"] = func(ctx context.Context) error { return p.Rescue(ctx, r.Reference) }
		calls["EndRescue"] = func(ctx context.Context) error { return p.EndRescue(ctx, r.Reference) }
	}
	if p, ok := p.(provider.Reinstaller); ok {
		calls["Reinstall"] = func(ctx context.Context) error { return p.Reinstall(ctx, r.Reference, r.OperatingSystem) }
	}
	if p, ok := p.(provider.VolumeProvider); ok {
		request := provider.VolumeRequest{Reference: volume, Name: "conformance", Region: r.Region, SizeGB: 100}
		calls["VolumePricing"] = func(ctx context.Context) error { _, err := p.VolumePricing(ctx); return err }
		calls["CreateVolume"] = func(ctx context.Context) error { _, err := p.CreateVolume(ctx, request); return err }
		calls["Volume"] = func(ctx context.Context) error { _, err := p.Volume(ctx, volume); return err }
		calls["Volumes"] = func(ctx context.Context) error { _, err := p.Volumes(ctx); return err }
		calls["GrowVolume"] = func(ctx context.Context) error { return p.GrowVolume(ctx, volume, 200) }
		calls["DeleteVolume"] = func(ctx context.Context) error { return p.DeleteVolume(ctx, volume) }
		calls["AttachVolume"] = func(ctx context.Context) error { return p.AttachVolume(ctx, volume, r.Reference) }
		calls["DetachVolume"] = func(ctx context.Context) error { return p.DetachVolume(ctx, volume) }
	}
	return calls
}

func testInsideTx(s *suite) {
	r := s.request(s.offer())
	d := dbtest.SQLite(s.T, clock.System{})
	for name, call := range s.calls(r) {
		err := d.InTx(s.Context(), func(ctx context.Context, _ *db.Tx) error { return call(ctx) })
		if !errors.Is(err, provider.ErrInsideTx) {
			s.Errorf("%s inside a transaction: %v, want provider.ErrInsideTx", name, err)
		}
	}
	if all := s.listed(s.Context(), r.Reference); len(all) != 0 {
		s.Errorf("a machine was created inside a transaction: %+v", all)
	}
}

// testEndedContext checks that a call with a canceled context returns, and that its error is not
// definitive.
func testEndedContext(s *suite) {
	r := s.request(s.offer())
	ctx, cancel := context.WithCancel(s.Context())
	cancel()
	for name, call := range s.calls(r) {
		returned := make(chan error, 1)
		go func() { returned <- call(ctx) }()
		select {
		case err := <-returned:
			if err != nil {
				s.wantKind(name+" with a canceled context", err, provider.KindUnavailable, provider.KindThrottled)
			}
		case <-time.After(time.Minute):
			s.Fatalf("%s does not return after its context is canceled", name)
		}
	}
}
