package altcha

import (
	"bytes"
	"context"
	"crypto/pbkdf2"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/secret"
)

const (
	// Lifetime is how long a challenge can be solved.
	Lifetime = 20 * time.Minute

	algorithm = "PBKDF2/SHA-256"
	// cost is the iterations of one attempt, and prefix what its key begins with: 256 attempts on
	// average, some 100 ms of a laptop and some seconds of an old phone.
	cost, prefix = 1000, "00"
	keyLength    = 32
	// maxSolution is the most bytes of a solution.
	maxSolution = 4096

	purpose = "altcha"
)

// ErrSolution means that a solution is wrong, late, used before, or of another challenge.
var ErrSolution = errors.New("altcha: the solution is not valid")

// Parameters describe what is to be computed. The signature covers them as JSON with sorted names.
type Parameters struct {
	Algorithm string `json:"algorithm" doc:"Key derivation function."`
	Cost      int    `json:"cost" doc:"Iterations of one attempt."`
	Data      Data   `json:"data" doc:"What the challenge is for."`
	ExpiresAt int64  `json:"expiresAt" doc:"When it expires, in seconds since 1970."`
	KeyLength int    `json:"keyLength" doc:"Length of the derived key in bytes."`
	KeyPrefix string `json:"keyPrefix" doc:"What the derived key begins with, in hex."`
	Nonce     string `json:"nonce" doc:"Random bytes in hex, before the counter."`
	Salt      string `json:"salt" doc:"Random bytes in hex."`
}

// Data is signed, and returned with the solution.
type Data struct {
	Use string `json:"use" doc:"Form that the solution is for."`
}

// Challenge is what a browser solves.
type Challenge struct {
	Parameters Parameters `json:"parameters"`
	Signature  string     `json:"signature" doc:"Signature of the parameters, in hex."`
}

// solution is what a browser returns, as JSON in base64.
type solution struct {
	Challenge Challenge `json:"challenge"`
	Solution  struct {
		Counter    uint32 `json:"counter"`
		DerivedKey string `json:"derivedKey"`
	} `json:"solution"`
}

// Config is what a Service needs. Every field is required.
type Config struct {
	// Rand is the source of nonces: crypto/rand.Reader outside tests.
	Rand io.Reader
	// Now is the database's time.
	Now     func() time.Time
	Secrets *secret.Box
}

// Service makes challenges and checks their solutions. It is safe for concurrent use.
type Service struct{ cfg Config }

// New returns a Service. It panics when a field is missing.
func New(cfg Config) *Service {
	if cfg.Rand == nil || cfg.Now == nil || cfg.Secrets == nil {
		panic("altcha: New needs every field of its Config")
	}
	return &Service{cfg}
}

// Challenge returns a new challenge for that use.
func (s *Service) Challenge(use string) (Challenge, error) {
	var random [32]byte
	if _, err := io.ReadFull(s.cfg.Rand, random[:]); err != nil {
		return Challenge{}, fmt.Errorf("no randomness: %w", err)
	}
	p := Parameters{
		Algorithm: algorithm, Cost: cost, Data: Data{use}, ExpiresAt: s.cfg.Now().Add(Lifetime).Unix(),
		KeyLength: keyLength, KeyPrefix: prefix, Nonce: hex.EncodeToString(random[:16]),
		Salt: hex.EncodeToString(random[16:]),
	}
	signature, err := s.sign(p)
	return Challenge{p, signature}, err
}

// Check verifies a solution for that use, without using it up. It returns ErrSolution.
func (s *Service) Check(text, use string) (Solved, error) {
	if len(text) > maxSolution {
		return Solved{}, ErrSolution
	}
	raw, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return Solved{}, ErrSolution
	}
	var got solution
	if json.Unmarshal(raw, &got) != nil {
		return Solved{}, ErrSolution
	}
	p := got.Challenge.Parameters
	signed, err := signedText(p)
	if err != nil {
		return Solved{}, err
	}
	// First of all: nothing below computes with numbers that a stranger chose.
	signature, err := hex.DecodeString(got.Challenge.Signature)
	if err != nil || !s.cfg.Secrets.CheckMAC(purpose, signed, signature) {
		return Solved{}, ErrSolution
	}
	expires := time.Unix(p.ExpiresAt, 0)
	if p.Data.Use != use || p.Cost < cost || !strings.HasPrefix(p.KeyPrefix, prefix) || !s.cfg.Now().Before(expires) {
		return Solved{}, ErrSolution
	}
	nonce, errNonce := hex.DecodeString(p.Nonce)
	salt, errSalt := hex.DecodeString(p.Salt)
	if err := errors.Join(errNonce, errSalt); err != nil {
		return Solved{}, ErrSolution
	}
	attempt := binary.BigEndian.AppendUint32(nonce, got.Solution.Counter)
	key, err := pbkdf2.Key(sha256.New, string(attempt), salt, p.Cost, p.KeyLength)
	if err != nil {
		return Solved{}, err
	}
	if text := hex.EncodeToString(key); !strings.HasPrefix(text, p.KeyPrefix) || text != got.Solution.DerivedKey {
		return Solved{}, ErrSolution
	}
	return Solved{hex.EncodeToString(signature), expires}, nil
}

// Solved is a right solution. Use uses it up.
type Solved struct {
	signature string
	expiresAt time.Time
}

// Use uses the solution up with the transaction. It returns ErrSolution if that has been done.
func (v Solved) Use(ctx context.Context, tx *db.Tx) error {
	if v.signature == "" {
		return ErrSolution
	}
	fresh, err := insertUsed(ctx, tx, v.signature, v.expiresAt)
	if err == nil && !fresh {
		err = ErrSolution
	}
	return err
}

// Forget deletes what expired. Those solutions are refused anyway.
func (s *Service) Forget(ctx context.Context, tx *db.Tx) error { return deleteUsed(ctx, tx) }

func (s *Service) sign(p Parameters) (string, error) {
	text, err := signedText(p)
	if err != nil {
		return "", err
	}
	return hex.EncodeToString(s.cfg.Secrets.MAC(purpose, text)), nil
}

// signedText is what the signature covers.
func signedText(p Parameters) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(p)
	return b.Bytes(), err
}
