package account

import (
	"context"
	"time"

	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
)

// Membership is a user's membership in an account, as the user sees it.
type Membership struct {
	ID   id.ID  `json:"id" doc:"Id of the account, acc_…"`
	Name string `json:"name" doc:"Name of the account."`
	Role Role   `json:"role" doc:"Role of the user in it."`
}

// MemberInfo is a member of an account, as other members see them.
type MemberInfo struct {
	ID    id.ID  `json:"id" doc:"Id of the user, usr_…"`
	Email string `json:"email" doc:"Email address."`
	Name  string `json:"name" doc:"Name; empty if not set."`
	Role  Role   `json:"role" doc:"Role in this account."`
	TOTP  bool   `json:"totp" doc:"Whether signing in with the password requires a code, too."`
	// Passkeys count as a second factor: each is one by itself.
	Passkeys int64 `json:"passkeys" doc:"Number of passkeys."`
	// LastSeenAt is that of the last FlushLastUse.
	LastSeenAt *time.Time `json:"lastSeenAt" doc:"When the member last used this account, with a delay of up to a minute; null for never."`
	JoinedAt   time.Time  `json:"joinedAt" doc:"When the member joined this account."`
}

// Memberships returns the user's accounts, in the order in which they joined.
func (s *Service) Memberships(ctx context.Context, r db.Reader, user id.ID) ([]Membership, error) {
	return memberships(ctx, r, user)
}

// ListMembers returns a page of the account's members, in the order in which they joined.
func (s *Service) ListMembers(ctx context.Context, r db.Reader, account id.ID, p db.Page) ([]MemberInfo,
	db.Listed, error) {
	return listMembers(ctx, r, account, p)
}

var (
	errNoMember  = apierr.New(apierr.NotFound, "This account has no member with this id.")
	errLastOwner = apierr.New(apierr.Conflict,
		"This is the last owner of the account. Make another member an owner first.")
)

// lockRoles locks the account, so that changes of its members follow each other and the last two
// owners cannot both leave, and returns the current roles of two members.
func lockRoles(ctx context.Context, tx *db.Tx, account, by, user id.ID) (mine, theirs Role, err error) {
	if err := lockAccount(ctx, tx, account); err != nil {
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

// notLastOwner returns CONFLICT if the account would have no owner.
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

// SetRole changes a member's role, on behalf of another member. If the role may not create API
// keys, it revokes those that the member created in the account. It returns INVALID_REQUEST,
// NOT_FOUND, INSUFFICIENT_SCOPE if a member who is not an owner adds or removes an owner, and
// CONFLICT for the last owner.
func (s *Service) SetRole(ctx context.Context, tx *db.Tx, account, by, user id.ID, role Role) (MemberInfo, error) {
	if err := apierr.Invalid(checkRole(role)).OrNil(); err != nil {
		return MemberInfo{}, err
	}
	mine, was, err := lockRoles(ctx, tx, account, by, user)
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
	if !role.Allows(WriteAPIKeys) { // their keys must not do what their role denies
		tx.AfterCommit(s.remembered.forget)
		if err := revokeKeysBy(ctx, tx, account, user); err != nil {
			return MemberInfo{}, err
		}
	}
	m, _, err := memberByID(ctx, tx, account, user)
	return m, err
}

// RemoveMember removes a member from the account, on behalf of another member or of themselves. It
// ends their sessions in the account, and revokes the API keys and invitations that they created in
// it. It returns the former member, and the errors of SetRole.
func (s *Service) RemoveMember(ctx context.Context, tx *db.Tx, account, by, user id.ID) (MemberInfo, error) {
	mine, was, err := lockRoles(ctx, tx, account, by, user)
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

// AddMember makes an existing user a member of an account. It is for operators. It returns
// INVALID_REQUEST, and CONFLICT for a member.
func (s *Service) AddMember(ctx context.Context, tx *db.Tx, account, user id.ID, role Role) error {
	if err := apierr.Invalid(checkRole(role)).OrNil(); err != nil {
		return err
	}
	made, err := insertMembership(ctx, tx, account, user, role)
	if err == nil && !made {
		err = apierr.New(apierr.Conflict, "This user is already a member of the account.")
	}
	return err
}
