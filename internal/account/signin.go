package account

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
)

// Proof is the proof that a caller is a user. Only this package creates one. It starts at most one
// session.
type Proof struct {
	// User is that user. After a failure it is set if the user is known.
	User User
	// hold checks, in the transaction that starts the session, that the proof still holds, and uses
	// up one-time codes.
	hold func(ctx context.Context, tx *db.Tx) error
	// limits are the limits that the attempt counts against. A session that starts uncounts it.
	limits []limit
}

var errSignIn = apierr.New(apierr.SignInFailed, "The email address or password is wrong.")

// Verify checks an email address and a password. If the user has an authenticator app, code is one
// of its codes or a recovery code. It returns SIGN_IN_FAILED, after the same time for a wrong
// password and an unknown email address; SECOND_FACTOR_REQUIRED, if the password is right, for a
// missing, wrong or used code; RATE_LIMIT_EXCEEDED after too many failures in the browser, for the
// email address or from the network address, or too many wrong codes; and SERVICE_UNAVAILABLE if
// too many users sign in at once. It must not be called inside a transaction.
func (s *Service) Verify(ctx context.Context, email, password, code string, from Source) (Proof, error) {
	limits, p, hash, err := s.tryPassword(ctx, email, password, from)
	if err != nil {
		return Proof{User: p}, err
	}
	use, err := s.secondFactor(ctx, p, code)
	if err != nil {
		if code == "" || apierr.CodeOf(err) != apierr.SecondFactorRequired {
			err = errors.Join(err, s.throttle.giveBack(ctx, limits))
		}
		return Proof{User: p}, err
	}
	return Proof{User: p, limits: limits, hold: func(ctx context.Context, tx *db.Tx) error {
		same, err := lockPassword(ctx, tx, p.ID, hash)
		if err == nil && !same { // it was changed meanwhile
			err = errSignIn
		}
		if err != nil {
			return err
		}
		return use(ctx, tx)
	}}, nil
}

// tryPassword returns the user with that password, its hash, and the limits that the attempt counts
// against. It counts as failed unless it is uncounted. With SIGN_IN_FAILED the user is set if one
// has the address.
func (s *Service) tryPassword(ctx context.Context, email, password string, from Source) ([]limit, User, string, error) {
	normal, wrong := normalEmail(email)
	if wrong != "" {
		normal = "" // counts together with every invalid address, and costs the same query
	}
	limits := s.passwordLimits(from, normal)
	wait, err := s.throttle.take(ctx, limits)
	if err == nil && wait > 0 {
		err = tooMany("Too many failed sign-ins. Wait %s, then try again, or sign in with a passkey, with your "+
			"identity provider, "+
			"or in a browser in which you have signed in before.", wait)
	}
	if err != nil {
		return nil, User{}, "", err
	}
	p, hash, err := s.passwordOf(ctx, normal, password)
	if err != nil && apierr.CodeOf(err) != apierr.SignInFailed { // no attempt: nothing was compared
		err = errors.Join(err, s.throttle.giveBack(ctx, limits))
	}
	return limits, p, hash, err
}

// passwordOf compares a password. It returns SIGN_IN_FAILED.
func (s *Service) passwordOf(ctx context.Context, email, password string) (User, string, error) {
	p, hash, _, err := userByEmail(ctx, s.cfg.DB, email)
	if err != nil {
		return User{}, "", err
	}
	right, err := s.passwords.matches(ctx, hash, password)
	switch {
	case err != nil:
		return User{}, "", err
	case !right:
		return p, "", errSignIn
	}
	return p, hash, nil
}

// knows reports whether the user with that email address has signed in on the browser.
func (s *Service) knows(browser, email string) bool {
	name, of := s.browser(browser)
	return name != "" && of == email
}

// tooMany is RATE_LIMIT_EXCEEDED. The format has one %s, for the time to wait.
func tooMany(format string, wait time.Duration) error {
	text := fmt.Sprintf("%d seconds", int(math.Ceil(wait.Seconds())))
	if wait > 2*time.Minute {
		text = fmt.Sprintf("%d minutes", int(math.Ceil(wait.Minutes())))
	}
	e := apierr.New(apierr.RateLimitExceeded, format, text)
	e.RetryAfter = wait
	return e
}

// Origin describes where a session starts, so that the user recognizes it.
type Origin struct {
	Source
	UserAgent string
}

// SignedIn is a new session.
type SignedIn struct {
	Session
	// Token has 43 characters. Only its hash is stored.
	Token string
	// Browser is the token for later sign-ins of the same user in this browser: see Source.
	Browser string
}

// Begin starts a session in the account in which the user worked last, or in the first one that
// they joined. It ends the session with the token previous, which the browser had until now; "" for
// none. It returns SIGN_IN_FAILED or SECOND_FACTOR_REQUIRED if the proof no longer holds, and
// INSUFFICIENT_SCOPE for a user without an account.
func (s *Service) Begin(ctx context.Context, tx *db.Tx, p Proof, o Origin, previous string) (SignedIn, error) {
	if p.hold == nil {
		return SignedIn{}, errSignIn // a failed proof
	}
	if err := p.hold(ctx, tx); err != nil {
		return SignedIn{}, err
	}
	account, role, found, err := homeOf(ctx, tx, p.User.ID)
	if err == nil && !found {
		err = apierr.New(apierr.InsufficientScope,
			"You are no longer a member of any account. Ask for an invitation, and open its link.")
	}
	if err != nil {
		return SignedIn{}, err
	}
	token, err := randomText(s.cfg.Rand)
	if err != nil {
		return SignedIn{}, err
	}
	n := SignedIn{Token: token, Session: Session{
		ID: s.cfg.IDs.New(id.Session), User: p.User, Account: account, Role: role,
		CreatedAt: tx.Now, SeenAt: tx.Now, ExpiresAt: tx.Now.Add(SessionLifetime), UserAgent: shortened(o.UserAgent),
	}}
	if o.Address.IsValid() {
		n.Address = o.Address.String()
	}
	if err := insertSession(ctx, tx, n.Session, hashOf(token)); err != nil {
		return SignedIn{}, err
	}
	if err := deleteOldSessions(ctx, tx, p.User.ID, MaxSessions); err != nil {
		return SignedIn{}, err
	}
	if err := seeMember(ctx, tx, account, p.User.ID); err != nil {
		return SignedIn{}, err
	}
	if err := s.SignOut(ctx, tx, previous); err != nil {
		return SignedIn{}, err
	}
	if n.Browser = o.Browser; !s.knows(o.Browser, p.User.Email) {
		if n.Browser, err = s.newBrowser(p.User.Email); err != nil {
			return SignedIn{}, err
		}
	}
	if len(p.limits) > 0 {
		succeeded(tx, p.limits)
	}
	return n, deleteEndedSessions(ctx, tx) // after the user's row, as SetPassword does
}

// HomeOf returns the account in which the user's next session starts; found is false for a user
// without an account.
func (s *Service) HomeOf(ctx context.Context, r db.Reader, user id.ID) (account id.ID, found bool, err error) {
	account, _, found, err = homeOf(ctx, r, user)
	return account, found, err
}
