package app

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/httpapi"
	"github.com/billetcloud/billet/internal/job"
	"github.com/billetcloud/billet/internal/provider/sim"
)

// simulator is what the operator can do with the simulated marketplace and its clock, through the
// socket and the API.
type simulator struct {
	dir    string
	clock  *clock.Simulated
	runner *job.Runner
	world  *sim.World

	one sync.Mutex // concurrent calls would each leave a target out of the clock's file
}

// advance moves the server's clock by d. Every job that is due by then has run when it returns.
func (s *simulator) advance(ctx context.Context, d time.Duration) error {
	if d < 0 || d > MaxAdvance {
		return fmt.Errorf("cannot advance by %s: time moves forward, by at most %s at once", d, MaxAdvance)
	}
	s.one.Lock()
	defer s.one.Unlock()
	target := s.clock.Now().Add(d)
	if err := saveClock(s.dir, s.clock.Offset()+d); err != nil {
		return fmt.Errorf("store the clock: %w", err)
	}
	// Travel takes real time and can be interrupted. Operator commands and the next start use the
	// clock's actual position.
	err := s.runner.Travel(ctx, s.clock, target)
	return errors.Join(err, saveClock(s.dir, s.clock.Offset()))
}

// forAPI returns the simulator for the API.
func (s *simulator) forAPI() *httpapi.Simulator {
	out := &httpapi.Simulator{
		State: func() httpapi.SimulatorState {
			state := httpapi.SimulatorState{Now: s.clock.Now(), Machines: []httpapi.SimulatorMachine{}}
			for _, m := range s.world.Machines() {
				state.Machines = append(state.Machines, httpapi.SimulatorMachine{ID: m.ID, Provider: m.Provider,
					Reference: string(m.Reference), State: string(m.State)})
			}
			return state
		},
		Advance: s.advance,
		Faults: func() []httpapi.SimulatorFault {
			out, now := []httpapi.SimulatorFault{}, s.clock.Now()
			for _, f := range s.world.Faults() {
				out = append(out, shownFault(f, now))
			}
			return out
		},
		AddFault:    s.addFault,
		ClearFault:  func(ctx context.Context, id string) error { return s.world.ClearFaults(ctx, id) },
		ClearFaults: func(ctx context.Context) error { return s.world.ClearFaults(ctx) },
	}
	for _, k := range sim.FaultKinds() {
		out.Kinds = append(out.Kinds, httpapi.SimulatorFaultKind{Kind: string(k.Kind), Effect: k.Effect,
			Takes: k.Takes})
	}
	return out
}

func (s *simulator) addFault(ctx context.Context, f httpapi.SimulatorFault) (kept httpapi.SimulatorFault,
	wrong []apierr.FieldError, err error) {
	asked := sim.Fault{
		Kind: sim.FaultKind(f.Kind), Provider: f.Provider, Operation: f.Operation, Offer: f.Offer, Percent: f.Percent,
		Count: f.Count,
		Value: f.Value, ForSeconds: f.ForSeconds, Seed: uint64(f.Seed),
	}
	if f.Seconds != "" {
		if asked.Seconds, err = sim.ParseSpan(f.Seconds); err != nil {
			wrong = append(wrong, apierr.FieldError{Field: "seconds", Message: "is invalid: " + err.Error() + "."})
		}
	}
	if err := s.world.CheckFault(asked); err != nil {
		for line := range strings.SplitSeq(err.Error(), "\n") { // one line for each error
			wrong = append(wrong, apierr.FieldError{Field: "kind", Message: "is invalid: " + line + "."})
		}
	}
	if len(wrong) > 0 {
		return kept, wrong, nil
	}
	added, err := s.world.AddFault(ctx, asked)
	return shownFault(added, s.clock.Now()), nil, err
}

func shownFault(f sim.Fault, now time.Time) httpapi.SimulatorFault {
	out := httpapi.SimulatorFault{
		ID: f.ID, Kind: string(f.Kind), Provider: f.Provider, Operation: f.Operation, Offer: f.Offer,
		Percent: f.Percent, Count: f.Count, Value: f.Value,
		ForSeconds: f.ForSeconds, Seed: int64(f.Seed), Since: f.Since, Over: f.Over(now), Checked: f.Checked,
		Injected: f.Injected,
	}
	if f.Seconds != (sim.Span{}) {
		out.Seconds = f.Seconds.String()
	}
	if !f.Until.IsZero() {
		out.Until = &f.Until
	}
	return out
}
