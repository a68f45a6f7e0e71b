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
	// ExternalTime is the most time for a sign-in with an identity provider.
	ExternalTime = 10 * time.Minute

	kindExternal = "external"
)

// External is the user whom an identity provider names.
type External struct {
	Issuer, Subject string
	Email           string
	// EmailVerified is true if the provider says so of the address.
	EmailVerified bool
}

// ExternalStart has the secrets of a sign-in with an identity provider. State and Nonce go to the
// provider, Verifier is for the exchange, and Cookie goes to the browser, so that no other browser
// can finish the sign-in.
type ExternalStart struct{ State, Nonce, Verifier, Cookie string }

// externalData is the stored part of an ExternalStart.
type externalData struct{ Nonce, Verifier, CookieHash, ReturnTo string }

// StartExternal starts a sign-in with an identity provider. At its end the browser is redirected to
// returnTo.
func (s *Service) StartExternal(ctx context.Context, tx *db.Tx, returnTo string) (ExternalStart, error) {
	var start ExternalStart
	for _, into := range []*string{&start.State, &start.Nonce, &start.Verifier, &start.Cookie} {
		var err error
		if *into, err = randomText(s.cfg.Rand); err != nil {
			return ExternalStart{}, err
		}
	}
	data, err := json.Marshal(externalData{start.Nonce, start.Verifier, hashOf(start.Cookie), returnTo})
	if err != nil {
		return ExternalStart{}, err
	}
	return start, insertChallenge(ctx, tx, hashOf(start.State), kindExternal, "", string(data),
		tx.Now.Add(ExternalTime))
}

// AnswerExternal returns what StartExternal stored for this state, once, if the browser has the
// cookie. It returns SIGN_IN_FAILED. It must not be called inside a transaction.
func (s *Service) AnswerExternal(ctx context.Context, state, cookie string) (nonce, verifier, returnTo string,
	err error) {
	var text string
	var found bool
	err = s.cfg.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) (err error) {
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
		return "", "", "", RefuseExternal(errors.New("the state is unknown or used, or belongs to another browser"))
	}
	return d.Nonce, d.Verifier, d.ReturnTo, nil
}

// RefuseExternal returns the same SIGN_IN_FAILED for every failure of a sign-in with an identity
// provider.
func RefuseExternal(cause error) error {
	return &apierr.Error{
		Code:    apierr.SignInFailed,
		Message: "The sign-in with your identity provider failed. Try again, or sign in another way.", Cause: cause,
	}
}

// VerifyExternal proves the user whom an identity provider names. A user who has signed in with it
// before is known by the provider's subject, whatever their email address is now. Otherwise a
// verified address links the subject with the user who has it, unless the provider has named that
// user before. It returns SIGN_IN_FAILED: this is no way to sign up, and an address that the
// provider gave to another subject takes no user over.
func (s *Service) VerifyExternal(ctx context.Context, e External) (Proof, error) {
	// OpenID Connect allows 255 characters.
	if e.Issuer == "" || e.Subject == "" || len(e.Subject) > 255 || strings.ContainsRune(e.Subject, 0) {
		return Proof{}, RefuseExternal(errors.New("the provider names no user"))
	}
	p, found, err := userBySubject(ctx, s.cfg.DB, e.Issuer, e.Subject)
	if err != nil {
		return Proof{}, err
	}
	if !found {
		normal, wrong := normalEmail(e.Email)
		if wrong != "" || !e.EmailVerified {
			return Proof{}, RefuseExternal(errors.New("the provider names no verified email address"))
		}
		known := false
		if p, _, known, err = userByEmail(ctx, s.cfg.DB, normal); err != nil {
			return Proof{}, err
		}
		if !known {
			return Proof{}, RefuseExternal(errors.New("no user has this email address"))
		}
	}
	return Proof{User: p, hold: func(ctx context.Context, tx *db.Tx) error {
		if err := lockUser(ctx, tx, p.ID); err != nil {
			return err
		}
		if !found {
			if err := s.claim(ctx, tx, p.ID); err != nil {
				return err
			}
		}
		linked, err := linkSubject(ctx, tx, e.Issuer, e.Subject, p.ID)
		if err == nil && !linked {
			err = RefuseExternal(errors.New("the user is linked with another subject of this provider, or the " +
				"subject with another user"))
		}
		return err
	}}, nil
}

// claim is called when a provider or a mailed link proves a user's address for the first time. If
// an invitation created the user, anyone may have entered the address to wait for its owner. So the
// user's sign-in methods, keys and sessions stop working.
func (s *Service) claim(ctx context.Context, tx *db.Tx, user id.ID) error {
	unproved, err := isUnproved(ctx, tx, user)
	if err != nil || !unproved {
		return err
	}
	return s.endSignIns(ctx, tx, user)
}

// endSignIns ends the user's sign-in methods, except for those with an identity provider, and their
// API keys and sessions.
func (s *Service) endSignIns(ctx context.Context, tx *db.Tx, user id.ID) error {
	if _, err := setPassword(ctx, tx, user, ""); err != nil { // no password matches it
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
