package deployment

import (
	"context"
	"time"

	accounts "github.com/billetcloud/billet/internal/account"
	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/event"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/money"
)

// UpdateRequest is what a tenant can change. A nil field leaves its value as it is.
type UpdateRequest struct {
	// Key is the API key whose spending limits count; "" for a user.
	Key  id.ID
	Name *string
	Tags *[]string
	// Project is the project to put it in; "" for none.
	Project         *string
	AutoTerminateAt *time.Time
	// ClearAutoTerminateAt cancels the auto-termination, also one from `DELETE ?when=earliest`.
	ClearAutoTerminateAt bool
	// MaxSpend and MaxRuntimeMinutes end the deployment. The others lift the limits.
	MaxSpend                       *money.Micros
	MaxRuntimeMinutes              *int64
	ClearMaxSpend, ClearMaxRuntime bool
	TerminationProtection          *bool
}

// movesEnd reports whether the request changes when the deployment auto-terminates.
func (u UpdateRequest) movesEnd() bool {
	return u.AutoTerminateAt != nil || u.ClearAutoTerminateAt || u.MaxSpend != nil || u.ClearMaxSpend ||
		u.MaxRuntimeMinutes != nil || u.ClearMaxRuntime
}

// Update changes a deployment. It returns INVALID_REQUEST, NOT_FOUND, ACCOUNT_SUSPENDED for a
// change of when it ends, or CONFLICT for one of a deployment that has ended.
func (s *Service) Update(
	ctx context.Context, tx *db.Tx, account, deployment id.ID, u UpdateRequest,
) (Deployment, error) {
	if u.movesEnd() {
		// A suspended account does not put off the ends that came with the suspension.
		if err := accounts.Enter(ctx, tx, account); err != nil {
			return Deployment{}, err
		}
	}
	r, err := s.get(ctx, tx, account, deployment)
	if err != nil {
		return Deployment{}, err
	}
	if err := s.update(ctx, tx, &r, u); err != nil {
		return Deployment{}, err
	}
	return s.completed(ctx, tx, &r)
}

// mayUpdate takes over what the request changes, or returns why it is refused.
func (r *row) mayUpdate(u UpdateRequest, now time.Time) error {
	if err := r.set(u, now); err != nil {
		return err
	}
	limits := u.MaxSpend != nil || u.MaxRuntimeMinutes != nil
	if r.ended() && (u.AutoTerminateAt != nil || limits || u.TerminationProtection != nil) {
		return apierr.New(apierr.Conflict,
			"The deployment is %s. Only its name, tags and project can be changed.", r.status)
	}
	return nil
}

// updatedEvent is the event of a change of the settings.
func (r *row) updatedEvent() event.Event {
	return event.Event{Account: r.account, Subject: r.id, Type: "deployment.updated", Data: map[string]any{
		"name": r.name, "status": r.status, "project": r.project,
		"tags": append([]string{}, r.tags...), "autoTerminateAt": r.autoTerminateAt,
		"maxSpend": r.maxSpend, "maxRuntimeMinutes": r.maxRuntime,
		"terminationProtection": r.terminationProtection,
	}}
}

func (s *Service) update(ctx context.Context, tx *db.Tx, r *row, u UpdateRequest) error {
	if err := r.mayUpdate(u, tx.Now); err != nil {
		return err
	}
	if err := setSettings(ctx, tx, r, u.Tags != nil); err != nil {
		return err
	}
	if err := r.checkForeignKey(ctx, tx, u); err != nil {
		return err
	}
	if err := r.changeSpending(ctx, tx, u.Key); err != nil {
		return err
	}
	if r.status.Alive() && u.movesEnd() {
		if err := s.cfg.Meter.PlanEnd(ctx, tx, r.id, r.endsAt()); err != nil {
			return err
		}
	}
	if err := s.describe(ctx, tx, r, u); err != nil {
		return err
	}
	if err := s.cfg.Events.Append(ctx, tx, r.updatedEvent()); err != nil {
		return err
	}
	if end, planned := r.autoEnd(); planned && !r.ended() {
		return s.cfg.Jobs.Enqueue(ctx, tx, r.account, KindReconcile, r.id, end.at)
	}
	return nil
}

// describe has the statement show what the request changes: a name from the next hour on, tags and
// project at once.
func (s *Service) describe(ctx context.Context, tx *db.Tx, r *row, u UpdateRequest) error {
	if u.Name != nil && r.status.Alive() { // first: meters are locked before wallets
		if err := s.cfg.Meter.Reprice(ctx, tx, r.id, r.hourlyPrice, r.labels(), r.hardware()); err != nil {
			return err
		}
	}
	if u.Tags == nil && u.Project == nil {
		return nil
	}
	return s.cfg.Wallet.Describe(ctx, tx, r.billed())
}

// set takes over what the request changes, or returns INVALID_REQUEST.
func (r *row) set(u UpdateRequest, now time.Time) error {
	f := &fieldErrors{}
	if u.Name != nil {
		f.invalid = append(f.invalid, apierr.CheckName("name", *u.Name)...)
		r.name = *u.Name
	}
	if u.Tags != nil {
		r.tags = checkTags(f, *u.Tags)
	}
	if u.Project != nil {
		if *u.Project != "" {
			f.invalid = append(f.invalid, apierr.CheckName("project", *u.Project)...)
		}
		r.project = *u.Project
	}
	switch {
	case u.AutoTerminateAt != nil:
		earliest := now
		if at := r.terminableAt(); at.After(now) {
			earliest = at
		}
		r.autoTerminateAt = checkAutoTerminate(f, *u.AutoTerminateAt, now, earliest)
	case u.ClearAutoTerminateAt:
		r.autoTerminateAt = nil
	}
	r.setLimits(f, u, now)
	if u.TerminationProtection != nil {
		r.terminationProtection = *u.TerminationProtection
	}
	return f.err()
}
