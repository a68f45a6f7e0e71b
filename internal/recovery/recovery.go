package recovery

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"time"

	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/installation"
	"github.com/billetcloud/billet/internal/issue"
	"github.com/billetcloud/billet/internal/job"
	"github.com/billetcloud/billet/internal/provider"
)

// KindEnd is the job that ends the recovery.
const KindEnd job.Kind = "recovery"

// Fleet is its subject: there is one recovery at a time.
const Fleet id.ID = "recovery/fleet"

// Recovery is a recovery that has not ended.
type Recovery struct {
	// BackupAt is the instant up to which the database is complete.
	BackupAt time.Time `json:"backupAt"`
	// BegunAt is when the recovery began.
	BegunAt time.Time `json:"begunAt"`
	// EndingSince is when an operator wanted it to end; nil before.
	EndingSince *time.Time `json:"endingSince"`
	// Problem is why it did not end; nil if it was not tried.
	Problem *string `json:"problem"`
}

// Find returns the recovery, and false if there is none.
func Find(ctx context.Context, r db.Reader) (v Recovery, on bool, err error) {
	text, err := installation.Recovery(ctx, r)
	if err != nil || text == "" {
		return v, false, err
	}
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		return v, false, fmt.Errorf("read the recovery: %w", err)
	}
	return v, true, nil
}

// Begin begins a recovery of a database that is complete up to that instant. It returns CONFLICT if
// there is one already.
func Begin(ctx context.Context, tx *db.Tx, backupAt time.Time) (Recovery, error) {
	if _, on, err := Find(ctx, tx); err != nil || on {
		if err == nil {
			err = apierr.New(apierr.Conflict, "The database is in recovery already.")
		}
		return Recovery{}, err
	}
	v := Recovery{BackupAt: backupAt.UTC(), BegunAt: tx.Now.UTC()}
	return v, write(ctx, tx, v)
}

func write(ctx context.Context, tx *db.Tx, v Recovery) error {
	text, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return installation.SetRecovery(ctx, tx, string(text))
}

// Config is what a Service needs. Every field is required.
type Config struct {
	DB        *db.DB
	Jobs      *job.Queue
	Log       *slog.Logger
	Issues    *issue.Service
	Providers *provider.Registry
	// Compare has the machines of a provider compared with the deployments now; Watch of a
	// deployment.Service outside tests.
	Compare func(ctx context.Context, subject id.ID) (job.Outcome, error)
	// EndLost ends the deployments at a provider whose machine is gone, billed until an instant,
	// and returns how many there were; EndLost of a deployment.Service outside tests.
	EndLost func(ctx context.Context, provider string, at time.Time) (int, error)
}

// Service ends recoveries.
type Service struct{ cfg Config }

// New returns a Service.
func New(cfg Config) *Service { return &Service{cfg} }

// RequestEnd has the server end the recovery. It returns CONFLICT if there is none, or while
// machines without a deployment are undecided.
func (s *Service) RequestEnd(ctx context.Context, tx *db.Tx) (Recovery, error) {
	v, on, err := Find(ctx, tx)
	if err != nil || !on {
		if err == nil {
			err = apierr.New(apierr.Conflict, "The database is not in recovery.")
		}
		return v, err
	}
	if n, err := s.cfg.Issues.Undecided(ctx, tx); err != nil || n > 0 {
		if err == nil {
			err = apierr.New(apierr.Conflict, "%s", undecided(n))
		}
		return v, err
	}
	if v.EndingSince == nil {
		now := tx.Now.UTC()
		v.EndingSince = &now
	}
	v.Problem = nil
	if err := write(ctx, tx, v); err != nil {
		return v, err
	}
	return v, s.cfg.Jobs.Enqueue(ctx, tx, job.NoOwner, KindEnd, Fleet, tx.Now)
}

func undecided(n int64) string {
	what := "One machine or volume has"
	if n != 1 {
		what = fmt.Sprintf("%d machines or volumes have", n)
	}
	return what + " no deployment or account in the database. Dismiss or terminate each: billetd issues list."
}

// End handles KindEnd: it compares every provider with the database, ends what is gone, and then
// the recovery. It can be stopped at any point and repeated.
func (s *Service) End(ctx context.Context, _ id.ID) (job.Outcome, error) {
	v, on, err := Find(ctx, s.cfg.DB)
	if err != nil || !on || v.EndingSince == nil {
		return job.Done(), err
	}
	all := s.cfg.Providers.All()
	for _, p := range all {
		slug := p.Info().Slug
		if _, err := s.cfg.Compare(ctx, job.Subject("provider", slug)); err != nil {
			return job.Outcome{}, err
		}
	}
	n, err := s.cfg.Issues.Undecided(ctx, s.cfg.DB)
	if err != nil {
		return job.Outcome{}, err
	}
	if n > 0 {
		return job.Done(), s.refuse(ctx, undecided(n))
	}
	lost := 0
	for _, p := range all {
		some, err := s.cfg.EndLost(ctx, p.Info().Slug, v.BackupAt)
		if lost += some; err != nil {
			return job.Outcome{}, err
		}
	}
	return job.Done(), s.cfg.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		tx.AfterCommit(func() {
			s.cfg.Log.InfoContext(ctx, "the recovery has ended", "backup", v.BackupAt, "lostMachines", lost)
		})
		return installation.SetRecovery(ctx, tx, "")
	})
}

// refuse records why the recovery goes on.
func (s *Service) refuse(ctx context.Context, problem string) error {
	return s.cfg.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		v, on, err := Find(ctx, tx)
		if err != nil || !on {
			return err
		}
		v.EndingSince, v.Problem = nil, &problem
		return write(ctx, tx, v)
	})
}
