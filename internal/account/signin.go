package account

import (
	"context"
	"net/netip"
	"time"

	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/fault"
	"github.com/billetcloud/billet/internal/id"
)

// Proof is that somebody is a person. Only this package makes one, and it begins one session at the most.
type Proof struct {
	// Person is who it is about. It is set beside an error, too, where the person who could not be proved is known.
	Person Person
	// hold makes sure, in the transaction that begins the session, that the proof still holds, and uses up what works once.
	hold func(ctx context.Context, tx *db.Tx) error
	// succeeded is called when the session has begun.
	succeeded func()
}

var errSignIn = fault.New(fault.SignInFailed, "The e-mail address or the password is wrong.")

// Verify checks what somebody signs in with. Where the person has an authenticator app, code is one of its codes or a recovery
// code. It answers SIGN_IN_FAILED, alike and after the same time for a wrong password and an unknown e-mail address;
// SECOND_FACTOR_REQUIRED, which only whoever has the password sees, for a code that is missing, wrong or used; RATE_LIMIT_EXCEEDED
// after too many failures from the address, or too many wrong codes; SERVICE_UNAVAILABLE when too many sign in at
// once. It must not be called inside a transaction.
func (s *Service) Verify(ctx context.Context, email, password, code string, from netip.Addr) (Proof, error) {
	try, p, hash, err := s.tryPassword(ctx, email, password, from)
	if err != nil {
		return Proof{Person: p}, err
	}
	use, err := s.secondFactor(ctx, p, code)
	if err != nil {
		if code == "" || fault.CodeOf(err) != fault.SecondFactorRequired {
			try.giveBack()
		}
		return Proof{Person: p}, err
	}
	return Proof{Person: p, succeeded: try.succeeded, hold: func(ctx context.Context, tx *db.Tx) error {
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

// try is one try of a password. It counts as failed unless it is said otherwise.
type try struct {
	throttle *throttle
	from     netip.Addr
	email    string
}

func (t try) giveBack()  { t.throttle.giveBack(t.from, t.email, false) }
func (t try) succeeded() { t.throttle.giveBack(t.from, t.email, true) }

// tryPassword returns the person whose password it is, and its hash. The person is set beside SIGN_IN_FAILED where one
// has the address.
func (s *Service) tryPassword(ctx context.Context, email, password string, from netip.Addr) (try, Person, string, error) {
	normal, wrong := normalEmail(email)
	if wrong != "" {
		normal = "" // counts with all that is no address, and is looked for like any other
	}
	t := try{s.throttle, from, normal}
	if wait := s.throttle.take(s.now(), from, normal, triesPerPair); wait > 0 {
		return t, Person{}, "", tooMany("There were too many failed sign-ins from your address. Wait, then try again.", wait)
	}
	p, hash, _, err := personByEmail(ctx, s.c.DB, normal)
	if err != nil {
		t.giveBack()
		return t, Person{}, "", err
	}
	right, err := s.passwords.matches(ctx, hash, password)
	if err != nil {
		t.giveBack()
		return t, Person{}, "", err
	}
	if !right {
		return t, p, "", errSignIn
	}
	return t, p, hash, nil
}

func tooMany(message string, wait time.Duration) error {
	e := fault.New(fault.RateLimitExceeded, "%s", message)
	e.RetryAfter = wait
	return e
}

// Origin is where a session is used from, for the person to recognise it by.
type Origin struct {
	Address   netip.Addr
	UserAgent string
}

// SignedIn is a session that has just begun.
type SignedIn struct {
	Session
	// Token is 43 characters, of which only a hash is kept.
	Token string
}

// Begin begins a session in the account where the person worked last, or else in the first that they joined. previous is the token
// of the session that the browser had until now, which ends; "" for none. It answers SIGN_IN_FAILED or
// SECOND_FACTOR_REQUIRED where the proof no longer holds, and INSUFFICIENT_SCOPE for a person who belongs to no account.
func (s *Service) Begin(ctx context.Context, tx *db.Tx, p Proof, o Origin, previous string) (SignedIn, error) {
	if p.hold == nil {
		return SignedIn{}, errSignIn // a proof that failed
	}
	if err := p.hold(ctx, tx); err != nil {
		return SignedIn{}, err
	}
	account, role, found, err := homeOf(ctx, tx, p.Person.ID)
	if err == nil && !found {
		err = fault.New(fault.InsufficientScope, "You belong to no account any more. Ask somebody to invite you, and open the link.")
	}
	if err != nil {
		return SignedIn{}, err
	}
	token, err := randomText(s.c.Rand)
	if err != nil {
		return SignedIn{}, err
	}
	n := SignedIn{Token: token, Session: Session{
		ID: s.c.IDs.New(id.Session), Person: p.Person, Account: account, Role: role, CreatedAt: tx.Now, SeenAt: tx.Now, ExpiresAt: tx.Now.Add(SessionLength),
		UserAgent: shortened(o.UserAgent),
	}}
	if o.Address.IsValid() {
		n.Address = o.Address.String()
	}
	if err := insertSession(ctx, tx, n.Session, hashOf(token)); err != nil {
		return SignedIn{}, err
	}
	if err := seeMember(ctx, tx, account, p.Person.ID); err != nil {
		return SignedIn{}, err
	}
	if err := s.SignOut(ctx, tx, previous); err != nil {
		return SignedIn{}, err
	}
	if p.succeeded != nil {
		tx.AfterCommit(p.succeeded)
	}
	return n, deleteEndedSessions(ctx, tx) // after the person's row, as SetPassword does
}

// HomeOf returns the account in which the person's next session would begin; found is false for a person who belongs to none.
func (s *Service) HomeOf(ctx context.Context, r db.Reader, person id.ID) (account id.ID, found bool, err error) {
	account, _, found, err = homeOf(ctx, r, person)
	return account, found, err
}
