package client

import (
	"context"
	"fmt"
	"net/url"
	"strconv"
	"time"
)

const (
	// longPoll is how long the server is asked to wait; it allows 50 seconds, and proxies in between 60, many of them 30 to 60 without a byte.
	longPoll = 45 * time.Second
	// progressPoll is the same where somebody watches the steps.
	progressPoll = 5 * time.Second
	// pollEvery is how often is looked where the server does not wait: 20 of a key's 60 reads a minute.
	pollEvery = 3 * time.Second
)

// DeploymentEndedError is what a wait ends with when the deployment cannot have the wanted status any more.
type DeploymentEndedError struct {
	// Deployment is as it is; its StatusCause and StatusReason say why.
	Deployment *Deployment
	// Wanted is what was waited for.
	Wanted DeploymentStatus
}

// Error tells the status and its reason.
func (e *DeploymentEndedError) Error() string {
	d := e.Deployment
	reason := d.StatusCause
	if d.StatusReason != nil {
		reason = *d.StatusReason
	}
	return fmt.Sprintf("client: %s is %s and will not be %s: %s", d.ID, d.Status, e.Wanted, reason)
}

// WaitForRunning waits until SSH of the deployment answers. progress is told each answer, at least every five seconds, and may be nil; then the wait
// costs about one read a minute. The wait is as long as the context. A deployment that is being ended, or has, is a *DeploymentEndedError; any other error is of the last request.
func (s *DeploymentService) WaitForRunning(ctx context.Context, id string, progress func(*Deployment), options ...CallOption) (*Deployment, error) {
	return s.Wait(ctx, id, DeploymentRunning, progress, options...)
}

// Wait is WaitForRunning for any status. A deployment that is past the status may never have it again, and is waited for until it ends.
func (s *DeploymentService) Wait(ctx context.Context, id string, status DeploymentStatus, progress func(*Deployment), options ...CallOption) (*Deployment, error) {
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
		asked := s.c.now()
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
		// A server that stops answers its long polls at once, and what is in between may not let it wait.
		if s.c.now().Sub(asked) < time.Second {
			if err := s.c.sleep(ctx, pollEvery); err != nil {
				return nil, ended(ctx, r, nil)
			}
		}
	}
}

// WaitForAction waits until the provider has done what was last asked of it: a reboot, power on or off, a reinstall. It looks every three
// seconds. Whether it went well, the status and the deployment's events tell.
func (s *DeploymentService) WaitForAction(ctx context.Context, id string, options ...CallOption) (*Deployment, error) {
	for {
		d, err := s.Get(ctx, id, options...)
		if err != nil || d.PendingAction == nil {
			return d, err
		}
		if err := s.c.sleep(ctx, pollEvery); err != nil {
			return nil, ended(ctx, deployment("GET", id, "", nil), nil)
		}
	}
}

// VolumeSettledError is what a wait ends with when the volume came to rest with another status.
type VolumeSettledError struct {
	// Volume is as it is; its StatusReason says why, where something went wrong.
	Volume *Volume
	// Wanted is what was waited for.
	Wanted VolumeStatus
}

// Error tells the status and its reason.
func (e *VolumeSettledError) Error() string {
	text := fmt.Sprintf("client: %s is %s and not %s", e.Volume.ID, e.Volume.Status, e.Wanted)
	if e.Volume.StatusReason != nil {
		text += ": " + *e.Volume.StatusReason
	}
	return text
}

// Wait waits until the volume has that status, for as long as the context; it looks every three seconds. progress is told each answer, and may be nil. A
// volume that comes to rest with another status is a *VolumeSettledError: wait only for what was asked for already, by Create, Attach, Detach or Delete.
func (s *VolumeService) Wait(ctx context.Context, id string, status VolumeStatus, progress func(*Volume), options ...CallOption) (*Volume, error) {
	for {
		v, err := s.Get(ctx, id, options...)
		if err != nil {
			return nil, err
		}
		if progress != nil {
			progress(v)
		}
		switch {
		case v.Status == status:
			return v, nil
		case !v.Status.moving():
			return v, &VolumeSettledError{Volume: v, Wanted: status}
		}
		if err := s.c.sleep(ctx, pollEvery); err != nil {
			return nil, ended(ctx, volume("GET", id, "", nil), nil)
		}
	}
}
