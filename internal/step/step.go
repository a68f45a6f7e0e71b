package step

import (
	"slices"
	"time"
)

// Step is one stage of deploying, so that who waits sees what he waits for.
type Step struct {
	// Name is a stable word: "queued", "launching", "provisioning", "connecting".
	Name string `json:"name" doc:"queued, launching, provisioning or connecting."`
	// Status is "waiting", "active", "done" or "failed".
	Status string `json:"status" doc:"waiting, active, done or failed."`
	// Detail is what the provider says of it, or nil.
	Detail     *string    `json:"detail" doc:"What the provider says of it."`
	StartedAt  *time.Time `json:"startedAt" doc:"When it began; null before."`
	FinishedAt *time.Time `json:"finishedAt" doc:"When it ended, well or not; null before."`
}

// The steps in their order.
const (
	Queued       = "queued"       // accepted, no worker has taken it up
	Launching    = "launching"    // the provider is being asked
	Provisioning = "provisioning" // the provider prepares the machine
	Connecting   = "connecting"   // the machine is there; SSH does not answer yet
)

// New returns the steps of a deployment that was accepted now.
func New(now time.Time) []Step {
	steps := []Step{}
	for _, name := range []string{Queued, Launching, Provisioning, Connecting} {
		steps = append(steps, Step{Name: name, Status: "waiting"})
	}
	return Begin(steps, Queued, "", now)
}

// Begin returns the steps with that one active and all before it done. It changes nothing that is done already.
func Begin(steps []Step, name, detail string, now time.Time) []Step {
	out, before := append([]Step(nil), steps...), true
	for i := range out {
		s := &out[i]
		switch {
		case s.Name == name:
			before = false
			if s.Status == "waiting" {
				s.Status, s.StartedAt = "active", &now
			}
			if s.Status == "active" {
				s.Detail = nil
				if detail != "" {
					s.Detail = &detail
				}
			}
		case before && s.Status != "done":
			if s.StartedAt == nil {
				s.StartedAt = &now
			}
			s.Status, s.FinishedAt, s.Detail = "done", &now, nil
		}
	}
	return out
}

// End returns the steps with every one done, or, of a deploy that failed, with the active one failed.
func End(steps []Step, failed bool, detail string, now time.Time) []Step {
	out := append([]Step(nil), steps...)
	for i := range out {
		s := &out[i]
		switch {
		case s.Status == "done":
		case !failed:
			if s.StartedAt == nil {
				s.StartedAt = &now
			}
			s.Status, s.FinishedAt, s.Detail = "done", &now, nil
		case s.Status == "active":
			s.Status, s.FinishedAt = "failed", &now
			if detail != "" {
				s.Detail = &detail
			}
		}
	}
	return out
}

// Same tells whether two lists say the same of each step but for the times.
func Same(a, b []Step) bool {
	return slices.EqualFunc(a, b, func(a, b Step) bool { return a.Status == b.Status && text(a.Detail) == text(b.Detail) })
}

func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}
