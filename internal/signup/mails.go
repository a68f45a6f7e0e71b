package signup

import (
	"context"

	"github.com/billetcloud/billet/internal/account"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/mail"
)

// The pages that links lead to.
const (
	completePage = "/sign-up/complete"
	resetPage    = "/reset-password"
)

// mailRegistration enqueues the mail of a registration: the link, or, if a user has the address,
// the advice to sign in.
func (s *Service) mailRegistration(ctx context.Context, tx *db.Tx, l account.MailLink, invited bool) error {
	kind := mail.VerifyAddress
	switch {
	case l.Known:
		kind = mail.AddressKnown
	case invited:
		kind = mail.SignUpInvitation
	}
	return s.send(ctx, tx, kind, completePage, l)
}

// mailPasswordReset enqueues the mail of a password reset: the link, or that no user has the
// address.
func (s *Service) mailPasswordReset(ctx context.Context, tx *db.Tx, l account.MailLink) error {
	kind := mail.PasswordReset
	if !l.Known {
		kind = mail.AddressUnknown
	}
	return s.send(ctx, tx, kind, resetPage, l)
}

func (s *Service) send(ctx context.Context, tx *db.Tx, kind mail.Kind, page string, l account.MailLink) error {
	m := mail.Message{
		Kind: kind, Cause: l.Cause, To: l.Email, Data: map[string]string{"expiresAt": mail.Text(l.ExpiresAt)},
		ExpiresAt: l.ExpiresAt,
	}
	if kind != mail.AddressKnown && kind != mail.AddressUnknown {
		at := s.cfg.PublicURL.JoinPath(page)
		at.Fragment = l.Token // a fragment is sent to no server, and is in no log
		m.Link = at.String()
	}
	return s.cfg.Mail.Enqueue(ctx, tx, m)
}
