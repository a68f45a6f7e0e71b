package settings

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/secret"
)

// fresh is how long settings that were read are used without another query, in real time.
const fresh = 3 * time.Second

// passwordPurpose is what the password of the mail server is sealed for.
const passwordPurpose = "settings/mail-password"

// Settings is everything that an operator sets while the server runs.
type Settings struct {
	// Version is 0 before the first change.
	Version      int64        `json:"version" doc:"Number of changes so far."`
	ChangedAt    *time.Time   `json:"changedAt" doc:"Time of the last change; null if there was none."`
	Installation Installation `json:"installation" doc:"Name and links of the installation."`
	Mail         Mail         `json:"mail" doc:"Mail server, and the sender of emails."`
	SignUp       SignUp       `json:"signUp" doc:"Who may create an account."`
	PublicPages  PublicPages  `json:"publicPages" doc:"Pages that anyone can read without signing in."`
	Branding     Branding     `json:"branding" doc:"Logo and color of the dashboard, the public pages and emails."`
	Payments     Payments     `json:"payments" doc:"How tenants pay for top-ups."`
	Wallet       WalletRules  `json:"wallet" doc:"Rules for the credit that operators add and remove."`

	ServiceCredits ServiceCredits `json:"serviceCredits" doc:"What accounts get for machines that did not work."`
	GPUHealth      GPUHealth      `json:"gpuHealth" doc:"Which offers' GPUs are checked."`

	// password, stripeKey and stripeSecret are sealed.
	password, stripeKey, stripeSecret string
}

// Installation is how this cloud presents itself.
type Installation struct {
	Name           string `json:"name" example:"Example Cloud" doc:"Name of the cloud, in the dashboard and in emails."`
	SupportAddress string `json:"supportAddress" doc:"Email address for questions of tenants; empty if there is none."`
	TermsURL       string `json:"termsUrl" doc:"URL of the terms of service; empty if there are none."`
	TermsVersion   string `json:"termsVersion" example:"2028-01" doc:"Version of the terms that new users accept; empty if there are none."`
	PrivacyURL     string `json:"privacyUrl" doc:"URL of the privacy policy; empty if there is none."`
}

// TLSMode is how the connection to the mail server is encrypted.
type TLSMode string

// The modes.
const (
	StartTLS TLSMode = "starttls"
	TLS      TLSMode = "tls"
	NoTLS    TLSMode = "none"
)

// Enum lists every mode.
func (TLSMode) Enum() []TLSMode { return []TLSMode{StartTLS, TLS, NoTLS} }

// Mail is the mail server, and the sender of mails. Without a host no mail is sent.
type Mail struct {
	// Configured and PasswordSet follow from the rest and are not stored.
	Configured  bool    `json:"configured" doc:"Whether emails are sent: there is a host and a sender."`
	Host        string  `json:"host" example:"smtp.example.com" doc:"SMTP server; empty if no email is sent."`
	Port        int64   `json:"port" doc:"TCP port of the server: 587 for starttls, 465 for tls."`
	TLS         TLSMode `json:"tls" doc:"starttls requires the STARTTLS command, tls begins with TLS, none sends in the clear."`
	User        string  `json:"user" doc:"Name to sign in with; empty to send without signing in."`
	PasswordSet bool    `json:"passwordSet" doc:"Whether a password is stored. It is never shown."`
	FromAddress string  `json:"fromAddress" example:"no-reply@example.com" doc:"Email address of the sender."`
	FromName    string  `json:"fromName" doc:"Name of the sender; the name of the installation if empty."`
	ReplyTo     string  `json:"replyTo" doc:"Address for replies; the sender's if empty."`
}

// SignUpPolicy is who may create an account.
type SignUpPolicy string

// The policies.
const (
	Closed     SignUpPolicy = "closed"
	Invitation SignUpPolicy = "invitation"
	Domains    SignUpPolicy = "domains"
	Open       SignUpPolicy = "open"
)

// Enum lists every policy.
func (SignUpPolicy) Enum() []SignUpPolicy { return []SignUpPolicy{Closed, Invitation, Domains, Open} }

// SignUp is who may create an account, and what a new one starts with.
type SignUp struct {
	Policy SignUpPolicy `json:"policy" doc:"closed: only the operator creates accounts. invitation: users with an invitation of the operator. domains: addresses of the listed domains. open: everyone."`
	// Domains are in lower case.
	Domains        []string     `json:"domains" doc:"Domains of email addresses that the policy domains admits."`
	StartingCredit money.Micros `json:"startingCredit" doc:"Credit of a new account in US dollars, once per user."`
	// StartingCreditDays is 0 for a credit that does not expire.
	StartingCreditDays int64 `json:"startingCreditDays" doc:"Days after the sign-up until the starting credit expires; 0 for never."`
}

// PublicPages are pages without sign-in.
type PublicPages struct {
	Prices bool `json:"prices" doc:"Whether the price page is public."`
	Status bool `json:"status" doc:"Whether the status page is public."`
}

// WalletRules are rules for the credit that operators add and remove.
type WalletRules struct {
	// ApprovalAbove is 0 for no approval.
	ApprovalAbove money.Micros `json:"approvalAbove" doc:"US dollars: more credit than this, added to or removed from an account within 24 hours, needs the approval of another operator; 0 if none is needed."`
}

// Branding is what the cloud looks like.
type Branding struct {
	PrimaryColor string `json:"primaryColor" example:"#1f6feb" doc:"Color of buttons and links, as #rrggbb; empty for the built-in one."`
	Logo         *Logo  `json:"logo" doc:"Logo; null for the built-in one."`
}

// Logo is an uploaded logo, without its content.
type Logo struct {
	// URL follows from the version.
	URL       string `json:"url" doc:"Path of the image on this server. It changes with the image."`
	MediaType string `json:"mediaType" example:"image/png" doc:"Media type of the image: image/png, image/jpeg or image/webp."`
	Width     int64  `json:"width" doc:"Width in pixels."`
	Height    int64  `json:"height" doc:"Height in pixels."`
	Version   string `json:"version" doc:"Version of the image, which follows from its content."`
}

// Sender returns the name that mails come from.
func (s Settings) Sender() string {
	if s.Mail.FromName != "" {
		return s.Mail.FromName
	}
	return s.Installation.Name
}

// completed sets what follows from the stored values, and what was never set.
func (s Settings) completed() Settings {
	if s.Installation.Name == "" {
		s.Installation.Name = "Billet"
	}
	if s.Mail.TLS == "" {
		s.Mail.TLS = StartTLS
	}
	if s.Mail.Port == 0 {
		s.Mail.Port = 587
	}
	if s.SignUp.Policy == "" {
		s.SignUp.Policy = Closed
	}
	if s.SignUp.Domains == nil {
		s.SignUp.Domains = []string{}
	}
	if logo := s.Branding.Logo; logo != nil {
		with := *logo
		with.URL = LogoPath + "?v=" + logo.Version
		s.Branding.Logo = &with
	}
	s.Mail.Configured = s.Mail.Host != "" && s.Mail.FromAddress != ""
	s.Mail.PasswordSet = s.password != ""
	s.Payments.complete()
	s.ServiceCredits.complete()
	s.GPUHealth.complete()
	s.Payments.StripeKeySet, s.Payments.StripeWebhookSecretSet = s.stripeKey != "", s.stripeSecret != ""
	return s
}

// Config is what a Service needs. Every field is required, except TestPayments.
type Config struct {
	DB *db.DB
	// Real is the machine's own time, for the age of what is cached.
	Real    func() time.Time
	Secrets *secret.Box
	// TestPayments accepts keys of a processor's test mode, whose payments bring no money: only
	// where machines are simulated, too.
	TestPayments bool
}

// Service reads and changes the settings. It is safe for concurrent use.
type Service struct {
	cfg Config

	mu sync.Mutex
	// changes counts changes by this process, so that a read which began before one is not cached
	// after it.
	changes int64
	cached  *Settings
	readAt  time.Time

	// logo is the one that was read last.
	logo atomic.Pointer[Image]
}

// New returns a Service. It panics when a field is missing.
func New(cfg Config) *Service {
	if cfg.DB == nil || cfg.Real == nil || cfg.Secrets == nil {
		panic("settings: New needs every field of its Config")
	}
	return &Service{cfg: cfg}
}

// Get returns the settings as r sees them. In a transaction that writes it locks them.
func (s *Service) Get(ctx context.Context, r db.Reader) (Settings, error) {
	found, err := read(ctx, r, db.ForUpdate(r))
	return found.completed(), err
}

// Peek is Get without the lock, for transactions that only read the settings.
func (s *Service) Peek(ctx context.Context, r db.Reader) (Settings, error) {
	found, err := read(ctx, r, "")
	return found.completed(), err
}

// Current returns the settings as they were a few seconds ago at most. It must not be called inside
// a transaction; Peek is for those.
func (s *Service) Current(ctx context.Context) (Settings, error) {
	s.mu.Lock()
	age := s.cfg.Real().Sub(s.readAt)
	if s.cached != nil && age >= 0 && age < fresh { // a clock that was set back gives a negative age
		defer s.mu.Unlock()
		return s.cached.clone(), nil
	}
	began, changes := s.cfg.Real(), s.changes
	s.mu.Unlock()
	found, err := s.Peek(db.Exact(ctx), s.cfg.DB) // others use what is cached, and a replica may be behind
	if err != nil {
		return Settings{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.changes == changes {
		kept := found.clone()
		s.cached, s.readAt = &kept, began
	}
	return found, nil
}

func (s Settings) clone() Settings {
	s.SignUp.Domains = slices.Clone(s.SignUp.Domains)
	return s
}

// forget makes the next Current read the database.
func (s *Service) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.changes++
	s.cached = nil
}

// Password returns the password of the mail server; "" if there is none.
func (s *Service) Password(of Settings) (string, error) {
	if of.password == "" {
		return "", nil
	}
	plain, err := s.cfg.Secrets.Open(passwordPurpose, of.password)
	if err != nil {
		return "", errors.Join(
			errors.New("settings: the password of the mail server cannot be read; set it again"),
			err,
		)
	}
	return string(plain), nil
}

// Update changes the settings as an operator does over the API, and returns them. It returns
// INVALID_REQUEST with every fault. An operator who may not add an amount alone must not lift that
// limit alone either: only UpdateOnHost raises the amount that needs an approval.
func (s *Service) Update(ctx context.Context, tx *db.Tx, c Change) (Settings, error) {
	now, err := s.Get(ctx, tx)
	if err != nil {
		return Settings{}, err
	}
	if wrong := now.Wallet.lifted(c.Wallet); wrong != "" {
		return Settings{}, apierr.Invalid([]apierr.FieldError{{Field: "wallet.approvalAbove", Message: wrong}})
	}
	return s.update(ctx, tx, now, c)
}

// UpdateOnHost is Update for the command on the server's host.
func (s *Service) UpdateOnHost(ctx context.Context, tx *db.Tx, c Change) (Settings, error) {
	now, err := s.Get(ctx, tx)
	if err != nil {
		return Settings{}, err
	}
	return s.update(ctx, tx, now, c)
}

func (s *Service) update(ctx context.Context, tx *db.Tx, now Settings, c Change) (Settings, error) {
	next := now.with(c)
	if c.Mail.Password != nil {
		next.password = ""
		if *c.Mail.Password != "" {
			next.password = s.cfg.Secrets.Seal(passwordPurpose, []byte(*c.Mail.Password))
		}
	}
	s.sealPayments(&next, c.Payments)
	next = next.completed()
	if err := next.check(now, c); err != nil {
		return Settings{}, err
	}
	if err := s.checkMode(next, c.Payments); err != nil {
		return Settings{}, err
	}
	next.Version, next.ChangedAt = now.Version+1, &tx.Now
	if err := write(ctx, tx, next); err != nil {
		return Settings{}, err
	}
	tx.AfterCommit(s.forget)
	return next, nil
}
