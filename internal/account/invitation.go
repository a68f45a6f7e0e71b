package account

import (
	"context"
	"net/netip"
	"time"

	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/creator"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
)

const (
	// InvitationLifetime is how long an invitation can be accepted.
	InvitationLifetime = 7 * 24 * time.Hour
	// maxInvitations is the most open invitations of an account.
	maxInvitations = 100
)

// InvitationStatus is the state of an invitation.
type InvitationStatus string

// The statuses of an invitation.
const (
	InvitationOpen     InvitationStatus = "open"
	InvitationAccepted InvitationStatus = "accepted"
	InvitationRevoked  InvitationStatus = "revoked"
	InvitationExpired  InvitationStatus = "expired"
)

// InvitationStatuses lists every status.
var InvitationStatuses = []InvitationStatus{InvitationOpen, InvitationAccepted, InvitationRevoked, InvitationExpired}

// Enum lists every status.
func (InvitationStatus) Enum() []InvitationStatus { return InvitationStatuses }

// Invitation lets one user who has its link join an account.
type Invitation struct {
	ID      id.ID `json:"id" doc:"Id of the invitation, inv_…; not its token."`
	Account id.ID `json:"-"`
	Role    Role  `json:"role" doc:"Role of the invited user."`
	// Email is "" if anyone with the link may accept it.
	Email     string           `json:"email" doc:"Email address of the invited user; empty if anyone with the link may accept it."`
	Status    InvitationStatus `json:"status" doc:"State of the invitation."`
	InvitedBy Creator          `json:"invitedBy" doc:"User who created it; empty for the operator."`
	CreatedBy creator.Creator  `json:"createdBy" doc:"Who created it."`
	CreatedAt time.Time        `json:"createdAt" doc:"When it was created."`
	ExpiresAt time.Time        `json:"expiresAt" doc:"When it expires."`

	acceptedAt, revokedAt *time.Time
}

func (i Invitation) at(now time.Time) Invitation {
	switch {
	case i.acceptedAt != nil:
		i.Status = InvitationAccepted
	case i.revokedAt != nil:
		i.Status = InvitationRevoked
	case !now.Before(i.ExpiresAt):
		i.Status = InvitationExpired
	default:
		i.Status = InvitationOpen
	}
	return i
}

// errInvitation is the same for every reason why a token is of no use.
var errInvitation = apierr.New(apierr.NotFound,
	"This invitation is not valid: the link is incomplete, or it was used, has expired or was revoked. Ask for a "+
		"new one.")

// Invite creates an invitation and returns its token, which is not stored. It returns
// INVALID_REQUEST with every invalid field, INSUFFICIENT_SCOPE if a user who is not an owner
// invites an owner, CONFLICT for a member of the account, and LIMIT_REACHED with too many open
// invitations.
func (s *Service) Invite(ctx context.Context, tx *db.Tx, account id.ID, by User, role Role,
	email string) (Invitation, string, error) {
	return s.invite(ctx, tx, account, creator.Creator{Type: creator.Member, ID: by.ID, Name: by.Called()}, by.Email,
		role, email)
}

// InviteByOperator creates an invitation of the operator, who may invite owners. It returns what
// Invite does.
func (s *Service) InviteByOperator(ctx context.Context, tx *db.Tx, account id.ID, role Role,
	email string) (Invitation, string, error) {
	return s.invite(ctx, tx, account, creator.ByOperator, "", role, email)
}

func (s *Service) invite(ctx context.Context, tx *db.Tx, account id.ID, by creator.Creator, byEmail string, role Role,
	email string) (Invitation, string, error) {
	none := func(err error) (Invitation, string, error) { return Invitation{}, "", err }
	faults := checkRole(role)
	normal := ""
	if email != "" {
		var wrong string
		if normal, wrong = normalEmail(email); wrong != "" {
			faults = append(faults, apierr.FieldError{Field: "email", Message: wrong})
		}
	}
	if err := apierr.Invalid(faults).OrNil(); err != nil {
		return none(err)
	}
	if err := lockAccount(ctx, tx, account); err != nil { // concurrent invitations must not exceed the maximum
		return none(err)
	}
	mine, err := Owner, error(nil)
	if by.Type == creator.Member {
		mine, _, err = roleIn(ctx, tx, account, by.ID)
	}
	if err != nil {
		return none(err)
	}
	if !mine.mayGive(role) {
		return none(errOwnersOnly)
	}
	if normal != "" {
		member, err := isMember(ctx, tx, account, normal)
		if err == nil && member {
			err = apierr.New(apierr.Conflict, "A user with this email address is already a member of the account.")
		}
		if err != nil {
			return none(err)
		}
	}
	open, err := countOpenInvitations(ctx, tx, account)
	if err == nil && open >= maxInvitations {
		err = apierr.Full("invitations", maxInvitations,
			"There are %d open invitations, which is the maximum. Revoke some first.", open)
	}
	if err != nil {
		return none(err)
	}
	token, err := randomText(s.cfg.Rand)
	if err != nil {
		return none(err)
	}
	i := Invitation{
		ID: s.cfg.IDs.New(id.Invitation), Account: account, Role: role, Email: normal, Status: InvitationOpen,
		InvitedBy: Creator{ID: by.ID, Email: byEmail}, CreatedBy: by,
		CreatedAt: tx.Now, ExpiresAt: tx.Now.Add(InvitationLifetime),
	}
	return i, token, insertInvitation(ctx, tx, i, hashOf(token))
}

// ListInvitations returns a page of the account's invitations of every status, newest first.
func (s *Service) ListInvitations(ctx context.Context, r db.Reader, account id.ID, p db.Page) ([]Invitation,
	db.Listed, error) {
	list, total, err := listInvitations(ctx, r, account, p)
	for k := range list {
		list[k] = list[k].at(s.now())
	}
	return list, total, err
}

// RevokeInvitation revokes an invitation. To revoke it again succeeds. It returns NOT_FOUND, and
// CONFLICT for an accepted one.
func (s *Service) RevokeInvitation(ctx context.Context, tx *db.Tx, account, invitation id.ID) (Invitation, error) {
	if err := revokeInvitation(ctx, tx, account, invitation); err != nil {
		return Invitation{}, err
	}
	i, found, err := invitationByID(ctx, tx, account, invitation)
	switch {
	case err == nil && !found:
		err = apierr.New(apierr.NotFound, "There is no invitation with this id.")
	case err == nil && i.acceptedAt != nil:
		err = apierr.New(apierr.Conflict, "This invitation was accepted. Remove the member instead.")
	}
	return i.at(tx.Now), err
}

// InvitationView is what a user with the link sees before accepting it.
type InvitationView struct {
	AccountName string    `json:"accountName" doc:"Name of the account."`
	Role        Role      `json:"role" doc:"Role of the invited user."`
	Email       string    `json:"email" doc:"Email address of the invited user; empty if anyone with the link may accept it."`
	InvitedBy   string    `json:"invitedBy" doc:"Name or email address of the user who created it, or the operator."`
	ExpiresAt   time.Time `json:"expiresAt" doc:"When it expires."`
}

// ViewInvitation returns an open invitation, for a user who has its token. It returns the same
// NOT_FOUND for every token that is of no use, and RATE_LIMIT_EXCEEDED after too many of those from
// the address. A valid token always works: no one can guess one, and the failures of others must
// not block it. It must not be called inside a transaction.
func (s *Service) ViewInvitation(ctx context.Context, r db.Reader, token string, from netip.Addr) (InvitationView,
	error) {
	i, found, err := findOpenInvitation(ctx, r, token, s.now())
	if err != nil {
		return InvitationView{}, err
	}
	if found && i.inviter.mayGive(i.Role) {
		return InvitationView{i.accountName, i.Role, i.Email, i.inviterName, i.ExpiresAt}, nil
	}
	wait, err := s.throttle.take(ctx, invitationLimits(from))
	switch {
	case err != nil:
		return InvitationView{}, err
	case wait > 0:
		return InvitationView{}, tooMany(
			"Too many invalid invitations from your address. Wait %s, then try again.",
			wait,
		)
	}
	return InvitationView{}, errInvitation
}

// takeInvitation accepts an invitation for the user with that email address.
func (s *Service) takeInvitation(ctx context.Context, tx *db.Tx, token string, user id.ID,
	email string) (Invitation, error) {
	i, found, err := findOpenInvitation(ctx, tx, token, tx.Now)
	if err == nil && (!found || !i.inviter.mayGive(i.Role)) {
		err = errInvitation
	}
	if err != nil {
		return Invitation{}, err
	}
	if i.Email != "" && i.Email != email {
		return Invitation{}, apierr.New(apierr.Conflict,
			"This invitation is for %s. Sign in with that address, or ask for your own invitation.", i.Email)
	}
	taken, err := acceptInvitation(ctx, tx, i.ID, user)
	if err == nil && !taken { // a concurrent call was faster
		err = errInvitation
	}
	return i.Invitation, err
}

// Accept makes an existing user a member of the account that invites them, in which their next
// session starts. It returns that account. It returns NOT_FOUND for a token that is of no use, and
// CONFLICT if the invitation is for another user or the user is a member already; the invitation
// stays open then.
func (s *Service) Accept(ctx context.Context, tx *db.Tx, token string, p User) (id.ID, error) {
	i, err := s.takeInvitation(ctx, tx, token, p.ID, p.Email)
	if err != nil {
		return "", err
	}
	made, err := insertMembership(ctx, tx, i.Account, p.ID, i.Role)
	if err == nil && !made {
		err = apierr.New(apierr.Conflict, "You are already a member of this account.")
	}
	if err != nil {
		return "", err
	}
	return i.Account, setHome(ctx, tx, p.ID, i.Account)
}

// AcceptAsNew creates the invited user and returns their proof. It returns the errors of Accept and
// CreateUser.
func (s *Service) AcceptAsNew(ctx context.Context, tx *db.Tx, token string, n NewUser) (Proof, id.ID, error) {
	n.operator = false // an invitation creates no operator
	found, err := emailTaken(ctx, tx, n.email)
	if err == nil && found { // before the token is used, so that the user can sign in and accept
		err = apierr.New(apierr.Conflict,
			"A user with this email address already exists. Accept with that user's password, or sign in first.")
	}
	if err != nil {
		return Proof{}, "", err
	}
	i, open, err := findOpenInvitation(ctx, tx, token, tx.Now)
	if err == nil && !open {
		err = errInvitation
	}
	if err != nil {
		return Proof{}, "", err
	}
	p, err := s.CreateUser(ctx, tx, n, i.Account, i.Role)
	if err != nil {
		return Proof{}, "", err
	}
	if _, err := s.takeInvitation(ctx, tx, token, p.ID, p.Email); err != nil {
		return Proof{}, "", err
	}
	return Proof{User: p, hold: func(context.Context, *db.Tx) error { return nil }}, i.Account, nil
}

// EmailKnown reports whether a user has that email address. Only holders of an open invitation may
// learn it.
func (s *Service) EmailKnown(ctx context.Context, r db.Reader, email string) (bool, error) {
	normal, _ := normalEmail(email)
	return emailTaken(ctx, r, normal)
}
