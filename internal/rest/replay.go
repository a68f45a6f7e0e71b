package rest

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/crashpoint"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/idempotency"
)

// errDryRun rolls back a change that was only tried.
var errDryRun = errors.New("rest: dry run")

// effect makes a change within a transaction.
type effect func(ctx context.Context, tx *db.Tx) (Answer, error)

// change runs an effect and keeps its response under the request's Idempotency-Key, if it has one,
// in one transaction.
func (rr *Router) change(ctx context.Context, c *Call, d decoded, run effect) (Answer, error) {
	apply := func(ctx context.Context, tx *db.Tx) (Answer, error) {
		a, err := run(ctx, tx)
		return a, d.inWrittenNames(err)
	}
	keys := c.Request.Header.Values("Idempotency-Key")
	if len(keys) > 1 || (len(keys) == 1 && !idempotency.ValidKey(keys[0])) {
		d.invalid = append(d.invalid, apierr.FieldError{
			Field: "header.Idempotency-Key", Message: "must be sent once, with 1 to 255 visible ASCII characters.",
		})
	}
	switch {
	case len(d.invalid) > 0:
		return Answer{}, merged(d.invalid, c.Route.Alternatives, rr.dryRunForErrors(ctx, apply))
	case len(keys) == 1:
		return rr.changeOnce(ctx, c, keys[0], requestHash(c, d), apply)
	}
	var a Answer
	err := rr.cfg.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) (err error) {
		a, err = apply(ctx, tx)
		return err
	})
	return a, rr.settle(ctx, c, err)
}

// dryRunForErrors tries the effect of an invalid request with what could be understood of it, and
// rolls it back: the client gets the errors that only a service finds in the same response.
func (rr *Router) dryRunForErrors(ctx context.Context, apply effect) error {
	return rr.cfg.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		if _, err := apply(ctx, tx); err != nil {
			return err
		}
		return errDryRun
	})
}

// changeOnce runs the effect of a request with an Idempotency-Key, or replays its response.
func (rr *Router) changeOnce(ctx context.Context, c *Call, key, hash string, apply effect) (Answer, error) {
	var a Answer
	replay := false
	once := func(find effect) error {
		return rr.cfg.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) (err error) {
			if a, replay, err = rr.cfg.Idempotency.Begin(ctx, tx, c.Caller.Account, key, hash); err != nil {
				return err
			}
			if replay {
				a.Body, err = c.open(a.Body)
				return err
			}
			if a, err = find(ctx, tx); err != nil {
				return err
			}
			crashpoint.Reach(crashpoint.ReplayBeforeFinish)
			kept := a
			kept.Body = c.seal(a.Body)
			return rr.cfg.Idempotency.Finish(ctx, tx, c.Caller.Account, key, kept)
		})
	}
	err := once(apply)
	// Where it is unknown whether the commit succeeded, repeating tells: the response is kept, or
	// it is made now.
	repeated, doubt := false, error(nil)
	for try := 0; try < 3 && db.InDoubt(err) && ctx.Err() == nil; try++ {
		repeated, doubt = true, err
		err = once(apply)
	}
	if refused, is := errors.AsType[*apierr.Error](err); is && final(refused) {
		// The effect is rolled back, its refusal is kept. Where another request with the key came
		// in between, its response counts.
		err = once(func(context.Context, *db.Tx) (Answer, error) { return failed(refused, c.ID), nil })
	}
	if err != nil {
		if _, is := errors.AsType[*apierr.Error](err); doubt != nil && !is {
			return Answer{}, doubt // the repetition says nothing about the first commit
		}
		return Answer{}, err
	}
	crashpoint.Reach(crashpoint.ReplayAfterCommit)
	if replay && !repeated {
		a.Header["Idempotent-Replayed"] = "true"
	}
	return a, nil
}

// final reports whether a refusal is the response to the request for good. What the client can fix
// in the request, and what passes with time, may be tried again with the same key.
func final(f *apierr.Error) bool {
	switch infoOf[f.Code].status {
	case http.StatusPaymentRequired, http.StatusNotFound, http.StatusConflict:
		return f.Code != apierr.IdempotencyKeyReused &&
			f.Code != apierr.LimitReached // which passes where one is removed
	}
	return false
}

// requestHash identifies a request by method, path, query and the body's meaning, whatever its
// spaces and field order. A key that is bound to a project sees no response to another's request.
func requestHash(c *Call, d decoded) string {
	h := sha256.New()
	_, _ = fmt.Fprintf(
		h,
		"%s\n%s\n%s\n%s",
		c.Request.Method,
		c.Request.URL.Path,
		c.Request.URL.Query().Encode(),
		d.canonical,
	)
	if match := c.Request.Header.Values("If-Match"); len(match) > 0 {
		_, _ = fmt.Fprintf(h, "\nIf-Match: %s", strings.Join(match, ","))
	}
	if c.Caller.Project != "" {
		_, _ = fmt.Fprintf(h, "\nproject: %s", c.Caller.Project)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// seal encrypts a response that may show a secret with a key that is derived from the caller's
// session or API key: the database must not hold in the clear what is hashed or sealed elsewhere.
// Others are kept as they are.
func (c *Call) seal(body []byte) []byte {
	if !c.sealed() {
		return body
	}
	a := c.cipher()
	nonce := make([]byte, a.NonceSize())
	_, _ = rand.Read(nonce) // never fails
	return a.Seal(nonce, nonce, body, []byte(c.Caller.Account))
}

// open is the reverse of seal.
func (c *Call) open(kept []byte) ([]byte, error) {
	if !c.sealed() {
		return kept, nil
	}
	a := c.cipher()
	if len(kept) >= a.NonceSize() {
		if body, err := a.Open(nil, kept[:a.NonceSize()], kept[a.NonceSize():], []byte(c.Caller.Account)); err == nil {
			return body, nil
		}
	}
	return nil, apierr.New(
		apierr.Conflict,
		"This Idempotency-Key was used in another session or with another API key. Its response may hold a secret "+
			"and is shown "+
			"there only. Use a new key.",
	)
}

// sealed reports whether the response may show a secret.
func (c *Call) sealed() bool { return c.Route.Auth == SessionOnly || c.Route.Secret }

func (c *Call) cipher() cipher.AEAD {
	secret, err := hkdf.Key(sha256.New, []byte(c.Caller.Secret), nil, "billet: kept answer", 32)
	if err != nil {
		panic(err) // the length is right
	}
	block, err := aes.NewCipher(secret)
	if err != nil {
		panic(err)
	}
	a, err := cipher.NewGCM(block)
	if err != nil {
		panic(err)
	}
	return a
}
