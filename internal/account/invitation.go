package account

import (
	"context"
	"net/netip"
	"time"

	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
)

const (
	// InvitationLength is how long an invitation can be accepted.
	InvitationLength = 7 * 24 * time.Hour
	// maxInvitations may be open in one account.
	maxInvitations = 100
)

// InvitationStatus says what became of an invitation.
type InvitationStatus string

// The statuses of an invitation.
const (
	InvitationOpen     InvitationStatus = "open"
	InvitationAccepted InvitationStatus = "accepted"
	InvitationRevoked  InvitationStatus = "revoked"
	InvitationExpired  InvitationStatus = "expired"
)

// InvitationStatuses are all of them.
var InvitationStatuses = []InvitationStatus{InvitationOpen, InvitationAccepted, InvitationRevoked, InvitationExpired}

// Enum lists every status.
func (InvitationStatus) Enum() []InvitationStatus { return InvitationStatuses }

// Invitation lets whoever has its link come into an account, once.
type Invitation struct {
	ID      id.ID `json:"id" doc:"Id of the invitation, inv_…; not its token."`
	Account id.ID `json:"-"`
	Role    Role  `json:"role" doc:"What the invited user may do."`
	// Email is "" for whoever has the link.
	Email     string           `json:"email" doc:"Whom it is for; empty for whoever has the link."`
	Status    InvitationStatus `json:"status" doc:"What became of it."`
	InvitedBy Creator          `json:"invitedBy" doc:"Who wrote it."`
	CreatedAt time.Time        `json:"createdAt" doc:"When it was written."`
	ExpiresAt time.Time        `json:"expiresAt" doc:"Until when it can be accepted."`

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

// errInvitation is one error for every way in which a token leads nowhere.
var errInvitation = apierr.New(apierr.NotFound, "This invitation does not work: the link is incomplete, or it was used, has expired or was withdrawn. Ask for a new one.")

// Invite writes an invitation and returns its token, which nobody can learn again. It answers INVALID_REQUEST with all faults at
// once, INSUFFICIENT_SCOPE where somebody else than an owner invites an owner, and CONFLICT for somebody who belongs to
// the account already, and LIMIT_REACHED with too many open invitations.
func (s *Service) Invite(ctx context.Context, tx *db.Tx, account id.ID, by User, role Role, email string) (Invitation, string, error) {
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
	if err := holdAccount(ctx, tx, account); err != nil { // or parallel ones would pass the bound
		return none(err)
	}
	mine, _, err := roleIn(ctx, tx, account, by.ID)
	if err != nil {
		return none(err)
	}
	if !mine.mayGive(role) {
		return none(errOwnersOnly)
	}
	if normal != "" {
		member, err := isMember(ctx, tx, account, normal)
		if err == nil && member {
			err = apierr.New(apierr.Conflict, "Somebody with this e-mail address belongs to the account already.")
		}
		if err != nil {
			return none(err)
		}
	}
	open, err := countOpenInvitations(ctx, tx, account)
	if err == nil && open >= maxInvitations {
		err = apierr.Full("invitations", maxInvitations, "There are %d open invitations, which is the most. Withdraw some first.", open)
	}
	if err != nil {
		return none(err)
	}
	token, err := randomText(s.c.Rand)
	if err != nil {
		return none(err)
	}
	i := Invitation{
		ID: s.c.IDs.New(id.Invitation), Account: account, Role: role, Email: normal, Status: InvitationOpen, InvitedBy: Creator{by.ID, by.Email},
		CreatedAt: tx.Now, ExpiresAt: tx.Now.Add(InvitationLength),
	}
	return i, token, insertInvitation(ctx, tx, i, hashOf(token))
}

// ListInvitations returns a page of the account's invitations, newest first, whatever became of them, and how many there are.
func (s *Service) ListInvitations(ctx context.Context, r db.Reader, account id.ID, p db.Page) ([]Invitation, db.Listed, error) {
	list, total, err := listInvitations(ctx, r, account, p)
	for k := range list {
		list[k] = list[k].at(s.now())
	}
	return list, total, err
}

// RevokeInvitation withdraws an invitation. To withdraw it again succeeds. It answers NOT_FOUND, and CONFLICT for one that was
// accepted.
func (s *Service) RevokeInvitation(ctx context.Context, tx *db.Tx, account, invitation id.ID) (Invitation, error) {
	if err := revokeInvitation(ctx, tx, account, invitation); err != nil {
		return Invitation{}, err
	}
	i, found, err := invitationByID(ctx, tx, account, invitation)
	switch {
	case err == nil && !found:
		err = apierr.New(apierr.NotFound, "There is no invitation with this id.")
	case err == nil && i.acceptedAt != nil:
		err = apierr.New(apierr.Conflict, "This invitation was accepted already. Remove the user instead.")
	}
	return i.at(tx.Now), err
}

// InvitationView is what whoever has the link may know before they accept.
type InvitationView struct {
	AccountName string    `json:"accountName" doc:"What the account is called."`
	Role        Role      `json:"role" doc:"What the invited user may do."`
	Email       string    `json:"email" doc:"Whom it is for; empty for whoever has the link."`
	InvitedBy   string    `json:"invitedBy" doc:"Who wrote it: their name, or e-mail address."`
	ExpiresAt   time.Time `json:"expiresAt" doc:"Until when it can be accepted."`
}

// LookAtInvitation returns what an open invitation says, for whoever has its token. It answers NOT_FOUND alike for every token
// that leads nowhere, and RATE_LIMIT_EXCEEDED after too many of those from the address. A token that is right always works:
// nobody guesses one, and others' failures must not close the invitation. It must not be called inside a transaction.
func (s *Service) LookAtInvitation(ctx context.Context, r db.Reader, token string, from netip.Addr) (InvitationView, error) {
	i, v, inviter, found, err := openInvitation(ctx, r, token, s.now())
	if err != nil || (found && inviter.mayGive(i.Role)) {
		return v, err
	}
	wait, err := s.throttle.take(ctx, invitationLimits(from))
	switch {
	case err != nil:
		return InvitationView{}, err
	case wait > 0:
		return InvitationView{}, tooMany("There were too many invitations from your address that do not exist. Wait %s, then try again.", wait)
	}
	return InvitationView{}, errInvitation
}

// take uses an invitation up, for the user with that e-mail address.
func (s *Service) takeInvitation(ctx context.Context, tx *db.Tx, token string, user id.ID, email string) (Invitation, error) {
	i, _, inviter, found, err := openInvitation(ctx, tx, token, tx.Now)
	if err == nil && (!found || !inviter.mayGive(i.Role)) { // whoever wrote it may no longer do so
		err = errInvitation
	}
	if err != nil {
		return Invitation{}, err
	}
	if i.Email != "" && i.Email != email {
		return Invitation{}, apierr.New(apierr.Conflict, "This invitation is for %s. Sign in with that address, or ask for an invitation of your own.", i.Email)
	}
	taken, err := acceptInvitation(ctx, tx, i.ID, user)
	if err == nil && !taken { // another one was quicker
		err = errInvitation
	}
	return i, err
}

// Accept makes a user who exists belong to the account that invites them, where their next session begins. It returns
// that account, and answers NOT_FOUND for a token that leads nowhere, and CONFLICT where the invitation is for somebody else or
// they belong to the account already; the invitation is not used up then.
func (s *Service) Accept(ctx context.Context, tx *db.Tx, token string, p User) (id.ID, error) {
	i, err := s.takeInvitation(ctx, tx, token, p.ID, p.Email)
	if err != nil {
		return "", err
	}
	made, err := insertMembership(ctx, tx, i.Account, p.ID, i.Role)
	if err == nil && !made {
		err = apierr.New(apierr.Conflict, "You belong to this account already.")
	}
	if err != nil {
		return "", err
	}
	return i.Account, setHome(ctx, tx, p.ID, i.Account)
}

// AcceptAsNew makes the user whom an invitation brings, and proves who they are. It answers as Accept and CreateUser do.
func (s *Service) AcceptAsNew(ctx context.Context, tx *db.Tx, token string, n NewUser) (Proof, id.ID, error) {
	n.operator = false // no invitation makes an operator
	found, err := emailTaken(ctx, tx, n.email)
	if err == nil && found { // before the token is used up, so that they can sign in and come back with it
		err = apierr.New(apierr.Conflict, "Somebody with this e-mail address is known here already. Accept with that user's password, or sign in first.")
	}
	if err != nil {
		return Proof{}, "", err
	}
	view, _, _, known, err := openInvitation(ctx, tx, token, tx.Now)
	if err == nil && !known {
		err = errInvitation
	}
	if err != nil {
		return Proof{}, "", err
	}
	p, err := s.CreateUser(ctx, tx, n, view.Account, view.Role)
	if err != nil {
		return Proof{}, "", err
	}
	if _, err := s.takeInvitation(ctx, tx, token, p.ID, p.Email); err != nil {
		return Proof{}, "", err
	}
	return Proof{User: p, hold: func(context.Context, *db.Tx) error { return nil }}, view.Account, nil
}

// EmailKnown tells whether a user has that e-mail address. It is for whoever holds an open invitation, and nobody else.
func (s *Service) EmailKnown(ctx context.Context, r db.Reader, email string) (bool, error) {
	normal, _ := normalEmail(email)
	return emailTaken(ctx, r, normal)
}
