package retention

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/job"
)

// KindPurge is the job that deletes old rows. Its subject is Fleet.
const (
	KindPurge job.Kind = "retention-purge"
	Fleet     id.ID    = "tables"
)

// How long rows are kept unless the operator says otherwise.
const (
	DefaultEvents = 90 * 24 * time.Hour
	DefaultAudit  = 365 * 24 * time.Hour
	DefaultIssues = 365 * 24 * time.Hour
)

// Shortest is the shortest time that rows can be kept: longer than webhooks and mails are tried,
// and than any client is expected to be away.
const Shortest = 7 * 24 * time.Hour

const (
	// purgeEvery is how often old rows are deleted.
	purgeEvery = time.Hour
	// batch is how many rows one transaction deletes, and the most lines of a file.
	batch = 2000
	// batches is how many of these one run deletes of a kind.
	batches = 50
)

// Rows are rows whose ids rise with the time at which they were made. A part of them is what is
// between two ids, both included.
type Rows interface {
	// Oldest returns the ids of up to limit rows after that one that were made before the time.
	Oldest(ctx context.Context, r db.Reader, after id.ID, before time.Time, limit int) ([]id.ID, error)
	// Archive calls line with each row of a part, in their order.
	Archive(ctx context.Context, r db.Reader, first, last id.ID, line func(any) error) error
	// Delete deletes a part, and returns how many rows it had.
	Delete(ctx context.Context, tx *db.Tx, first, last id.ID) (int64, error)
}

// Kind is a kind of rows.
type Kind struct {
	// Name is the name of the folder with the files, and of the kind in the log and metrics.
	Name string
	// Keep is how long rows are kept; 0 is forever.
	Keep time.Duration
	// Rows are archived before they are deleted, if there is a folder. Purge deletes up to limit
	// rows that are not worth it and returns how many. A kind has one of both.
	Rows  Rows
	Purge func(ctx context.Context, tx *db.Tx, before time.Time, limit int) (int64, error)
}

// Config configures a Service. All but Dir is required.
type Config struct {
	DB    *db.DB
	Jobs  *job.Queue
	Clock clock.Clock
	Log   *slog.Logger
	Kinds []Kind
	// Dir is the folder of the archive; "" for none.
	Dir string
	// Deleted is called with the kind and number of rows that were deleted.
	Deleted func(kind string, rows int64)
}

// Service deletes old rows.
type Service struct{ cfg Config }

// New returns a Service.
func New(c Config) *Service { return &Service{c} }

// Start enqueues the job that deletes old rows.
func (s *Service) Start(ctx context.Context) error {
	return s.cfg.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		return s.cfg.Jobs.Enqueue(ctx, tx, job.NoOwner, KindPurge, Fleet, tx.Now)
	})
}

// Purge deletes old rows of each kind, and repeats every hour, or at once if there are more. A kind
// that fails does not keep the others from being purged. It is the handler of KindPurge.
func (s *Service) Purge(ctx context.Context, _ id.ID) (job.Outcome, error) {
	now, again := s.cfg.Clock.Now(), false
	var errs []error
	for _, k := range s.cfg.Kinds {
		if k.Keep == 0 {
			continue
		}
		n, more, err := s.purge(ctx, k, now.Add(-k.Keep))
		if n > 0 {
			s.cfg.Log.InfoContext(ctx, "old rows were deleted", "kind", k.Name, "rows", n, "keep", k.Keep)
		}
		errs, again = append(errs, err), again || more
	}
	switch err := errors.Join(errs...); {
	case err != nil:
		return job.Outcome{}, err
	case again:
		return job.At(now), nil
	}
	return job.At(now.Add(purgeEvery)), nil
}

// purge deletes rows of a kind that were made before the time, and returns how many, and whether
// there may be more.
func (s *Service) purge(ctx context.Context, k Kind, before time.Time) (deleted int64, more bool, err error) {
	after := id.ID("")
	for range batches {
		var n int64
		switch {
		case k.Rows == nil:
			n, err = s.drop(ctx, k, before)
		case s.cfg.Dir == "":
			n, after, err = s.deleteOldest(ctx, k, after, before)
		default:
			n, after, err = s.archiveOldest(ctx, k, after, before)
		}
		if err != nil || n == 0 {
			return deleted, false, err
		}
		deleted += n
		s.cfg.Deleted(k.Name, n)
	}
	return deleted, true, nil
}

func (s *Service) drop(ctx context.Context, k Kind, before time.Time) (n int64, err error) {
	err = s.cfg.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) (err error) {
		n, err = k.Purge(ctx, tx, before, batch)
		return err
	})
	return n, err
}

// deleteOldest deletes a batch of the oldest rows after that one, and returns the last of them.
func (s *Service) deleteOldest(ctx context.Context, k Kind, after id.ID, before time.Time) (n int64, last id.ID,
	err error) {
	ids, err := k.Rows.Oldest(ctx, s.cfg.DB, after, before, batch)
	if err != nil || len(ids) == 0 {
		return 0, after, err
	}
	last = ids[len(ids)-1]
	err = s.cfg.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) (err error) {
		if err = forgetOpen(ctx, tx, k.Name); err != nil { // of the time when there was a folder
			return err
		}
		n, err = k.Rows.Delete(ctx, tx, ids[0], last)
		return err
	})
	return n, last, err
}
