package step

import (
	"slices"
	"time"
)

// Status is where a step is.
type Status string

// The statuses.
const (
	Waiting Status = "waiting"
	Active  Status = "active"
	Done    Status = "done"
	Failed  Status = "failed"
)

// Step is one stage of deploying.
type Step struct {
	Name       string     `json:"name" doc:"queued, launching, provisioning, connecting, or checking where the GPUs are checked."`
	Status     Status     `json:"status" doc:"waiting, active, done or failed."`
	Detail     *string    `json:"detail" doc:"Details from the provider; null if there are none."`
	StartedAt  *time.Time `json:"startedAt" doc:"When the step began; null before."`
	FinishedAt *time.Time `json:"finishedAt" doc:"When the step ended, done or failed; null before."`
}

// The steps in their order.
const (
	Queued       = "queued"       // accepted, and no worker has begun
	Launching    = "launching"    // the provider is being asked
	Provisioning = "provisioning" // the provider prepares the machine
	Connecting   = "connecting"   // the machine exists; SSH does not answer yet
	Checking     = "checking"     // the GPUs are checked, where the offer's policy has that
)

// New returns the steps of a deployment that is accepted now, and whose GPUs are checked or not.
func New(now time.Time, checked bool) []Step {
	names := []string{Queued, Launching, Provisioning, Connecting}
	if checked {
		names = append(names, Checking)
	}
	steps := []Step{}
	for _, name := range names {
		steps = append(steps, Step{Name: name, Status: Waiting})
	}
	return Begin(steps, Queued, "", now)
}

// Begin returns the steps with that one active and all before it done. It does not change what is
// done.
func Begin(steps []Step, name, detail string, now time.Time) []Step {
	out, before := append([]Step(nil), steps...), true
	for i := range out {
		s := &out[i]
		switch {
		case s.Name == name:
			before = false
			if s.Status == Waiting {
				s.Status, s.StartedAt = Active, &now
			}
			if s.Status == Active {
				s.Detail = nil
				if detail != "" {
					s.Detail = &detail
				}
			}
		case before && s.Status != Done:
			if s.StartedAt == nil {
				s.StartedAt = &now
			}
			s.Status, s.FinishedAt, s.Detail = Done, &now, nil
		}
	}
	return out
}

// End returns the steps with every one done or, if deploying failed, with the active one failed.
func End(steps []Step, failed bool, detail string, now time.Time) []Step {
	out := append([]Step(nil), steps...)
	for i := range out {
		s := &out[i]
		switch {
		case s.Status == Done:
		case !failed:
			if s.StartedAt == nil {
				s.StartedAt = &now
			}
			s.Status, s.FinishedAt, s.Detail = Done, &now, nil
		case s.Status == Active:
			s.Status, s.FinishedAt = Failed, &now
			if detail != "" {
				s.Detail = &detail
			}
		}
	}
	return out
}

// Same reports whether two lists are equal apart from the times.
func Same(a, b []Step) bool {
	return slices.EqualFunc(a, b, func(a, b Step) bool {
		return a.Status == b.Status && text(a.Detail) == text(b.Detail)
	})
}

func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}
