package httpapi

import (
	"context"
	"net/http"

	"github.com/billetcloud/billet/internal/account"
	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
)

type userPath struct {
	ID id.ID `path:"id" doc:"Id of the user, usr_…"`
}

type updateMember struct {
	userPath
	Body struct {
		Role account.Role `json:"role" enum:"owner,admin,member,viewer,billing"`
	}
}

type invitationPath struct {
	ID id.ID `path:"id" doc:"Id of the invitation, inv_…"`
}

type invite struct {
	Body struct {
		Role  account.Role `json:"role" enum:"owner,admin,member,viewer,billing"`
		Email string       `json:"email,omitempty" maxLength:"254" doc:"Only this user can accept it; whoever has the link if left out."`
	}
}

// newInvitation is an invitation with its link, which is shown this once.
type newInvitation struct {
	account.Invitation
	URL string `json:"url" doc:"The link to send. It is shown this once."`
}

type invitationToken struct {
	Body struct {
		Token string `json:"token" minLength:"1" maxLength:"128" doc:"What stands behind the # of the link."`
	}
}

type acceptInvitation struct {
	Body struct {
		Token    string `json:"token" minLength:"1" maxLength:"128" doc:"What stands behind the # of the link."`
		Email    string `json:"email,omitempty" maxLength:"254" doc:"Whom to sign in as, or to make; the invitation's own address if left out."`
		Name     string `json:"name,omitempty" maxLength:"64" doc:"Of a new user."`
		Password string `json:"password,omitempty" maxLength:"1024" doc:"Of the user who has this address, or else for the new user. Without it the signed-in user accepts."`
		Code     string `json:"code,omitempty" maxLength:"64" doc:"As in signIn."`
	}
}

func (s *server) addPeople() {
	people, invitations := AccountBase+"/members", AccountBase+"/invitations"
	list(s, spec{
		method: http.MethodGet, path: people, id: "listMembers", tag: tagAccount, door: doorUser, scope: account.ReadPeople,
		summary: "List the account's people", text: "In the order in which they joined.",
	}, func(ctx context.Context, c *call, _ *page, p db.Page) ([]account.MemberInfo, db.Listed, error) {
		return s.c.Accounts.ListMembers(ctx, s.c.DB, c.account, p)
	})

	write(s, spec{
		method: http.MethodPatch, path: people + "/{id}", id: "updateMember", tag: tagAccount, door: doorUser, scope: account.WritePeople,
		summary: "Give a user another role", text: "Only an owner makes or unmakes owners, and the last owner stays one. It counts from their next call on. A role that may make no API keys has those revoked that they made in the account.",
		errors: []apierr.Code{apierr.Conflict},
	}, func(ctx context.Context, tx *db.Tx, c *call, in *updateMember) (account.MemberInfo, error) {
		return s.c.Accounts.SetRole(ctx, tx, c.account, c.user.ID, in.ID, in.Body.Role)
	})

	write(s, spec{
		method: http.MethodDelete, path: people + "/{id}", id: "removeMember", tag: tagAccount, door: doorUser, scope: account.WritePeople,
		summary: "Remove a user from the account", text: "Their sessions in this account end at once, API keys that they made in it and invitations that they wrote are revoked. Only an owner removes an owner, and the last one stays.",
		errors: []apierr.Code{apierr.Conflict},
	}, func(ctx context.Context, tx *db.Tx, c *call, in *userPath) (account.MemberInfo, error) {
		return s.c.Accounts.RemoveMember(ctx, tx, c.account, c.user.ID, in.ID)
	})

	list(s, spec{
		method: http.MethodGet, path: invitations, id: "listInvitations", tag: tagAccount, door: doorUser, scope: account.ReadPeople,
		summary: "List invitations", text: "Newest first, whatever became of them.",
	}, func(ctx context.Context, c *call, _ *page, p db.Page) ([]account.Invitation, db.Listed, error) {
		return s.c.Accounts.ListInvitations(ctx, s.c.DB, c.account, p)
	})

	write(s, spec{
		method: http.MethodPost, path: invitations, id: "createInvitation", tag: tagAccount, door: doorUser, scope: account.WritePeople, status: http.StatusCreated,
		summary: "Invite somebody", text: "Send them the link yourself; no mail is sent. It works once, for seven days, and only while you may invite to that role.",
		errors: []apierr.Code{apierr.Conflict, apierr.LimitReached},
	}, func(ctx context.Context, tx *db.Tx, c *call, in *invite) (newInvitation, error) {
		i, token, err := s.c.Accounts.Invite(ctx, tx, c.account, *c.user, in.Body.Role, in.Body.Email)
		link := *s.public(c.request)
		link.Path, link.Fragment = "/invite", token
		c.created(i.ID)
		return newInvitation{i, link.String()}, err
	})

	write(s, spec{
		method: http.MethodDelete, path: invitations + "/{id}", id: "revokeInvitation", tag: tagAccount, door: doorUser, scope: account.WritePeople,
		summary: "Withdraw an invitation", errors: []apierr.Code{apierr.Conflict},
	}, func(ctx context.Context, tx *db.Tx, c *call, in *invitationPath) (account.Invitation, error) {
		return s.c.Accounts.RevokeInvitation(ctx, tx, c.account, in.ID)
	})

	read(s, spec{
		method: http.MethodPost, path: invitations + "/look", id: "lookAtInvitation", tag: tagAccount, door: doorOpen,
		summary: "What an invitation says", text: "For whoever has its link.", errors: []apierr.Code{apierr.NotFound, apierr.NetworkNotAllowed},
	}, func(ctx context.Context, c *call, in *invitationToken) (account.InvitationView, error) {
		return s.c.Accounts.LookAtInvitation(ctx, s.c.DB, in.Body.Token, s.address(c.request))
	})

	read(s, spec{
		method: http.MethodPost, path: invitations + "/accept", id: "acceptInvitation", tag: tagAccount, door: doorOpen, status: http.StatusCreated,
		summary: "Accept an invitation",
		text: "Without a password the user who is signed in joins the account, and the session moves there. With one, whoever has the e-mail address signs in with it and joins; " +
			"where nobody has it, a new user is made. The invitation is used up only when all went well.",
		errors: []apierr.Code{apierr.NotFound, apierr.Conflict, apierr.SignInRequired, apierr.SignInFailed, apierr.SecondFactorRequired, apierr.NetworkNotAllowed},
	}, s.accept)
}

func (s *server) accept(ctx context.Context, c *call, in *acceptInvitation) (session, error) {
	b, from := &in.Body, s.address(c.request)
	view, err := s.c.Accounts.LookAtInvitation(ctx, s.c.DB, b.Token, from) // before anything that costs more
	if err != nil {
		return session{}, err
	}
	if b.Password == "" {
		return s.acceptSignedIn(ctx, c, b.Token)
	}
	email := b.Email
	if email == "" {
		email = view.Email
	}
	known, err := s.c.Accounts.EmailKnown(ctx, s.c.DB, email)
	if err != nil {
		return session{}, err
	}
	if known {
		p, err := s.c.Accounts.Verify(ctx, email, b.Password, b.Code, s.source(c.request))
		if err != nil {
			if b.Code == "" && apierr.CodeOf(err) == apierr.SecondFactorRequired {
				return session{}, err
			}
			return session{}, s.signInFailed(ctx, c, p.User, err)
		}
		return s.begin(ctx, c, func(ctx context.Context, tx *db.Tx) (account.Proof, error) {
			_, err := s.c.Accounts.Accept(ctx, tx, b.Token, p.User)
			return p, err
		})
	}
	n, err := s.c.Accounts.Prepare(ctx, account.UserRequest{Email: email, Name: b.Name, Password: b.Password})
	if err != nil {
		return session{}, err
	}
	return s.begin(ctx, c, func(ctx context.Context, tx *db.Tx) (account.Proof, error) {
		p, _, err := s.c.Accounts.AcceptAsNew(ctx, tx, b.Token, n)
		return p, err
	})
}

// acceptSignedIn has the signed-in user join, and their session go on in the account.
func (s *server) acceptSignedIn(ctx context.Context, c *call, token string) (session, error) {
	if err := s.admitUser(ctx, c); err != nil {
		return session{}, err
	}
	var out session
	err := s.c.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		joined, err := s.c.Accounts.Accept(ctx, tx, token, *c.user)
		if err != nil {
			return err
		}
		n, err := s.c.Accounts.SwitchAccount(ctx, tx, *c.session, joined)
		if err != nil {
			return err
		}
		a, err := s.c.Accounts.Get(ctx, tx, joined)
		if err != nil {
			return err
		}
		out = session{n.User, a, n.Role, n.ExpiresAt}
		c.note = note{subject: c.user.ID, account: joined}
		return s.record(ctx, tx, c)
	})
	return out, err
}
