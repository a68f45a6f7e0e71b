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
	"github.com/billetcloud/billet/internal/rest"
)

// Simulator controls the simulated marketplace, if the server has one. Each of its functions is
// required.
type Simulator struct {
	// State is what exists upstream, at the server's time.
	State func() SimulatorState
	// Advance moves the server's clock forward. Everything that is due meanwhile has happened when
	// it returns.
	Advance func(ctx context.Context, by time.Duration) error
	// Faults are those that were injected and not cleared.
	Faults func() []SimulatorFault
	// AddFault returns the fault as it is kept. If wrong has errors, it was not added.
	AddFault func(ctx context.Context, f SimulatorFault) (kept SimulatorFault, wrong []apierr.FieldError, err error)
	// ClearFault clears one existing fault, ClearFaults all.
	ClearFault  func(ctx context.Context, fault string) error
	ClearFaults func(ctx context.Context) error
	// Kinds describes every kind of fault.
	Kinds []SimulatorFaultKind
}

// SimulatorState is the simulated marketplace at one instant.
type SimulatorState struct {
	Now      time.Time          `json:"now" doc:"The server's time."`
	Machines []SimulatorMachine `json:"machines" doc:"Every machine that exists upstream, whatever providers report."`
}

// SimulatorMachine is a machine upstream.
type SimulatorMachine struct {
	ID        string `json:"id" doc:"Id at the provider."`
	Provider  string `json:"provider" doc:"Slug of the provider."`
	Reference string `json:"reference" doc:"Id of the deployment that it was created for; empty or unknown for an orphaned machine."`
	State     string `json:"state" doc:"State of the machine."`
}

// SimulatorFault is an injected fault.
type SimulatorFault struct {
	ID         string     `json:"id" doc:"Id of the fault, such as f1."`
	Kind       string     `json:"kind" doc:"One of the kinds."`
	Provider   string     `json:"provider" doc:"Slug of the provider that it affects; empty for all."`
	Operation  string     `json:"operation" doc:"Operation that it affects; empty for all."`
	Offer      string     `json:"offer" doc:"Key of the offer that it affects; empty for all."`
	Percent    int        `json:"percent" doc:"Probability that it is injected; 0 if that is not random."`
	Count      int64      `json:"count" doc:"How often it is injected before it ends; 0 means no limit."`
	Seconds    string     `json:"seconds" doc:"A duration, 5; a range, 1-5; or minimum, median and maximum, 30-240-1500. The meaning depends on the kind; empty if it has none."`
	Value      string     `json:"value" doc:"Depends on the kind: a stock, a price, a stage, a reference."`
	ForSeconds int64      `json:"forSeconds" doc:"Duration on the server's clock; 0 means until it is cleared."`
	Seed       int64      `json:"seed" doc:"Seed of random decisions."`
	Since      time.Time  `json:"since" doc:"When it was injected."`
	Until      *time.Time `json:"until" doc:"When it ends; null means when it is cleared."`
	Over       bool       `json:"over" doc:"Whether its count or duration is used up."`
	Checked    int64      `json:"checked" doc:"How often it was checked."`
	Injected   int64      `json:"injected" doc:"How often it was injected."`
}

// SimulatorFaultKind describes a kind of fault.
type SimulatorFaultKind struct {
	Kind   string   `json:"kind" doc:"Name of the kind."`
	Effect string   `json:"effect" doc:"What it does, and the meaning of its seconds and value."`
	Takes  []string `json:"takes" doc:"Fields that it takes besides provider."`
}

// simulatorFaults are the injected faults and all kinds.
type simulatorFaults struct {
	Faults []SimulatorFault     `json:"faults" doc:"In the order in which they were injected, including those that are over."`
	Kinds  []SimulatorFaultKind `json:"kinds" doc:"All kinds of faults."`
}

type advanceSimulator struct {
	Body struct {
		Seconds int64 `json:"seconds" minimum:"1" maximum:"31622400" example:"3600" doc:"Seconds to move the server's clock forward, at most 366 days."`
	}
}

type addSimulatorFault struct {
	Body struct {
		Kind       string `json:"kind" minLength:"1" maxLength:"40" example:"lost-answer" doc:"One of the kinds."`
		Provider   string `json:"provider,omitempty" maxLength:"100" doc:"Slug of a provider; all if omitted."`
		Operation  string `json:"operation,omitempty" maxLength:"40" example:"launch" doc:"Operation of the provider; all if omitted."`
		Offer      string `json:"offer,omitempty" maxLength:"100" doc:"Key of an offer at its provider; all if omitted."`
		Percent    int    `json:"percent,omitempty" minimum:"1" maximum:"100" doc:"Probability that it is injected; 100 if omitted."`
		Count      int64  `json:"count,omitempty" minimum:"1" maximum:"1000000" example:"1" doc:"How often it is injected before it ends; no limit if omitted."`
		Seconds    string `json:"seconds,omitempty" maxLength:"40" doc:"5, 1-5 or 30-240-1500."`
		Value      string `json:"value,omitempty" maxLength:"1000" doc:"Depends on the kind."`
		ForSeconds int64  `json:"forSeconds,omitempty" minimum:"1" maximum:"31622400" doc:"Duration on the server's clock; until it is cleared if omitted."`
		Seed       int64  `json:"seed,omitempty" minimum:"0" doc:"Seed of random decisions."`
	}
}

type simulatorFaultPath struct {
	ID id.ID `path:"id" doc:"Id of the fault, such as f1."`
}

// advanceTime is how much longer than other calls advancing may take: a year with many machines
// takes a while.
const advanceTime = 30 * time.Minute

// simulator controls the simulated marketplace. It is not part of any transaction, and time must
// not move within one.
type simulator struct {
	db  *db.DB
	sim *Simulator // nil where the providers are real
}

func (h simulator) routes(r *rest.Router) {
	const at, faults = OperatorBase + "/simulator", OperatorBase + "/simulator/faults"
	operation := func(method, path, id, summary, description string) rest.Operation {
		o := rest.Operation{
			Method: method, Path: path, ID: id, Tag: tagOperator, Auth: rest.OperatorOnly,
			Scope:   string(account.WriteOperator),
			Summary: summary, Description: strings.TrimSpace(description + " Requires a server with --sim; NOT_FOUND " +
				"otherwise."),
			Errors: []apierr.Code{apierr.NotFound},
		}
		if method == http.MethodGet {
			o.Scope = string(account.ReadOperator)
		}
		return o
	}
	rest.Read(r, operation(http.MethodGet, at, "getSimulator", "Get the state of the simulator", ""), h.state)
	advance := operation(
		http.MethodPost,
		at+"/advance",
		"advanceSimulator",
		"Advance the server’s clock",
		"Everything that is due meanwhile happens at its time, and has happened when the call returns, which may "+
			"take minutes. If the "+
			"caller disconnects, the clock stops where it is.",
	)
	advance.ExtraTime = advanceTime
	rest.Unmanaged(r, advance, h.advance)
	rest.Read(r, operation(http.MethodGet, faults, "listSimulatorFaults", "List injected faults", ""), h.list)
	add := operation(http.MethodPost, faults, "addSimulatorFault", "Inject a fault",
		"A fault lasts until its count or duration is used up or it is cleared, and survives a restart of the server.")
	add.Status = http.StatusCreated
	rest.Unmanaged(r, add, h.add)
	rest.Unmanaged(r, operation(http.MethodDelete, faults, "clearSimulatorFaults", "Clear all injected faults",
		"Their effects remain, but orphaned machines go with their fault."), h.clearAll)
	rest.Unmanaged(
		r,
		operation(http.MethodDelete, faults+"/{id}", "clearSimulatorFault", "Clear an injected fault", ""),
		h.clear,
	)
}

// enabled refuses calls where there is no simulator.
func (h simulator) enabled() error {
	if h.sim == nil {
		return apierr.New(apierr.NotFound, "This server has no simulator. Start it with --sim.")
	}
	return nil
}

// record writes the audit entry once the effect is done: the simulated marketplace is in no
// database.
func (h simulator) record(ctx context.Context, c *rest.Call) error {
	return h.db.InTx(ctx, func(ctx context.Context, tx *db.Tx) error { return c.Record(ctx, tx) })
}

func (h simulator) faults() simulatorFaults { return simulatorFaults{h.sim.Faults(), h.sim.Kinds} }

func (h simulator) state(context.Context, *rest.Call, *rest.NoInput) (SimulatorState, error) {
	if err := h.enabled(); err != nil {
		return SimulatorState{}, err
	}
	return h.sim.State(), nil
}

func (h simulator) advance(ctx context.Context, c *rest.Call, in *advanceSimulator) (SimulatorState, error) {
	if err := h.enabled(); err != nil {
		return SimulatorState{}, err
	}
	if err := h.sim.Advance(ctx, time.Duration(in.Body.Seconds)*time.Second); err != nil {
		return SimulatorState{}, err
	}
	return h.sim.State(), h.record(ctx, c)
}

func (h simulator) list(context.Context, *rest.Call, *rest.NoInput) (simulatorFaults, error) {
	if err := h.enabled(); err != nil {
		return simulatorFaults{}, err
	}
	return h.faults(), nil
}

func (h simulator) add(ctx context.Context, c *rest.Call, in *addSimulatorFault) (SimulatorFault, error) {
	if err := h.enabled(); err != nil {
		return SimulatorFault{}, err
	}
	b := &in.Body
	kept, wrong, err := h.sim.AddFault(ctx, SimulatorFault{
		Kind: b.Kind, Provider: b.Provider, Operation: b.Operation, Offer: b.Offer, Percent: b.Percent, Count: b.Count,
		Seconds: b.Seconds, Value: b.Value, ForSeconds: b.ForSeconds, Seed: b.Seed,
	})
	if err == nil {
		err = apierr.Invalid(wrong).OrNil()
	}
	if err != nil {
		return SimulatorFault{}, err
	}
	c.Created(id.ID(kept.ID))
	return kept, h.record(ctx, c)
}

func (h simulator) clearAll(ctx context.Context, c *rest.Call, _ *rest.NoInput) (simulatorFaults, error) {
	if err := h.enabled(); err != nil {
		return simulatorFaults{}, err
	}
	if err := h.sim.ClearFaults(ctx); err != nil {
		return simulatorFaults{}, err
	}
	return h.faults(), h.record(ctx, c)
}

func (h simulator) clear(ctx context.Context, c *rest.Call, in *simulatorFaultPath) (simulatorFaults, error) {
	if err := h.enabled(); err != nil {
		return simulatorFaults{}, err
	}
	if !slices.ContainsFunc(h.sim.Faults(), func(f SimulatorFault) bool { return f.ID == string(in.ID) }) {
		return simulatorFaults{}, rest.NotFound("fault")
	}
	if err := h.sim.ClearFault(ctx, string(in.ID)); err != nil {
		return simulatorFaults{}, err
	}
	return h.faults(), h.record(ctx, c)
}
