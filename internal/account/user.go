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

// User is a user who can sign in. Their memberships have their accounts and roles.
type User struct {
	ID    id.ID  `json:"id" doc:"Id of the user, usr_…"`
	Email string `json:"email" doc:"Email address to sign in with, in lower case."`
	Name  string `json:"name" doc:"Name; empty if not set."`
	// Operator is true for a user who runs this server. Only billetd's commands set it.
	Operator  bool      `json:"operator" doc:"Whether the user is an operator and may call the operator API."`
	TOTP      bool      `json:"totp" doc:"Whether signing in with the password requires a code of an authenticator app, too."`
	Passkeys  int       `json:"passkeys" doc:"Number of passkeys."`
	CreatedAt time.Time `json:"createdAt" doc:"When the user was created."`
}

// Called returns the name, or the email address if there is none.
func (p User) Called() string {
	if p.Name != "" {
		return p.Name
	}
	return p.Email
}

// UserRequest describes a new user.
type UserRequest struct {
	Email, Password string
	// Name may be empty.
	Name string
	// Operator is for billetd's commands and the first user only.
	Operator bool
}

// NewUser is a valid UserRequest with a hashed password.
type NewUser struct {
	email, name, hash string
	operator          bool
}

// Prepare checks a request and hashes its password. That takes about a tenth of a second, so it
// must not be called inside a transaction. It returns INVALID_REQUEST with every fault that
// CheckUser finds, and SERVICE_UNAVAILABLE if too many passwords are being hashed.
func (s *Service) Prepare(ctx context.Context, r UserRequest) (NewUser, error) {
	if err := apierr.Invalid(CheckUser(r)).OrNil(); err != nil {
		return NewUser{}, err
	}
	normal, _ := normalEmail(r.Email)
	hash, err := s.passwords.hash(ctx, r.Password)
	return NewUser{normal, r.Name, hash, r.Operator}, err
}

// CheckUser returns every invalid field of a request: "email", "name" and "password".
func CheckUser(r UserRequest) []apierr.FieldError {
	var faults []apierr.FieldError
	if _, wrong := normalEmail(r.Email); wrong != "" {
		faults = append(faults, apierr.FieldError{Field: "email", Message: wrong})
	}
	if r.Name != "" {
		faults = append(faults, apierr.CheckName("name", r.Name)...)
	}
	return append(faults, checkPassword("password", r.Password)...)
}

// CreateUser creates a user with that role in the account. It returns INVALID_REQUEST for an
// unknown role, and CONFLICT if the email address is taken.
func (s *Service) CreateUser(ctx context.Context, tx *db.Tx, n NewUser, account id.ID, role Role) (User, error) {
	if err := apierr.Invalid(checkRole(role)).OrNil(); err != nil {
		return User{}, err
	}
	p := User{ID: s.cfg.IDs.New(id.User), Email: n.email, Name: n.name, Operator: n.operator, CreatedAt: tx.Now}
	made, err := insertUser(ctx, tx, p, account, n.hash)
	if err == nil && !made {
		err = apierr.New(apierr.Conflict, "A user with this email address exists already. Sign in or use another one.")
	}
	if err != nil {
		return User{}, err
	}
	_, err = insertMembership(ctx, tx, account, p.ID, role)
	return p, err
}

// CreateFirstUser creates the first user of an installation, as the owner of the account, and
// returns their proof for a session. The caller has made sure that there is no other.
func (s *Service) CreateFirstUser(ctx context.Context, tx *db.Tx, n NewUser, of id.ID) (Proof, error) {
	p, err := s.CreateUser(ctx, tx, n, of, Owner)
	if err != nil {
		return Proof{}, err
	}
	return Proof{User: p, hold: func(context.Context, *db.Tx) error { return nil }}, nil
}

// HasUsers reports whether there is any user.
func (s *Service) HasUsers(ctx context.Context, r db.Reader) (bool, error) { return hasUsers(ctx, r) }

// UserByEmail returns the user with that address, or NOT_FOUND. It is for operators.
func (s *Service) UserByEmail(ctx context.Context, r db.Reader, email string) (User, error) {
	normal, _ := normalEmail(email)
	p, _, found, err := userByEmail(ctx, r, normal)
	if err == nil && !found {
		err = apierr.New(apierr.NotFound, "There is no user with this email address.")
	}
	return p, err
}

// ListUsers returns a page of all users, newest first. It is for operators.
func (s *Service) ListUsers(ctx context.Context, r db.Reader, p db.Page) ([]User, db.Listed, error) {
	return listUsers(ctx, r, p)
}

// Rename changes a user's name. It returns INVALID_REQUEST.
func (s *Service) Rename(ctx context.Context, tx *db.Tx, user id.ID, name string) error {
	if err := apierr.Invalid(apierr.CheckName("name", name)).OrNil(); err != nil {
		return err
	}
	return renameUser(ctx, tx, user, name)
}

// SetOperator makes a user an operator, or revokes that. It is for billetd's commands only.
func (s *Service) SetOperator(ctx context.Context, tx *db.Tx, user id.ID, operator bool) error {
	return setOperator(ctx, tx, user, operator)
}

// OperatorHomes returns the accounts that operators work in, each once, at most 1,000.
func (s *Service) OperatorHomes(ctx context.Context, r db.Reader) ([]id.ID, error) {
	return operatorHomes(ctx, r)
}

// Password is a valid and hashed password.
type Password struct{ hash string }

// HashPassword checks and hashes a new password from that field of a request. It must not be called
// inside a transaction. It returns INVALID_REQUEST and SERVICE_UNAVAILABLE as Prepare does.
func (s *Service) HashPassword(ctx context.Context, field, password string) (Password, error) {
	if err := apierr.Invalid(checkPassword(field, password)).OrNil(); err != nil {
		return Password{}, err
	}
	hash, err := s.passwords.hash(ctx, password)
	return Password{hash}, err
}

// SetPassword changes a user's password and ends all their sessions except spare; "" for none. It
// returns NOT_FOUND.
func (s *Service) SetPassword(ctx context.Context, tx *db.Tx, user id.ID, p Password, spare id.ID) error {
	found, err := setPassword(ctx, tx, user, p.hash)
	if err == nil && !found {
		err = apierr.New(apierr.NotFound, "There is no user with this id.")
	}
	if err != nil {
		return err
	}
	if err := deleteResetLink(ctx, tx, user); err != nil { // it was for the former password
		return err
	}
	return deleteSessions(ctx, tx, user, spare)
}

// ConfirmPassword checks the password of a signed-in user before an action that a stolen session
// must not allow. It returns INVALID_REQUEST for that field, RATE_LIMIT_EXCEEDED after too many
// failures of the user, or SERVICE_UNAVAILABLE. It must not be called inside a transaction.
func (s *Service) ConfirmPassword(ctx context.Context, p User, field, password string) error {
	limits := confirmLimits(p.ID) // by user only, because the user is signed in
	wait, err := s.throttle.take(ctx, limits)
	if err == nil && wait > 0 {
		err = tooMany("Too many wrong passwords. Wait %s, then try again.", wait)
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
	return s.cfg.DB.InTx(ctx, func(_ context.Context, tx *db.Tx) error {
		succeeded(tx, limits)
		return nil
	})
}

// normalEmail returns the address in lower case without spaces around it, or what is wrong with it.
// It does not check whether the address receives mail.
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
		return "", "is longer than an email address can be."
	case valid && apierr.Hidden(email) != "":
		return "", apierr.Hidden(email)
	case !valid, name == "", strings.ContainsFunc(name, bad),
		strings.ContainsFunc(domain, bad), strings.Contains("."+domain+".", ".."):
		return "", "is not an email address such as name@example.com."
	}
	return email, ""
}
