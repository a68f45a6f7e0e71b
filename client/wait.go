package client

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"strconv"
	"time"
)

const (
	// longPoll is the wait requested from the server. It allows 50 seconds; many proxies allow 60.
	longPoll = 45 * time.Second
	// progressPoll is the same for waits that report progress.
	progressPoll = 5 * time.Second
	// pollInterval is the interval of polling where there is no long poll: 20 of a key's 60 reads
	// per minute.
	pollInterval = 3 * time.Second
)

// DeploymentEndedError is the error of a wait if the deployment can no longer reach the wanted
// status.
type DeploymentEndedError struct {
	// Deployment is the current state, with StatusCause and StatusReason.
	Deployment *Deployment
	// Wanted is the wanted status.
	Wanted DeploymentStatus
}

// Error returns the status and its reason.
func (e *DeploymentEndedError) Error() string {
	d := e.Deployment
	reason := d.StatusCause
	if d.StatusReason != nil {
		reason = *d.StatusReason
	}
	return fmt.Sprintf("client: %s is %s and will not be %s: %s", d.ID, d.Status, e.Wanted, reason)
}

// WaitForRunning waits until SSH of the deployment is reachable, or the context ends. progress is
// called with each response, at least every five seconds; if it is nil, the wait takes about one
// read per minute. The error is a *DeploymentEndedError if the deployment is terminating or has
// ended.
func (s *DeploymentService) WaitForRunning(
	ctx context.Context,
	id string,
	progress func(*Deployment),
	options ...CallOption,
) (*Deployment, error) {
	return s.Wait(ctx, id, DeploymentRunning, progress, options...)
}

// Wait is WaitForRunning for any status. If the deployment is past the status and does not return
// to it, Wait waits until it ends.
func (s *DeploymentService) Wait(
	ctx context.Context, id string, status DeploymentStatus, progress func(*Deployment), options ...CallOption,
) (*Deployment, error) {
	if status == "" {
		return nil, invalid("query.waitFor", "must be a status.")
	}
	r := deployment("GET", id, "", nil)
	r.wait = longPoll
	if progress != nil {
		r.wait = progressPoll
	}
	r.query = url.Values{"waitFor": {string(status)}, "timeoutSeconds": {strconv.Itoa(int(r.wait / time.Second))}}
	for {
		requested := s.c.now()
		d, err := one[Deployment](ctx, s.c, r, options)
		if err != nil {
			return nil, err
		}
		if progress != nil {
			progress(d)
		}
		switch {
		case d.Status == status:
			return d, nil
		case d.Status.Final(), d.Status == DeploymentTerminating && status != DeploymentTerminated:
			return d, &DeploymentEndedError{Deployment: d, Wanted: status}
		}
		// A stopping server ends long polls early, and a proxy can.
		if s.c.now().Sub(requested) < time.Second {
			if err := s.c.sleep(ctx, pollInterval); err != nil {
				return nil, ended(ctx, r, nil)
			}
		}
	}
}

// WaitForAction waits until the provider has accepted or refused the action in progress: a reboot,
// power on or off, or a reinstall. It polls every three seconds. The events of the deployment show
// which. After a reinstall, the machine is still being installed then: see WaitForReinstall.
func (s *DeploymentService) WaitForAction(ctx context.Context, id string, options ...CallOption) (*Deployment, error) {
	for {
		d, err := s.Get(ctx, id, options...)
		if err != nil || d.PendingAction == nil {
			return d, err
		}
		if err := s.c.sleep(ctx, pollInterval); err != nil {
			return nil, ended(ctx, deployment("GET", id, "", nil), nil)
		}
	}
}

// ActionFailedError is the error of a wait for an action that the provider refused, or that failed
// after it had begun.
type ActionFailedError struct {
	// Deployment is the current state.
	Deployment *Deployment
	// Action is what failed, and Reason why, as text.
	Action PendingAction
	Reason string
}

// Error returns the reason.
func (e *ActionFailedError) Error() string {
	return fmt.Sprintf("client: %s of %s failed: %s", e.Action, e.Deployment.ID, e.Reason)
}

// WaitForReinstall waits until a machine whose reinstallation was requested serves SSH again, or
// the context ends. It takes up to 40 reads per minute. Where the provider states the host keys
// itself (SSHHostKeySource), it waits only until the provider has accepted the request: there is no
// later sign. The error is an *ActionFailedError if the machine could not be reinstalled, and a
// *DeploymentEndedError if the deployment no longer runs.
func (s *DeploymentService) WaitForReinstall(
	ctx context.Context, id string, options ...CallOption,
) (*Deployment, error) {
	for {
		d, err := s.WaitForAction(ctx, id, options...)
		if err != nil {
			return nil, err
		}
		if d.Status != DeploymentRunning {
			return d, &DeploymentEndedError{Deployment: d, Wanted: DeploymentRunning}
		}
		if err := s.actionFailure(ctx, d, ActionReinstall, options); err != nil {
			return d, err
		}
		if len(d.SSHHostKeys) > 0 {
			return d, nil
		}
		if err := s.c.sleep(ctx, pollInterval); err != nil {
			return nil, ended(ctx, deployment("GET", id, "", nil), nil)
		}
	}
}

// actionFailure returns an *ActionFailedError if the newest action of the deployment is that one
// and failed.
func (s *DeploymentService) actionFailure(
	ctx context.Context, d *Deployment, action PendingAction, options []CallOption,
) error {
	newest, err := s.c.Events.List(ctx, EventQuery{
		Paging: Paging{Limit: 1},
		EventFilter: EventFilter{
			Subject: d.ID, Types: []string{"deployment.action_done", "deployment.action_failed"},
		},
	}, options...)
	if err != nil || len(newest.Items) == 0 || newest.Items[0].Type != "deployment.action_failed" {
		return err
	}
	var data struct {
		Action PendingAction `json:"action"`
		Reason string        `json:"reason"`
	}
	if err := json.Unmarshal(newest.Items[0].Data, &data); err != nil || data.Action != action {
		return err
	}
	return &ActionFailedError{Deployment: d, Action: action, Reason: data.Reason}
}

// VolumeSettledError is the error of a wait if the volume stays in another status.
type VolumeSettledError struct {
	// Volume is the current state, with StatusReason after an error.
	Volume *Volume
	// Wanted is the wanted status.
	Wanted VolumeStatus
}

// Error returns the status and its reason.
func (e *VolumeSettledError) Error() string {
	text := fmt.Sprintf("client: %s is %s and not %s", e.Volume.ID, e.Volume.Status, e.Wanted)
	if e.Volume.StatusReason != nil {
		text += ": " + *e.Volume.StatusReason
	}
	return text
}

// Wait waits until the volume has the status, or the context ends. It uses long polls of five
// seconds. progress is called with each response and can be nil. The error is a *VolumeSettledError
// if the volume stays in another status, so call Create, Attach, Detach or Delete first.
func (s *VolumeService) Wait(
	ctx context.Context, id string, status VolumeStatus, progress func(*Volume), options ...CallOption,
) (*Volume, error) {
	if status == "" {
		return nil, invalid("query.waitFor", "must be a status.")
	}
	r := volume("GET", id, "", nil)
	r.wait = progressPoll
	r.query = url.Values{
		"waitFor": {string(status)}, "timeoutSeconds": {strconv.Itoa(int(r.wait / time.Second))},
	}
	for {
		asked := s.c.now()
		v, err := one[Volume](ctx, s.c, r, options)
		if err != nil {
			return nil, err
		}
		if progress != nil {
			progress(v)
		}
		switch {
		case v.Status == status:
			return v, nil
		case !v.Status.transitional():
			return v, &VolumeSettledError{Volume: v, Wanted: status}
		}
		// A server that stops answers long polls at once, and proxies may not let it wait.
		if s.c.now().Sub(asked) < time.Second {
			if err := s.c.sleep(ctx, pollInterval); err != nil {
				return nil, ended(ctx, r, nil)
			}
		}
	}
}
