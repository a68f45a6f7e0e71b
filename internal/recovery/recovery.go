package recovery

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/deployment"
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

// Settling is how long after a recovery accounts are not past due, automatic top-ups are not made
// and the policy ends no orphaned machine: what was paid since the backup is entered meanwhile.
const Settling = 72 * time.Hour

// Recovery is the last recovery.
type Recovery struct {
	// BackupAt is the instant up to which the database is complete.
	BackupAt time.Time `json:"backupAt"`
	// BegunAt is when the recovery began.
	BegunAt time.Time `json:"begunAt"`
	// EndingSince is when an operator wanted it to end; nil before.
	EndingSince *time.Time `json:"endingSince"`
	// Confirmed is what that operator confirmed.
	Confirmed Confirmed `json:"confirmed"`
	// Problem is why it did not end; nil if it was not tried.
	Problem *string `json:"problem"`
	// EndedAt is when it ended; nil before.
	EndedAt *time.Time `json:"endedAt"`
}

// Confirmed is what an operator knows better than the server.
type Confirmed struct {
	// OwnServers: no own server was rented out, returned or reinstalled since the backup.
	OwnServers bool `json:"ownServers"`
	// Missing: all machines of a provider really are gone.
	Missing bool `json:"missing"`
}

// Find returns the last recovery, and whether it has not ended.
func Find(ctx context.Context, r db.Reader) (v Recovery, on bool, err error) {
	text, err := installation.Recovery(ctx, r)
	if err != nil || text == "" {
		return v, false, err
	}
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		return v, false, fmt.Errorf("read the recovery: %w", err)
	}
	return v, v.EndedAt == nil, nil
}

// Begin begins a recovery of a database that is complete up to that instant. A database that was
// backed up during a recovery is complete up to the earlier of the two. It returns CONFLICT for an
// instant in the future.
func Begin(ctx context.Context, tx *db.Tx, backupAt time.Time) (Recovery, error) {
	before, on, err := Find(ctx, tx)
	if err != nil {
		return Recovery{}, err
	}
	if backupAt.After(tx.Now) {
		return Recovery{}, apierr.New(apierr.Conflict, "The backup is of %s, which is in the future. Check the clock "+
			"of this computer.", backupAt.UTC().Format(time.RFC3339))
	}
	if on && before.BackupAt.Before(backupAt) {
		backupAt = before.BackupAt
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
	// Compare has the machines and volumes of a provider compared with the database now. Its
	// subject is that of the periodic jobs.
	Compare func(ctx context.Context, subject id.ID) error
	// Settle makes the deployments at a provider agree with it, and returns how many ended; it is
	// deployment.Service.SettleRestored.
	Settle func(ctx context.Context, provider string, at time.Time, confirmed bool) (int, error)
	// Unasked returns the providers that have something here and cannot be asked, OwnServers how
	// many own servers there are.
	Unasked    func(ctx context.Context) ([]string, error)
	OwnServers func(ctx context.Context, r db.Reader) (int64, error)
}

// Service ends recoveries.
type Service struct{ cfg Config }

// New returns a Service.
func New(cfg Config) *Service { return &Service{cfg} }

// RequestEnd has the server end the recovery. It returns CONFLICT if there is none, while machines
// without a deployment are undecided, or if there are own servers that were not confirmed.
func (s *Service) RequestEnd(ctx context.Context, tx *db.Tx, confirmed Confirmed) (Recovery, error) {
	v, on, err := Find(ctx, tx)
	if err != nil {
		return v, err
	}
	if !on {
		return v, apierr.New(apierr.Conflict, "The database is not in recovery.")
	}
	n, err := s.cfg.Issues.Undecided(ctx, tx)
	if err != nil {
		return v, err
	}
	if n > 0 {
		return v, apierr.New(apierr.Conflict, "%s", undecided(n))
	}
	own, err := s.cfg.OwnServers(ctx, tx)
	if err != nil {
		return v, err
	}
	if own > 0 && !confirmed.OwnServers {
		return v, apierr.New(apierr.Conflict, "The database has own servers, and only the database says who has them. "+
			"If one was rented out, returned or reinstalled since the backup, it would be rented out again or "+
			"erased. If none was, confirm it with --own-servers-unchanged.")
	}
	if v.EndingSince == nil {
		now := tx.Now.UTC()
		v.EndingSince = &now
	}
	v.Problem, v.Confirmed = nil, confirmed
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
	return what + " no deployment or account in the database. Adopt, terminate or dismiss each: billetd issues list."
}

// End handles KindEnd: it compares every provider with the database, ends what is gone, and then
// the recovery. It can be stopped at any point and repeated.
func (s *Service) End(ctx context.Context, _ id.ID) (job.Outcome, error) {
	v, on, err := Find(ctx, s.cfg.DB)
	if err != nil || !on || v.EndingSince == nil {
		return job.Done(), err
	}
	unasked, err := s.cfg.Unasked(ctx)
	if err != nil {
		return job.Outcome{}, err
	}
	if len(unasked) > 0 {
		return job.Done(), s.refuse(ctx, "These providers are needed and cannot be asked: "+
			strings.Join(unasked, ", ")+". Connect them, or correct their accounts.")
	}
	all := s.cfg.Providers.All()
	for _, p := range all {
		if err := s.cfg.Compare(ctx, job.Subject("provider", p.Info().Slug)); err != nil {
			return job.Outcome{}, err
		}
	}
	if n, err := s.cfg.Issues.Undecided(ctx, s.cfg.DB); err != nil || n > 0 {
		return job.Done(), errors.Join(err, s.refuse(ctx, undecided(n)))
	}
	ended := 0
	for _, p := range all {
		some, err := s.cfg.Settle(ctx, p.Info().Slug, v.BackupAt, v.Confirmed.Missing)
		ended += some
		if errors.Is(err, deployment.ErrNoMachines) {
			return job.Done(), s.refuse(ctx, fmt.Sprintf("%s. Check that its API key is of the right account. If all "+
				"of these machines really are gone, confirm it with --all-missing.", err))
		}
		if err != nil {
			return job.Outcome{}, err
		}
	}
	return job.Done(), s.cfg.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error { return s.end(ctx, tx, ended) })
}

// end ends the recovery unless something was found meanwhile.
func (s *Service) end(ctx context.Context, tx *db.Tx, ended int) error {
	v, on, err := Find(ctx, tx)
	if err != nil || !on {
		return err
	}
	n, err := s.cfg.Issues.Undecided(ctx, tx)
	if err != nil {
		return err
	}
	if n > 0 {
		return s.cfg.Jobs.Enqueue(ctx, tx, job.NoOwner, KindEnd, Fleet, tx.Now)
	}
	now := tx.Now.UTC()
	v.EndedAt = &now
	tx.AfterCommit(func() {
		s.cfg.Log.InfoContext(ctx, "the recovery has ended", "backup", v.BackupAt, "endedDeployments", ended)
	})
	return write(ctx, tx, v)
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
