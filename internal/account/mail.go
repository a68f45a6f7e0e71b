package account

import (
	"context"
	"slices"

	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
)

// MailRecipient is a member who gets mails about an account.
type MailRecipient struct {
	User  id.ID
	Email string
	// Off are the kinds of mails that the member switched off for the account.
	Off []string
}

// MailRecipients returns the members of the account who have one of the roles, at most 1,000.
func (s *Service) MailRecipients(ctx context.Context, r db.Reader, account id.ID, roles []Role) ([]MailRecipient,
	error) {
	return mailRecipients(ctx, r, account, roles)
}

// MailOff returns the kinds of mails that the member switched off for the account. In a transaction
// that writes it locks them. It returns NOT_FOUND for a user who is no member.
func (s *Service) MailOff(ctx context.Context, r db.Reader, account, user id.ID) ([]string, error) {
	off, found, err := mailOff(ctx, r, account, user)
	if err == nil && !found {
		err = errNoMember
	}
	return off, err
}

// SetMailOff replaces the kinds of mails that the member switched off for the account.
func (s *Service) SetMailOff(ctx context.Context, tx *db.Tx, account, user id.ID, kinds []string) error {
	kinds = slices.Clone(kinds)
	slices.Sort(kinds)
	return setMailOff(ctx, tx, account, user, slices.Compact(kinds))
}

// After returns the ids of up to limit accounts after that one, in order; "" begins.
func (s *Service) After(ctx context.Context, r db.Reader, account id.ID, limit int) ([]id.ID, error) {
	return accountsAfter(ctx, r, account, limit)
}
