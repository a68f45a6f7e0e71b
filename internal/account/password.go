package account

import (
	"context"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"math"
	"time"
	"unicode/utf8"

	"github.com/billetcloud/billet/internal/apierr"
	"golang.org/x/crypto/argon2"
)

const (
	// MinPassword and MaxPassword are the fewest and the most characters of a password.
	MinPassword, MaxPassword = 10, 256

	hashesAtOnce = 2
	// hashesWaiting may wait for their turn; more are refused at once.
	hashesWaiting = 32
	saltLength    = 16
	digestLength  = 32
)

// cost has the parameters of RFC 9106: time, memory (KiB) and parallelism.
type cost struct {
	time, memory uint32
	threads      uint8
}

// passwords hashes and checks passwords with argon2id, few at once: each needs 64 MiB while it
// runs.
type passwords struct {
	rand    io.Reader
	cost    cost
	waiting chan struct{}
	running chan struct{}
}

var realCost, cheapCost = cost{time: 2, memory: 64 << 10, threads: 1}, cost{time: 1, memory: 64, threads: 1}

func newPasswords(r io.Reader, cheap bool) *passwords {
	each := realCost
	if cheap {
		each = cheapCost
	}
	return &passwords{
		rand: r, cost: each,
		waiting: make(chan struct{}, hashesAtOnce+hashesWaiting), running: make(chan struct{}, hashesAtOnce),
	}
}

// turn waits until a hash may run, and returns a function that ends it. It returns
// SERVICE_UNAVAILABLE if too many wait.
func (p *passwords) turn(ctx context.Context) (done func(), err error) {
	select {
	case p.waiting <- struct{}{}:
	default:
		e := apierr.New(apierr.ServiceUnavailable,
			"Too many users are signing in right now. Try again in a few seconds.")
		e.RetryAfter = 5 * time.Second
		return nil, e
	}
	select {
	case p.running <- struct{}{}:
		return func() { <-p.running; <-p.waiting }, nil
	case <-ctx.Done():
		<-p.waiting
		return nil, ctx.Err()
	}
}

// hash returns the password's hash with its parameters and a new salt, in the usual text format.
func (p *passwords) hash(ctx context.Context, password string) (string, error) {
	salt := make([]byte, saltLength)
	if _, err := io.ReadFull(p.rand, salt); err != nil {
		return "", fmt.Errorf("no randomness: %w", err)
	}
	done, err := p.turn(ctx)
	if err != nil {
		return "", err
	}
	defer done()
	digest := argon2.IDKey([]byte(password), salt, p.cost.time, p.cost.memory, p.cost.threads, digestLength)
	return encode(p.cost, salt, digest), nil
}

// matches reports whether the password has the hash. An empty hash stands for an unknown user: it
// takes as long and matches no password.
func (p *passwords) matches(ctx context.Context, hash, password string) (bool, error) {
	c, salt, digest := p.cost, make([]byte, saltLength), make([]byte, digestLength)
	if hash != "" {
		var err error
		if c, salt, digest, err = decode(hash); err != nil {
			return false, err
		}
	}
	done, err := p.turn(ctx)
	if err != nil {
		return false, err
	}
	defer done()
	got := argon2.IDKey([]byte(password), salt, c.time, c.memory, c.threads, uint32(len(digest)))
	return subtle.ConstantTimeCompare(got, digest) == 1 && hash != "", nil
}

func encode(c cost, salt, digest []byte) string {
	b64 := base64.RawStdEncoding
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s",
		argon2.Version, c.memory, c.time, c.threads, b64.EncodeToString(salt), b64.EncodeToString(digest))
}

var errHash = errors.New("account: a stored password hash cannot be read")

// decode parses a stored hash. Its limits keep a damaged row from using all memory.
func decode(hash string) (c cost, salt, digest []byte, err error) {
	var version int
	var rest string
	_, err = fmt.Sscanf(hash, "$argon2id$v=%d$m=%d,t=%d,p=%d$%s", &version, &c.memory, &c.time, &c.threads, &rest)
	if err != nil || version != argon2.Version {
		return c, nil, nil, errHash
	}
	if c.memory < 8 || c.memory > 1<<20 || c.time < 1 || c.time > 100 || c.threads < 1 {
		return c, nil, nil, errHash
	}
	for i := range len(rest) {
		if rest[i] != '$' {
			continue
		}
		salt, err1 := base64.RawStdEncoding.DecodeString(rest[:i])
		digest, err2 := base64.RawStdEncoding.DecodeString(rest[i+1:])
		if err1 != nil || err2 != nil || len(salt) < 8 || len(digest) < 16 || len(digest) > math.MaxUint8 {
			break
		}
		return c, salt, digest, nil
	}
	return c, nil, nil, errHash
}

// checkPassword returns what is wrong with a new password.
func checkPassword(field, password string) []apierr.FieldError {
	one := func(format string, args ...any) []apierr.FieldError {
		return []apierr.FieldError{{Field: field, Message: fmt.Sprintf(format, args...)}}
	}
	switch n := utf8.RuneCountInString(password); {
	case !utf8.ValidString(password):
		return one("is not valid UTF-8 text.")
	case n < MinPassword:
		return one("has %d characters; at least %d are required. Use a few random words.", n, MinPassword)
	case n > MaxPassword:
		return one("has %d characters; at most %d are allowed.", n, MaxPassword)
	}
	return nil
}
