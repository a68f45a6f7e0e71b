package account

import (
	"context"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
)

const (
	// ExternalTime is how long a sign-in with an identity provider may take.
	ExternalTime = 10 * time.Minute

	kindExternal = "external"
)

// External is who an identity provider says has signed in.
type External struct {
	Issuer, Subject string
	Email           string
	// EmailVerified is what the provider says of the address.
	EmailVerified bool
}

// ExternalStart is what a sign-in with an identity provider begins with. State and Nonce go to the provider; Verifier is
// kept for the exchange; Cookie goes to the browser, which alone can finish what it began.
type ExternalStart struct{ State, Nonce, Verifier, Cookie string }

// externalData is what is kept of an ExternalStart.
type externalData struct{ Nonce, Verifier, CookieHash, ReturnTo string }

// StartExternal begins a sign-in with an identity provider, at whose end the browser is sent to returnTo.
func (s *Service) StartExternal(ctx context.Context, tx *db.Tx, returnTo string) (ExternalStart, error) {
	var start ExternalStart
	for _, into := range []*string{&start.State, &start.Nonce, &start.Verifier, &start.Cookie} {
		var err error
		if *into, err = randomText(s.c.Rand); err != nil {
			return ExternalStart{}, err
		}
	}
	data, err := json.Marshal(externalData{start.Nonce, start.Verifier, hashOf(start.Cookie), returnTo})
	if err != nil {
		return ExternalStart{}, err
	}
	return start, insertChallenge(ctx, tx, hashOf(start.State), kindExternal, "", string(data), tx.Now.Add(ExternalTime))
}

// AnswerExternal returns what StartExternal kept for this state, once, to the browser that has the cookie. It answers SIGN_IN_FAILED.
// It must not be called inside a transaction.
func (s *Service) AnswerExternal(ctx context.Context, state, cookie string) (nonce, verifier, returnTo string, err error) {
	var text string
	var found bool
	err = s.c.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) (err error) {
		text, found, err = takeChallenge(ctx, tx, hashOf(state), kindExternal, "")
		return err
	})
	if err != nil {
		return "", "", "", err
	}
	var d externalData
	if found {
		if err := json.Unmarshal([]byte(text), &d); err != nil {
			return "", "", "", err
		}
	}
	if !found || !isToken(cookie) || subtle.ConstantTimeCompare([]byte(hashOf(cookie)), []byte(d.CookieHash)) != 1 {
		return "", "", "", RefuseExternal(errors.New("the state is unknown, was used, or was begun by another browser"))
	}
	return d.Nonce, d.Verifier, d.ReturnTo, nil
}

// RefuseExternal is SIGN_IN_FAILED for all that can be wrong with a sign-in at an identity provider.
func RefuseExternal(cause error) error {
	return &apierr.Error{Code: apierr.SignInFailed, Message: "Signing in with your identity provider did not work. Try again, or sign in another way.", Cause: cause}
}

// VerifyExternal proves the user whom an identity provider names. Whoever has signed in with it before is known by the provider's
// subject, whatever e-mail address it tells now. Otherwise a verified address of a user whom the provider has not
// named before links the two. It answers SIGN_IN_FAILED: nobody signs up in this way, and an address that the provider gave to
// somebody else does not take a user over.
func (s *Service) VerifyExternal(ctx context.Context, e External) (Proof, error) {
	if e.Issuer == "" || e.Subject == "" || len(e.Subject) > 255 || strings.ContainsRune(e.Subject, 0) { // 255 is what OpenID Connect allows
		return Proof{}, RefuseExternal(errors.New("the provider names nobody"))
	}
	p, found, err := userBySubject(ctx, s.c.DB, e.Issuer, e.Subject)
	if err != nil {
		return Proof{}, err
	}
	if !found {
		normal, wrong := normalEmail(e.Email)
		if wrong != "" || !e.EmailVerified {
			return Proof{}, RefuseExternal(errors.New("the provider names no verified e-mail address"))
		}
		known := false
		if p, _, known, err = userByEmail(ctx, s.c.DB, normal); err != nil {
			return Proof{}, err
		}
		if !known {
			return Proof{}, RefuseExternal(errors.New("nobody here has this e-mail address"))
		}
	}
	return Proof{User: p, hold: func(ctx context.Context, tx *db.Tx) error {
		if err := holdUser(ctx, tx, p.ID); err != nil {
			return err
		}
		if !found {
			if err := s.claim(ctx, tx, p.ID); err != nil {
				return err
			}
		}
		linked, err := linkSubject(ctx, tx, e.Issuer, e.Subject, p.ID)
		if err == nil && !linked {
			err = RefuseExternal(errors.New("the user is linked with another subject of this provider, or the subject with another user"))
		}
		return err
	}}, nil
}

// claim is for the first time that a provider proves somebody's address. Who made this user from an invitation only said that the
// address is theirs: it may have been anybody, who waits for the owner to come. So what they sign in with ceases to work.
func (s *Service) claim(ctx context.Context, tx *db.Tx, user id.ID) error {
	unproved, err := onlySaidSo(ctx, tx, user)
	if err != nil || !unproved {
		return err
	}
	if _, err := setPassword(ctx, tx, user, ""); err != nil { // which no password matches
		return err
	}
	if err := s.RemoveFactors(ctx, tx, user); err != nil {
		return err
	}
	tx.AfterCommit(s.remembered.forget)
	if err := revokeAllKeysBy(ctx, tx, user); err != nil {
		return err
	}
	return deleteSessions(ctx, tx, user, "")
}
