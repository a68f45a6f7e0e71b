package httpapi

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

	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/crashpoint"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/idempotency"
)

// errRehearsed rolls back a change that was only tried.
var errRehearsed = errors.New("httpapi: rehearsal")

// change runs an effect and keeps its answer under the request's Idempotency-Key, where there is one, in one transaction.
//
// A request with faults in its form has no effect. Its effect is still tried and rolled back, with what could be
// understood, so that the client learns of the room's faults in the same answer.
func (s *server) change(ctx context.Context, c *call, d decoded, effect func(context.Context, *db.Tx) (answer, error)) (answer, error) {
	try := effect
	effect = func(ctx context.Context, tx *db.Tx) (answer, error) {
		a, err := try(ctx, tx)
		return a, d.told(err)
	}
	keys := c.request.Header.Values("Idempotency-Key")
	if len(keys) > 1 || (len(keys) == 1 && !idempotency.ValidKey(keys[0])) {
		d.faults = append(d.faults, apierr.FieldError{Field: "header.Idempotency-Key", Message: "must be given once, with 1 to 255 visible ASCII characters."})
	}
	if len(d.faults) > 0 {
		err := s.c.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
			if _, err := effect(ctx, tx); err != nil {
				return err
			}
			return errRehearsed
		})
		return answer{}, merged(d.faults, err)
	}
	var a answer
	if len(keys) == 0 {
		err := s.c.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) (err error) {
			a, err = effect(ctx, tx)
			return err
		})
		return a, s.settle(ctx, c, err)
	}
	key, hash := keys[0], requestHash(c, d)
	replay := false
	once := func(find func(context.Context, *db.Tx) (answer, error)) error {
		return s.c.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) (err error) {
			if a, replay, err = s.c.Idempotency.Begin(ctx, tx, c.account, key, hash); err != nil {
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
			return s.c.Idempotency.Finish(ctx, tx, c.account, key, kept)
		})
	}
	err := once(effect)
	// Where nobody knows whether it was committed, to repeat it tells: its answer is kept, or it is made now.
	repeated, doubt := false, error(nil)
	for try := 0; try < 3 && db.InDoubt(err) && ctx.Err() == nil; try++ {
		repeated, doubt = true, err
		err = once(effect)
	}
	if refused := (*apierr.Error)(nil); errors.As(err, &refused) && final(refused) {
		// The effect is rolled back, its refusal is kept. Where another request with the key came in between, its answer counts.
		err = once(func(context.Context, *db.Tx) (answer, error) { return failed(refused, c.id), nil })
	}
	if err != nil && doubt != nil && !errors.As(err, new(*apierr.Error)) {
		return answer{}, doubt // what came of the repetition does not tell whether the first was committed
	}
	if err != nil {
		return answer{}, err
	}
	crashpoint.Reach(crashpoint.ReplayAfterCommit)
	if replay && !repeated {
		a.Header["Idempotent-Replayed"] = "true"
	}
	return a, nil
}

// final tells whether a refusal is the answer to the request for good. What the client can
// mend in the request, and what passes by itself, may be tried again with the same key.
func final(f *apierr.Error) bool {
	switch statusOf[f.Code] {
	case http.StatusPaymentRequired, http.StatusNotFound, http.StatusConflict:
		return f.Code != apierr.IdempotencyKeyReused && f.Code != apierr.LimitReached // which passes where something is removed
	}
	return false
}

// requestHash tells requests apart: by method, path, query and the body's meaning, whatever its spaces and order of names.
func requestHash(c *call, d decoded) string {
	h := sha256.New()
	_, _ = fmt.Fprintf(h, "%s\n%s\n%s\n%s", c.request.Method, c.request.URL.Path, c.request.URL.Query().Encode(), d.canonical)
	return hex.EncodeToString(h.Sum(nil))
}

// seal encrypts an answer that may show a secret with a key that only the caller's session or API key gives: the database must not
// hold in the clear what is hashed or sealed elsewhere. Others are kept as they are.
func (c *call) seal(body []byte) []byte {
	if !c.sealed() {
		return body
	}
	a := c.cipher()
	nonce := make([]byte, a.NonceSize())
	_, _ = rand.Read(nonce) // never fails
	return a.Seal(nonce, nonce, body, []byte(c.account))
}

// open is the reverse of seal.
func (c *call) open(kept []byte) ([]byte, error) {
	if !c.sealed() {
		return kept, nil
	}
	a := c.cipher()
	if len(kept) >= a.NonceSize() {
		if body, err := a.Open(nil, kept[:a.NonceSize()], kept[a.NonceSize():], []byte(c.account)); err == nil {
			return body, nil
		}
	}
	return nil, apierr.New(apierr.Conflict, "This Idempotency-Key was used in another session or with another API key. Its answer may hold a secret and is shown there only; use a new key.")
}

// sealed tells whether the call's answer may show a secret.
func (c *call) sealed() bool { return c.route.door == doorUser || c.route.secret }

func (c *call) cipher() cipher.AEAD {
	token := c.token
	if c.key != nil {
		token, _ = credential(c.request) // it let the call in
	}
	secret, err := hkdf.Key(sha256.New, []byte(token), nil, "billet: kept answer", 32)
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
