package operator

import (
	"context"

	"github.com/billetcloud/billet/internal/account"
	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/mail"
)

// Invited is an invitation with its link, which is shown once.
type Invited struct {
	account.Invitation
	URL    string
	Mailed bool
}

// InviteOwner invites the user with the email address as an owner of the account. link returns the
// link with a token; the link is mailed if it is public and the server sends mails. It returns
// INVALID_REQUEST, NOT_FOUND, or what account.InviteByOperator does.
func (s *Service) InviteOwner(
	ctx context.Context, tx *db.Tx, of id.ID, email string, link func(token string) string, public bool,
) (Invited, error) {
	a, err := s.cfg.Accounts.Get(ctx, tx, of)
	if err != nil {
		return Invited{}, err
	}
	if email == "" {
		return Invited{}, apierr.Invalid([]apierr.FieldError{{Field: "email", Message: "is required."}})
	}
	i, token, err := s.cfg.Accounts.InviteByOperator(ctx, tx, of, account.Owner, email)
	if err != nil {
		return Invited{}, err
	}
	return s.SendInvitation(ctx, tx, a, i, "The operator", link(token), public)
}

// SendInvitation mails the link of an invitation if it has an email address, the link is public and
// the server sends mails.
func (s *Service) SendInvitation(
	ctx context.Context, tx *db.Tx, a account.Account, i account.Invitation, by, link string, public bool,
) (out Invited, err error) {
	out = Invited{Invitation: i, URL: link}
	if i.Email == "" || !public || account.CheckMailAddress(i.Email) != nil {
		return out, nil
	}
	if out.Mailed, err = s.cfg.Mail.Configured(ctx, tx); err == nil && out.Mailed {
		out.Mailed, err = s.cfg.Accounts.MayMailInvitation(ctx, tx, a.ID)
	}
	if err != nil || !out.Mailed {
		return out, err
	}
	return out, s.cfg.Mail.Enqueue(ctx, tx, mail.Message{
		Kind: mail.Invitation, Cause: string(i.ID), Account: a.ID, To: i.Email, Link: link,
		Data: map[string]string{
			"invitedBy": by, "account": a.Name, "role": string(i.Role), "expiresAt": mail.Text(i.ExpiresAt),
		},
	})
}
