package settings

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/secret"
)

// PaymentProcessor is how tenants pay for top-ups.
type PaymentProcessor string

// The processors.
const (
	NoPayments   PaymentProcessor = "none"
	BankTransfer PaymentProcessor = "transfer"
	Stripe       PaymentProcessor = "stripe"
)

// Enum lists every processor.
func (PaymentProcessor) Enum() []PaymentProcessor {
	return []PaymentProcessor{NoPayments, BankTransfer, Stripe}
}

// Payments is how tenants pay for top-ups.
type Payments struct {
	Processor PaymentProcessor `json:"processor" doc:"none: tenants cannot top up. transfer: by bank transfer, which an operator confirms. stripe: by card and other methods at Stripe."`
	Minimum   money.Micros     `json:"minimum" doc:"Smallest top-up in US dollars."`
	Maximum   money.Micros     `json:"maximum" doc:"Largest top-up in US dollars."`
	// The bank's fields are shown to tenants who pay by bank transfer.
	BankRecipient string `json:"bankRecipient" doc:"Name of the account holder for bank transfers."`
	BankAccount   string `json:"bankAccount" example:"DE02120300000000202051" doc:"IBAN or account number for bank transfers."`
	BankCode      string `json:"bankCode" doc:"BIC, SWIFT code or routing number of the bank."`
	BankName      string `json:"bankName" doc:"Name of the bank."`
	BankNote      string `json:"bankNote" doc:"Note for tenants who pay by bank transfer, such as how long it takes."`
	// StripeKeySet and the following follow from what is stored sealed.
	StripeKeySet           bool `json:"stripeKeySet" doc:"Whether a key of Stripe is stored. It is never shown."`
	StripeWebhookSecretSet bool `json:"stripeWebhookSecretSet" doc:"Whether a signing secret of Stripe's webhook is stored. It is never shown."`
	StripeLive             bool `json:"stripeLive" doc:"Whether the key is one of Stripe's live mode: real money."`
}

// PaymentsChange changes Payments.
type PaymentsChange struct {
	Processor           *PaymentProcessor `json:"processor,omitempty" doc:"How tenants pay for top-ups."`
	Minimum             *money.Micros     `json:"minimum,omitempty" doc:"Smallest top-up in US dollars, at least 1."`
	Maximum             *money.Micros     `json:"maximum,omitempty" doc:"Largest top-up in US dollars, at most 1000000."`
	BankRecipient       *string           `json:"bankRecipient,omitempty" maxLength:"100" doc:"Name of the account holder."`
	BankAccount         *string           `json:"bankAccount,omitempty" maxLength:"64" doc:"IBAN or account number."`
	BankCode            *string           `json:"bankCode,omitempty" maxLength:"64" doc:"BIC, SWIFT code or routing number; may be empty."`
	BankName            *string           `json:"bankName,omitempty" maxLength:"100" doc:"Name of the bank; may be empty."`
	BankNote            *string           `json:"bankNote,omitempty" maxLength:"500" doc:"Note for tenants; may be empty."`
	StripeKey           *string           `json:"stripeKey,omitempty" maxLength:"256" doc:"Restricted or secret key of Stripe. It is stored encrypted and never shown; empty deletes it."`
	StripeWebhookSecret *string           `json:"stripeWebhookSecret,omitempty" maxLength:"512" doc:"Signing secret of Stripe's webhook, or two with a comma while one is being replaced. It is stored encrypted and never shown; empty deletes it."`
}

// Bounds of top-ups.
const (
	defaultMinimum = 10 * money.USD
	defaultMaximum = 10_000 * money.USD
	maxMaximum     = 1_000_000 * money.USD
)

// What the sealed values are sealed for.
const (
	stripeKeyPurpose    = "settings/stripe-key"
	stripeSecretPurpose = "settings/stripe-webhook-secret"
)

// storedPayments is a Payments without what follows from the rest.
type storedPayments struct {
	Processor                                                PaymentProcessor
	Minimum, Maximum                                         money.Micros
	BankRecipient, BankAccount, BankCode, BankName, BankNote string
	StripeLive                                               bool
}

func (p Payments) stored() storedPayments {
	return storedPayments{
		p.Processor, p.Minimum, p.Maximum, p.BankRecipient, p.BankAccount, p.BankCode, p.BankName, p.BankNote,
		p.StripeLive,
	}
}

func (s storedPayments) payments() Payments {
	return Payments{
		Processor: s.Processor, Minimum: s.Minimum, Maximum: s.Maximum, BankRecipient: s.BankRecipient,
		BankAccount: s.BankAccount, BankCode: s.BankCode, BankName: s.BankName, BankNote: s.BankNote,
		StripeLive: s.StripeLive,
	}
}

func (p *Payments) complete() {
	if p.Processor == "" {
		p.Processor = NoPayments
	}
	if p.Minimum == 0 {
		p.Minimum = defaultMinimum
	}
	if p.Maximum == 0 {
		p.Maximum = defaultMaximum
	}
}

func (p *Payments) change(c PaymentsChange) {
	set(&p.Processor, c.Processor)
	set(&p.Minimum, c.Minimum)
	set(&p.Maximum, c.Maximum)
	set(&p.BankRecipient, c.BankRecipient)
	set(&p.BankAccount, c.BankAccount)
	set(&p.BankCode, c.BankCode)
	set(&p.BankName, c.BankName)
	set(&p.BankNote, c.BankNote)
}

var (
	stripeKeyForm    = regexp.MustCompile(`^(sk|rk)_(live|test)_[A-Za-z0-9_]{8,}$`)
	stripeSecretForm = regexp.MustCompile(`^whsec_[A-Za-z0-9+/=_-]{8,}(,whsec_[A-Za-z0-9+/=_-]{8,})?$`)
)

// seal stores the secrets of a change.
func (s *Service) sealPayments(next *Settings, c PaymentsChange) {
	if c.StripeKey != nil {
		next.stripeKey, next.Payments.StripeLive = "", false
		if *c.StripeKey != "" {
			next.stripeKey = s.cfg.Secrets.Seal(stripeKeyPurpose, []byte(*c.StripeKey))
			next.Payments.StripeLive = strings.Contains(*c.StripeKey, "_live_")
		}
	}
	if c.StripeWebhookSecret != nil {
		next.stripeSecret = ""
		if *c.StripeWebhookSecret != "" {
			next.stripeSecret = s.cfg.Secrets.Seal(stripeSecretPurpose, []byte(*c.StripeWebhookSecret))
		}
	}
}

// StripeSecrets returns the key of Stripe and the signing secrets of its webhook, which may be
// missing.
func (s *Service) StripeSecrets(of Settings) (key string, webhook []string, err error) {
	open := func(purpose, sealed string) (string, error) {
		if sealed == "" {
			return "", nil
		}
		plain, err := s.cfg.Secrets.Open(purpose, sealed)
		if err != nil {
			err = errors.Join(errors.New("settings: a secret of Stripe cannot be read; set it again"), err)
		}
		return string(plain), err
	}
	if key, err = open(stripeKeyPurpose, of.stripeKey); err != nil {
		return "", nil, err
	}
	all, err := open(stripeSecretPurpose, of.stripeSecret)
	if err != nil || all == "" {
		return key, nil, err
	}
	return key, strings.Split(all, ","), nil
}

func (s Settings) checkPayments(f *faults, c PaymentsChange) {
	s.checkProcessor(f)
	p := s.Payments
	if !slices.Contains(p.Processor.Enum(), p.Processor) {
		f.add("payments.processor", "must be none, transfer or stripe.")
	}
	const cent money.Micros = 10_000
	if p.Minimum < money.USD || p.Minimum%cent != 0 {
		f.add("payments.minimum", "must be at least 1 US dollar, without fractions of a cent.")
	}
	if p.Maximum < p.Minimum || p.Maximum > maxMaximum || p.Maximum%cent != 0 {
		f.add("payments.maximum", fmt.Sprintf("must be from the minimum, %s, to %s, without fractions of a cent.",
			p.Minimum, maxMaximum))
	}
	for _, text := range []struct {
		field, value string
		most         int
	}{
		{"bankRecipient", p.BankRecipient, 100}, {"bankAccount", p.BankAccount, 64}, {"bankCode", p.BankCode, 64},
		{"bankName", p.BankName, 100}, {"bankNote", p.BankNote, 500},
	} {
		*f = append(*f, apierr.CheckText("payments."+text.field, text.value, text.most)...)
	}
	if c.StripeKey != nil && *c.StripeKey != "" && !stripeKeyForm.MatchString(*c.StripeKey) {
		f.add("payments.stripeKey", "must be a restricted or secret key of Stripe, such as rk_live_…")
	}
	if c.StripeWebhookSecret != nil && *c.StripeWebhookSecret != "" &&
		!stripeSecretForm.MatchString(*c.StripeWebhookSecret) {
		f.add("payments.stripeWebhookSecret", "must be a signing secret that begins with whsec_, or two with a comma.")
	}
}

// checkProcessor finds what the chosen processor needs and does not have.
func (s Settings) checkProcessor(f *faults) {
	p := s.Payments
	for _, needed := range []struct {
		by      PaymentProcessor
		field   string
		missing bool
		because string
	}{
		{BankTransfer, "bankRecipient", p.BankRecipient == "", ""},
		{BankTransfer, "bankAccount", p.BankAccount == "", ""},
		{Stripe, "stripeKey", s.stripeKey == "", ""},
		{Stripe, "stripeWebhookSecret", s.stripeSecret == "", ": payments are reported by webhook"},
	} {
		if p.Processor == needed.by && needed.missing {
			f.add("payments."+needed.field,
				fmt.Sprintf("is required for the processor %s%s.", needed.by, needed.because))
		}
	}
}

// checkMode refuses payments with a key of Stripe's test mode: anyone can make them with Stripe's
// test cards, and the credit would be real. A key that was stored before does not keep other
// settings from being changed.
func (s *Service) checkMode(next Settings, c PaymentsChange) error {
	if s.cfg.TestPayments || c.Processor == nil && c.StripeKey == nil ||
		next.Payments.Processor != Stripe || next.Payments.StripeLive {
		return nil
	}
	var f faults
	f.add("payments.stripeKey", "is a key of Stripe's test mode, whose payments bring no money. Use a live key. "+
		"Only a server with --sim takes a test key; add --sim to billetd settings set then.")
	return apierr.Invalid(f).OrNil()
}

// Sealed are the columns with sealed texts.
var Sealed = []secret.Column{
	{Table: "settings", Column: "mail_password", Purpose: secret.For(passwordPurpose)},
	{Table: "settings", Column: "stripe_key", Purpose: secret.For(stripeKeyPurpose)},
	{Table: "settings", Column: "stripe_webhook_secret", Purpose: secret.For(stripeSecretPurpose)},
}
