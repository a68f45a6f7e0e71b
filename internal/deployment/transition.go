package deployment

import "fmt"

// Status is where a deployment is in its life.
type Status string

// The statuses of the API. Failed, terminated and interrupted are final.
const (
	StatusPending     Status = "pending"     // accepted; the provider was not asked yet
	StatusDeploying   Status = "deploying"   // the provider may have been asked
	StatusRunning     Status = "running"     // SSH answered; the meter runs
	StatusStopped     Status = "stopped"     // switched off and kept; the meter runs
	StatusTerminating Status = "terminating" // billing has ended; the provider has not confirmed the end
	StatusTerminated  Status = "terminated"
	StatusFailed      Status = "failed"      // never ran, cost nothing
	StatusInterrupted Status = "interrupted" // the provider reclaimed the machine
)

// Statuses lists every status in the order of a life.
var Statuses = []Status{
	StatusPending, StatusDeploying, StatusRunning, StatusStopped, StatusTerminating, StatusTerminated,
	StatusFailed, StatusInterrupted,
}

// Enum lists every status.
func (Status) Enum() []Status { return Statuses }

// Unended are the statuses of deployments that neither have ended nor are terminating.
var Unended = []Status{StatusPending, StatusDeploying, StatusRunning, StatusStopped}

// Final reports whether no other status follows.
func (s Status) Final() bool {
	return s == StatusTerminated || s == StatusFailed || s == StatusInterrupted
}

// Alive reports whether the tenant has the machine, and pays for it.
func (s Status) Alive() bool { return s == StatusRunning || s == StatusStopped }

// Cause is why a status changed: a stable identifier that clients may branch on.
type Cause string

// The causes.
const (
	CauseCreated      Cause = "created"
	CauseLaunching    Cause = "launching"       // a worker is about to ask the provider
	CauseReady        Cause = "ready"           // SSH answered
	CauseNoCapacity   Cause = "no_capacity"     // the provider has no such machine left
	CauseRejected     Cause = "rejected"        // the provider refused the request
	CauseTimedOut     Cause = "timed_out"       // not running within the provider's limit
	CauseUnhealthy    Cause = "unhealthy"       // the GPUs failed the check that the offer requires
	CauseNotChecked   Cause = "not_checked"     // that check was not made in time
	CauseLost         Cause = "lost"            // the provider no longer has the machine
	CauseSwitchedOff  Cause = "switched_off"    // the machine is off
	CauseSwitchedOn   Cause = "switched_on"     // the machine is on again
	CauseRequested    Cause = "requested"       // the tenant terminated it
	CauseScheduled    Cause = "scheduled"       // autoTerminateAt was reached
	CauseMaxRuntime   Cause = "max_runtime"     // it ran for maxRuntimeMinutes
	CauseMaxSpend     Cause = "max_spend"       // another hour would have passed maxSpend
	CauseBudget       Cause = "budget"          // another hour would have passed a budget
	CausePastDue      Cause = "past_due"        // the account was past due for longer than the grace period
	CauseOperator     Cause = "operator"        // the operator terminated it, and said why
	CauseConfirmedEnd Cause = "confirmed_ended" // the provider confirmed that the machine is gone
)

type transition struct {
	from  Status
	cause Cause
	to    Status
}

// transitions is the whole lifecycle. A test compares the table in doc.go with it.
var transitions = []transition{
	{StatusPending, CauseLaunching, StatusDeploying},
	{StatusPending, CauseTimedOut, StatusFailed},
	{StatusPending, CauseRequested, StatusTerminating},
	{StatusPending, CauseScheduled, StatusTerminating},
	{StatusPending, CausePastDue, StatusTerminating},
	{StatusPending, CauseOperator, StatusTerminating},

	{StatusDeploying, CauseReady, StatusRunning},
	{StatusDeploying, CauseNoCapacity, StatusFailed},
	{StatusDeploying, CauseRejected, StatusFailed},
	{StatusDeploying, CauseTimedOut, StatusFailed},
	{StatusDeploying, CauseLost, StatusFailed},
	{StatusDeploying, CauseUnhealthy, StatusFailed},
	{StatusDeploying, CauseNotChecked, StatusFailed},
	{StatusDeploying, CauseRequested, StatusTerminating},
	{StatusDeploying, CauseScheduled, StatusTerminating},
	{StatusDeploying, CausePastDue, StatusTerminating},
	{StatusDeploying, CauseOperator, StatusTerminating},

	{StatusRunning, CauseSwitchedOff, StatusStopped},
	{StatusRunning, CauseLost, StatusInterrupted},
	{StatusRunning, CauseRequested, StatusTerminating},
	{StatusRunning, CauseScheduled, StatusTerminating},
	{StatusRunning, CauseMaxRuntime, StatusTerminating},
	{StatusRunning, CauseMaxSpend, StatusTerminating},
	{StatusRunning, CauseBudget, StatusTerminating},
	{StatusRunning, CausePastDue, StatusTerminating},
	{StatusRunning, CauseOperator, StatusTerminating},

	{StatusStopped, CauseSwitchedOn, StatusRunning},
	{StatusStopped, CauseLost, StatusInterrupted},
	{StatusStopped, CauseRequested, StatusTerminating},
	{StatusStopped, CauseScheduled, StatusTerminating},
	{StatusStopped, CauseMaxRuntime, StatusTerminating},
	{StatusStopped, CauseMaxSpend, StatusTerminating},
	{StatusStopped, CauseBudget, StatusTerminating},
	{StatusStopped, CausePastDue, StatusTerminating},
	{StatusStopped, CauseOperator, StatusTerminating},

	{StatusTerminating, CauseConfirmedEnd, StatusTerminated},
}

// Next returns the status that follows from a cause. It returns an error if the lifecycle has no
// such edge, which is a bug in the caller.
func Next(from Status, cause Cause) (Status, error) {
	for _, t := range transitions {
		if t.from == from && t.cause == cause {
			return t.to, nil
		}
	}
	return "", fmt.Errorf("deployment: no transition from %s by %s", from, cause)
}
