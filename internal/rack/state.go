package rack

import "fmt"

// State is where a machine is in its life.
type State string

// The states of a machine. None is final: a retired machine can be released again, or removed.
const (
	Enrolled    State = "enrolled"    // entered; nothing is known of it but what the operator said
	Inspecting  State = "inspecting"  // its hardware is being read
	Validating  State = "validating"  // its hardware is being compared with what is for sale
	Ready       State = "ready"       // for sale
	Assigned    State = "assigned"    // a tenant has it
	Draining    State = "draining"    // a tenant has it, and it is retired after that
	Erasing     State = "erasing"     // the tenant has left; its drives are being erased
	Quarantined State = "quarantined" // not sold until an operator releases it
	Retired     State = "retired"     // taken out by the operator
)

// States lists every state in the order of a life.
var States = []State{
	Enrolled, Inspecting, Validating, Ready, Assigned, Draining, Erasing, Quarantined, Retired,
}

// Enum lists every state.
func (State) Enum() []State { return States }

// Tenanted reports whether the machine belongs to a deployment.
func (s State) Tenanted() bool { return s == Assigned || s == Draining }

// Cause is why a state changed: a stable identifier that clients may branch on.
type Cause string

// The causes.
const (
	CauseEnrolled    Cause = "enrolled"    // the operator entered the machine
	CauseInspect     Cause = "inspect"     // the operator requested it
	CauseInspected   Cause = "inspected"   // the hardware was read
	CauseValidate    Cause = "validate"    // the operator requested it
	CausePassed      Cause = "passed"      // the hardware is as it is for sale
	CauseFailed      Cause = "failed"      // a check, the agent or the erasure said so
	CauseTimedOut    Cause = "timed_out"   // a phase took longer than it may
	CauseAssigned    Cause = "assigned"    // a deployment got the machine
	CauseReturned    Cause = "returned"    // the deployment has ended
	CauseErased      Cause = "erased"      // every drive was erased, and that was proven
	CauseRetired     Cause = "retired"     // erased, and the operator takes it out
	CauseDrained     Cause = "drained"     // the operator requested it
	CauseQuarantined Cause = "quarantined" // the operator requested it
	CauseReleased    Cause = "released"    // the operator requested it
	CauseErase       Cause = "erase"       // released, or inspected, while it is unerased
)

// Enum lists every cause.
func (Cause) Enum() []Cause {
	return []Cause{
		CauseEnrolled, CauseInspect, CauseInspected, CauseValidate, CausePassed, CauseFailed, CauseTimedOut,
		CauseAssigned, CauseReturned, CauseErased, CauseRetired, CauseDrained, CauseQuarantined, CauseReleased,
		CauseErase,
	}
}

type transition struct {
	from  State
	cause Cause
	to    State
}

// transitions is the whole lifecycle. A test compares the table in doc.go with it.
var transitions = []transition{
	{Enrolled, CauseInspect, Inspecting},
	{Enrolled, CauseDrained, Retired},
	{Enrolled, CauseQuarantined, Quarantined},

	{Inspecting, CauseInspected, Validating},
	{Inspecting, CauseErase, Erasing},
	{Inspecting, CauseFailed, Quarantined},
	{Inspecting, CauseTimedOut, Quarantined},
	{Inspecting, CauseQuarantined, Quarantined},

	{Validating, CausePassed, Ready},
	{Validating, CauseFailed, Quarantined},
	{Validating, CauseTimedOut, Quarantined},
	{Validating, CauseQuarantined, Quarantined},

	{Ready, CauseAssigned, Assigned},
	{Ready, CauseInspect, Inspecting},
	{Ready, CauseValidate, Validating},
	{Ready, CauseDrained, Retired},
	{Ready, CauseQuarantined, Quarantined},

	{Assigned, CauseReturned, Erasing},
	{Assigned, CauseDrained, Draining},

	{Draining, CauseReturned, Erasing},
	{Draining, CauseReleased, Assigned},

	{Erasing, CauseErased, Validating},
	{Erasing, CauseRetired, Retired},
	{Erasing, CauseFailed, Quarantined},
	{Erasing, CauseTimedOut, Quarantined},
	{Erasing, CauseQuarantined, Quarantined},

	{Quarantined, CauseReleased, Inspecting},
	{Quarantined, CauseErase, Erasing},
	{Quarantined, CauseDrained, Retired},

	{Retired, CauseReleased, Inspecting},
	{Retired, CauseErase, Erasing},
}

// Next returns the state that follows from a cause; false if the lifecycle has no such edge.
func Next(from State, cause Cause) (State, bool) {
	for _, t := range transitions {
		if t.from == from && t.cause == cause {
			return t.to, true
		}
	}
	return "", false
}

// mustNext is Next where the caller has chosen the cause by the state, so that a missing edge is a
// bug of ours.
func mustNext(from State, cause Cause) (State, error) {
	to, ok := Next(from, cause)
	if !ok {
		return "", fmt.Errorf("rack: no transition from %s by %s", from, cause)
	}
	return to, nil
}
