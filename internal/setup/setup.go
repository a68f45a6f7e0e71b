package setup

import (
	"context"
	"crypto/sha256"
	"encoding/base32"
	"encoding/hex"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"sync/atomic"
	"time"

	"github.com/billetcloud/billet/internal/account"
	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/operator"
)

const (
	// CodeLifetime is how long a code works.
	CodeLifetime = 24 * time.Hour
	// MaxCodes is how many codes exist at most: each start of a server adds one, because it cannot
	// read those that others have shown.
	MaxCodes = 10

	// codeBytes of randomness are 80 bits, and 16 characters.
	codeBytes = 10
	groupSize = 4
)

// accountName is the name of the first operator's account.
const accountName = "Operator"

// Config is what a Service needs. Every field is required.
type Config struct {
	DB       *db.DB
	Accounts *account.Service
	Operator *operator.Service
	Clock    clock.Clock
	// Rand is the source of codes.
	Rand io.Reader
}

// Service sets up an installation without a user. It is safe for concurrent use.
type Service struct {
	cfg Config
	// done is set once a user was seen, because users are never deleted.
	done atomic.Bool
}

// New returns a Service. It panics when a field is missing.
func New(cfg Config) *Service {
	if cfg.DB == nil || cfg.Accounts == nil || cfg.Operator == nil || cfg.Clock == nil || cfg.Rand == nil {
		panic("setup: New needs every field of its Config")
	}
	return &Service{cfg: cfg}
}

// Code is a code for the setup page, which is shown once.
type Code struct {
	Text      string    `json:"code"`
	ExpiresAt time.Time `json:"expiresAt"`
}

// errDone is the refusal of everything once there is a user.
var errDone = apierr.New(apierr.Conflict, "This server is already set up. Sign in. "+
	"`billetd user create --operator` creates another operator.")

func wrongCode(message string) error {
	return apierr.Invalid([]apierr.FieldError{{Field: "code", Message: message}})
}

var (
	errWrong = wrongCode("is not a code of this server, or was replaced. Use the one in the log of its last start, " +
		"or run `billetd setup-code` for a new one.")
	errExpired = wrongCode(fmt.Sprintf(
		"has expired: a code works for %d hours. Run `billetd setup-code` for a new one.", CodeLifetime/time.Hour,
	))
)

// Needed reports whether the installation has no user yet.
func (s *Service) Needed(ctx context.Context) (bool, error) {
	if s.done.Load() {
		return false, nil
	}
	has, err := s.cfg.Accounts.HasUsers(ctx, s.cfg.DB)
	if has {
		s.done.Store(true)
	}
	return !has && err == nil, err
}

// AddCode returns a new code beside those that other servers have shown. It returns CONFLICT once
// there is a user.
func (s *Service) AddCode(ctx context.Context, tx *db.Tx) (Code, error) {
	if err := s.refuseIfDone(ctx, tx); err != nil {
		return Code{}, err
	}
	raw := make([]byte, codeBytes)
	if _, err := io.ReadFull(s.cfg.Rand, raw); err != nil {
		return Code{}, fmt.Errorf("no randomness: %w", err)
	}
	text := base32.StdEncoding.EncodeToString(raw)
	r := record{hash: hashOf(text), createdAt: tx.Now, expiresAt: tx.Now.Add(CodeLifetime)}
	if err := records.Insert(ctx, tx, r); err != nil {
		return Code{}, err
	}
	return Code{grouped(text), r.expiresAt}, deleteOldCodes(ctx, tx, MaxCodes)
}

// ReplaceCode is AddCode, and ends all other codes.
func (s *Service) ReplaceCode(ctx context.Context, tx *db.Tx) (Code, error) {
	if err := deleteCodes(ctx, tx); err != nil {
		return Code{}, err
	}
	return s.AddCode(ctx, tx)
}

func (s *Service) refuseIfDone(ctx context.Context, r db.Reader) error {
	has, err := s.cfg.Accounts.HasUsers(ctx, r)
	if err == nil && has {
		err = errDone
	}
	return err
}

// CheckCode checks a code before work that costs more. It counts the attempt, and returns
// RATE_LIMIT_EXCEEDED after too many wrong codes from a network, INVALID_REQUEST for a wrong code,
// and CONFLICT once there is a user. It must not be called inside a transaction.
func (s *Service) CheckCode(ctx context.Context, code string, from netip.Addr) error {
	if err := s.refuseIfDone(ctx, s.cfg.DB); err != nil {
		return err
	}
	done, err := s.cfg.Accounts.CountSetupCode(ctx, from)
	if err != nil {
		return err
	}
	codes, err := allCodes(ctx, s.cfg.DB)
	if err != nil {
		return err
	}
	wrong := judge(codes, hashOf(bare(code)), s.cfg.Clock.Now())
	if err := done(wrong != nil); err != nil {
		return err
	}
	return wrong
}

// CreateOperator creates the first user, with an account of their own, and ends all codes. n must
// be that of an operator. It returns the user's proof for a session, INVALID_REQUEST for a wrong
// code, and CONFLICT once there is a user.
func (s *Service) CreateOperator(
	ctx context.Context, tx *db.Tx, code string, n account.NewUser,
) (account.Proof, error) {
	codes, err := allCodes(ctx, tx) // locked: another browser waits here, and finds the user
	if err != nil {
		return account.Proof{}, err
	}
	if err := s.refuseIfDone(ctx, tx); err != nil {
		return account.Proof{}, err
	}
	if err := judge(codes, hashOf(bare(code)), tx.Now); err != nil {
		return account.Proof{}, err
	}
	if err := deleteCodes(ctx, tx); err != nil {
		return account.Proof{}, err
	}
	a, err := s.cfg.Operator.CreateAccount(ctx, tx, accountName, 0)
	if err != nil {
		return account.Proof{}, err
	}
	return s.cfg.Accounts.CreateFirstUser(ctx, tx, n, a.ID)
}

// judge returns why the code with that hash does not work, or nil.
func judge(codes []record, hash string, now time.Time) error {
	for _, c := range codes {
		switch {
		case c.hash != hash:
		case !now.Before(c.expiresAt):
			return errExpired
		default:
			return nil
		}
	}
	return errWrong
}

// bare returns a code as it is hashed: users type spaces, hyphens and small letters.
func bare(code string) string {
	return strings.ToUpper(strings.NewReplacer("-", "", " ", "").Replace(strings.TrimSpace(code)))
}

// grouped returns a code in groups that are easy to type.
func grouped(text string) string {
	var groups []string
	for len(text) > groupSize {
		groups, text = append(groups, text[:groupSize]), text[groupSize:]
	}
	return strings.Join(append(groups, text), "-")
}

// hashOf returns the SHA-256 of a code in hex, as it is stored.
func hashOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}
