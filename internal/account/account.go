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

// Account is an organization that owns deployments, keys and a wallet.
type Account struct {
	ID        id.ID     `json:"id" doc:"Id of the account, acc_…."`
	Name      string    `json:"name" doc:"Name."`
	CreatedAt time.Time `json:"createdAt" doc:"When it was created."`
	// Markup is what the account pays above the providers' prices, in basis points; nil for the
	// default. Tenants do not see it.
	Markup *int64 `json:"-"`
	// Trusted accounts are offered what is for trusted tenants only. Only operators see it.
	Trusted bool `json:"-"`
	// SuspendedAt and SuspendedReason are shown as Suspension.
	SuspendedAt     *time.Time `json:"-"`
	SuspendedReason string     `json:"-"`
}

var errNoAccount = apierr.New(apierr.NotFound, "There is no account with this id.")

// MaxMarkup is the highest markup of an account, in basis points.
const MaxMarkup = 100_000

// Config is what a Service needs.
type Config struct {
	DB  *db.DB
	IDs *id.Maker
	// Rand is the source of secrets: crypto/rand.Reader outside tests.
	Rand  io.Reader
	Clock clock.Clock
	// Real returns real time, which authenticator apps use.
	Real func() time.Time
	// Secrets seals the secrets of authenticator apps and known browsers.
	Secrets *secret.Box
	// CheapPasswords makes hashing fast and insecure, for tests of something else.
	// test/architecture ensures that only tests set it.
	CheapPasswords bool
}

// Service keeps accounts, users and keys. It is safe for concurrent use.
type Service struct {
	cfg       Config
	passwords *passwords
	throttle  throttle

	remembered remembered

	mu sync.Mutex
	// Uses since the last flush, by key and by token hash of the session.
	keysUsed     map[id.ID]time.Time
	sessionsSeen map[string]time.Time
}

// New returns a Service. It panics when a field is missing.
func New(cfg Config) *Service {
	if cfg.DB == nil || cfg.IDs == nil || cfg.Rand == nil || cfg.Clock == nil || cfg.Real == nil || cfg.Secrets == nil {
		panic("account: New needs every field of its Config but CheapPasswords")
	}
	return &Service{
		cfg: cfg, passwords: newPasswords(cfg.Rand, cfg.CheapPasswords), throttle: throttle{cfg.DB},
		keysUsed: map[id.ID]time.Time{}, sessionsSeen: map[string]time.Time{},
	}
}

// Create creates an account. It returns INVALID_REQUEST for a name that apierr.CheckName refuses.
func (s *Service) Create(ctx context.Context, tx *db.Tx, name string) (Account, error) {
	if err := apierr.Invalid(apierr.CheckName("name", name)).OrNil(); err != nil {
		return Account{}, err
	}
	a := Account{ID: s.cfg.IDs.New(id.Account), Name: name, CreatedAt: tx.Now}
	return a, accounts.Insert(ctx, tx, a)
}

// List returns a page of all accounts, newest first. It is for operators.
func (s *Service) List(ctx context.Context, r db.Reader, p db.Page) ([]Account, db.Listed, error) {
	return listAccounts(ctx, r, p)
}

// Get returns one account, or NOT_FOUND.
func (s *Service) Get(ctx context.Context, r db.Reader, account id.ID) (Account, error) {
	a, found, err := accountByID(ctx, r, account)
	if err == nil && !found {
		err = errNoAccount
	}
	return a, err
}

// Names returns the names of those of the accounts that exist. It is for operators.
func (s *Service) Names(ctx context.Context, r db.Reader, accounts []id.ID) (map[id.ID]string, error) {
	if len(accounts) == 0 {
		return map[id.ID]string{}, nil
	}
	return names(ctx, r, accounts)
}

// SetMarkup gives an account its own markup, from 0 to MaxMarkup basis points, or the default one
// for nil. Running deployments keep their price. It returns INVALID_REQUEST or NOT_FOUND.
func (s *Service) SetMarkup(ctx context.Context, tx *db.Tx, account id.ID, basisPoints *int64) (Account, error) {
	if basisPoints != nil && (*basisPoints < 0 || *basisPoints > MaxMarkup) {
		return Account{}, apierr.Invalid([]apierr.FieldError{{Field: "percent",
			Message: fmt.Sprintf("must be from 0 to %d.", MaxMarkup/100)}})
	}
	a, err := s.Get(ctx, tx, account)
	if err != nil {
		return Account{}, err
	}
	a.Markup = basisPoints
	return a, setMarkup(ctx, tx, a)
}

// SetTrusted makes an account one that is offered what is for trusted tenants only, or one that is
// not. What it has stays. It returns NOT_FOUND.
func (s *Service) SetTrusted(ctx context.Context, tx *db.Tx, account id.ID, trusted bool) (Account, error) {
	a, err := s.Get(ctx, tx, account)
	if err != nil {
		return Account{}, err
	}
	a.Trusted = trusted
	return a, setTrusted(ctx, tx, a)
}

// Trusted returns the accounts that are trusted.
func (s *Service) Trusted(ctx context.Context, r db.Reader) ([]id.ID, error) { return trusted(ctx, r) }

// Markups returns the markups of the accounts that have their own, in basis points.
func (s *Service) Markups(ctx context.Context, r db.Reader) (map[id.ID]int64, error) {
	return markups(ctx, r)
}

// now returns the clock's time with the precision of the database.
func (s *Service) now() time.Time { return s.cfg.Clock.Now().Truncate(time.Microsecond) }

// FlushLastUse writes the uses of keys and sessions since the last call, in one transaction. After
// an error it keeps them for the next call.
func (s *Service) FlushLastUse(ctx context.Context) error {
	s.mu.Lock()
	keys, sessions := s.keysUsed, s.sessionsSeen
	s.keysUsed, s.sessionsSeen = map[id.ID]time.Time{}, map[string]time.Time{}
	s.mu.Unlock()
	if len(keys)+len(sessions) == 0 {
		return nil
	}
	err := s.cfg.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
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
