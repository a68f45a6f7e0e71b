package account

import (
	"context"
	"errors"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
)

// User is somebody who signs in. Where they belong, and what they may do there, are their memberships.
type User struct {
	ID    id.ID  `json:"id" doc:"Id of the user, usr_…"`
	Email string `json:"email" doc:"E-mail address to sign in with, in small letters."`
	Name  string `json:"name" doc:"What they are called; empty while they have not said."`
	// Operator tells that the user runs this server. It comes from the operator's shell only.
	Operator  bool      `json:"operator" doc:"Whether they run this server and may call the operator's API."`
	TOTP      bool      `json:"totp" doc:"Whether signing in with the password needs a code of an authenticator app, too."`
	Passkeys  int       `json:"passkeys" doc:"How many passkeys they have."`
	CreatedAt time.Time `json:"createdAt" doc:"When they were added."`
}

// Called returns the name, or the e-mail address where there is none.
func (p User) Called() string {
	if p.Name != "" {
		return p.Name
	}
	return p.Email
}

// UserRequest says who a new user shall be.
type UserRequest struct {
	Email, Password string
	// Name may be empty.
	Name string
	// Operator is for the operator's shell only.
	Operator bool
}

// NewUser is a checked UserRequest, whose password is hashed.
type NewUser struct {
	email, name, hash string
	operator          bool
}

// Prepare checks a request and hashes its password, which takes about a tenth of a second: it must not be called inside a
// transaction. It answers INVALID_REQUEST with all faults at once (fields "email", "name" and "password"), and
// SERVICE_UNAVAILABLE when too many passwords are being hashed.
func (s *Service) Prepare(ctx context.Context, r UserRequest) (NewUser, error) {
	normal, wrong := normalEmail(r.Email)
	var faults []apierr.FieldError
	if wrong != "" {
		faults = append(faults, apierr.FieldError{Field: "email", Message: wrong})
	}
	if r.Name != "" {
		faults = append(faults, apierr.CheckName("name", r.Name)...)
	}
	faults = append(faults, checkPassword("password", r.Password)...)
	if err := apierr.Invalid(faults).OrNil(); err != nil {
		return NewUser{}, err
	}
	hash, err := s.passwords.hash(ctx, r.Password)
	return NewUser{normal, r.Name, hash, r.Operator}, err
}

// CreateUser makes a user with that role in the account. It answers INVALID_REQUEST for what is no role, and CONFLICT
// where the e-mail address is taken.
func (s *Service) CreateUser(ctx context.Context, tx *db.Tx, n NewUser, account id.ID, role Role) (User, error) {
	if err := apierr.Invalid(checkRole(role)).OrNil(); err != nil {
		return User{}, err
	}
	p := User{ID: s.c.IDs.New(id.User), Email: n.email, Name: n.name, Operator: n.operator, CreatedAt: tx.Now}
	made, err := insertUser(ctx, tx, p, account, n.hash)
	if err == nil && !made {
		err = apierr.New(apierr.Conflict, "Somebody with this e-mail address is known here already. Sign in, or use another address.")
	}
	if err != nil {
		return User{}, err
	}
	_, err = insertMembership(ctx, tx, account, p.ID, role)
	return p, err
}

// UserByEmail returns the user with that address, or NOT_FOUND. It is for the operator.
func (s *Service) UserByEmail(ctx context.Context, r db.Reader, email string) (User, error) {
	normal, _ := normalEmail(email)
	p, _, found, err := userByEmail(ctx, r, normal)
	if err == nil && !found {
		err = apierr.New(apierr.NotFound, "There is no user with this e-mail address.")
	}
	return p, err
}

// ListUsers returns a page of all persons, newest first, and how many there are. It is for the operator.
func (s *Service) ListUsers(ctx context.Context, r db.Reader, p db.Page) ([]User, db.Listed, error) {
	return listPersons(ctx, r, p)
}

// Rename gives a user another name. It answers INVALID_REQUEST.
func (s *Service) Rename(ctx context.Context, tx *db.Tx, user id.ID, name string) error {
	if err := apierr.Invalid(apierr.CheckName("name", name)).OrNil(); err != nil {
		return err
	}
	return renameUser(ctx, tx, user, name)
}

// SetOperator makes a user one who runs the server, or no longer. It is for the operator's shell only.
func (s *Service) SetOperator(ctx context.Context, tx *db.Tx, user id.ID, operator bool) error {
	return setOperator(ctx, tx, user, operator)
}

// Password is a checked and hashed password.
type Password struct{ hash string }

// HashPassword checks and hashes a password that somebody chose, told in that field of a request. It must not be
// called inside a transaction. It answers INVALID_REQUEST and SERVICE_UNAVAILABLE as Prepare does.
func (s *Service) HashPassword(ctx context.Context, field, password string) (Password, error) {
	if err := apierr.Invalid(checkPassword(field, password)).OrNil(); err != nil {
		return Password{}, err
	}
	hash, err := s.passwords.hash(ctx, password)
	return Password{hash}, err
}

// SetPassword gives a user another password and ends all their sessions but the one that is named; "" spares none. It
// answers NOT_FOUND.
func (s *Service) SetPassword(ctx context.Context, tx *db.Tx, user id.ID, p Password, spare id.ID) error {
	found, err := setPassword(ctx, tx, user, p.hash)
	if err == nil && !found {
		err = apierr.New(apierr.NotFound, "There is no user with this id.")
	}
	if err != nil {
		return err
	}
	return deleteSessions(ctx, tx, user, spare)
}

// ConfirmPassword tells whether a signed-in user, who does something that a stolen session must not, knows their
// password: nil, or INVALID_REQUEST for that field, RATE_LIMIT_EXCEEDED after too many failures of this user, or
// SERVICE_UNAVAILABLE. It must not be called inside a transaction.
func (s *Service) ConfirmPassword(ctx context.Context, p User, field, password string) error {
	limits := confirmLimits(p.ID) // by user alone: only a signed-in user gets here
	wait, err := s.throttle.take(ctx, limits)
	if err == nil && wait > 0 {
		err = tooMany("There were too many wrong passwords. Wait %s, then try again.", wait)
	}
	if err != nil {
		return err
	}
	if _, _, err = s.passwordOf(ctx, p.Email, password); err != nil && apierr.CodeOf(err) == apierr.SignInFailed {
		return apierr.Invalid([]apierr.FieldError{{Field: field, Message: "is not your password."}})
	}
	if err != nil {
		return errors.Join(err, s.throttle.giveBack(ctx, limits))
	}
	return s.c.DB.InTx(ctx, func(_ context.Context, tx *db.Tx) error {
		succeeded(tx, limits)
		return nil
	})
}

// normalEmail returns the address in small letters without space around it, or what is wrong with
// it. Whether mail arrives there is not asked: only a mail can tell.
func normalEmail(email string) (normal, wrong string) {
	valid := utf8.ValidString(email) // before ToLower, which would replace what is not
	email = strings.ToLower(strings.TrimSpace(email))
	name, domain, _ := strings.Cut(email, "@")
	bad := func(r rune) bool {
		return unicode.IsSpace(r) || strings.ContainsRune(`@<>()[],;:\"`, r)
	}
	switch {
	case email == "":
		return "", "is missing."
	case len(email) > 254 || len(name) > 64:
		return "", "is longer than an e-mail address can be."
	case valid && apierr.Hidden(email) != "":
		return "", apierr.Hidden(email)
	case !valid, name == "", strings.ContainsFunc(name, bad),
		strings.ContainsFunc(domain, bad), strings.Contains("."+domain+".", ".."):
		return "", "is not an e-mail address such as name@example.com."
	}
	return email, ""
}
