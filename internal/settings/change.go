package settings

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/emailaddr"
	"github.com/billetcloud/billet/internal/money"
)

// Limits of what can be set.
const (
	maxURL      = 2000
	maxVersion  = 40
	maxUser     = 256
	maxPassword = 1024
	maxDomains  = 100
)

// MaxStartingCredit is the largest starting credit. More is a mistake.
const MaxStartingCredit money.Micros = 10_000 * 1_000_000

// maxStartingCreditDays is the longest life of a credit.
const maxStartingCreditDays = 3650

// Change is a change of some settings. A nil field keeps its value.
type Change struct {
	Installation InstallationChange `json:"installation,omitempty" doc:"Name and links of the installation."`
	Mail         MailChange         `json:"mail,omitempty" doc:"Mail server, and the sender of emails."`
	SignUp       SignUpChange       `json:"signUp,omitempty" doc:"Who may create an account."`
	PublicPages  PublicPagesChange  `json:"publicPages,omitempty" doc:"Pages that anyone can read without signing in."`
	Branding     BrandingChange     `json:"branding,omitempty" doc:"Color of the dashboard, the public pages and emails."`
	Payments     PaymentsChange     `json:"payments,omitempty" doc:"How tenants pay for top-ups."`
	Wallet       WalletRulesChange  `json:"wallet,omitempty" doc:"Rules for the credit that operators add and remove."`

	ServiceCredits ServiceCreditsChange `json:"serviceCredits,omitempty" doc:"What accounts get for machines that did not work."`
	GPUHealth      GPUHealthChange      `json:"gpuHealth,omitempty" doc:"Which offers' GPUs are checked."`
}

// InstallationChange changes an Installation.
type InstallationChange struct {
	Name           *string `json:"name,omitempty" minLength:"1" maxLength:"64" doc:"Name of the cloud."`
	SupportAddress *string `json:"supportAddress,omitempty" maxLength:"254" doc:"Email address for questions of tenants; empty for none."`
	TermsURL       *string `json:"termsUrl,omitempty" maxLength:"2000" doc:"URL of the terms of service; empty for none."`
	TermsVersion   *string `json:"termsVersion,omitempty" maxLength:"40" doc:"Version of the terms. Change it when the terms change."`
	PrivacyURL     *string `json:"privacyUrl,omitempty" maxLength:"2000" doc:"URL of the privacy policy; empty for none."`
}

// MailChange changes a Mail.
type MailChange struct {
	Host        *string  `json:"host,omitempty" maxLength:"253" doc:"SMTP server, a host name or IP address; empty to send no email."`
	Port        *int64   `json:"port,omitempty" minimum:"1" maximum:"65535" doc:"TCP port of the server."`
	TLS         *TLSMode `json:"tls,omitempty" doc:"Encryption of the connection."`
	User        *string  `json:"user,omitempty" maxLength:"256" doc:"Name to sign in with; empty to send without signing in."`
	Password    *string  `json:"password,omitempty" maxLength:"1024" doc:"Password to sign in with. It is stored encrypted and never shown; empty deletes it."`
	FromAddress *string  `json:"fromAddress,omitempty" maxLength:"254" doc:"Email address of the sender."`
	FromName    *string  `json:"fromName,omitempty" maxLength:"64" doc:"Name of the sender."`
	ReplyTo     *string  `json:"replyTo,omitempty" maxLength:"254" doc:"Address for replies; empty for the sender's."`
}

// SignUpChange changes a SignUp.
type SignUpChange struct {
	Policy             *SignUpPolicy `json:"policy,omitempty" doc:"Who may create an account."`
	Domains            *[]string     `json:"domains,omitempty" maxItems:"100" maxLength:"253" doc:"Domains that the policy domains admits. Replaces the list."`
	StartingCredit     *money.Micros `json:"startingCredit,omitempty" doc:"Credit of a new account in US dollars, at most 10000."`
	StartingCreditDays *int64        `json:"startingCreditDays,omitempty" minimum:"0" maximum:"3650" doc:"Days after the sign-up until the starting credit expires; 0 for never."`
}

// PublicPagesChange changes PublicPages.
type PublicPagesChange struct {
	Prices *bool `json:"prices,omitempty" doc:"Whether the price page is public."`
	Status *bool `json:"status,omitempty" doc:"Whether the status page is public."`
}

// WalletRulesChange changes WalletRules.
type WalletRulesChange struct {
	ApprovalAbove *money.Micros `json:"approvalAbove,omitempty" doc:"US dollars above which an approval is needed, at most 1000000; 0 if none is needed. While it is set, it can only be lowered; billetd settings set on the server's host raises it."`
}

// lifted returns why the change must not be made over the API; "" if it may.
func (w WalletRules) lifted(c WalletRulesChange) string {
	if w.ApprovalAbove == 0 || c.ApprovalAbove == nil ||
		*c.ApprovalAbove > 0 && *c.ApprovalAbove <= w.ApprovalAbove {
		return ""
	}
	return fmt.Sprintf("can only be lowered here, from %s, so that no operator lifts the limit alone. "+
		"Raise it, or set it to 0, with billetd settings set on the server's host.", w.ApprovalAbove)
}

// BrandingChange changes a Branding, apart from its logo.
type BrandingChange struct {
	PrimaryColor *string `json:"primaryColor,omitempty" maxLength:"7" doc:"Color of buttons and links, as #rrggbb; empty for the built-in one. White or near-black text on it must have a contrast of 4.5:1."`
}

// Empty reports whether the change changes nothing.
func (c Change) Empty() bool { return c == Change{} }

// set overwrites a value that the change has.
func set[T any](value *T, by *T) {
	if by != nil {
		*value = *by
	}
}

// with returns the settings after the change, without its password.
func (s Settings) with(c Change) Settings {
	i, m := &s.Installation, &s.Mail
	set(&i.Name, c.Installation.Name)
	set(&i.SupportAddress, c.Installation.SupportAddress)
	set(&i.TermsURL, c.Installation.TermsURL)
	set(&i.TermsVersion, c.Installation.TermsVersion)
	set(&i.PrivacyURL, c.Installation.PrivacyURL)
	set(&m.Host, c.Mail.Host)
	set(&m.Port, c.Mail.Port)
	set(&m.TLS, c.Mail.TLS)
	set(&m.User, c.Mail.User)
	set(&m.FromAddress, c.Mail.FromAddress)
	set(&m.FromName, c.Mail.FromName)
	set(&m.ReplyTo, c.Mail.ReplyTo)
	set(&s.SignUp.Policy, c.SignUp.Policy)
	set(&s.SignUp.StartingCredit, c.SignUp.StartingCredit)
	set(&s.SignUp.StartingCreditDays, c.SignUp.StartingCreditDays)
	set(&s.PublicPages.Prices, c.PublicPages.Prices)
	set(&s.PublicPages.Status, c.PublicPages.Status)
	s.Payments.change(c.Payments)
	set(&s.Wallet.ApprovalAbove, c.Wallet.ApprovalAbove)
	s.ServiceCredits.change(c.ServiceCredits)
	s.GPUHealth.change(c.GPUHealth)
	if c.Branding.PrimaryColor != nil {
		s.Branding.PrimaryColor = strings.ToLower(*c.Branding.PrimaryColor)
	}
	if c.SignUp.Domains != nil {
		s.SignUp.Domains = nil
		for _, d := range *c.SignUp.Domains {
			if d = strings.ToLower(d); !slices.Contains(s.SignUp.Domains, d) {
				s.SignUp.Domains = append(s.SignUp.Domains, d)
			}
		}
	}
	return s
}

// faults collects what is wrong with the settings.
type faults []apierr.FieldError

// add adds a fault unless the text is "".
func (f *faults) add(field, wrong string) {
	if wrong != "" {
		*f = append(*f, apierr.FieldError{Field: field, Message: wrong})
	}
}

// optional checks an address that may be empty.
func (f *faults) optional(field, address string) {
	if address != "" {
		f.add(field, emailaddr.Check(address))
	}
}

// link checks a URL that may be empty.
func (f *faults) link(field, text string) {
	if text == "" {
		return
	}
	u, err := url.Parse(text)
	if err != nil || len(text) > maxURL || !apierr.Printable(text) || u.Host == "" || u.User != nil ||
		u.Scheme != "https" && u.Scheme != "http" {
		f.add(field, "must be a URL that begins with https://, or empty.")
	}
}

// check returns INVALID_REQUEST with every fault of the settings after the change of those before.
func (s Settings) check(before Settings, c Change) error {
	var f faults
	s.checkInstallation(&f, c.Installation)
	s.checkMail(&f, before.Mail, c.Mail)
	s.checkSignUp(&f)
	s.checkPayments(&f, c.Payments)
	if a := s.Wallet.ApprovalAbove; a < 0 || a > maxMaximum {
		f.add("wallet.approvalAbove", fmt.Sprintf("must be from 0 to %s.", maxMaximum))
	}
	s.ServiceCredits.check(&f)
	s.GPUHealth.check(&f)
	if s.Branding.PrimaryColor != "" {
		f.add("branding.primaryColor", checkColor(s.Branding.PrimaryColor))
	}
	return apierr.Invalid(f).OrNil()
}

func (s Settings) checkInstallation(f *faults, c InstallationChange) {
	i := s.Installation
	if c.Name != nil { // an empty one would become the default
		*f = append(*f, apierr.CheckName("installation.name", *c.Name)...)
	}
	f.optional("installation.supportAddress", i.SupportAddress)
	f.link("installation.termsUrl", i.TermsURL)
	f.link("installation.privacyUrl", i.PrivacyURL)
	*f = append(*f, apierr.CheckText("installation.termsVersion", i.TermsVersion, maxVersion)...)
	if i.TermsURL != "" && i.TermsVersion == "" {
		f.add(
			"installation.termsVersion",
			"is required with termsUrl: users accept a version of the terms, such as 2028-01.",
		)
	}
}

func (s Settings) checkMail(f *faults, before Mail, c MailChange) {
	m := s.Mail
	if m.Host != "" && !isServer(m.Host) {
		f.add("mail.host", "must be a host name such as smtp.example.com or an IP address, without a port.")
	}
	if m.Port < 1 || m.Port > 65535 {
		f.add("mail.port", "must be from 1 to 65535.")
	}
	if !slices.Contains(m.TLS.Enum(), m.TLS) {
		f.add("mail.tls", "must be starttls, tls or none.")
	}
	*f = append(*f, apierr.CheckText("mail.user", m.User, maxUser)...)
	if c.Password != nil {
		*f = append(*f, apierr.CheckText("mail.password", *c.Password, maxPassword)...)
	}
	switch {
	case m.User != "" && !m.PasswordSet:
		f.add("mail.password", "is required with user. Clear user to send without signing in.")
	case m.User == "" && m.PasswordSet:
		f.add("mail.user", "is required with password. Set password to an empty string to send without signing in.")
	case c.Password == nil && m.PasswordSet && m.sendsElsewhere(before):
		f.add("mail.password", "is required with another server, port or tls none, so that the stored password "+
			"is not sent there. Give it again, or an empty string with an empty user.")
	case m.PasswordSet && m.TLS == NoTLS && m.Host != "" && !isLoopback(m.Host):
		f.add("mail.tls", "must be starttls or tls: the password would be sent in the clear.")
	}
	if m.Host != "" {
		f.add("mail.fromAddress", emailaddr.Check(m.FromAddress))
	} else {
		f.optional("mail.fromAddress", m.FromAddress)
	}
	if m.FromName != "" {
		*f = append(*f, apierr.CheckName("mail.fromName", m.FromName)...)
	}
	f.optional("mail.replyTo", m.ReplyTo)
}

// sendsElsewhere reports whether a password that was given for the server before would be sent to
// another one, or no longer encrypted.
func (m Mail) sendsElsewhere(before Mail) bool {
	moved := !strings.EqualFold(m.Host, before.Host) || m.Port != before.Port
	return m.Host != "" && (moved || m.TLS == NoTLS && before.TLS != NoTLS)
}

func (s Settings) checkSignUp(f *faults) {
	u := s.SignUp
	if !slices.Contains(u.Policy.Enum(), u.Policy) {
		f.add("signUp.policy", "must be closed, invitation, domains or open.")
	}
	if len(u.Domains) > maxDomains {
		f.add("signUp.domains", fmt.Sprintf("has %d domains; at most %d are allowed.", len(u.Domains), maxDomains))
	}
	for i, d := range u.Domains {
		if !emailaddr.IsHost(d) {
			f.add(fmt.Sprintf("signUp.domains[%d]", i), "must be a domain such as example.com.")
		}
	}
	if u.Policy == Domains && len(u.Domains) == 0 {
		f.add("signUp.domains", "is required for the policy domains; give at least one domain.")
	}
	if u.StartingCredit < 0 || u.StartingCredit > MaxStartingCredit {
		f.add("signUp.startingCredit", fmt.Sprintf("must be from 0 to %s.", MaxStartingCredit))
	}
	if u.StartingCreditDays < 0 || u.StartingCreditDays > maxStartingCreditDays {
		f.add("signUp.startingCreditDays", fmt.Sprintf("must be from 0 to %d.", maxStartingCreditDays))
	}
}

// isServer reports whether the text names a host: one label is enough in a private network.
func isServer(host string) bool {
	if _, err := netip.ParseAddr(host); err == nil {
		return true
	}
	return emailaddr.IsHost(host) || emailaddr.IsHost(host+".local")
}

func isLoopback(host string) bool {
	return strings.EqualFold(host, "localhost") || net.ParseIP(host).IsLoopback()
}
