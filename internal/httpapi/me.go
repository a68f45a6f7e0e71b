package httpapi

import (
	"context"
	"net/http"

	"github.com/billetcloud/billet/internal/account"
	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/mail"
	"github.com/billetcloud/billet/internal/rest"
)

// me is the signed-in user.
type me struct {
	db       *db.DB
	accounts *account.Service
	mail     *mail.Service
}

func (h me) routes(r *rest.Router) {
	const at = AccountBase + "/me"
	rest.Read(r, rest.Operation{
		Method: http.MethodGet, Path: at, ID: "getMe", Tag: tagAccount, Auth: rest.SessionOnly,
		Summary: "Get the signed-in user", Description: "With the account that the session works in.",
	}, h.get)
	rest.Write(r, rest.Operation{
		Method: http.MethodPatch, Path: at, ID: "updateMe", Tag: tagAccount, Auth: rest.SessionOnly,
		Summary: "Update your name",
	}, h.update)
	rest.Write(r, rest.Operation{
		Method: http.MethodPut, Path: at + "/account", ID: "switchAccount", Tag: tagAccount, Auth: rest.SessionOnly,
		Summary: "Switch to another account", Description: "Moves this session, and makes your next one start there.",
		Errors: []apierr.Code{apierr.NotFound},
	}, h.switchAccount)
	// Passwords are hashed before the transaction, which would block all others.
	rest.Unmanaged(r, rest.Operation{
		Method: http.MethodPut, Path: at + "/password", ID: "changePassword", Tag: tagAccount, Auth: rest.SessionOnly,
		Summary: "Change your password", Description: "Signs you out of all other sessions.",
	}, h.changePassword)
}

// signedInUser is who is signed in, and where.
type signedInUser struct {
	User     account.User         `json:"user"`
	Account  tenantAccount        `json:"account" doc:"Account that the session works in."`
	Role     account.Role         `json:"role" doc:"Role of the user in that account."`
	Scopes   []account.Scope      `json:"scopes" doc:"Scopes of that role."`
	Accounts []account.Membership `json:"accounts" doc:"All accounts that the user is a member of."`
	View     *accountView         `json:"view" doc:"The read-only view of the account by an operator; null for a member."`
}

// tenantAccount is an account as its members see it.
type tenantAccount struct {
	account.Account
	Suspension *account.Suspension `json:"suspension" doc:"Why nothing new can be started; null if the account is not suspended."`
}

type updateMe struct {
	Body struct {
		Name string `json:"name" minLength:"1" maxLength:"64" example:"Your name"`
	}
}

type switchAccount struct {
	Body struct {
		AccountID id.ID `json:"accountId" minLength:"1" maxLength:"40"`
	}
}

type changePassword struct {
	Body struct {
		CurrentPassword string `json:"currentPassword" minLength:"1" maxLength:"1024"`
		NewPassword     string `json:"newPassword" minLength:"1" maxLength:"1024" doc:"10 to 256 characters."`
	}
}

// changed is the response to a change that has nothing to show.
type changed struct {
	Changed bool `json:"changed"`
}

func (h me) get(ctx context.Context, c *rest.Call, _ *rest.NoInput) (signedInUser, error) {
	return h.describe(ctx, h.db, *callerOf(c).session)
}

func (h me) describe(ctx context.Context, r db.Reader, n account.Session) (signedInUser, error) {
	a, err := h.accounts.Get(ctx, r, n.Account)
	if err != nil {
		return signedInUser{}, err
	}
	all, err := h.accounts.Memberships(ctx, r, n.User.ID)
	out := signedInUser{n.User, tenantAccount{a, a.Suspension()}, n.Role, n.Role.Scopes(), all, nil}
	if n.View != nil {
		v := viewOf(*n.View, a)
		out.View = &v
	}
	return out, err
}

func (h me) update(ctx context.Context, tx *db.Tx, c *rest.Call, in *updateMe) (signedInUser, error) {
	n := *callerOf(c).session
	c.Change.Subject = n.User.ID
	if err := h.accounts.Rename(ctx, tx, n.User.ID, in.Body.Name); err != nil {
		return signedInUser{}, err
	}
	n.User.Name = in.Body.Name
	return h.describe(ctx, tx, n)
}

func (h me) switchAccount(ctx context.Context, tx *db.Tx, c *rest.Call, in *switchAccount) (signedInUser, error) {
	n, err := h.accounts.SwitchAccount(ctx, tx, *callerOf(c).session, in.Body.AccountID)
	if err != nil {
		return signedInUser{}, err
	}
	c.Change.Subject, c.Change.Account = n.ID, n.Account
	return h.describe(ctx, tx, n)
}

func (h me) changePassword(ctx context.Context, c *rest.Call, in *changePassword) (changed, error) {
	who := callerOf(c)
	if err := h.accounts.ConfirmPassword(ctx, *who.user, "currentPassword", in.Body.CurrentPassword); err != nil {
		return changed{}, err
	}
	p, err := h.accounts.HashPassword(ctx, "newPassword", in.Body.NewPassword)
	if err != nil {
		return changed{}, err
	}
	return changed{true}, c.Commit(ctx, who.user.ID, func(ctx context.Context, tx *db.Tx) error {
		if err := h.accounts.SetPassword(ctx, tx, who.user.ID, p, who.session.ID); err != nil {
			return err
		}
		return h.mail.Enqueue(ctx, tx, security(c, tx, mail.PasswordChanged, *who.user, nil))
	})
}
