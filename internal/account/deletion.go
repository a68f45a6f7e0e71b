package account

import (
	"context"

	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
)

// DeleteUser deletes what a user signs in with and is known by: email address, name, password,
// authenticator app, passkeys, sessions, links and memberships. It revokes the API keys and
// invitations that they created, and returns the accounts that they were a member of. Their ID
// stays, because other rows name it, and what others recorded of them stays as it was then.
//
// It calls alone for each account whose only owner they are, which returns an error if that account
// still needs an owner. It returns CONFLICT for an operator. It is for operators.
func (s *Service) DeleteUser(
	ctx context.Context, tx *db.Tx, p User, alone func(ctx context.Context, tx *db.Tx, account id.ID) error,
) ([]id.ID, error) {
	if p.Operator {
		return nil, apierr.New(apierr.Conflict, "This user is an operator. Revoke that first.")
	}
	accounts, err := accountsOf(ctx, tx, p.ID)
	if err != nil {
		return nil, err
	}
	for _, account := range accounts { // in their order, so that two deletions cannot deadlock
		_, was, err := lockRoles(ctx, tx, account, p.ID, p.ID)
		if err != nil {
			return nil, err
		}
		if err := notLastOwner(ctx, tx, account, was); err != nil {
			if apierr.CodeOf(err) != apierr.Conflict {
				return nil, err
			}
			if err := alone(ctx, tx, account); err != nil {
				return nil, err
			}
		}
		if err := removeMember(ctx, tx, account, p.ID); err != nil {
			return nil, err
		}
	}
	if err := lockUser(ctx, tx, p.ID); err != nil {
		return nil, err
	}
	if err := s.RemoveFactors(ctx, tx, p.ID); err != nil {
		return nil, err
	}
	tx.AfterCommit(s.remembered.forget)
	return accounts, eraseUser(ctx, tx, p)
}
