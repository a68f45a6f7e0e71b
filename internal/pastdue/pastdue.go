package pastdue

import (
	"context"
	"time"

	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/deployment"
	"github.com/billetcloud/billet/internal/event"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/job"
	"github.com/billetcloud/billet/internal/volume"
	"github.com/billetcloud/billet/internal/wallet"
)

// The defaults of the contract.
const (
	DefaultGrace       = time.Hour
	DefaultKeepVolumes = 7 * 24 * time.Hour
)

// Config is what a Service needs. Every field but the terms is required.
type Config struct {
	DB          *db.DB
	Wallet      *wallet.Ledger
	Deployments *deployment.Service
	Volumes     *volume.Service
	Events      *event.Service
	Terms       Terms
}

// Terms are what the operator has set. Both durations count from the instant at which the available money fell below zero.
type Terms struct {
	// Grace is how long deployments go on below zero, KeepVolumes how long volumes are kept.
	Grace, KeepVolumes time.Duration
}

// PastDue is since when an account is below zero, and what happens when while that lasts.
type PastDue struct {
	Since            time.Time `json:"since" doc:"Since when available is below zero."`
	DeploymentsEndAt time.Time `json:"deploymentsEndAt" doc:"When all deployments are terminated, unless available is zero or more by then; in the past once they were."`
	VolumesDeletedAt time.Time `json:"volumesDeletedAt" doc:"When all volumes are deleted, unless available is zero or more by then; in the past once they were."`
}

// PastDue returns the deadlines of an account that is below zero since then, and nil where it is not.
func (t Terms) PastDue(since *time.Time) *PastDue {
	if since == nil {
		return nil
	}
	return &PastDue{Since: *since, DeploymentsEndAt: since.Add(t.Grace), VolumesDeletedAt: since.Add(t.KeepVolumes)}
}

// Service leads accounts through past due.
type Service struct{ c Config }

// New returns a Service. It panics when a field is missing.
func New(c Config) *Service {
	if c.DB == nil || c.Wallet == nil || c.Deployments == nil || c.Volumes == nil || c.Events == nil {
		panic("pastdue: New needs every field of its Config")
	}
	return &Service{c}
}

// state is what is remembered of an account's stretch below zero.
type state struct {
	account   id.ID
	since     time.Time
	endedAt   *time.Time
	deletedAt *time.Time
}

// Look takes an account one stage further, as far as its time has come. It is the handler of meter.KindPastDue, whose
// subject is the account.
func (s *Service) Look(ctx context.Context, account id.ID) (job.Outcome, error) {
	var out job.Outcome
	err := s.c.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		out = job.Done()
		w, err := s.c.Wallet.Get(ctx, tx, account)
		if err != nil {
			return err
		}
		was, known, err := find(ctx, tx, account)
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
			return s.tell(ctx, tx, account, "account.recovered", map[string]any{"available": w.Available})
		}
		now := state{account: account, since: *w.NegativeSince}
		if known && was.since.Equal(now.since) {
			now = was
		} else { // a new stretch: whatever the last one came to is over
			if err := begin(ctx, tx, now, tx.Now); err != nil {
				return err
			}
			due := s.c.Terms.PastDue(&now.since)
			if err := s.tell(ctx, tx, account, "account.past_due", map[string]any{
				"available": w.Available, "since": due.Since, "deploymentsEndAt": due.DeploymentsEndAt, "volumesDeletedAt": due.VolumesDeletedAt,
			}); err != nil {
				return err
			}
		}
		out, err = s.stage(ctx, tx, now)
		return err
	})
	return out, err
}

func (s *Service) stage(ctx context.Context, tx *db.Tx, a state) (job.Outcome, error) {
	if end := s.c.Terms.PastDue(&a.since).DeploymentsEndAt; a.endedAt == nil {
		if tx.Now.Before(end) {
			return job.At(end), nil
		}
		n, err := s.c.Deployments.EndForPastDue(ctx, tx, a.account)
		if err != nil {
			return job.Done(), err
		}
		if err := markEnded(ctx, tx, a.account, tx.Now); err != nil {
			return job.Done(), err
		}
		if err := s.tell(ctx, tx, a.account, "account.deployments_ended", map[string]any{"deployments": n}); err != nil {
			return job.Done(), err
		}
	}
	if a.deletedAt != nil {
		return job.Done(), nil
	}
	remove := s.c.Terms.PastDue(&a.since).VolumesDeletedAt
	if tx.Now.Before(remove) {
		return job.At(remove), nil
	}
	if err := s.c.Volumes.DeleteAll(ctx, tx, a.account); err != nil {
		return job.Done(), err
	}
	if err := markDeleted(ctx, tx, a.account, tx.Now); err != nil {
		return job.Done(), err
	}
	return job.Done(), s.tell(ctx, tx, a.account, "account.volumes_deleted", map[string]any{})
}

func (s *Service) tell(ctx context.Context, tx *db.Tx, account id.ID, what string, data map[string]any) error {
	return s.c.Events.Append(ctx, tx, event.Event{Account: account, Subject: account, Type: what, Data: data})
}
