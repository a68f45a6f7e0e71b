package account

import (
	"context"
	"net/netip"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/fault"
	"github.com/billetcloud/billet/internal/id"
)

// How long a session lasts.
const (
	// SessionIdle is how long a session may go unused.
	SessionIdle = 12 * time.Hour
	// SessionLength is how long a session lasts at the most, however much it is used.
	SessionLength = 7 * 24 * time.Hour
	// seenEvery is how exactly a session's last use is kept: finer would be a write at every call.
	seenEvery = time.Minute
)

// Person is somebody who signs in for an account.
type Person struct {
	ID        id.ID     `json:"id" doc:"Id of the person."`
	Account   id.ID     `json:"-"`
	Email     string    `json:"email" doc:"E-mail address to sign in with, in small letters."`
	CreatedAt time.Time `json:"createdAt" doc:"When the person was added."`
}

// CreatePerson makes a person who may sign in for the account. It answers INVALID_REQUEST with all
// faults at once (fields "email" and "password"), and CONFLICT where the e-mail address is taken.
// It hashes the password, which takes about a tenth of a second, while the transaction is open.
func (s *Service) CreatePerson(ctx context.Context, tx *db.Tx, account id.ID, email, password string) (Person, error) {
	normal, wrong := normalEmail(email)
	var faults []fault.Field
	if wrong != "" {
		faults = append(faults, fault.Field{Field: "email", Message: wrong})
	}
	faults = append(faults, checkPassword(password)...)
	if err := fault.Invalid(faults).OrNil(); err != nil {
		return Person{}, err
	}
	taken := fault.New(fault.Conflict, "Somebody with this e-mail address is known here already. Sign in, or use another address.")
	// Before the hash, so that a repeat does not pay for one; the unique index decides.
	if _, _, found, err := personByEmail(ctx, tx, normal); err != nil || found {
		if err == nil {
			err = taken
		}
		return Person{}, err
	}
	hash, err := s.passwords.hash(ctx, password)
	if err != nil {
		return Person{}, err
	}
	p := Person{ID: s.c.IDs.New(id.Person), Account: account, Email: normal, CreatedAt: tx.Now}
	made, err := insertPerson(ctx, tx, p, hash)
	if err == nil && !made {
		err = taken
	}
	if err != nil {
		return Person{}, err
	}
	return p, nil
}

// SetPassword gives a person another password and ends all their sessions. It answers
// INVALID_REQUEST or NOT_FOUND, also where the person belongs to another account.
func (s *Service) SetPassword(ctx context.Context, tx *db.Tx, account, person id.ID, password string) error {
	if err := fault.Invalid(checkPassword(password)).OrNil(); err != nil {
		return err
	}
	hash, err := s.passwords.hash(ctx, password)
	if err != nil {
		return err
	}
	found, err := setPassword(ctx, tx, account, person, hash)
	if err == nil && !found {
		err = fault.New(fault.NotFound, "There is no person with this id.")
	}
	return err
}

// SignIn begins a session and returns its token, 43 characters of which only a hash is
// kept, and when it ends at the latest. It answers SIGN_IN_FAILED, alike and after the same
// time for a wrong password and an unknown e-mail address; RATE_LIMIT_EXCEEDED after too many
// failures from the address; SERVICE_UNAVAILABLE when too many sign in at once. It must not be
// called inside a transaction.
func (s *Service) SignIn(ctx context.Context, email, password string, from netip.Addr) (Person, string, time.Time, error) {
	none := func(err error) (Person, string, time.Time, error) { return Person{}, "", time.Time{}, err }
	normal, wrong := normalEmail(email)
	if wrong != "" {
		normal = "" // counts with all that is no address, and is looked for like any other
	}
	if wait := s.throttle.take(s.now(), from, normal); wait > 0 {
		e := fault.New(fault.RateLimitExceeded, "There were too many failed sign-ins from your address. Wait, then try again.")
		e.RetryAfter = wait
		return none(e)
	}
	failed := true // until it is known that the password was not at fault
	succeeded := false
	defer func() {
		if !failed {
			s.throttle.giveBack(from, normal, succeeded)
		}
	}()
	p, hash, _, err := personByEmail(ctx, s.c.DB, normal)
	if err != nil {
		failed = false
		return none(err)
	}
	right, err := s.passwords.matches(ctx, hash, password)
	if err != nil {
		failed = false
		return none(err)
	}
	if !right {
		return none(fault.New(fault.SignInFailed, "The e-mail address or the password is wrong."))
	}
	failed = false
	token, err := randomText(s.c.Rand)
	if err != nil {
		return none(err)
	}
	var expires time.Time
	err = s.c.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		expires = tx.Now.Add(SessionLength)
		begun, err := insertSession(ctx, tx, hashOf(token), p.ID, hash, expires)
		if err == nil && !begun { // the password was changed since it was read
			err = fault.New(fault.SignInFailed, "The e-mail address or the password is wrong.")
		}
		if err != nil {
			return err
		}
		return deleteEndedSessions(ctx, tx) // after the person's row, as SetPassword does
	})
	if err != nil {
		return none(err)
	}
	succeeded = true
	return p, token, expires, nil
}

// SignOut ends the session of the token. To end one that has ended succeeds.
func (s *Service) SignOut(ctx context.Context, tx *db.Tx, token string) error {
	if !isToken(token) {
		return nil
	}
	return deleteSession(ctx, tx, hashOf(token))
}

// PersonOf returns who has the session of this token, and remembers its use for FlushLastUse. It
// answers SIGN_IN_REQUIRED where there is none or it has ended.
func (s *Service) PersonOf(ctx context.Context, r db.Reader, token string) (Person, error) {
	required := fault.New(fault.SignInRequired, "You are not signed in, or your session has ended. Sign in again.")
	if !isToken(token) {
		return Person{}, required
	}
	hash := hashOf(token)
	p, seen, expires, found, err := personBySession(ctx, r, hash)
	if err != nil {
		return Person{}, err
	}
	now := s.now()
	s.mu.Lock()
	defer s.mu.Unlock()
	last := later(seen, s.sessionsSeen[hash])
	if !found || !now.Before(expires) || !now.Before(last.Add(SessionIdle)) {
		return Person{}, required
	}
	if now.Sub(last) >= seenEvery {
		s.sessionsSeen[hash] = now
	}
	return p, nil
}

func isToken(token string) bool { return len(token) == randomLength && isBase62(token) }

// normalEmail returns the address in small letters without space around it, or what is wrong with
// it. Whether mail arrives there is not asked: only a mail can tell.
func normalEmail(email string) (normal, wrong string) {
	valid := utf8.ValidString(email) // before ToLower, which would replace what is not
	email = strings.ToLower(strings.TrimSpace(email))
	name, domain, _ := strings.Cut(email, "@")
	bad := func(r rune) bool {
		return unicode.IsControl(r) || unicode.IsSpace(r) || unicode.Is(unicode.Cf, r) || strings.ContainsRune(`@<>()[],;:\"`, r)
	}
	switch {
	case email == "":
		return "", "is missing."
	case len(email) > 254 || len(name) > 64:
		return "", "is longer than an e-mail address can be."
	case !valid, name == "", strings.ContainsFunc(name, bad),
		strings.ContainsFunc(domain, bad), strings.Contains("."+domain+".", ".."):
		return "", "is not an e-mail address such as name@example.com."
	}
	return email, ""
}
