package pastdue

import (
	"context"
	"time"

	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/deployment"
	"github.com/billetcloud/billet/internal/event"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/job"
	"github.com/billetcloud/billet/internal/meter"
	"github.com/billetcloud/billet/internal/volume"
	"github.com/billetcloud/billet/internal/wallet"
)

// The defaults of the contract.
const (
	DefaultGrace       = time.Hour
	DefaultKeepVolumes = 7 * 24 * time.Hour
)

// Config configures a Service. Every field but the terms is required.
type Config struct {
	DB          *db.DB
	Wallet      *wallet.Ledger
	Meter       *meter.Service
	Jobs        *job.Queue
	Deployments *deployment.Service
	Volumes     *volume.Service
	Events      *event.Service
	Terms       Terms
}

// Terms are set by the operator. Both durations count from the instant at which the available money
// fell below zero.
type Terms struct {
	// Grace is how long deployments keep running below zero, KeepVolumes how long volumes are kept.
	Grace, KeepVolumes time.Duration
	// NotBefore is an instant before which nothing ends; nil, or the zero time, for none.
	NotBefore func() time.Time
}

// PastDue describes an account below zero: since when, and what happens when unless money is added.
type PastDue struct {
	Since            time.Time `json:"since" doc:"Time when the available balance fell below zero."`
	DeploymentsEndAt time.Time `json:"deploymentsEndAt" doc:"Time when all deployments are terminated, unless the available balance is zero or more by then; in the past once they were."`
	VolumesDeletedAt time.Time `json:"volumesDeletedAt" doc:"Time when all volumes are deleted, unless the available balance is zero or more by then; in the past once they were."`
}

// PastDue returns the deadlines of an account that is below zero since then, and nil for another
// account.
func (t Terms) PastDue(since *time.Time) *PastDue {
	if since == nil {
		return nil
	}
	return &PastDue{
		Since: *since, DeploymentsEndAt: t.notBefore(since.Add(t.Grace)),
		VolumesDeletedAt: t.notBefore(since.Add(t.KeepVolumes)),
	}
}

func (t Terms) notBefore(at time.Time) time.Time {
	if t.NotBefore == nil {
		return at
	}
	if first := t.NotBefore(); first.After(at) {
		return first
	}
	return at
}

// Service moves accounts through the stages of being past due.
type Service struct{ cfg Config }

// New returns a Service.
func New(c Config) *Service { return &Service{c} }

// Reconcile moves an account through the stages whose time has come. It is the handler of
// meter.KindPastDue, whose subject is the account.
func (s *Service) Reconcile(ctx context.Context, account id.ID) (job.Outcome, error) {
	var out job.Outcome
	err := s.cfg.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		out = job.Done()
		w, err := s.cfg.Wallet.Get(ctx, tx, account)
		if err != nil {
			return err
		}
		current, known, err := find(ctx, tx, account)
		if err != nil {
			return err
		}
		if w.NegativeSince == nil {
			if !known {
				return nil
			}
			if err := remove(ctx, tx, account); err != nil {
				return err
			}
			return s.append(ctx, tx, account, "account.recovered", map[string]any{"available": w.Available})
		}
		if !known || !current.since.Equal(*w.NegativeSince) { // a new period below zero begins with the first stage
			current = state{account: account, since: *w.NegativeSince, warnedAt: tx.Now}
			if err := s.warn(ctx, tx, current, w); err != nil {
				return err
			}
		}
		out, err = s.advance(ctx, tx, current)
		return err
	})
	return out, err
}

func (s *Service) warn(ctx context.Context, tx *db.Tx, a state, w wallet.Wallet) error {
	if err := put(ctx, tx, a); err != nil {
		return err
	}
	due := s.cfg.Terms.PastDue(&a.since)
	return s.append(ctx, tx, a.account, "account.past_due", map[string]any{
		"available": w.Available, "since": due.Since, "deploymentsEndAt": due.DeploymentsEndAt,
		"volumesDeletedAt": due.VolumesDeletedAt,
	})
}

// advance takes the stages after the warning whose time has come.
func (s *Service) advance(ctx context.Context, tx *db.Tx, a state) (job.Outcome, error) {
	due := s.cfg.Terms.PastDue(&a.since)
	if a.deploymentsEnded == nil {
		if tx.Now.Before(due.DeploymentsEndAt) {
			return job.At(due.DeploymentsEndAt), nil
		}
		n, err := s.cfg.Deployments.EndForPastDue(ctx, tx, a.account)
		if err != nil {
			return job.Done(), err
		}
		a.deploymentsEnded = &tx.Now
		if err := put(ctx, tx, a); err != nil {
			return job.Done(), err
		}
		if err := s.append(ctx, tx, a.account, "account.deployments_ended",
			map[string]any{"deployments": n}); err != nil {
			return job.Done(), err
		}
	}
	if a.volumesDeleted != nil {
		return job.Done(), nil
	}
	if tx.Now.Before(due.VolumesDeletedAt) {
		return job.At(due.VolumesDeletedAt), nil
	}
	if err := s.cfg.Volumes.DeleteAll(ctx, tx, a.account); err != nil {
		return job.Done(), err
	}
	a.volumesDeleted = &tx.Now
	if err := put(ctx, tx, a); err != nil {
		return job.Done(), err
	}
	return job.Done(), s.append(ctx, tx, a.account, "account.volumes_deleted", map[string]any{})
}

func (s *Service) append(ctx context.Context, tx *db.Tx, account id.ID, eventType string, data map[string]any) error {
	return s.cfg.Events.Append(ctx, tx, event.Event{Account: account, Subject: account, Type: eventType, Data: data})
}
