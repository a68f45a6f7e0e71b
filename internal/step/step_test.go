package step_test

import (
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/step"
	"github.com/google/go-cmp/cmp"
)

func TestSteps(t *testing.T) {
	t.Parallel()
	first := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	second, third := first.Add(time.Minute), first.Add(2*time.Minute)
	detail := "installing"
	queued := step.Step{Name: step.Queued, Status: step.Done, StartedAt: &first, FinishedAt: &second}
	launching := step.Step{Name: step.Launching, Status: step.Done, StartedAt: &second, FinishedAt: &second}
	active := step.Step{Name: step.Provisioning, Status: step.Active, Detail: &detail, StartedAt: &second}
	waiting := step.Step{Name: step.Connecting, Status: step.Waiting}

	steps := step.Begin(step.New(first, false), step.Provisioning, detail, second)
	if diff := cmp.Diff([]step.Step{queued, launching, active, waiting}, steps); diff != "" {
		t.Fatalf("Begin (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(steps, step.Begin(steps, step.Launching, "again", third)); diff != "" {
		t.Errorf("Begin of a step that is done changed it (-before +after):\n%s", diff)
	}

	ready := []step.Step{
		queued, launching,
		{Name: step.Provisioning, Status: step.Done, StartedAt: &second, FinishedAt: &third},
		{Name: step.Connecting, Status: step.Done, StartedAt: &third, FinishedAt: &third},
	}
	if diff := cmp.Diff(ready, step.End(steps, false, "", third)); diff != "" {
		t.Errorf("End (-want +got):\n%s", diff)
	}
	reason := "no capacity"
	active.Status, active.Detail, active.FinishedAt = step.Failed, &reason, &third
	failed := []step.Step{queued, launching, active, waiting}
	if diff := cmp.Diff(failed, step.End(steps, true, reason, third)); diff != "" {
		t.Errorf("End of a failed deployment (-want +got):\n%s", diff)
	}
}

func TestSame(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	steps := step.New(now, false)
	for _, c := range []struct {
		name  string
		other []step.Step
		want  bool
	}{
		{"other times", step.New(now.Add(time.Hour), false), true},
		{"another detail", step.Begin(steps, step.Queued, "soon", now), false},
		{"another step", step.Begin(steps, step.Launching, "", now), false},
	} {
		if got := step.Same(steps, c.other); got != c.want {
			t.Errorf("Same with %s = %t, want %t", c.name, got, c.want)
		}
	}
}
