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

// able is a provider with every ability.
type able interface {
	provider.Provider
	provider.Rebooter
	provider.Powerer
	provider.Reinstaller
	provider.VolumeProvider
}

// mutants are providers with one fault each, and the test of the suite that must find it.
var mutants = map[string]struct {
	foundBy string
	mutate  func(able) provider.Provider
}{
	"none": {"", func(p able) provider.Provider { return p }},
	"a second machine for a repeated launch": {"LaunchAgainIsTheSameMachine", func(p able) provider.Provider {
		return &doubling{able: p}
	}},
	"a lost answer is launched anew": {"LaunchWithLostAnswerIsOneMachine", func(p able) provider.Provider {
		return &amnesiac{able: p, lost: map[id.ID]id.ID{}}
	}},
	"terminate does nothing":               {"Terminate", func(p able) provider.Provider { return lazy{p} }},
	"terminating the unknown fails":        {"UnknownReferences", func(p able) provider.Provider { return strict{p} }},
	"the unknown is unavailable":           {"UnknownReferences", func(p able) provider.Provider { return vague{p} }},
	"called inside a transaction":          {"RefusesInsideATransaction", func(p able) provider.Provider { return unguarded{p} }},
	"capabilities without interfaces":      {"AbilitiesAgreeWithInterfaces", func(p able) provider.Provider { return struct{ provider.Provider }{p} }},
	"machines are not listed":              {"LaunchBecomesReady", func(p able) provider.Provider { return secretive{p} }},
	"any operating system will do":         {"LaunchOfWhatIsNotSold", func(p able) provider.Provider { return obliging{p} }},
	"ready too early":                      {"LaunchBecomesReady", func(p able) provider.Provider { return hasty{p} }},
	"offers share memory":                  {"Offers", func(p able) provider.Provider { return &sharing{able: p} }},
	"volumes are not listed":               {"VolumesOfSeveral", func(p able) provider.Provider { return forgetful{p} }},
	"an attached volume is given away":     {"VolumeAttachment", func(p able) provider.Provider { return generous{p} }},
	"certainty about what was cut short":   {"EndedContext", func(p able) provider.Provider { return certain{p} }},
	"a machine that is off is switched on": {"Power", func(p able) provider.Provider { return restless{p} }},
}

type doubling struct {
	able
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
	m, err := d.able.Launch(ctx, r)
	m.Reference = reference
	return m, err
}

type amnesiac struct {
	able
	lost map[id.ID]id.ID
}

func (a *amnesiac) Launch(ctx context.Context, r provider.LaunchRequest) (provider.Machine, error) {
	if ctx.Err() != nil {
		a.lost[r.Reference] = r.Reference + "x"
		hidden := r
		hidden.Reference += "x"
		_, _ = a.able.Launch(context.WithoutCancel(ctx), hidden)
		return provider.Machine{}, &provider.Error{Kind: provider.KindUnavailable}
	}
	return a.able.Launch(ctx, r)
}

func (a *amnesiac) Machines(ctx context.Context) ([]provider.Machine, error) {
	all, err := a.able.Machines(ctx)
	for i := range all {
		all[i].Reference = id.ID(strings.TrimSuffix(string(all[i].Reference), "x"))
	}
	return all, err
}

type forgetful struct{ able }

func (forgetful) Volumes(context.Context) ([]provider.Volume, error) { return nil, nil }

type lazy struct{ able }

func (lazy) Terminate(context.Context, id.ID) error { return nil }

type strict struct{ able }

func (p strict) Terminate(ctx context.Context, r id.ID) error {
	if _, err := p.Machine(ctx, r); err != nil {
		return err
	}
	return p.able.Terminate(ctx, r)
}

type vague struct{ able }

func (p vague) Machine(ctx context.Context, r id.ID) (provider.Machine, error) {
	m, err := p.able.Machine(ctx, r)
	if err != nil {
		err = errors.New("404")
	}
	return m, err
}

type unguarded struct{ able }

func (p unguarded) Offers(context.Context) ([]provider.Offer, error) {
	return p.able.Offers(context.Background())
}

type secretive struct{ able }

func (secretive) Machines(context.Context) ([]provider.Machine, error) { return nil, nil }

type obliging struct{ able }

func (p obliging) Launch(ctx context.Context, r provider.LaunchRequest) (provider.Machine, error) {
	r.OperatingSystem = "Ubuntu 22.04"
	return p.able.Launch(ctx, r)
}

type hasty struct{ able }

func (p hasty) Machine(ctx context.Context, r id.ID) (provider.Machine, error) {
	m, err := p.able.Machine(ctx, r)
	if m.State == provider.MachineProvisioning {
		m.State = provider.MachineReady
	}
	return m, err
}

type sharing struct {
	able
	offers []provider.Offer
}

func (p *sharing) Offers(ctx context.Context) ([]provider.Offer, error) {
	var err error
	if p.offers == nil {
		p.offers, err = p.able.Offers(ctx)
	}
	return p.offers, err
}

type generous struct{ able }

func (p generous) AttachVolume(ctx context.Context, v, m id.ID) error {
	if err := p.able.AttachVolume(ctx, v, m); provider.KindOf(errors.Join(err, errNone)) != provider.KindRejected {
		return err
	}
	if err := p.DetachVolume(ctx, v); err != nil {
		return err
	}
	return p.able.AttachVolume(ctx, v, m)
}

// errNone makes KindOf answer for nil.
var errNone = errors.New("none")

type certain struct{ able }

func (p certain) Launch(ctx context.Context, r provider.LaunchRequest) (provider.Machine, error) {
	if ctx.Err() != nil {
		return provider.Machine{}, &provider.Error{Kind: provider.KindRejected}
	}
	return p.able.Launch(ctx, r)
}

type restless struct{ able }

func (p restless) PowerOff(ctx context.Context, r id.ID) error {
	return errors.Join(p.able.PowerOff(ctx, r), p.PowerOn(ctx, r))
}

const mutantName = "BILLET_PROVIDERTEST_MUTANT"

// TestMutant runs the suite on the mutant that the environment names.
func TestMutant(t *testing.T) {
	mutant, ok := mutants[os.Getenv(mutantName)]
	if !ok {
		t.Skip("TestSuiteFindsEveryMutant runs this in a process of its own, since it is to fail")
	}
	providertest.Run(t, func(t *testing.T) providertest.Harness {
		c := clock.NewFrozen(time.Date(2028, 2, 29, 23, 58, 30, 0, time.UTC))
		w, err := sim.Open(t.Context(), sim.Config{Dir: t.TempDir(), Clock: c, Log: slog.New(slog.DiscardHandler), Listen: sim.ListenBanner})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = w.Close() })
		return providertest.Harness{
			Provider: mutant.mutate(w.Providers()[0].(able)), Advance: c.Advance, OfferKey: "off_abc123", Region: "dallas-usa-5",
		}
	})
}

func TestSuiteFindsEveryMutant(t *testing.T) {
	for name, mutant := range mutants {
		t.Run(name, func(t *testing.T) {
			c := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestMutant$", "-test.v")
			c.Env = append(os.Environ(), mutantName+"="+name)
			out, err := c.CombinedOutput()
			if mutant.foundBy == "" {
				if err != nil {
					t.Errorf("the suite fails what it should not:\n%s", out)
				}
				return
			}
			if err == nil || !strings.Contains(string(out), "--- FAIL: TestMutant/"+mutant.foundBy+" ") {
				t.Errorf("not found by %s: %v\n%s", mutant.foundBy, err, out)
			}
		})
	}
}
