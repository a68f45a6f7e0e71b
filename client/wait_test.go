package client_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/billetcloud/billet/client"
)

func status(s string) string {
	return `{"id":"dep_1","status":"` + s + `","statusCause":"no_capacity","statusReason":"None is left."}`
}

func TestWaitForRunning(t *testing.T) {
	w := answers(t, nil, data(status("pending")), data(status("deploying")), lost, refusal(503, "SERVICE_UNAVAILABLE"),
		data(status("running")))
	var seen []string
	d, err := w.Deployments.WaitForRunning(t.Context(), "dep_1",
		func(d *client.Deployment) { seen = append(seen, string(d.Status)) })
	if err != nil || d.Status != client.DeploymentRunning || strings.Join(seen, " ") != "pending deploying running" {
		t.Fatalf("%v, %v, %v", d, err, seen)
	}
	if q := w.asked[0].URL.Query(); q.Get("waitFor") != "running" || q.Get("timeoutSeconds") != "5" {
		t.Errorf("asked %s", w.asked[0].URL)
	}
	// Answers that come at once are not asked for again at once: a pause each for pending and
	// deploying, and two retries.
	if len(w.slept) != 4 {
		t.Errorf("paused %v", w.slept)
	}
}

func TestWaitForRunning_withoutProgress(t *testing.T) {
	w := answers(t, nil, data(status("running")))
	if _, err := w.Deployments.WaitForRunning(t.Context(), "dep_1", nil); err != nil ||
		w.asked[0].URL.Query().Get("timeoutSeconds") != "45" {
		t.Errorf("%v, %s", err, w.asked[0].URL)
	}
}

func TestWait_endedDeployment(t *testing.T) {
	for _, s := range []string{"failed", "terminated", "interrupted", "terminating"} {
		w := answers(t, nil, data(status(s)))
		d, err := w.Deployments.WaitForRunning(t.Context(), "dep_1", nil)
		if e, is := errors.AsType[*client.DeploymentEndedError](err); !is || e.Deployment != d ||
			e.Wanted != client.DeploymentRunning ||
			!strings.Contains(err.Error(), "None is left.") ||
			len(w.asked) != 1 {
			t.Errorf("%s: %v", s, err)
		}
	}
	w := answers(t, nil, data(status("running")), data(status("terminating")), data(status("terminated")))
	if d, err := w.Deployments.Wait(t.Context(), "dep_1", client.DeploymentTerminated, nil); err != nil ||
		d.Status != client.DeploymentTerminated {
		t.Errorf("%v, %v", d, err)
	}
	w = answers(t, nil, refusal(404, "NOT_FOUND"))
	if _, err := w.Deployments.WaitForRunning(t.Context(), "dep_1", nil); !errors.Is(err, client.ErrNotFound) {
		t.Error(err)
	}
	if _, err := w.Deployments.Wait(t.Context(), "dep_1", "", nil); !errors.Is(err, client.ErrInvalidRequest) {
		t.Error(err)
	}
}

func TestWait_context(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	w := answers(t, func(c *client.Config) {
		c.Sleep = func(ctx context.Context, _ time.Duration) error { cancel(); return ctx.Err() }
	}, data(status("deploying")))
	if _, err := w.Deployments.WaitForRunning(ctx, "dep_1", nil); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestWaitForAction(t *testing.T) {
	w := answers(t, nil, data(`{"id":"dep_1","pendingAction":"reboot"}`), data(`{"id":"dep_1","pendingAction":null}`))
	if d, err := w.Deployments.WaitForAction(t.Context(), "dep_1"); err != nil || d.PendingAction != nil ||
		len(w.asked) != 2 {
		t.Errorf("%v, %v", d, err)
	}
}

func TestVolumeWait(t *testing.T) {
	volume := func(s string) string {
		return `{"id":"vol_1","status":"` + s + `","statusReason":"The provider said no."}`
	}
	w := answers(t, nil, data(volume("attaching")), data(volume("attached")))
	if v, err := w.Volumes.Wait(t.Context(), "vol_1", client.VolumeAttached, nil); err != nil ||
		v.Status != client.VolumeAttached ||
		len(w.slept) != 1 {
		t.Errorf("%v, %v", v, err)
	}
	w = answers(t, nil, data(volume("attaching")), data(volume("available")))
	_, err := w.Volumes.Wait(t.Context(), "vol_1", client.VolumeAttached, func(*client.Volume) {})
	if e, is := errors.AsType[*client.VolumeSettledError](err); !is || e.Volume.Status != client.VolumeAvailable ||
		!strings.Contains(err.Error(), "The provider said no.") {
		t.Error(err)
	}
}
