package httpapi

import (
	"context"
	"net/http"
	"time"

	"github.com/billetcloud/billet/internal/account"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/operator"
	"github.com/billetcloud/billet/internal/rest"
)

// sessions are a user's own sessions.
type sessions struct {
	db       *db.DB
	accounts *account.Service
	operator *operator.Service
}

func (h sessions) routes(r *rest.Router) {
	const all = AccountBase + "/sessions"
	rest.List(r, rest.Operation{
		Method: http.MethodGet, Path: all, ID: "listSessions", Tag: tagAccount, Auth: rest.SessionOnly,
		Summary: "List your sessions", Description: "Active sessions in all accounts, newest first.",
	}, h.list)
	rest.Write(r, rest.Operation{
		Method: http.MethodDelete, Path: all, ID: "signOut", Tag: tagAccount, Auth: rest.SessionOnly,
		Summary: "Sign out",
	}, h.signOut)
	rest.Write(r, rest.Operation{
		Method: http.MethodDelete, Path: all + "/others", ID: "endOtherSessions", Tag: tagAccount,
		Auth:    rest.SessionOnly,
		Summary: "Sign out of all other sessions",
	}, h.endOthers)
	rest.Write(r, rest.Operation{
		Method: http.MethodDelete, Path: all + "/{id}", ID: "endSession", Tag: tagAccount, Auth: rest.SessionOnly,
		Summary: "Sign out of a session",
	}, h.end)
}

// sessionInfo is one of a user's sessions, in their list.
type sessionInfo struct {
	ID         id.ID     `json:"id" doc:"Id of the session, ses_…"`
	CreatedAt  time.Time `json:"createdAt" doc:"When it started."`
	LastSeenAt time.Time `json:"seenAt" doc:"When it was last used, up to a minute ago."`
	ExpiresAt  time.Time `json:"expiresAt" doc:"When it expires at the latest."`
	Address    string    `json:"address" doc:"IP address that it started from."`
	UserAgent  string    `json:"userAgent" doc:"User agent of the browser."`
	Current    bool      `json:"current" doc:"Whether it is the session that makes this request."`
}

// signedOut is the response to ending sessions.
type signedOut struct {
	SignedOut bool `json:"signedOut"`
}

type sessionPath struct {
	ID id.ID `path:"id" doc:"Id of the session, ses_…"`
}

func (h sessions) list(
	ctx context.Context, c *rest.Call, _ *rest.Paging, p db.Page,
) ([]sessionInfo, db.Listed, error) {
	who := callerOf(c)
	found, total, err := h.accounts.ListSessions(ctx, h.db, who.user.ID, p)
	out := []sessionInfo{}
	for _, n := range found {
		out = append(
			out,
			sessionInfo{n.ID, n.CreatedAt, n.SeenAt, n.ExpiresAt, n.Address, n.UserAgent, n.ID == who.session.ID},
		)
	}
	return out, total, err
}

func (h sessions) signOut(ctx context.Context, tx *db.Tx, c *rest.Call, _ *rest.NoInput) (signedOut, error) {
	who := callerOf(c)
	c.SetCookie(sessionCookie, "", -1)
	c.Change.Subject = who.session.ID
	if v := who.session.View; v != nil {
		c.Change.Account = v.Home
		if _, err := h.operator.EndView(ctx, tx, v.Session, "The operator signed out.", sourceOf(c)); err != nil {
			return signedOut{}, err
		}
	}
	return signedOut{true}, h.accounts.SignOut(ctx, tx, who.token)
}

func (h sessions) endOthers(ctx context.Context, tx *db.Tx, c *rest.Call, _ *rest.NoInput) (signedOut, error) {
	who := callerOf(c)
	c.Change.Subject = who.user.ID
	return signedOut{true}, h.accounts.EndOtherSessions(ctx, tx, who.user.ID, who.session.ID)
}

func (h sessions) end(ctx context.Context, tx *db.Tx, c *rest.Call, in *sessionPath) (signedOut, error) {
	return signedOut{true}, h.accounts.EndSession(ctx, tx, callerOf(c).user.ID, in.ID)
}
