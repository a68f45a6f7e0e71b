package sim

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/provider"
)

// injectBefore does to a call what faults do before its effect, and returns the answer where there
// will be no effect.
func (b *basic) injectBefore(ctx context.Context, operation string) error {
	w, now := b.world, b.world.clock.Now()
	at := target{provider: b.source.Slug, operation: operation}
	if f, random, applies := w.faultFor(FaultSlow, at, now); applies {
		if err := w.real.SleepUntil(ctx, w.real.Now().Add(f.Seconds.pick(random))); err != nil {
			return b.unanswered(operation, err)
		}
	}
	if _, _, applies := w.faultFor(FaultUnavailable, at, now); applies {
		return b.unanswered(operation, errors.New("503 Service Unavailable"))
	}
	if f, random, applies := w.faultFor(FaultRateLimited, at, now); applies {
		return &provider.Error{
			Kind: provider.KindUnavailable, RetryAfter: f.Seconds.pick(random),
			Cause: fmt.Errorf("%s: %s: 429 Too Many Requests", b.source.Slug, operation),
		}
	}
	if _, _, applies := w.faultFor(FaultGarbage, at, now); applies {
		var answer map[string]any
		err := json.Unmarshal([]byte("<html><head><title>502 Bad Gateway</title></head>"), &answer)
		return fmt.Errorf("%s: %s: read the answer: %w", b.source.Slug, operation, err)
	}
	if operation == "launch" || operation == "create-volume" {
		return nil // register asks: what was made already is not refused
	}
	return b.rejects(operation, "", now)
}

// rejects returns the refusal of a call that a fault rejects.
func (b *basic) rejects(operation, offer string, now time.Time) error {
	if _, _, applies := b.world.faultFor(FaultRejected, target{b.source.Slug, operation, offer}, now); applies {
		return refuse(provider.KindRejected, "The provider refuses to do that.")
	}
	return nil
}

// answerLost reports whether the answer of a call that had its effect does not arrive.
func (b *basic) answerLost(operation string) error {
	at := target{provider: b.source.Slug, operation: operation}
	if _, _, applies := b.world.faultFor(FaultLostAnswer, at, b.world.clock.Now()); applies {
		return b.unanswered(operation, errors.New("no answer arrived in time"))
	}
	return nil
}

// garbles reports whether the texts of an answer arrive garbled.
func (b *basic) garbles(operation string) bool {
	_, _, applies := b.world.faultFor(
		FaultGarbled,
		target{provider: b.source.Slug, operation: operation},
		b.world.clock.Now(),
	)
	return applies
}

// noise is what garbled texts are made of.
var noise = "\x00\x1b[2J\xff\xfe\r\n\u202e'; --" + strings.Repeat("é", 5000)

// garble spoils the texts that a provider may choose freely. What names a machine or reaches it
// stays as it is: an answer with another name would be another machine's.
func garble(answer any) {
	switch a := answer.(type) {
	case *provider.Machine:
		a.Detail += noise
	case *[]provider.Machine:
		for i := range *a {
			(*a)[i].Detail += noise
		}
	}
}

func garbleError(err error) error {
	said, is := errors.AsType[*provider.Error](err)
	if !is {
		return err
	}
	spoiled := *said
	spoiled.Message += noise
	spoiled.Cause = errors.Join(said.Cause, errors.New(noise))
	return &spoiled
}

// refusesLaunch returns why there will be no machine of the offer, where a fault says so.
func (b *basic) refusesLaunch(o *offer, now time.Time) error {
	if err := b.rejects("launch", o.Key, now); err != nil {
		return err
	}
	if _, _, applies := b.world.faultFor(FaultNoCapacity, target{b.source.Slug, "launch", o.Key}, now); applies {
		return refuse(provider.KindNoCapacity, "The offer is sold out.")
	}
	return nil
}

// refusesEnd returns why a machine that exists is not ended, where a fault says so.
func (b *basic) refusesEnd(r machineRecord, now time.Time) error {
	f, random, applies := b.world.faultFor(FaultRefuseTerminate, target{b.source.Slug, "terminate", r.OfferKey}, now)
	if !applies {
		return nil
	}
	wait := f.Seconds.pick(random)
	if !f.Until.IsZero() {
		wait = f.Until.Sub(now)
	}
	return &provider.Error{
		Kind:       provider.KindRejected,
		Message:    "The provider does not end this machine yet.",
		RetryAfter: wait,
	}
}

// scarce returns how many of the offer there are altogether, where a fault says so.
func (w *World) scarce(slug string, o *offer, when time.Time) (int, bool) {
	f, holds := w.state(FaultScarcity, target{provider: slug, offer: o.Key}, when)
	if !holds {
		return 0, false
	}
	steps, err := parseStock(f.Value)
	if err != nil {
		return 0, false // checked when it was added
	}
	stock, begun := 0, false
	for _, s := range steps {
		if !when.Before(f.Since.Add(s.after)) {
			stock, begun = s.stock, true
		}
	}
	return stock, begun
}

// price returns the price of the whole offer for an hour, faults included.
func (w *World) price(slug string, o *offer, when time.Time) money.Micros {
	p := hourlyPrice(w.seed, slug, o, when)
	if f, holds := w.state(FaultPrice, target{provider: slug, offer: o.Key}, when); holds {
		if change, err := parsePrice(f.Value); err == nil {
			return change(p)
		}
	}
	return p
}

// installTakes returns how long the installation of a machine takes.
func (w *World) installTakes(k key, offer, operation string, now time.Time) time.Duration {
	if f, random, applies := w.faultFor(FaultProvisioningTime, target{k.provider, operation, offer}, now); applies {
		return f.Seconds.pick(random)
	}
	return w.between("install", k, installAtLeast, installAtMost)
}

// stageEnds is when a stage of an installation is over, as a part of the whole: numerator and
// denominator.
var stageEnds = map[string][2]time.Duration{"allocating": {1, 5}, "installing": {3, 4}, "booting": {1, 1}}

// doom decides at a machine's launch what will go wrong with it.
func (w *World) doom(r *machineRecord, now time.Time) {
	at := target{r.Provider, "launch", r.OfferKey}
	if f, _, applies := w.faultFor(FaultFailProvisioning, at, now); applies {
		part := stageEnds[f.Value]
		r.FailsAt, r.FailsWhile = r.Since.Add(r.DueAt.Sub(r.Since)*part[0]/part[1]), f.Value
	}
	if _, _, applies := w.faultFor(FaultNoSSH, at, now); applies {
		r.NoSSH = true
	}
	if f, _, applies := w.faultFor(FaultGPU, at, now); applies {
		r.GPUFault = f.Value
	}
}

// takeBack takes back the ready machines of a provider that a fault applies, asking about the
// oldest first. A machine that another call is working on is left alone.
func (w *World) takeBack(ctx context.Context, slug string) {
	w.mu.Lock()
	var ready []*machine
	for k, m := range w.machines {
		if k.provider == slug && m.isKnown() && m.record.Phase == phaseOn {
			ready = append(ready, m)
		}
	}
	slices.SortFunc(ready, func(a, b *machine) int {
		return cmp.Or(
			a.record.CreatedAt.Compare(b.record.CreatedAt),
			strings.Compare(string(a.record.Reference), string(b.record.Reference)),
		)
	})
	w.mu.Unlock()
	for _, m := range ready {
		if m.work.tryEnter() {
			w.mayBeLost(ctx, m)
			m.work.leave()
		}
	}
}

// mayBeLost takes the machine back where a fault applies it. The caller has passed the machine's
// gate.
func (w *World) mayBeLost(ctx context.Context, m *machine) {
	r, now := w.read(m), w.clock.Now()
	if r.Phase != phaseOn || r.OrphanOf != "" {
		return
	}
	if _, _, applies := w.faultFor(FaultMachineLost, target{r.Provider, "observe", r.OfferKey}, now); !applies {
		return
	}
	r.Phase, r.Detail, r.Since, r.DueAt = phaseLost, "taken back by the provider", now, time.Time{}
	if err := w.save(m, r); err != nil {
		w.log.Error("a machine could not be taken back", "provider", r.Provider, "reference", r.Reference, "error", err)
		return
	}
	w.settle(ctx, m)
}

// listAge returns how old what a list tells is: 0, unless a fault says otherwise.
func (b *basic) listAge(operation string, now time.Time) time.Duration {
	at := target{provider: b.source.Slug, operation: operation}
	if f, random, applies := b.world.faultFor(FaultStaleList, at, now); applies {
		return f.Seconds.pick(random)
	}
	return 0
}

// asOf returns the record as it was so long before now, and whether there was a machine then. That
// it was switched off and on, rebooted or installed again meanwhile is not remembered.
func (r machineRecord) asOf(now time.Time, age time.Duration) (machineRecord, bool) {
	if age == 0 {
		return r, r.Phase != phaseGone
	}
	then := now.Add(-age)
	if r.CreatedAt.After(then) || r.Phase == phaseGone && !then.Before(r.Since) {
		return r, false
	}
	if r.Phase == phaseGone || r.Phase == phaseTerminating {
		r.Phase = phaseTerminating
		if then.Before(r.EndAskedAt) {
			r.Phase = r.Was
		}
	}
	if r.Phase == phaseLost && r.Endpoint.IsValid() && then.Before(r.Since) {
		r.Phase, r.Detail = phaseOn, ""
	}
	if r.Phase == phaseFailed && then.Before(r.FailsAt) {
		r.Phase = phaseInstalling
	}
	if !r.ReadyAt.IsZero() && then.Before(r.ReadyAt) {
		r.Phase, r.Since, r.DueAt, r.Endpoint = phaseInstalling, r.CreatedAt, r.ReadyAt, netip.AddrPort{}
	}
	return r, true
}
