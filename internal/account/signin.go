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

// Proof is that somebody is a user. Only this package makes one, and it begins one session at the most.
type Proof struct {
	// User is who it is about. It is set beside an error, too, where the user who could not be proved is known.
	User User
	// hold makes sure, in the transaction that begins the session, that the proof still holds, and uses up what works once.
	hold func(ctx context.Context, tx *db.Tx) error
	// limits are those that the try was counted against, which a session that begins takes back.
	limits []limit
}

var errSignIn = apierr.New(apierr.SignInFailed, "The e-mail address or the password is wrong.")

// Verify checks what somebody signs in with. Where the user has an authenticator app, code is one of its codes or a recovery
// code. It answers SIGN_IN_FAILED, alike and after the same time for a wrong password and an unknown e-mail address;
// SECOND_FACTOR_REQUIRED, which only whoever has the password sees, for a code that is missing, wrong or used; RATE_LIMIT_EXCEEDED
// after too many failures of the device, or for the email address, or last of the network address, or too many wrong codes;
// SERVICE_UNAVAILABLE when too many sign in at once. It must not be called inside a transaction.
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
		same, err := holdPassword(ctx, tx, p.ID, hash)
		if err == nil && !same { // changed since it was read
			err = errSignIn
		}
		if err != nil {
			return err
		}
		return use(ctx, tx)
	}}, nil
}

// tryPassword returns the user whose password it is, and its hash, and what the try was counted against. It
// counts as failed unless that is given back. The user is set beside SIGN_IN_FAILED where one has the address.
func (s *Service) tryPassword(ctx context.Context, email, password string, from Source) ([]limit, User, string, error) {
	normal, wrong := normalEmail(email)
	if wrong != "" {
		normal = "" // counts with all that is no address, and is looked for like any other
	}
	limits := s.passwordLimits(from, normal)
	wait, err := s.throttle.take(ctx, limits)
	if err == nil && wait > 0 {
		err = tooMany("There were too many failed sign-ins. Wait %s, then try again; or sign in with a passkey or your identity provider, "+
			"or in a browser in which you have signed in here before.", wait)
	}
	if err != nil {
		return nil, User{}, "", err
	}
	p, hash, err := s.passwordOf(ctx, normal, password)
	if err != nil && apierr.CodeOf(err) != apierr.SignInFailed { // not a try: nothing was compared
		err = errors.Join(err, s.throttle.giveBack(ctx, limits))
	}
	return limits, p, hash, err
}

// passwordOf compares a password, and answers SIGN_IN_FAILED.
func (s *Service) passwordOf(ctx context.Context, email, password string) (User, string, error) {
	p, hash, _, err := userByEmail(ctx, s.c.DB, email)
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

// known tells whether the device is one on which the user with that email address has signed in.
func (s *Service) known(device, email string) bool {
	name, of := s.device(device)
	return name != "" && of == email
}

// tooMany is RATE_LIMIT_EXCEEDED. The format has one verb, for how long to wait.
func tooMany(format string, wait time.Duration) error {
	text := fmt.Sprintf("%d seconds", int(math.Ceil(wait.Seconds())))
	if wait > 2*time.Minute {
		text = fmt.Sprintf("%d minutes", int(math.Ceil(wait.Minutes())))
	}
	e := apierr.New(apierr.RateLimitExceeded, format, text)
	e.RetryAfter = wait
	return e
}

// Origin is where a session is used from, for the user to recognize it by.
type Origin struct {
	Source
	UserAgent string
}

// SignedIn is a session that has just begun.
type SignedIn struct {
	Session
	// Token is 43 characters, of which only a hash is kept.
	Token string
	// Device is what the browser is known by at later sign-ins of the same user: see Source.
	Device string
}

// Begin begins a session in the account where the user worked last, or else in the first that they joined. previous is the token
// of the session that the browser had until now, which ends; "" for none. It answers SIGN_IN_FAILED or
// SECOND_FACTOR_REQUIRED where the proof no longer holds, and INSUFFICIENT_SCOPE for a user who belongs to no account.
func (s *Service) Begin(ctx context.Context, tx *db.Tx, p Proof, o Origin, previous string) (SignedIn, error) {
	if p.hold == nil {
		return SignedIn{}, errSignIn // a proof that failed
	}
	if err := p.hold(ctx, tx); err != nil {
		return SignedIn{}, err
	}
	account, role, found, err := homeOf(ctx, tx, p.User.ID)
	if err == nil && !found {
		err = apierr.New(apierr.InsufficientScope, "You belong to no account any more. Ask somebody to invite you, and open the link.")
	}
	if err != nil {
		return SignedIn{}, err
	}
	token, err := randomText(s.c.Rand)
	if err != nil {
		return SignedIn{}, err
	}
	n := SignedIn{Token: token, Session: Session{
		ID: s.c.IDs.New(id.Session), User: p.User, Account: account, Role: role, CreatedAt: tx.Now, SeenAt: tx.Now, ExpiresAt: tx.Now.Add(SessionLength),
		UserAgent: shortened(o.UserAgent),
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
	if n.Device = o.Device; !s.known(o.Device, p.User.Email) {
		if n.Device, err = s.newDevice(p.User.Email); err != nil {
			return SignedIn{}, err
		}
	}
	if len(p.limits) > 0 {
		succeeded(tx, p.limits)
	}
	return n, deleteEndedSessions(ctx, tx) // after the user's row, as SetPassword does
}

// HomeOf returns the account in which the user's next session would begin; found is false for a user who belongs to none.
func (s *Service) HomeOf(ctx context.Context, r db.Reader, user id.ID) (account id.ID, found bool, err error) {
	account, _, found, err = homeOf(ctx, r, user)
	return account, found, err
}
