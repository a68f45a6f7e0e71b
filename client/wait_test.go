package client_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
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

// A reinstalled machine has been waited for when it serves SSH again, not when the provider has
// accepted the request.
func TestWaitForReinstall(t *testing.T) {
	machine := func(status, action string, keys ...string) http.HandlerFunc {
		text, _ := json.Marshal(map[string]any{
			"id": "dep_1", "status": status, "pendingAction": map[bool]any{true: action}[action != ""],
			"sshHostKeys": append([]string{}, keys...),
		})
		return data(string(text))
	}
	event := func(kind, action, reason string) http.HandlerFunc {
		return say(200, `{"success":true,"data":[{"id":"evt_1","type":"deployment.action_`+kind+
			`","data":{"action":"`+action+`","reason":"`+reason+`"}}],"pagination":{"page":1,"limit":1,"total":1}}`)
	}
	done := event("done", "reinstall", "")
	w := answers(t, nil, machine("running", "reinstall"), machine("running", ""), done, machine("running", ""), done,
		machine("running", "", "ssh-ed25519 AAAA"), done)
	d, err := w.Deployments.WaitForReinstall(t.Context(), "dep_1")
	if err != nil || len(d.SSHHostKeys) != 1 || len(w.asked) != 7 || len(w.slept) != 3 {
		t.Errorf("%v, %v, %d requests, slept %v", d, err, len(w.asked), w.slept)
	}
	if q := w.asked[2].URL.Query(); w.asked[2].URL.Path != "/api/v1/inventory/events" || q.Get("subject") != "dep_1" ||
		q.Get("limit") != "1" {
		t.Errorf("asked %s", w.asked[2].URL)
	}
	// The image could not be installed, after the provider had accepted the request.
	w = answers(t, nil, machine("running", ""), done, machine("running", ""),
		event("failed", "reinstall", "Its checksum is another."))
	_, err = w.Deployments.WaitForReinstall(t.Context(), "dep_1")
	if e, is := errors.AsType[*client.ActionFailedError](err); !is || e.Action != client.ActionReinstall ||
		!strings.Contains(err.Error(), "Its checksum is another.") {
		t.Error(err)
	}
	// Another action that failed is another matter.
	w = answers(t, nil, machine("running", "", "ssh-ed25519 AAAA"), event("failed", "reboot", "No."))
	if _, err := w.Deployments.WaitForReinstall(t.Context(), "dep_1"); err != nil {
		t.Error(err)
	}
	w = answers(t, nil, machine("terminating", ""))
	_, err = w.Deployments.WaitForReinstall(t.Context(), "dep_1")
	if _, is := errors.AsType[*client.DeploymentEndedError](err); !is {
		t.Error(err)
	}
	w = answers(t, nil, machine("running", ""), refusal(403, "INSUFFICIENT_SCOPE"))
	if _, err := w.Deployments.WaitForReinstall(t.Context(), "dep_1"); !errors.Is(err, client.ErrInsufficientScope) {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	w = answers(t, func(c *client.Config) {
		c.Sleep = func(ctx context.Context, _ time.Duration) error { cancel(); return ctx.Err() }
	}, machine("running", ""), done)
	if _, err := w.Deployments.WaitForReinstall(ctx, "dep_1"); !errors.Is(err, context.Canceled) {
		t.Error(err)
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
