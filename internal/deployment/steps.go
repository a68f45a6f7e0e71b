package deployment

import "time"

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
	stepQueued       = "queued"       // accepted, no worker has taken it up
	stepLaunching    = "launching"    // the provider is being asked
	stepProvisioning = "provisioning" // the provider prepares the machine
	stepConnecting   = "connecting"   // the machine is there; SSH does not answer yet
)

func newSteps(now time.Time) []Step {
	steps := []Step{}
	for _, name := range []string{stepQueued, stepLaunching, stepProvisioning, stepConnecting} {
		steps = append(steps, Step{Name: name, Status: "waiting"})
	}
	return begin(steps, stepQueued, "", now)
}

// begin returns the steps with that one active and all before it done. It changes nothing that is done already.
func begin(steps []Step, name, detail string, now time.Time) []Step {
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

// end returns the steps with every one done, or, of a deploy that failed, with the active one failed.
func end(steps []Step, failed bool, detail string, now time.Time) []Step {
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
