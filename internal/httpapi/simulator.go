package httpapi

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/billetcloud/billet/internal/account"
	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
)

// Simulator is the operator's hold on the simulated marketplace, where the server has one. Each of its functions is required.
type Simulator struct {
	// State is what really is upstream, at the server's time.
	State func() SimulatorState
	// Advance moves the server's clock; all that is due on the way has happened when it returns.
	Advance func(ctx context.Context, by time.Duration) error
	// Faults are those that were added and not cleared.
	Faults func() []SimulatorFault
	// AddFault returns the fault as it is kept. wrong is everything that is wrong with it; then it was not added.
	AddFault func(ctx context.Context, f SimulatorFault) (kept SimulatorFault, wrong []apierr.FieldError, err error)
	// ClearFault takes back one fault that there is, ClearFaults all.
	ClearFault  func(ctx context.Context, fault string) error
	ClearFaults func(ctx context.Context) error
	// Kinds describes every kind of fault.
	Kinds []SimulatorFaultKind
}

// SimulatorState is the simulated marketplace at one instant.
type SimulatorState struct {
	Now      time.Time          `json:"now" doc:"The server's time."`
	Machines []SimulatorMachine `json:"machines" doc:"Every machine that is upstream, whatever providers tell the server."`
}

// SimulatorMachine is a machine as it is upstream.
type SimulatorMachine struct {
	ID        string `json:"id" doc:"The provider's own id of it."`
	Provider  string `json:"provider" doc:"Slug of the provider."`
	Reference string `json:"reference" doc:"Id of the deployment that it was made for; empty or foreign for a orphan."`
	State     string `json:"state" doc:"What state it is in."`
}

// SimulatorFault is one way in which the simulated marketplace misbehaves.
type SimulatorFault struct {
	ID         string     `json:"id" doc:"Id of the fault, such as f1."`
	Kind       string     `json:"kind" doc:"One of the kinds."`
	Provider   string     `json:"provider" doc:"Slug of the only provider that it is at; empty for all."`
	Operation  string     `json:"operation" doc:"The only call that it strikes; empty for all."`
	Offer      string     `json:"offer" doc:"Key of the only offer that it strikes; empty for all."`
	Percent    int        `json:"percent" doc:"How likely it strikes; 0 where that is not left to chance."`
	Count      int64      `json:"count" doc:"How often it strikes before it is spent; 0 without limit."`
	Seconds    string     `json:"seconds" doc:"A length of time, 5; a range, 1-5; or the least, the median and the most, 30-240-1500. What it means is the kind's; empty where it has none."`
	Value      string     `json:"value" doc:"The kind's own: a stock, a price, a stage, a reference."`
	ForSeconds int64      `json:"forSeconds" doc:"How long it lasts on the server's clock; 0 until it is cleared."`
	Seed       int64      `json:"seed" doc:"Decides what is left to chance."`
	Since      time.Time  `json:"since" doc:"When it was added."`
	Until      *time.Time `json:"until" doc:"When it ends; null where it lasts until it is cleared."`
	Over       bool       `json:"over" doc:"Whether it is spent, or its time is up."`
	Checked    int64      `json:"checked" doc:"How often it could have struck."`
	Injected   int64      `json:"injected" doc:"How often it did."`
}

// SimulatorFaultKind describes a kind of fault.
type SimulatorFaultKind struct {
	Kind   string   `json:"kind" doc:"What it is called."`
	Effect string   `json:"effect" doc:"What it does, and what its seconds and value mean."`
	Takes  []string `json:"takes" doc:"What it may be given beside provider."`
}

// simulatorFaults are the faults and what there could be.
type simulatorFaults struct {
	Faults []SimulatorFault     `json:"faults" doc:"In the order in which they were added, those that are over included."`
	Kinds  []SimulatorFaultKind `json:"kinds" doc:"Every kind of fault that there is."`
}

type advanceSimulator struct {
	Body struct {
		Seconds int64 `json:"seconds" minimum:"1" maximum:"31622400" example:"3600" doc:"How far the server's clock moves forward, at most 366 days."`
	}
}

type addSimulatorFault struct {
	Body struct {
		Kind       string `json:"kind" minLength:"1" maxLength:"40" example:"lost-answer" doc:"One of the kinds."`
		Provider   string `json:"provider,omitempty" maxLength:"100" doc:"Slug of a provider; all if left out."`
		Operation  string `json:"operation,omitempty" maxLength:"40" example:"launch" doc:"A call to the provider; all if left out."`
		Offer      string `json:"offer,omitempty" maxLength:"100" doc:"Key of an offer at its provider; all if left out."`
		Percent    int    `json:"percent,omitempty" minimum:"1" maximum:"100" doc:"How likely it strikes; 100 if left out."`
		Count      int64  `json:"count,omitempty" minimum:"1" maximum:"1000000" example:"1" doc:"How often it strikes before it is spent; no limit if left out."`
		Seconds    string `json:"seconds,omitempty" maxLength:"40" doc:"5, 1-5 or 30-240-1500."`
		Value      string `json:"value,omitempty" maxLength:"1000" doc:"The kind's own."`
		ForSeconds int64  `json:"forSeconds,omitempty" minimum:"1" maximum:"31622400" doc:"How long it lasts on the server's clock; until it is cleared if left out."`
		Seed       int64  `json:"seed,omitempty" minimum:"0" doc:"Decides what is left to chance."`
	}
}

type simulatorFaultPath struct {
	ID id.ID `path:"id" doc:"Id of the fault, such as f1."`
}

// advanceTime is how much longer than other calls a journey may take: a year with many machines takes its time.
const advanceTime = 30 * time.Minute

const simulatorNote = " Only where the server runs with --sim; NOT_FOUND elsewhere."

// addSimulator adds routes that manage the simulated marketplace. It is no part of any transaction, and time may not move within one.
func (s *server) addSimulator() {
	at := OperatorBase + "/simulator"
	look := func(path, id, summary string) spec {
		return spec{method: http.MethodGet, path: path, id: id, tag: tagOperator, door: doorOperator, scope: account.ReadOperator, summary: summary, text: simulatorNote, errors: []apierr.Code{apierr.NotFound}}
	}
	act := func(method, path, id, summary, text string) spec {
		return spec{method: method, path: path, id: id, tag: tagOperator, door: doorOperator, scope: account.WriteOperator, alone: true,
			summary: summary, text: strings.TrimSpace(text + simulatorNote), errors: []apierr.Code{apierr.NotFound}}
	}
	read(s, look(at, "getSimulator", "The simulated marketplace as it is"), func(context.Context, *call, *none) (SimulatorState, error) {
		if err := s.simulated(); err != nil {
			return SimulatorState{}, err
		}
		return s.c.Simulator.State(), nil
	})

	advance := act(http.MethodPost, at+"/advance", "advanceSimulator", "Move the server’s clock forward",
		"Whatever is due on the way happens at its instant, and all of it has happened when this answers, which may take minutes. A caller that leaves ends the journey where it is.")
	advance.long = advanceTime
	read(s, advance, func(ctx context.Context, c *call, in *advanceSimulator) (SimulatorState, error) {
		if err := s.simulated(); err != nil {
			return SimulatorState{}, err
		}
		if err := s.c.Simulator.Advance(ctx, time.Duration(in.Body.Seconds)*time.Second); err != nil {
			return SimulatorState{}, err
		}
		return s.c.Simulator.State(), s.noted(ctx, c)
	})

	read(s, look(at+"/faults", "listSimulatorFaults", "How it misbehaves"), func(context.Context, *call, *none) (simulatorFaults, error) {
		if err := s.simulated(); err != nil {
			return simulatorFaults{}, err
		}
		return s.faults(), nil
	})

	add := act(http.MethodPost, at+"/faults", "addSimulatorFault", "Have it misbehave", "Faults stay until they are spent, their time is up, or they are cleared, also when the server is killed and started again.")
	add.status = http.StatusCreated
	read(s, add, func(ctx context.Context, c *call, in *addSimulatorFault) (SimulatorFault, error) {
		if err := s.simulated(); err != nil {
			return SimulatorFault{}, err
		}
		b := &in.Body
		kept, wrong, err := s.c.Simulator.AddFault(ctx, SimulatorFault{
			Kind: b.Kind, Provider: b.Provider, Operation: b.Operation, Offer: b.Offer, Percent: b.Percent, Count: b.Count, Seconds: b.Seconds,
			Value: b.Value, ForSeconds: b.ForSeconds, Seed: b.Seed,
		})
		if err == nil {
			err = apierr.Invalid(wrong).OrNil()
		}
		if err != nil {
			return SimulatorFault{}, err
		}
		c.created(id.ID(kept.ID))
		return kept, s.noted(ctx, c)
	})

	read(s, act(http.MethodDelete, at+"/faults", "clearSimulatorFaults", "Have it behave", "Takes back every fault. What they did stays done, but orphans go with their fault."),
		func(ctx context.Context, c *call, _ *none) (simulatorFaults, error) {
			if err := s.simulated(); err != nil {
				return simulatorFaults{}, err
			}
			if err := s.c.Simulator.ClearFaults(ctx); err != nil {
				return simulatorFaults{}, err
			}
			return s.faults(), s.noted(ctx, c)
		})

	read(s, act(http.MethodDelete, at+"/faults/{id}", "clearSimulatorFault", "Take back a fault", ""),
		func(ctx context.Context, c *call, in *simulatorFaultPath) (simulatorFaults, error) {
			if err := s.simulated(); err != nil {
				return simulatorFaults{}, err
			}
			if !slices.ContainsFunc(s.c.Simulator.Faults(), func(f SimulatorFault) bool { return f.ID == string(in.ID) }) {
				return simulatorFaults{}, missing("fault")
			}
			if err := s.c.Simulator.ClearFault(ctx, string(in.ID)); err != nil {
				return simulatorFaults{}, err
			}
			return s.faults(), s.noted(ctx, c)
		})
}

func (s *server) simulated() error {
	if s.c.Simulator == nil {
		return apierr.New(apierr.NotFound, "This server has no simulator; start it with --sim.")
	}
	return nil
}

func (s *server) faults() simulatorFaults {
	return simulatorFaults{s.c.Simulator.Faults(), s.c.Simulator.Kinds}
}

// noted writes the call into the audit once its effect is there: the simulated marketplace is in no database.
func (s *server) noted(ctx context.Context, c *call) error {
	return s.c.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error { return s.record(ctx, tx, c) })
}
