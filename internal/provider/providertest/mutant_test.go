package providertest_test

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/provider"
	"github.com/billetcloud/billet/internal/provider/providertest"
	"github.com/billetcloud/billet/internal/provider/sim"
)

// full is a provider with every capability.
type full interface {
	provider.Provider
	provider.Rebooter
	provider.Powerer
	provider.Reinstaller
	provider.VolumeProvider
}

// mutants are providers with one defect each, and the test of the suite that must find it.
var mutants = map[string]struct {
	foundBy string
	mutate  func(full) instance
}{
	"none": {"", func(p full) instance { return p }},
	"a second machine for a repeated launch": {"LaunchAgain", func(p full) instance {
		return &doubling{full: p}
	}},
	"a lost launch is repeated": {"LaunchWithLostResponse", func(p full) instance {
		return &amnesiac{full: p, lost: map[id.ID]id.ID{}}
	}},
	"terminate does nothing":                 {"Terminate", func(p full) instance { return lazy{p} }},
	"terminating the unknown fails":          {"UnknownReferences", func(p full) instance { return strict{p} }},
	"the unknown is unavailable":             {"UnknownReferences", func(p full) instance { return vague{p} }},
	"called inside a transaction":            {"InsideTransaction", func(p full) instance { return unguarded{p} }},
	"capabilities without interfaces":        {"CapabilitiesMatchInterfaces", func(p full) instance { return bare{p} }},
	"machines are not listed":                {"LaunchBecomesReady", func(p full) instance { return secretive{p} }},
	"any operating system is accepted":       {"LaunchRefusals", func(p full) instance { return obliging{p} }},
	"ready too early":                        {"LaunchBecomesReady", func(p full) instance { return hasty{p} }},
	"offers share memory":                    {"Offers", func(p full) instance { return &sharing{full: p} }},
	"volumes are not listed":                 {"TwoVolumes", func(p full) instance { return forgetful{p} }},
	"an attached volume is moved":            {"VolumeAttachment", func(p full) instance { return generous{p} }},
	"a definitive error for a canceled call": {"EndedContext", func(p full) instance { return certain{p} }},
	"a machine that is off is switched on":   {"Power", func(p full) instance { return restless{p} }},
}

type instance = provider.Provider

type bare struct{ provider.Provider }

type doubling struct {
	full
	mu    sync.Mutex
	count map[id.ID]int
}

func (d *doubling) Launch(ctx context.Context, r provider.LaunchRequest) (provider.Machine, error) {
	d.mu.Lock()
	if d.count == nil {
		d.count = map[id.ID]int{}
	}
	d.count[r.Reference]++
	again, reference := d.count[r.Reference] > 1, r.Reference
	d.mu.Unlock()
	if again {
		r.Reference += "x"
	}
	m, err := d.full.Launch(ctx, r)
	m.Reference = reference
	return m, err
}

type amnesiac struct {
	full
	lost map[id.ID]id.ID
}

func (a *amnesiac) Launch(ctx context.Context, r provider.LaunchRequest) (provider.Machine, error) {
	if ctx.Err() != nil {
		a.lost[r.Reference] = r.Reference + "x"
		hidden := r
		hidden.Reference += "x"
		_, _ = a.full.Launch(context.WithoutCancel(ctx), hidden)
		return provider.Machine{}, &provider.Error{Kind: provider.KindUnavailable}
	}
	return a.full.Launch(ctx, r)
}

func (a *amnesiac) Machines(ctx context.Context) ([]provider.Machine, error) {
	all, err := a.full.Machines(ctx)
	for i := range all {
		all[i].Reference = id.ID(strings.TrimSuffix(string(all[i].Reference), "x"))
	}
	return all, err
}

type forgetful struct{ full }

func (forgetful) Volumes(context.Context) ([]provider.Volume, error) { return nil, nil }

type lazy struct{ full }

func (lazy) Terminate(context.Context, id.ID) error { return nil }

type strict struct{ full }

func (p strict) Terminate(ctx context.Context, r id.ID) error {
	if _, err := p.Machine(ctx, r); err != nil {
		return err
	}
	return p.full.Terminate(ctx, r)
}

type vague struct{ full }

func (p vague) Machine(ctx context.Context, r id.ID) (provider.Machine, error) {
	m, err := p.full.Machine(ctx, r)
	if err != nil {
		err = errors.New("404")
	}
	return m, err
}

type unguarded struct{ full }

func (p unguarded) Offers(context.Context) ([]provider.Offer, error) {
	return p.full.Offers(context.Background())
}

type secretive struct{ full }

func (secretive) Machines(context.Context) ([]provider.Machine, error) { return nil, nil }

type obliging struct{ full }

func (p obliging) Launch(ctx context.Context, r provider.LaunchRequest) (provider.Machine, error) {
	r.OperatingSystem = "Ubuntu 22.04"
	return p.full.Launch(ctx, r)
}

type hasty struct{ full }

func (p hasty) Machine(ctx context.Context, r id.ID) (provider.Machine, error) {
	m, err := p.full.Machine(ctx, r)
	if m.State == provider.MachineProvisioning {
		m.State = provider.MachineReady
	}
	return m, err
}

type sharing struct {
	full
	offers []provider.Offer
}

func (p *sharing) Offers(ctx context.Context) ([]provider.Offer, error) {
	var err error
	if p.offers == nil {
		p.offers, err = p.full.Offers(ctx)
	}
	return p.offers, err
}

type generous struct{ full }

func (p generous) AttachVolume(ctx context.Context, v, m id.ID) error {
	if err := p.full.AttachVolume(ctx, v, m); provider.KindOf(errors.Join(err, errNone)) != provider.KindRejected {
		return err
	}
	if err := p.DetachVolume(ctx, v); err != nil {
		return err
	}
	return p.full.AttachVolume(ctx, v, m)
}

// errNone makes KindOf accept nil.
var errNone = errors.New("none")

type certain struct{ full }

func (p certain) Launch(ctx context.Context, r provider.LaunchRequest) (provider.Machine, error) {
	if ctx.Err() != nil {
		return provider.Machine{}, &provider.Error{Kind: provider.KindRejected}
	}
	return p.full.Launch(ctx, r)
}

type restless struct{ full }

func (p restless) PowerOff(ctx context.Context, r id.ID) error {
	return errors.Join(p.full.PowerOff(ctx, r), p.PowerOn(ctx, r))
}

const mutantName = "BILLET_PROVIDERTEST_MUTANT"

// TestMutant runs the suite on the mutant that the environment names.
func TestMutant(t *testing.T) {
	mutant, ok := mutants[os.Getenv(mutantName)]
	if !ok {
		t.Skip("TestRun_FindsMutants runs this in a process of its own, since it must fail")
	}
	providertest.Run(t, func(t *testing.T) providertest.Harness {
		c := clock.NewFrozen(time.Date(2028, 2, 29, 23, 58, 30, 0, time.UTC))
		w, err := sim.Open(
			t.Context(),
			sim.Config{Dir: t.TempDir(), Clock: c, Log: slog.New(slog.DiscardHandler), Listen: sim.ListenBanner},
		)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = w.Close() })
		return providertest.Harness{
			Provider: mutant.mutate(w.Providers()[0].(full)), Advance: c.Advance, OfferKey: "off_abc123",
			Region: "dallas-usa-5",
		}
	})
}

func TestRun_FindsMutants(t *testing.T) {
	for name, mutant := range mutants {
		t.Run(name, func(t *testing.T) {
			c := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestMutant$", "-test.v")
			c.Env = append(os.Environ(), mutantName+"="+name)
			out, err := c.CombinedOutput()
			if mutant.foundBy == "" {
				if err != nil {
					t.Errorf("the suite fails without a defect:\n%s", out)
				}
				return
			}
			if err == nil || !strings.Contains(string(out), "--- FAIL: TestMutant/"+mutant.foundBy+" ") {
				t.Errorf("not found by %s: %v\n%s", mutant.foundBy, err, out)
			}
		})
	}
}
