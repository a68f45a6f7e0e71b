package signedhead

import (
	"cmp"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"slices"
	"time"

	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/issue"
	"github.com/billetcloud/billet/internal/job"
	"github.com/billetcloud/billet/internal/netstring"
	"github.com/billetcloud/billet/internal/secret"
	"github.com/billetcloud/billet/internal/wallet"
)

// The jobs. Their only subject is Fleet.
const (
	// KindSign is the job that signs each day. Its handler is Sign.
	KindSign job.Kind = "ledger-sign"
	// KindVerify is the job that verifies the whole ledger each day. Its handler is VerifyDaily.
	KindVerify job.Kind = "ledger-verify"
	Fleet      id.ID    = "ledger"
)

// after is how long after midnight a day is signed, and verifyAfter how long the ledger is verified
// after that.
const after, verifyAfter = 5 * time.Minute, time.Hour

// Config configures a Service. Every field is required.
type Config struct {
	DB      *db.DB
	Jobs    *job.Queue
	Issues  *issue.Service
	Secrets *secret.Box
}

// Service signs heads. It is safe for concurrent use.
type Service struct{ cfg Config }

// New returns a Service.
func New(c Config) *Service { return &Service{c} }

// LedgerKey is a public key.
type LedgerKey struct {
	ID     string `json:"id" doc:"First 16 hexadecimal digits of the SHA-256 of the public key."`
	Public string `json:"publicKey" doc:"Ed25519 public key, 32 bytes in base64."`
	// CreatedAt is when the server made the key.
	CreatedAt time.Time `json:"createdAt" doc:"When the server made the key."`
}

func keyID(public ed25519.PublicKey) string {
	sum := sha256.Sum256(public)
	return hex.EncodeToString(sum[:8])
}

// Start creates the key if there is none, and enqueues the jobs. A start verifies nothing: servers
// may start often.
func (s *Service) Start(ctx context.Context) error {
	return s.cfg.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		if _, err := s.private(ctx, tx); err != nil {
			return err
		}
		if err := s.cfg.Jobs.Enqueue(ctx, tx, job.NoOwner, KindSign, Fleet, tx.Now); err != nil {
			return err
		}
		return s.cfg.Jobs.Enqueue(ctx, tx, job.NoOwner, KindVerify, Fleet, nextDay(tx.Now).Add(verifyAfter))
	})
}

// purpose is what the private key is sealed for.
func purpose(key string) string { return "ledger-key/" + key }

// private returns the newest key that can be opened, and creates one if there is none.
func (s *Service) private(ctx context.Context, tx *db.Tx) (ed25519.PrivateKey, error) {
	all, err := allKeys(ctx, tx)
	if err != nil {
		return nil, err
	}
	for _, k := range all {
		if private, err := k.open(s.cfg.Secrets); err == nil {
			return private, nil
		}
	}
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	made := keyRow{id: keyID(public), public: base64.StdEncoding.EncodeToString(public), createdAt: tx.Now}
	made.private = s.cfg.Secrets.Seal(purpose(made.id), private.Seed())
	return private, keys.Insert(ctx, tx, made)
}

// open returns the private key, and an error if it is not that of the public key beside it.
func (k keyRow) open(b *secret.Box) (ed25519.PrivateKey, error) {
	seed, err := b.Open(purpose(k.id), k.private)
	if err != nil || len(seed) != ed25519.SeedSize {
		return nil, fmt.Errorf("open the key of the ledger: %w", err)
	}
	private := ed25519.NewKeyFromSeed(seed)
	public := private.Public().(ed25519.PublicKey)
	if base64.StdEncoding.EncodeToString(public) != k.public || keyID(public) != k.id {
		return nil, fmt.Errorf("the public key %s of the ledger does not belong to its private key", k.id)
	}
	return private, nil
}

// PublicKeys returns the keys of all statements, newest first. There is one, unless the server's
// secret key was replaced.
func (s *Service) PublicKeys(ctx context.Context, r db.Reader) ([]LedgerKey, error) {
	rows, err := allKeys(ctx, r)
	out := make([]LedgerKey, len(rows))
	for i, k := range rows {
		out[i] = LedgerKey{ID: k.id, Public: k.public, CreatedAt: k.createdAt}
	}
	return out, err
}

// Newest returns the newest statement; found is false before the first.
func (s *Service) Newest(ctx context.Context, r db.Reader) (st LedgerDay, found bool, err error) {
	return lastStatement(ctx, r)
}

// LedgerDay is what is signed of a day.
type LedgerDay struct {
	Day string `json:"day" doc:"Day in UTC."`
	// Previous is "" for the first.
	Previous     string `json:"previous" doc:"SHA-256 of the previous statement in hexadecimal; empty for the first."`
	Root         string `json:"root" doc:"Merkle root of the heads that changed, in hexadecimal; empty if none changed."`
	Accounts     int64  `json:"accounts" doc:"Number of heads that changed."`
	Transactions int64  `json:"transactions" doc:"Number of transactions of all accounts so far."`
	KeyID        string `json:"keyId" doc:"Id of the key of the signature."`
	Signature    string `json:"signature" doc:"Ed25519 signature of the statement, in base64."`
}

// bytes are what is signed.
func (s LedgerDay) bytes() []byte {
	b := netstring.Text(nil, "billet-ledger-day-1")
	b = netstring.Text(b, s.Day)
	b = netstring.Text(b, s.Previous)
	b = netstring.Text(b, s.Root)
	b = netstring.Number(b, s.Accounts)
	b = netstring.Number(b, s.Transactions)
	return netstring.Text(b, s.KeyID)
}

func (s LedgerDay) digest() string {
	sum := sha256.Sum256(s.bytes())
	return hex.EncodeToString(sum[:])
}

// Sign signs the day, unless it is signed, and runs again the next day. It is the handler of
// KindSign.
func (s *Service) Sign(ctx context.Context, _ id.ID) (job.Outcome, error) {
	var now time.Time
	err := s.cfg.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		now = tx.Now
		return s.sign(ctx, tx)
	})
	return job.At(nextDay(now)), err
}

// nextDay returns when the day after that instant is signed.
func nextDay(now time.Time) time.Time {
	return now.UTC().Truncate(24 * time.Hour).Add(24*time.Hour + after)
}

func (s *Service) sign(ctx context.Context, tx *db.Tx) error {
	day := tx.Now.UTC().Format(time.DateOnly)
	last, found, err := lastStatement(ctx, tx)
	if err != nil || found && last.Day >= day {
		return err
	}
	private, err := s.private(ctx, tx)
	if err != nil {
		return err
	}
	before, err := latestHeads(ctx, tx)
	if err != nil {
		return err
	}
	now, err := wallet.Heads(ctx, tx)
	if err != nil {
		return err
	}
	next := LedgerDay{Day: day, KeyID: keyID(private.Public().(ed25519.PublicKey))}
	if found {
		next.Previous = last.digest()
	}
	changed := make([]wallet.Head, 0, len(now))
	for _, h := range now {
		if next.Transactions += h.Seq; h.Seq > before[h.Account] {
			changed = append(changed, h)
		}
	}
	slices.SortFunc(changed, func(a, b wallet.Head) int { return cmp.Compare(a.Account, b.Account) })
	next.Root, next.Accounts = root(leaves(changed)), int64(len(changed))
	next.Signature = base64.StdEncoding.EncodeToString(ed25519.Sign(private, next.bytes()))
	if err := insertHeads(ctx, tx, day, changed); err != nil {
		return err
	}
	return insertStatement(ctx, tx, next)
}

// Sealed is the column with sealed texts.
var Sealed = []secret.Column{{Table: "signed_head_key", Column: "private_key", Key: "id", Purpose: purpose}}
