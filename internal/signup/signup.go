package signup

import (
	"cmp"
	"context"
	"errors"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/billetcloud/billet/internal/account"
	"github.com/billetcloud/billet/internal/altcha"
	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/credit"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/mail"
	"github.com/billetcloud/billet/internal/operator"
	"github.com/billetcloud/billet/internal/settings"
)

// Use is a form that requires a proof of work.
type Use string

// The uses.
const (
	RegistrationForm  Use = "registration"
	PasswordResetForm Use = "password-reset"
)

// Enum lists every use.
func (Use) Enum() []Use { return []Use{RegistrationForm, PasswordResetForm} }

// Config is what a Service needs. Every field is required but PublicURL.
type Config struct {
	DB       *db.DB
	Accounts *account.Service
	Operator *operator.Service
	Settings *settings.Service
	Credits  *credit.Service
	Mail     *mail.Service
	Altcha   *altcha.Service
	// PublicURL is where the links of mails lead. Without it strangers can do nothing: a request's
	// own address may be an attacker's.
	PublicURL *url.URL
}

// Service registers users and resets passwords. It is safe for concurrent use.
type Service struct{ cfg Config }

// New returns a Service. It panics when a field is missing.
func New(cfg Config) *Service {
	if cfg.DB == nil || cfg.Accounts == nil || cfg.Operator == nil || cfg.Settings == nil || cfg.Credits == nil ||
		cfg.Mail == nil || cfg.Altcha == nil {
		panic("signup: New needs every field of its Config but PublicURL")
	}
	return &Service{cfg}
}

// Options is what a stranger may do here.
type Options struct {
	Open          bool     `json:"open" doc:"Whether anyone, or anyone with an address of domains, can sign up."`
	Domains       []string `json:"domains" doc:"Domains whose addresses can sign up; empty if all can."`
	PasswordReset bool     `json:"passwordReset" doc:"Whether a forgotten password can be reset by email."`
	TermsURL      string   `json:"termsUrl" doc:"URL of the terms of service; empty if there are none."`
	TermsVersion  string   `json:"termsVersion" doc:"Version of the terms to accept; empty if there are none."`
	PrivacyURL    string   `json:"privacyUrl" doc:"URL of the privacy policy; empty if there is none."`
}

// mails reports whether links can be mailed.
func (s *Service) mails(now settings.Settings) bool {
	return now.Mail.Configured && s.cfg.PublicURL != nil
}

// Options returns what a stranger may do here. Without a mail server and a public URL that is
// nothing.
func (s *Service) Options(ctx context.Context) (Options, error) {
	now, err := s.cfg.Settings.Current(ctx)
	if err != nil {
		return Options{}, err
	}
	mails := s.mails(now)
	o := Options{
		Open: mails && open(now.SignUp), Domains: []string{}, PasswordReset: mails,
		TermsURL: now.Installation.TermsURL, TermsVersion: now.Installation.TermsVersion,
		PrivacyURL: now.Installation.PrivacyURL,
	}
	if now.SignUp.Policy == settings.Domains {
		o.Domains = now.SignUp.Domains
	}
	return o, nil
}

// Challenge returns the work to prove with that form.
func (s *Service) Challenge(use Use) (altcha.Challenge, error) {
	return s.cfg.Altcha.Challenge(string(use))
}

// Forget deletes challenges that expired.
func (s *Service) Forget(ctx context.Context) error {
	return s.cfg.DB.InTx(ctx, s.cfg.Altcha.Forget)
}

// Registration is a stranger's request for an account.
type Registration struct {
	Email, Solution string
}

// errNoMail means that a mail is needed and none can be sent.
var errNoMail = apierr.New(apierr.ServiceUnavailable,
	"This installation cannot send email yet. Ask the operator for an account or a new password.")

// Register mails a link to the address of a stranger, or, if a user has it, the advice to sign in.
// It returns SIGN_UP_CLOSED, INVALID_REQUEST with every invalid field, RATE_LIMIT_EXCEEDED as
// account.CountMailRequest does, and SERVICE_UNAVAILABLE without a mail server. It must not be
// called inside a transaction.
func (s *Service) Register(ctx context.Context, r Registration, from netip.Addr) error {
	now, err := s.cfg.Settings.Current(ctx)
	if err != nil {
		return err
	}
	if !open(now.SignUp) {
		return admit(now.SignUp, r.Email, false)
	}
	if !s.mails(now) {
		return errNoMail
	}
	address := account.CheckMailAddress(r.Email)
	if address == nil {
		address = admit(now.SignUp, strings.TrimSpace(r.Email), false)
	}
	if err := s.spend(ctx, r.Solution, RegistrationForm, address); err != nil {
		return err
	}
	if err := s.cfg.Accounts.CountMailRequest(ctx, account.RegistrationRequest, r.Email, from); err != nil {
		return err
	}
	return s.cfg.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		l, err := s.cfg.Accounts.StartRegistration(ctx, tx, r.Email, false)
		if err != nil {
			return err
		}
		return s.mailRegistration(ctx, tx, l, false)
	})
}

// Invite mails a registration link on behalf of the operator. It returns CONFLICT if a user
// has the address, or if the policy is closed, INVALID_REQUEST and SERVICE_UNAVAILABLE.
func (s *Service) Invite(ctx context.Context, tx *db.Tx, email string) (account.MailLink, error) {
	now, err := s.cfg.Settings.Peek(ctx, tx)
	switch {
	case err != nil:
		return account.MailLink{}, err
	case now.SignUp.Policy == settings.Closed:
		return account.MailLink{}, apierr.New(apierr.Conflict,
			"Sign-up is closed. Set the sign-up policy to invitation first.")
	case !s.mails(now):
		return account.MailLink{}, apierr.New(apierr.ServiceUnavailable,
			"Invitations are sent by email. Set up the mail server, and start billetd with --public-url.")
	}
	l, err := s.cfg.Accounts.StartRegistration(ctx, tx, email, true)
	if err == nil && l.Known {
		err = apierr.New(apierr.Conflict, "A user with this email address already exists.")
	}
	if err != nil {
		return account.MailLink{}, err
	}
	return l, s.mailRegistration(ctx, tx, l, true)
}

// Completion is what the holder of a registration's link adds.
type Completion struct {
	Token, AccountName, TermsVersion string
}

// Complete creates the user of a registration with their account and its starting credit, and
// returns their proof for a session. It returns NOT_FOUND for a link of no use, SIGN_UP_CLOSED if
// the policy has changed, INVALID_REQUEST, and CONFLICT if a user has the address by now.
func (s *Service) Complete(ctx context.Context, tx *db.Tx, c Completion, n account.NewUser) (account.Proof, error) {
	now, err := s.cfg.Settings.Peek(ctx, tx)
	if err != nil {
		return account.Proof{}, err
	}
	r, err := s.cfg.Accounts.FindRegistration(ctx, tx, c.Token)
	if err == nil {
		err = admit(now.SignUp, r.Email, r.Invited)
	}
	if err == nil { // only now: before, another user may have entered the address
		err = acceptTerms(now.Installation, c.TermsVersion)
	}
	if err != nil {
		return account.Proof{}, err
	}
	local, _, _ := strings.Cut(r.Email, "@")
	a, err := s.cfg.Operator.CreateAccount(ctx, tx, cmp.Or(c.AccountName, local), 0)
	if err != nil {
		return account.Proof{}, err
	}
	p, err := s.cfg.Accounts.CompleteRegistration(ctx, tx, c.Token, n, a.ID, c.TermsVersion)
	if err != nil || now.SignUp.StartingCredit == 0 {
		return p, err
	}
	g := credit.Grant{
		Account: a.ID, Amount: now.SignUp.StartingCredit, Source: credit.BySignUp, Note: "Starting credit",
		Reference: creditKey(r.Email),
	}
	if days := now.SignUp.StartingCreditDays; days > 0 {
		g.ExpiresAt = new(tx.Now.AddDate(0, 0, int(days)))
	}
	_, _, err = s.cfg.Credits.Give(ctx, tx, g)
	if err != nil && apierr.CodeOf(err) == apierr.Conflict { // this mailbox had one, for an account before
		err = nil
	}
	return p, err
}

// RequestPasswordReset mails a link to set a new password to the address, or, if no user has it,
// says so there. It returns INVALID_REQUEST, RATE_LIMIT_EXCEEDED and
// SERVICE_UNAVAILABLE as Register does. It must not be called inside a transaction.
func (s *Service) RequestPasswordReset(ctx context.Context, email, solution string, from netip.Addr) error {
	now, err := s.cfg.Settings.Current(ctx)
	if err != nil {
		return err
	}
	if !s.mails(now) {
		return errNoMail
	}
	if err := s.spend(ctx, solution, PasswordResetForm, account.CheckMailAddress(email)); err != nil {
		return err
	}
	if err := s.cfg.Accounts.CountMailRequest(ctx, account.PasswordResetRequest, email, from); err != nil {
		return err
	}
	return s.cfg.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		l, err := s.cfg.Accounts.StartPasswordReset(ctx, tx, email)
		if err != nil {
			return err
		}
		return s.mailPasswordReset(ctx, tx, l)
	})
}

// spend checks a solution, returns its fault together with the other one, and uses it up: before a
// limit is counted, so that every count costs its sender a solution.
func (s *Service) spend(ctx context.Context, solution string, of Use, other error) error {
	solved, err := s.cfg.Altcha.Check(solution, string(of))
	if errors.Is(err, altcha.ErrSolution) {
		err = errSolution
	}
	var faults []apierr.FieldError
	for _, fault := range []error{other, err} {
		if fault == nil {
			continue
		}
		e, is := errors.AsType[*apierr.Error](fault)
		if !is || e.Code != apierr.InvalidRequest {
			return fault
		}
		faults = append(faults, e.Fields()...)
	}
	if err := apierr.Invalid(faults).OrNil(); err != nil {
		return err
	}
	return s.cfg.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error { return use(ctx, tx, solved) })
}

var errSolution = apierr.Invalid([]apierr.FieldError{{
	Field: "solution",
	Message: "is not the solution of a challenge for this form that is younger than " +
		(altcha.Lifetime / time.Minute * time.Minute).String() + " and was not used before. Get a new challenge.",
}})

// use uses a solution up.
func use(ctx context.Context, tx *db.Tx, solved altcha.Solved) error {
	err := solved.Use(ctx, tx)
	if errors.Is(err, altcha.ErrSolution) {
		return errSolution
	}
	return err
}
