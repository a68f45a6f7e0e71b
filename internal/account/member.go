package account

import (
	"context"
	"time"

	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
)

// Membership is a user's place in one account, as the user sees it.
type Membership struct {
	ID   id.ID  `json:"id" doc:"Id of the account, acc_…"`
	Name string `json:"name" doc:"What the account is called."`
	Role Role   `json:"role" doc:"What the user may do in it."`
}

// MemberInfo is a user's place in one account, as the account's people see it.
type MemberInfo struct {
	ID    id.ID  `json:"id" doc:"Id of the user, usr_…"`
	Email string `json:"email" doc:"E-mail address."`
	Name  string `json:"name" doc:"What they are called; empty while they have not said."`
	Role  Role   `json:"role" doc:"What they may do in this account."`
	TOTP  bool   `json:"totp" doc:"Whether signing in with their password needs a code, too."`
	// LastSeenAt may lag behind by as long as FlushLastUse is not called.
	LastSeenAt *time.Time `json:"lastSeenAt" doc:"When they last worked in this account, up to a minute behind; null for never."`
	JoinedAt   time.Time  `json:"joinedAt" doc:"When they came into this account."`
}

// Memberships returns the accounts that the user belongs to, in the order in which they joined.
func (s *Service) Memberships(ctx context.Context, r db.Reader, user id.ID) ([]Membership, error) {
	return memberships(ctx, r, user)
}

// ListMembers returns a page of the account's people, in the order in which they joined, and how many there are.
func (s *Service) ListMembers(ctx context.Context, r db.Reader, account id.ID, p db.Page) ([]MemberInfo, db.Listed, error) {
	return listMembers(ctx, r, account, p)
}

var (
	errNoMember  = apierr.New(apierr.NotFound, "There is no user with this id in this account.")
	errLastOwner = apierr.New(apierr.Conflict, "This is the last owner. An account must have one: make somebody else an owner first.")
)

// change holds the account, so that changes of its people come one after the other and the last two owners cannot
// each be the one who goes, and returns the two persons' roles as they are now.
func change(ctx context.Context, tx *db.Tx, account, by, user id.ID) (mine, theirs Role, err error) {
	if err := holdAccount(ctx, tx, account); err != nil {
		return "", "", err
	}
	mine, _, err = roleIn(ctx, tx, account, by)
	if err != nil {
		return "", "", err
	}
	theirs, found, err := roleIn(ctx, tx, account, user)
	if err == nil && !found {
		err = errNoMember
	}
	return mine, theirs, err
}

// notLastOwner is CONFLICT where the account would be left without an owner.
func notLastOwner(ctx context.Context, tx *db.Tx, account id.ID, was Role) error {
	if was != Owner {
		return nil
	}
	n, err := countOwners(ctx, tx, account)
	if err == nil && n < 2 {
		err = errLastOwner
	}
	return err
}

// SetRole gives a user another role in the account, on behalf of another one. Where the role may make no API keys, those that
// they made in the account are revoked. It answers INVALID_REQUEST, NOT_FOUND,
// INSUFFICIENT_SCOPE where somebody else than an owner would make or unmake an owner, and CONFLICT for the last owner.
func (s *Service) SetRole(ctx context.Context, tx *db.Tx, account, by, user id.ID, role Role) (MemberInfo, error) {
	if err := apierr.Invalid(checkRole(role)).OrNil(); err != nil {
		return MemberInfo{}, err
	}
	mine, was, err := change(ctx, tx, account, by, user)
	if err != nil {
		return MemberInfo{}, err
	}
	if !mine.mayGive(was, role) {
		return MemberInfo{}, errOwnersOnly
	}
	if role != Owner {
		if err := notLastOwner(ctx, tx, account, was); err != nil {
			return MemberInfo{}, err
		}
	}
	if err := setRole(ctx, tx, account, user, role); err != nil {
		return MemberInfo{}, err
	}
	if !role.Allows(WriteAPIKeys) { // or they would go on by their keys with what their role denies
		tx.AfterCommit(s.remembered.forget)
		if err := revokeKeysBy(ctx, tx, account, user); err != nil {
			return MemberInfo{}, err
		}
	}
	m, _, err := memberByID(ctx, tx, account, user)
	return m, err
}

// RemoveMember takes a user out of the account, on behalf of another one or of themselves: their sessions in it end, the API keys
// that they made in it and the invitations that they wrote are revoked. It returns what they were, and answers
// NOT_FOUND, INSUFFICIENT_SCOPE and CONFLICT as SetRole does.
func (s *Service) RemoveMember(ctx context.Context, tx *db.Tx, account, by, user id.ID) (MemberInfo, error) {
	mine, was, err := change(ctx, tx, account, by, user)
	if err != nil {
		return MemberInfo{}, err
	}
	if !mine.mayGive(was) {
		return MemberInfo{}, errOwnersOnly
	}
	if err := notLastOwner(ctx, tx, account, was); err != nil {
		return MemberInfo{}, err
	}
	m, _, err := memberByID(ctx, tx, account, user)
	if err != nil {
		return MemberInfo{}, err
	}
	tx.AfterCommit(s.remembered.forget)
	return m, removeMember(ctx, tx, account, user)
}

// AddMember makes a user who exists belong to an account with that role. It is for the operator. It answers
// INVALID_REQUEST, and CONFLICT for one who does already.
func (s *Service) AddMember(ctx context.Context, tx *db.Tx, account, user id.ID, role Role) error {
	if err := apierr.Invalid(checkRole(role)).OrNil(); err != nil {
		return err
	}
	made, err := insertMembership(ctx, tx, account, user, role)
	if err == nil && !made {
		err = apierr.New(apierr.Conflict, "This user belongs to the account already.")
	}
	return err
}
