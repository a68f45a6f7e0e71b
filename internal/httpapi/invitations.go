package httpapi

import (
	"context"
	"net/http"

	"github.com/billetcloud/billet/internal/account"
	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/operator"
	"github.com/billetcloud/billet/internal/rest"
)

// invitations let users join an account.
type invitations struct {
	db       *db.DB
	accounts *account.Service
	audit    auditLog
	auth     authenticator
	start    sessionStarter
	site     site
	operator *operator.Service
}

func (h invitations) routes(r *rest.Router) {
	const all = AccountBase + "/invitations"
	rest.List(r, rest.Operation{
		Method: http.MethodGet, Path: all, ID: "listInvitations", Tag: tagAccount, Auth: rest.SessionOnly,
		Scope: string(
			account.ReadMembers,
		), Summary: "List invitations", Description: "Newest first, including closed ones.",
	}, h.list)
	rest.Write(r, rest.Operation{
		Method: http.MethodPost, Path: all, ID: "createInvitation", Tag: tagAccount, Auth: rest.SessionOnly,
		Scope: string(account.WriteMembers), Status: http.StatusCreated, Summary: "Invite a member",
		Description: "With an email address, and if this server sends emails, the user gets the link by email. " +
			"Otherwise send it yourself. It works once, for seven days, and only while you may invite to that role.",
		Errors: []apierr.Code{apierr.Conflict, apierr.LimitReached},
	}, h.create)
	rest.Write(r, rest.Operation{
		Method: http.MethodDelete, Path: all + "/{id}", ID: "revokeInvitation", Tag: tagAccount, Auth: rest.SessionOnly,
		Scope: string(account.WriteMembers), Summary: "Revoke an invitation", Errors: []apierr.Code{apierr.Conflict},
	}, h.revoke)
	rest.Unmanaged(r, rest.Operation{
		Method: http.MethodPost, Path: all + "/preview", ID: "previewInvitation", Tag: tagAccount, Auth: rest.Public,
		Summary: "Preview an invitation", Description: "Describes the invitation to anyone who has its link.",
		Errors: []apierr.Code{apierr.NotFound, apierr.NetworkNotAllowed},
	}, h.preview)
	rest.Unmanaged(r, rest.Operation{
		Method: http.MethodPost, Path: all + "/accept", ID: "acceptInvitation", Tag: tagAccount, Auth: rest.Public,
		Status: http.StatusCreated, Summary: "Accept an invitation",
		Description: "Without a password the signed-in user joins the account, and the session moves there. With a " +
			"password, the user " +
			"with the email address signs in and joins; if there is none, a new user is created. The invitation is " +
			"used up only if " +
			"everything succeeds.",
		Errors: []apierr.Code{
			apierr.NotFound, apierr.Conflict, apierr.SignInRequired, apierr.SignInFailed, apierr.SecondFactorRequired,
			apierr.NetworkNotAllowed, apierr.InsufficientScope,
		},
	}, h.accept)
}

type invitationPath struct {
	ID id.ID `path:"id" doc:"Id of the invitation, inv_…"`
}

type createInvitation struct {
	Body struct {
		Role  account.Role `json:"role"`
		Email string       `json:"email,omitempty" maxLength:"254" doc:"If given, only the user with this address can accept; otherwise anyone with the link."`
	}
}

// newInvitation is an invitation with its link, which is shown once.
type newInvitation struct {
	account.Invitation
	URL    string `json:"url" doc:"Link to send. It is shown once."`
	Mailed bool   `json:"mailed" doc:"Whether the link is sent to the email address, too."`
}

type invitationToken struct {
	Body struct {
		Token string `json:"token" minLength:"1" maxLength:"128" doc:"The part of the link after the #."`
	}
}

type acceptInvitation struct {
	Body struct {
		Token    string `json:"token" minLength:"1" maxLength:"128" doc:"The part of the link after the #."`
		Email    string `json:"email,omitempty" maxLength:"254" doc:"Address of the user who joins; the invitation's address if omitted."`
		Name     string `json:"name,omitempty" maxLength:"64" doc:"Name of a new user."`
		Password string `json:"password,omitempty" maxLength:"1024" doc:"Password of the user with this address, or of the new user. If omitted, the signed-in user joins."`
		Code     string `json:"code,omitempty" maxLength:"64" doc:"As in signIn."`
	}
}

func (h invitations) list(
	ctx context.Context, c *rest.Call, _ *rest.Paging, p db.Page,
) ([]account.Invitation, db.Listed, error) {
	return h.accounts.ListInvitations(ctx, h.db, c.Caller.Account, p)
}

func (h invitations) create(
	ctx context.Context, tx *db.Tx, c *rest.Call, in *createInvitation,
) (newInvitation, error) {
	i, token, err := h.accounts.Invite(ctx, tx, c.Caller.Account, *callerOf(c).user, in.Body.Role, in.Body.Email)
	if err != nil {
		return newInvitation{}, err
	}
	c.Created(i.ID)
	a, err := h.accounts.Get(ctx, tx, i.Account)
	if err != nil {
		return newInvitation{}, err
	}
	out, err := h.operator.SendInvitation(
		ctx, tx, a, i, callerOf(c).user.Called(), h.site.link(c, "/invite", token), h.site.mailable(),
	)
	return newInvitation(out), err
}

func (h invitations) revoke(
	ctx context.Context, tx *db.Tx, c *rest.Call, in *invitationPath,
) (account.Invitation, error) {
	return h.accounts.RevokeInvitation(ctx, tx, c.Caller.Account, in.ID)
}

func (h invitations) preview(
	ctx context.Context, c *rest.Call, in *invitationToken,
) (account.InvitationView, error) {
	return h.accounts.ViewInvitation(ctx, h.db, in.Body.Token, c.Address())
}

func (h invitations) accept(ctx context.Context, c *rest.Call, in *acceptInvitation) (session, error) {
	b := &in.Body
	view, err := h.accounts.ViewInvitation(ctx, h.db, b.Token, c.Address()) // before anything that costs more
	if err != nil {
		return session{}, err
	}
	if b.Password == "" {
		return h.acceptSignedIn(ctx, c, b.Token)
	}
	email := b.Email
	if email == "" {
		email = view.Email
	}
	known, err := h.accounts.EmailKnown(ctx, h.db, email)
	if err != nil {
		return session{}, err
	}
	if known {
		p, err := h.start.verify(ctx, c, email, b.Password, b.Code)
		if err != nil {
			return session{}, err
		}
		return h.start.start(ctx, c, func(ctx context.Context, tx *db.Tx) (account.Proof, error) {
			_, err := h.accounts.Accept(ctx, tx, b.Token, p.User)
			return p, err
		})
	}
	n, err := h.accounts.Prepare(ctx, account.UserRequest{Email: email, Name: b.Name, Password: b.Password})
	if err != nil {
		return session{}, err
	}
	return h.start.start(ctx, c, func(ctx context.Context, tx *db.Tx) (account.Proof, error) {
		p, _, err := h.accounts.AcceptAsNew(ctx, tx, b.Token, n)
		return p, err
	})
}

// acceptSignedIn lets the signed-in user join, and moves their session to the account.
func (h invitations) acceptSignedIn(ctx context.Context, c *rest.Call, token string) (session, error) {
	if err := h.auth.session(ctx, c); err != nil {
		return session{}, err
	}
	if err := checkView(c); err != nil {
		return session{}, err
	}
	who := callerOf(c)
	var out session
	err := h.db.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		joined, err := h.accounts.Accept(ctx, tx, token, *who.user)
		if err != nil {
			return err
		}
		n, err := h.accounts.SwitchAccount(ctx, tx, *who.session, joined)
		if err != nil {
			return err
		}
		a, err := h.accounts.Get(ctx, tx, joined)
		if err != nil {
			return err
		}
		out = session{n.User, a, n.Role, n.ExpiresAt}
		c.Change = rest.Change{Subject: who.user.ID, Account: joined}
		return c.Record(ctx, tx)
	})
	return out, err
}
