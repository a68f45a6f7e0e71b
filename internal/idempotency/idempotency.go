package idempotency

import (
	"context"
	"time"

	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/job"
)

// Window is how long an answer is stored and repeated.
const Window = 24 * time.Hour

// MaxKeyLength is the maximum length of a key in characters.
const MaxKeyLength = 255

// KindPurge is the job that deletes answers older than Window. Its subject is Fleet.
const KindPurge job.Kind = "idempotency.purge"

// Fleet is the subject of the purge: all accounts at once.
const Fleet id.ID = "fleet"

const (
	purgeEvery = time.Hour
	purgeBatch = 500 // rows in one transaction, so that a purge blocks others only briefly
)

// Answer is the answer to a request.
type Answer struct {
	Status int
	Header map[string]string
	Body   []byte
}

// Config configures a Service. Every field is required.
type Config struct {
	DB *db.DB
	// Clock decides when an answer is old enough to be purged.
	Clock clock.Clock
}

// Service stores answers.
type Service struct{ cfg Config }

// New returns a Service.
func New(c Config) *Service { return &Service{c} }

// ValidKey reports whether a key has 1 to 255 visible ASCII characters.
func ValidKey(key string) bool {
	if key == "" || len(key) > MaxKeyLength {
		return false
	}
	for i := range len(key) {
		if key[i] <= ' ' || key[i] > '~' {
			return false
		}
	}
	return true
}

// Begin claims the key for the transaction. If the key has an answer, Begin returns it and replay
// is true: the caller has nothing to do. Begin waits while another transaction has the key. hash
// identifies the whole request; the key with another hash is IDEMPOTENCY_KEY_REUSED. A claim
// without Finish must not be committed.
func (s *Service) Begin(
	ctx context.Context, tx *db.Tx, account id.ID, key, hash string,
) (answer Answer, replay bool, err error) {
	claimed, err := claim(ctx, tx, account, key, hash)
	if err != nil || claimed {
		return Answer{}, false, err
	}
	stored, answer, err := load(ctx, tx, account, key)
	if err != nil {
		return Answer{}, false, err
	}
	if stored != hash {
		return Answer{}, false, apierr.New(apierr.IdempotencyKeyReused,
			"This Idempotency-Key was used for another request "+
				"in the last 24 hours. Use a new key for a new request, or repeat the first request unchanged.")
	}
	return answer, true, nil
}

// Finish stores the answer under the key that the transaction began with.
func (s *Service) Finish(ctx context.Context, tx *db.Tx, account id.ID, key string, a Answer) error {
	return finish(ctx, tx, account, key, a)
}

// Purge deletes answers older than Window, and repeats every hour.
func (s *Service) Purge(ctx context.Context, _ id.ID) (job.Outcome, error) {
	now := s.cfg.Clock.Now()
	for {
		var n int64
		err := s.cfg.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) (err error) {
			n, err = purge(ctx, tx, now.Add(-Window), purgeBatch)
			return err
		})
		if err != nil {
			return job.Outcome{}, err
		}
		if n < purgeBatch {
			return job.At(now.Add(purgeEvery)), nil
		}
	}
}
