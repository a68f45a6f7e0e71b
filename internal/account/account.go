package account

import (
	"context"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/secret"
)

// Account is who owns deployments, keys and a wallet.
type Account struct {
	ID        id.ID     `json:"id" doc:"Id of the account, acc_…."`
	Name      string    `json:"name" doc:"What it is called."`
	CreatedAt time.Time `json:"createdAt" doc:"When it was made."`
	// Markup is by how many basis points its prices are above the providers' own; nil where it has the usual ones. It is not for tenants.
	Markup *int64 `json:"-"`
}

// MaxMarkup is the greatest markup that an account may have, in basis points.
const MaxMarkup = 100_000

// Config is what a Service needs.
type Config struct {
	DB  *db.DB
	IDs *id.Maker
	// Rand is crypto/rand.Reader outside tests: secrets come from it.
	Rand  io.Reader
	Clock clock.Clock
	// Real is the machine's own time, by which authenticator apps go.
	Real func() time.Time
	// Secrets seals what must be read again.
	Secrets *secret.Box
	// CheapPasswords makes hashing quick and worthless, for tests that are about something else; test/architecture sees to it that
	// nothing else sets it.
	CheapPasswords bool
}

// Service keeps accounts, people and keys. It is safe for concurrent use.
type Service struct {
	c         Config
	passwords *passwords
	throttle  throttle

	remembered remembered

	mu sync.Mutex
	// Uses since the last flush, by key and by session's token hash.
	keysUsed     map[id.ID]time.Time
	sessionsSeen map[string]time.Time
}

// New returns a Service. It panics when a field is missing.
func New(c Config) *Service {
	if c.DB == nil || c.IDs == nil || c.Rand == nil || c.Clock == nil || c.Real == nil || c.Secrets == nil {
		panic("account: New needs every field of its Config but CheapPasswords")
	}
	return &Service{
		c: c, passwords: newPasswords(c.Rand, c.CheapPasswords), throttle: throttle{c.DB},
		keysUsed: map[id.ID]time.Time{}, sessionsSeen: map[string]time.Time{},
	}
}

// Create makes an account. It answers INVALID_REQUEST for a name that apierr.CheckName refuses.
func (s *Service) Create(ctx context.Context, tx *db.Tx, name string) (Account, error) {
	if err := apierr.Invalid(apierr.CheckName("name", name)).OrNil(); err != nil {
		return Account{}, err
	}
	a := Account{ID: s.c.IDs.New(id.Account), Name: name, CreatedAt: tx.Now}
	return a, insertAccount(ctx, tx, a)
}

// List returns a page of all accounts, newest first, and how many there are. It is for the operator.
func (s *Service) List(ctx context.Context, r db.Reader, p db.Page) ([]Account, db.Listed, error) {
	return listAccounts(ctx, r, p)
}

// Get returns one account, or NOT_FOUND.
func (s *Service) Get(ctx context.Context, r db.Reader, account id.ID) (Account, error) {
	a, found, err := accountByID(ctx, r, account)
	if err == nil && !found {
		err = apierr.New(apierr.NotFound, "There is no account with this id.")
	}
	return a, err
}

// SetMarkup gives an account a markup of its own, in basis points from 0 to MaxMarkup, or with nil the usual ones. What runs keeps the price that was
// agreed for it. It answers INVALID_REQUEST or NOT_FOUND.
func (s *Service) SetMarkup(ctx context.Context, tx *db.Tx, account id.ID, basisPoints *int64) (Account, error) {
	if basisPoints != nil && (*basisPoints < 0 || *basisPoints > MaxMarkup) {
		return Account{}, apierr.Invalid([]apierr.FieldError{{Field: "percent", Message: fmt.Sprintf("must be from 0 to %d.", MaxMarkup/100)}})
	}
	a, err := s.Get(ctx, tx, account)
	if err != nil {
		return Account{}, err
	}
	a.Markup = basisPoints
	return a, setMarkup(ctx, tx, account, basisPoints)
}

// Markups returns the markups, in basis points, of the accounts that have one of their own.
func (s *Service) Markups(ctx context.Context, r db.Reader) (map[id.ID]int64, error) {
	return markups(ctx, r)
}

// now is the time of the clock as the database keeps it.
func (s *Service) now() time.Time { return s.c.Clock.Now().Truncate(time.Microsecond) }

// FlushLastUse writes the uses of keys and sessions that were noticed since the last call, in
// one transaction. What could not be written is kept for the next call.
func (s *Service) FlushLastUse(ctx context.Context) error {
	s.mu.Lock()
	keys, sessions := s.keysUsed, s.sessionsSeen
	s.keysUsed, s.sessionsSeen = map[id.ID]time.Time{}, map[string]time.Time{}
	s.mu.Unlock()
	if len(keys)+len(sessions) == 0 {
		return nil
	}
	err := s.c.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		if err := touchKeys(ctx, tx, keys); err != nil {
			return err
		}
		return touchSessions(ctx, tx, sessions)
	})
	if err != nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		for k, t := range keys {
			s.keysUsed[k] = later(s.keysUsed[k], t)
		}
		for k, t := range sessions {
			s.sessionsSeen[k] = later(s.sessionsSeen[k], t)
		}
	}
	return err
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
