package sim

import (
	"context"
	"errors"
	"log/slog"
	"reflect"
	"sync/atomic"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/provider"
	"github.com/billetcloud/billet/internal/provider/sim/node"
)

// fragile is a host whose machines can be made not to start, or to start slowly.
type fragile struct {
	*banners
	broken atomic.Bool
	// slow, where it is not nil, is asked before a machine starts; it is given the machine's
	// folder.
	slow func(ctx context.Context, dir string)
}

func (f *fragile) start(ctx context.Context, spec node.Spec) (node.Endpoint, error) {
	if f.slow != nil {
		f.slow(ctx, spec.Dir)
	}
	if err := ctx.Err(); err != nil {
		return node.Endpoint{}, err
	}
	if f.broken.Load() {
		return node.Endpoint{}, errors.New("no power")
	}
	return f.banners.start(ctx, spec)
}

// bed is a world on a fragile host, and its first provider, which can do everything.
type bed struct {
	*testing.T
	dir   string
	clock *clock.Simulated
	host  *fragile
	world *World
	p     interface {
		provider.Provider
		provider.Powerer
		provider.Rebooter
		provider.Reinstaller
		provider.VolumeProvider
	}
}

func newBed(t *testing.T) *bed {
	b := &bed{T: t, dir: t.TempDir(), clock: clock.NewFrozen(time.Date(2028, 2, 29, 23, 58, 30, 0, time.UTC))}
	b.open()
	t.Cleanup(func() {
		if err := b.world.Close(); err != nil {
			t.Error(err)
		}
	})
	return b
}

func (b *bed) open() {
	b.Helper()
	w, err := Open(
		b.Context(),
		Config{Dir: b.dir, Clock: b.clock, Log: slog.New(slog.DiscardHandler), Listen: ListenBanner},
	)
	if err != nil {
		b.Fatal(err)
	}
	b.host = &fragile{banners: w.host.(*banners)}
	w.host = b.host
	b.world = w
	reflect.ValueOf(&b.p).Elem().Set(reflect.ValueOf(w.Providers()[0]))
}

func (b *bed) reopen() {
	b.Helper()
	if err := b.world.Close(); err != nil {
		b.Fatal(err)
	}
	b.open()
}

func order(reference id.ID) provider.LaunchRequest {
	return provider.LaunchRequest{
		Reference: reference, Name: "my-training-run", OfferKey: "off_abc123", Region: "dallas-usa-5",
		OperatingSystem: "Ubuntu 22.04", AuthorizedKeys: []string{"ssh-ed25519 AAAA"},
	}
}

func (b *bed) launch(reference id.ID) provider.Machine {
	b.Helper()
	m, err := b.p.Launch(b.Context(), order(reference))
	if err != nil {
		b.Fatal(err)
	}
	return m
}

// want fails the test unless the machine is in that state, and returns it.
func (b *bed) want(reference id.ID, state provider.MachineState) provider.Machine {
	b.Helper()
	m, err := b.p.Machine(b.Context(), reference)
	if err != nil {
		b.Fatal(err)
	}
	if m.State != state {
		b.Fatalf("machine %s is %s (%s), want %s", reference, m.State, m.Detail, state)
	}
	return m
}
