package rack

import (
	"context"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/bmc"
	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/issue"
	"github.com/billetcloud/billet/internal/job"
	"github.com/billetcloud/billet/internal/rackagent"
	"github.com/billetcloud/billet/internal/secret"
)

// Server is where machines reach this program on the provisioning network.
type Server struct {
	// URL is https://host:port.
	URL string
	// Pin is the SHA-256 of its certificate in hex.
	Pin string
	// Boot returns what the agent is started with on machines without a BMC; nil where there is
	// nothing.
	Boot func() (rackagent.Boot, error)
}

// Config is what a Service needs. Every field is required but ImageNetworks and
// Calls.
type Config struct {
	DB      *db.DB
	IDs     *id.Maker
	Clock   clock.Clock
	Jobs    *job.Queue
	Secrets *secret.Box
	Issues  *issue.Service
	// Open connects to a BMC: bmc.Open.
	Open func(ctx context.Context, a bmc.Address) (*bmc.BMC, error)
	// Server returns where machines reach this program; false if it serves no machines.
	Server func() (Server, bool)
	// ImageNetworks are networks that are not public and that tenants' own images may be read from.
	ImageNetworks []netip.Prefix
	// Calls is how many BMCs are called at once; where it is 0, 4.
	Calls int
}

// Service keeps the machines. It is safe for concurrent use.
type Service struct {
	cfg   Config
	since time.Time     // this process could hear agents
	calls chan struct{} // an entry for each step that calls a BMC
}

// New returns a Service. It panics when a field is missing.
func New(cfg Config) *Service {
	if cfg.DB == nil || cfg.IDs == nil || cfg.Clock == nil || cfg.Jobs == nil || cfg.Secrets == nil ||
		cfg.Issues == nil || cfg.Open == nil || cfg.Server == nil {
		panic("rack: New needs every field of its Config")
	}
	if cfg.Calls == 0 {
		cfg.Calls = maxCalls
	}
	return &Service{cfg: cfg, since: cfg.Clock.Now(), calls: make(chan struct{}, cfg.Calls)}
}

// Filter selects machines of a list. An empty field is for all.
type Filter struct{ State State }

// purpose is what the password of a machine's BMC is sealed for.
func purpose(machine id.ID) string { return "rack/bmc/" + string(machine) }

// Get returns a machine, or NOT_FOUND. In a transaction that writes it locks it.
func (s *Service) Get(ctx context.Context, r db.Reader, of id.ID) (Machine, error) {
	m, found, err := find(ctx, r, of)
	if err == nil && !found {
		err = apierr.New(apierr.NotFound, "No machine has this id. List them with GET /operator/machines.")
	}
	return m, err
}

// Count returns how many servers there are.
func (s *Service) Count(ctx context.Context, r db.Reader) (int64, error) {
	return countMachines(ctx, r)
}

// List returns a page of the machines, those that were entered last first.
func (s *Service) List(ctx context.Context, r db.Reader, f Filter, p db.Page) ([]Machine, db.Listed, error) {
	return list(ctx, r, f, p)
}

// Any reports whether there is a machine.
func (s *Service) Any(ctx context.Context, r db.Reader) (bool, error) { return anyMachine(ctx, r) }

// History returns a page of the changes of a machine's state, newest first, or NOT_FOUND.
func (s *Service) History(ctx context.Context, r db.Reader, of id.ID, p db.Page) ([]Transition, db.Listed, error) {
	if _, err := s.Get(ctx, r, of); err != nil {
		return nil, db.Listed{}, err
	}
	return history(ctx, r, of, p)
}

// Add enters a machine. It returns INVALID_REQUEST with everything that is wrong, and LIMIT_REACHED
// if there are MaxMachines.
func (s *Service) Add(ctx context.Context, tx *db.Tx, f MachineFields) (Machine, error) {
	known, err := s.fit(ctx, tx, 1)
	if err != nil {
		return Machine{}, err
	}
	m, wrong, err := s.draft(f, tx, known)
	if err != nil {
		return Machine{}, err
	}
	if err := apierr.Invalid(wrong).OrNil(); err != nil {
		return Machine{}, err
	}
	return m, s.insert(ctx, tx, m)
}

// fit returns the machines there are, or LIMIT_REACHED if so many more are too many.
func (s *Service) fit(ctx context.Context, tx *db.Tx, more int) ([]Machine, error) {
	known, err := all(ctx, tx)
	if err == nil && len(known)+more > MaxMachines {
		err = apierr.Full("machines", MaxMachines,
			"There are %d machines, and at most %d are possible. Remove those that are gone.", len(known), MaxMachines)
	}
	return known, err
}

// draft returns the machine that the fields describe, and what is wrong with it beside the others.
func (s *Service) draft(f MachineFields, tx *db.Tx, others []Machine) (Machine, []apierr.FieldError, error) {
	m, wrong := Machine{
		ID: s.cfg.IDs.New(id.Machine), State: Enrolled, Cause: CauseEnrolled, StateAt: tx.Now, Height: 1,
		Unerased: true, RotatePassword: true, Console: bmc.ConsoleOff, Labels: map[string]string{},
		Destroyed: []DestroyedDrive{},
		CreatedAt: tx.Now, ChangedAt: tx.Now,
	}.with(f).normalized()
	err := s.secrets(&m, f, &wrong)
	m.consoleSealed = s.sealConsole(m, f, &wrong)
	for _, o := range others {
		wrong.clash(m, o, o.Name)
	}
	return m, wrong, err
}

func (s *Service) insert(ctx context.Context, tx *db.Tx, m Machine) error {
	added, err := add(ctx, tx, m)
	if err != nil {
		return err
	}
	if !added { // another transaction was faster than the check
		return apierr.New(apierr.Conflict,
			"Another machine with the name, BMC, address or MAC address of %s was added meanwhile. List the machines.",
			m.Name)
	}
	return remember(ctx, tx, Transition{machine: m.ID, At: tx.Now, To: m.State, Cause: m.Cause})
}

// Update changes what the operator says of a machine. It returns NOT_FOUND, INVALID_REQUEST with
// everything that is wrong, or CONFLICT for a field that cannot change in the machine's state.
func (s *Service) Update(ctx context.Context, tx *db.Tx, of id.ID, f MachineFields) (Machine, error) {
	before, err := s.Get(ctx, tx, of)
	if err != nil {
		return Machine{}, err
	}
	others, err := all(ctx, tx)
	if err != nil {
		return Machine{}, err
	}
	m, wrong := before.with(f).normalized()
	if err := s.secrets(&m, f, &wrong); err != nil {
		return Machine{}, err
	}
	m.consoleSealed = s.sealConsole(m, f, &wrong)
	if f.BMCPassword != nil || m.BMCUser != before.BMCUser || m.BMCCertificate != before.BMCCertificate {
		m.RefusedAt = nil // not known before the BMC was tried again
	}
	for _, o := range others {
		if o.ID != m.ID {
			wrong.clash(m, o, o.Name)
		}
	}
	if err := apierr.Invalid(wrong).OrNil(); err != nil {
		return Machine{}, err
	}
	fixed := pinned(before, m)
	if len(fixed) > 0 && !slices.Contains([]State{Enrolled, Quarantined, Retired}, m.State) {
		return Machine{}, apierr.New(apierr.Conflict,
			"%s cannot change while the machine is %s. Quarantine or drain it first; it is inspected when it is "+
				"released.", strings.Join(fixed, ", "), m.State)
	}
	m.ChangedAt = tx.Now
	if err := update(ctx, tx, m); err != nil {
		return Machine{}, err
	}
	return m, s.enqueue(ctx, tx, m.ID) // it may have waited for a password that is valid
}

// Drain takes a machine out: it is not sold anymore, and is retired once it has no tenant and its
// drives are erased. It returns NOT_FOUND or CONFLICT.
func (s *Service) Drain(ctx context.Context, tx *db.Tx, of id.ID, reason string) (Machine, error) {
	return s.act(ctx, tx, of, reason, "drained", func(Machine) Cause { return CauseDrained })
}

// Quarantine takes a machine without a tenant out until it is released. It returns NOT_FOUND or
// CONFLICT.
func (s *Service) Quarantine(ctx context.Context, tx *db.Tx, of id.ID, reason string) (Machine, error) {
	return s.act(ctx, tx, of, reason, "quarantined", func(Machine) Cause { return CauseQuarantined })
}

// Inspect has the hardware of a machine read, and compared with what is for sale. It returns
// NOT_FOUND or CONFLICT.
func (s *Service) Inspect(ctx context.Context, tx *db.Tx, of id.ID, reason string) (Machine, error) {
	return s.act(ctx, tx, of, reason, "inspected", func(Machine) Cause { return CauseInspect })
}

// Validate has a machine that is ready compared with what is for sale. It returns NOT_FOUND or
// CONFLICT.
func (s *Service) Validate(ctx context.Context, tx *db.Tx, of id.ID, reason string) (Machine, error) {
	return s.act(ctx, tx, of, reason, "validated", func(Machine) Cause { return CauseValidate })
}

// Release takes a machine back that was quarantined, retired or is draining. It is erased if it may
// have a tenant's data, and else inspected, before it is sold. One that had no tenant yet is erased
// after the inspection. It returns NOT_FOUND or CONFLICT.
func (s *Service) Release(ctx context.Context, tx *db.Tx, of id.ID, reason string) (Machine, error) {
	return s.act(ctx, tx, of, reason, "released", func(m Machine) Cause {
		if m.tenantsData() && !m.State.Tenanted() {
			return CauseErase
		}
		return CauseReleased
	})
}

// act moves a machine by what the operator requested.
func (s *Service) act(
	ctx context.Context, tx *db.Tx, of id.ID, reason, done string, cause func(Machine) Cause,
) (Machine, error) {
	if err := checkReason(reason); err != nil {
		return Machine{}, err
	}
	m, err := s.Get(ctx, tx, of)
	if err != nil {
		return Machine{}, err
	}
	by := cause(m)
	if m.DeploymentID != nil && !m.State.Tenanted() && !m.OverSSH() {
		return Machine{}, apierr.New(apierr.Conflict, "The machine cannot be %s yet: its tenant has left, and it is "+
			"not certain that it is switched off. Check its BMC, or switch it off by hand.", done)
	}
	if _, possible := Next(m.State, by); !possible {
		return Machine{}, apierr.New(apierr.Conflict, "A machine that is %s cannot be %s.%s",
			m.State, done, hint(m.State))
	}
	switch by {
	case CauseDrained:
		m.Retiring = m.State.Tenanted()
	case CauseReleased, CauseErase:
		m.Retiring = false
	case CauseQuarantined:
		if err := endJob(ctx, tx, m.ID); err != nil {
			return Machine{}, err
		}
	}
	return m, s.move(ctx, tx, &m, by, reason)
}

// hint says what can be done with a machine in a state that does not allow an action.
func hint(state State) string {
	switch state {
	case Assigned:
		return " A tenant has it: drain it, and it is taken out after that."
	case Draining:
		return " It is taken out once its tenant has left."
	case Inspecting, Validating, Erasing:
		return " Wait until that is done, or quarantine it."
	case Enrolled:
		return " Inspect it first."
	case Quarantined, Retired:
		return " Release it first."
	}
	return ""
}

// move changes the state of a machine that was read in the same transaction.
func (s *Service) move(ctx context.Context, tx *db.Tx, m *Machine, cause Cause, reason string) error {
	from := m.State
	to, err := mustNext(from, cause)
	if err != nil {
		return err
	}
	m.State, m.Cause, m.Reason, m.StateAt, m.Detail = to, cause, reason, tx.Now, ""
	if to == Quarantined || to == Retired {
		m.watchedAt = nil // whether it is on is not known
		if m.OverSSH() {
			m.leave() // nothing can switch it off
		}
	}
	moved, err := put(ctx, tx, *m, from)
	if err == nil && !moved {
		err = apierr.New(apierr.Conflict, "The machine is no longer %s: its state has just changed. Try again.", from)
	}
	if err != nil {
		return err
	}
	err = remember(ctx, tx, Transition{machine: m.ID, At: tx.Now, from: from, To: to, Cause: cause, Reason: reason})
	if err != nil {
		return err
	}
	return s.enqueue(ctx, tx, m.ID)
}

// Remove deletes a machine that has no tenant and that nothing is done with, and its history. A
// machine that may have a tenant's data is removed only if the operator says that its drives are
// destroyed. It returns NOT_FOUND or CONFLICT.
func (s *Service) Remove(ctx context.Context, tx *db.Tx, of id.ID, drivesDestroyed bool) (Machine, error) {
	m, err := s.Get(ctx, tx, of)
	if err != nil {
		return Machine{}, err
	}
	if m.DeploymentID != nil || !slices.Contains([]State{Enrolled, Quarantined, Retired}, m.State) {
		return Machine{}, apierr.New(apierr.Conflict,
			"A machine that is %s cannot be removed. Drain or quarantine it first.", m.State)
	}
	if m.tenantsData() && !drivesDestroyed {
		return Machine{}, apierr.New(apierr.Conflict,
			"The machine may have a tenant's data. Release it, so that its drives are erased, or destroy the drives "+
				"and "+
				"say so with drivesDestroyed.")
	}
	return m, remove(ctx, tx, of)
}
