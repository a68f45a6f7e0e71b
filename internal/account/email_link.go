package account

import (
	"context"
	"errors"
	"net/netip"
	"time"

	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/emailaddr"
	"github.com/billetcloud/billet/internal/id"
)

const (
	// RegistrationLifetime and PasswordResetLifetime are how long the links can be opened.
	RegistrationLifetime  = 24 * time.Hour
	PasswordResetLifetime = time.Hour

	// Mails that strangers may request within a throttleWindow: to one email address, from one
	// network, and in total.
	mailsPerEmail, mailsPerNetwork, mailsInAll = 3, 20, 1000
	// An account mails at most that many invitations within the window.
	invitationMails, invitationMailWindow = 50, 24 * time.Hour
)

// linkKind is what a link in a mail is for.
type linkKind string

const (
	registrationLink  linkKind = "registration"
	passwordResetLink linkKind = "password_reset"
)

// emailLink is a link that was sent to an email address.
type emailLink struct {
	tokenHash string
	kind      linkKind
	email     string
	invited   bool
	createdAt time.Time
	expiresAt time.Time
}

// errLink is the same for every reason why a link is of no use.
var errLink = apierr.New(apierr.NotFound,
	"This link is not valid: it is incomplete, was used or replaced by a newer one, or has expired. Request a new one.")

// CheckMailAddress returns INVALID_REQUEST for what is not an email address that receives mail.
func CheckMailAddress(email string) error {
	_, wrong := mailAddress(email)
	if wrong == "" {
		return nil
	}
	return apierr.Invalid([]apierr.FieldError{{Field: "email", Message: wrong}})
}

// MailRequest is what a stranger may request by mail.
type MailRequest string

// The requests. Each has limits of its own, so that one cannot use up another's.
const (
	RegistrationRequest  = MailRequest(registrationLink)
	PasswordResetRequest = MailRequest(passwordResetLink)
)

// CountMailRequest counts a request of a stranger for a mail to that email address, whether or not
// a user has it. It returns INVALID_REQUEST for what is not an email address, and
// RATE_LIMIT_EXCEEDED after too many requests for the address, from the network or in total. It
// must not be called inside a transaction.
func (s *Service) CountMailRequest(ctx context.Context, what MailRequest, email string, from netip.Addr) error {
	normal, wrong := mailAddress(email)
	if wrong != "" {
		return CheckMailAddress(email)
	}
	all := "mails/" + string(what)
	wait, err := s.throttle.take(ctx, []limit{
		{all + "/to/" + normal, mailsPerEmail}, {all + "/from/" + network(from).String(), mailsPerNetwork},
		{all, mailsInAll},
	})
	if err == nil && wait > 0 {
		err = tooMany("Too many emails were requested for this address or from yours. Wait %s, then try again.", wait)
	}
	return err
}

// MayMailInvitation counts a mail with an invitation of the account, and reports whether it may be
// sent: an account could otherwise send mails to strangers in the installation's name without end.
func (s *Service) MayMailInvitation(ctx context.Context, tx *db.Tx, account id.ID) (bool, error) {
	may, _, err := countTry(ctx, tx, hashOf("invitation-mails/"+string(account)), invitationMails, invitationMailWindow)
	return may, err
}

// MailLink is a link to send.
type MailLink struct {
	// Email is the normalized address to send it to.
	Email string
	// Token is the secret of the link.
	Token string
	// Cause identifies the link, and reveals nothing of its token.
	Cause string
	// Known reports whether a user has the address. Only a mail to it may tell.
	Known     bool
	User      User
	ExpiresAt time.Time
}

// StartRegistration creates the link by which the holder of an email address completes their
// registration, whom an operator may have invited. It replaces an earlier one. Known is set if a
// user has the address who is a member of an account or an operator: then the link cannot be
// completed. It returns INVALID_REQUEST.
func (s *Service) StartRegistration(ctx context.Context, tx *db.Tx, email string, invited bool) (MailLink, error) {
	l := emailLink{
		kind: registrationLink, email: email, invited: invited, expiresAt: tx.Now.Add(RegistrationLifetime),
	}
	if invited { // as an invitation to an account
		l.expiresAt = tx.Now.Add(InvitationLifetime)
	}
	return s.startLink(ctx, tx, l)
}

// StartPasswordReset creates the link by which the holder of an email address sets a new password.
// It replaces an earlier one. It does the same work whether or not a user has the address, so that
// the time it takes gives nothing away. It returns INVALID_REQUEST.
func (s *Service) StartPasswordReset(ctx context.Context, tx *db.Tx, email string) (MailLink, error) {
	return s.startLink(ctx, tx, emailLink{
		kind: passwordResetLink, email: email, expiresAt: tx.Now.Add(PasswordResetLifetime),
	})
}

func (s *Service) startLink(ctx context.Context, tx *db.Tx, l emailLink) (MailLink, error) {
	normal, wrong := mailAddress(l.email)
	if wrong != "" {
		return MailLink{}, apierr.Invalid([]apierr.FieldError{{Field: "email", Message: wrong}})
	}
	token, err := randomText(s.cfg.Rand)
	if err != nil {
		return MailLink{}, err
	}
	l.email, l.tokenHash, l.createdAt = normal, hashOf(token), tx.Now
	u, _, known, err := userByEmail(ctx, tx, normal)
	if err != nil {
		return MailLink{}, err
	}
	before, found, err := openRegistration(ctx, tx, normal)
	if err != nil {
		return MailLink{}, err
	}
	former, err := isFormer(ctx, tx, u.ID)
	if err != nil {
		return MailLink{}, err
	}
	if l.kind == registrationLink && former { // who may register again
		known, u = false, User{}
	}
	if l.kind == registrationLink && found && before.invited { // a stranger takes no invitation away
		l.invited, l.expiresAt = true, before.expiresAt
	}
	out := MailLink{Email: normal, Token: token, Cause: l.tokenHash, Known: known, User: u, ExpiresAt: l.expiresAt}
	return out, emailLinks.Put(ctx, tx, []string{"kind", "email"}, l)
}

// Registration is what the holder of a registration's link sees.
type Registration struct {
	Email     string    `json:"email" doc:"Confirmed email address."`
	Invited   bool      `json:"invited" doc:"Whether the operator sent an invitation."`
	ExpiresAt time.Time `json:"expiresAt" doc:"When the link expires."`
}

// FindRegistration returns the registration of an open link. It returns the same NOT_FOUND for
// every token that is of no use.
func (s *Service) FindRegistration(ctx context.Context, r db.Reader, token string) (Registration, error) {
	l, err := s.openLink(ctx, r, registrationLink, token)
	return Registration{l.email, l.invited, l.expiresAt}, err
}

// ViewRegistration is FindRegistration for a caller from that address, whose invalid tokens are
// counted. It returns RATE_LIMIT_EXCEEDED after too many of them. A valid token always works. It
// must not be called inside a transaction.
func (s *Service) ViewRegistration(
	ctx context.Context, r db.Reader, token string, from netip.Addr,
) (Registration, error) {
	v, err := s.FindRegistration(ctx, r, token)
	return v, s.countInvalidLink(ctx, from, err)
}

// CheckPasswordReset returns an error if ResetPassword cannot succeed, as ViewRegistration does. It
// is for what must happen before the password is hashed, which costs much.
func (s *Service) CheckPasswordReset(ctx context.Context, r db.Reader, token string, from netip.Addr) error {
	_, err := s.openLink(ctx, r, passwordResetLink, token)
	return s.countInvalidLink(ctx, from, err)
}

// countInvalidLink counts an invalid token, as ViewInvitation does, and returns the error.
func (s *Service) countInvalidLink(ctx context.Context, from netip.Addr, err error) error {
	if err == nil || !errors.Is(err, errLink) {
		return err
	}
	wait, failed := s.throttle.take(ctx, invitationLimits(from))
	switch {
	case failed != nil:
		return failed
	case wait > 0:
		return tooMany("Too many invalid links from your address. Wait %s, then try again.", wait)
	}
	return err
}

// CompleteRegistration creates the user of a registration, as the owner of the account, and uses
// the link up. A former user with the address becomes the owner. accepted is the version of the
// terms that the user has accepted; "" if there are none. It returns the user's proof, NOT_FOUND
// for a token that is of no use, and CONFLICT if another user has the email address by now.
func (s *Service) CompleteRegistration(
	ctx context.Context, tx *db.Tx, token string, n NewUser, of id.ID, accepted string,
) (Proof, error) {
	l, err := s.useLink(ctx, tx, registrationLink, token)
	if err != nil {
		return Proof{}, err
	}
	n.operator, n.email = false, l.email // a registration creates no operator
	p, err := s.registered(ctx, tx, n, of)
	if err != nil {
		return Proof{}, err
	}
	if accepted != "" {
		if err := insertAcceptance(ctx, tx, p.ID, accepted); err != nil {
			return Proof{}, err
		}
	}
	return Proof{User: p, hold: func(context.Context, *db.Tx) error { return nil }}, nil
}

// registered creates the user of a registration. A former user with the address starts again:
// another user may read its mail now, so nothing that they signed in with works any more.
func (s *Service) registered(ctx context.Context, tx *db.Tx, n NewUser, of id.ID) (User, error) {
	u, _, found, err := userByEmail(ctx, tx, n.email)
	if err == nil && found {
		err = lockUser(ctx, tx, u.ID)
	}
	if err != nil {
		return User{}, err
	}
	former, err := isFormer(ctx, tx, u.ID)
	if err != nil {
		return User{}, err
	}
	if !former {
		return s.CreateUser(ctx, tx, n, of, Owner)
	}
	if err := s.endSignIns(ctx, tx, u.ID); err != nil {
		return User{}, err
	}
	if err := rejoin(ctx, tx, u.ID, n, of); err != nil {
		return User{}, err
	}
	u, _, err = userByID(ctx, tx, u.ID)
	return u, err
}

// ResetPassword sets the password of the user with the address that the link was sent to, uses the
// link up, and ends all sessions of the user. A second factor stays as it is: the next sign-in asks
// for it. But if the user was created by an invitation and nothing had proved the address yet,
// another may have entered it: their sign-in methods and API keys end, too, as claim says. It
// returns NOT_FOUND for a token that is of no use.
func (s *Service) ResetPassword(ctx context.Context, tx *db.Tx, token string, p Password) (User, error) {
	l, err := s.useLink(ctx, tx, passwordResetLink, token)
	if err != nil {
		return User{}, err
	}
	u, _, found, err := userByEmail(ctx, tx, l.email)
	if err == nil && !found {
		err = errLink
	}
	if err == nil {
		err = lockUser(ctx, tx, u.ID)
	}
	if err == nil {
		err = s.claim(ctx, tx, u.ID)
	}
	if err == nil {
		err = setEmailProved(ctx, tx, u.ID)
	}
	if err != nil {
		return User{}, err
	}
	return u, s.SetPassword(ctx, tx, u.ID, p, "")
}

// openLink returns the link with that token if it can be used.
func (s *Service) openLink(ctx context.Context, r db.Reader, kind linkKind, token string) (emailLink, error) {
	if !isToken(token) {
		return emailLink{}, errLink
	}
	l, found, err := linkByHash(ctx, r, kind, hashOf(token))
	if err == nil && (!found || !s.now().Before(l.expiresAt)) {
		err = errLink
	}
	return l, err
}

// useLink is openLink, and deletes the link: of concurrent calls one gets it.
func (s *Service) useLink(ctx context.Context, tx *db.Tx, kind linkKind, token string) (emailLink, error) {
	l, err := s.openLink(ctx, tx, kind, token)
	if err != nil {
		return emailLink{}, err
	}
	deleted, err := deleteLink(ctx, tx, l.tokenHash)
	if err == nil && !deleted {
		err = errLink
	}
	return l, err
}

// mailAddress is normalEmail for an address to which mail is sent: it must be one that mail servers
// accept.
func mailAddress(email string) (normal, wrong string) {
	if normal, wrong = normalEmail(email); wrong == "" {
		wrong = emailaddr.Check(normal)
	}
	return normal, wrong
}
