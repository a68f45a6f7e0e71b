package httpapi

import (
	"context"
	"net/http"
	"time"

	"github.com/billetcloud/billet/internal/account"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
)

type signIn struct {
	Body struct {
		Email    string `json:"email" minLength:"1" maxLength:"254" example:"me@example.com"`
		Password string `json:"password" minLength:"1" maxLength:"1024"`
		Code     string `json:"code,omitempty" maxLength:"64" doc:"What the authenticator app shows now, or a recovery code; for people who have one."`
	}
}

// session is a signed-in user, where, and until when.
type session struct {
	User      account.User    `json:"user"`
	Account   account.Account `json:"account" doc:"The account that the session works in."`
	Role      account.Role    `json:"role" doc:"What the user may do in it."`
	ExpiresAt time.Time       `json:"expiresAt"`
}

// sessionInfo is one of a user's sessions, in their list.
type sessionInfo struct {
	ID         id.ID     `json:"id" doc:"Id of the session, ses_…"`
	CreatedAt  time.Time `json:"createdAt" doc:"When it began."`
	LastSeenAt time.Time `json:"seenAt" doc:"When it was last used, up to a minute behind."`
	ExpiresAt  time.Time `json:"expiresAt" doc:"When it ends at the latest."`
	Address    string    `json:"address" doc:"From where it began."`
	UserAgent  string    `json:"userAgent" doc:"What the browser called itself."`
	Current    bool      `json:"current" doc:"Whether it is the one that asks."`
}

// signedOut is the answer to ending sessions.
type signedOut struct {
	SignedOut bool `json:"signedOut"`
}

type sessionPath struct {
	ID id.ID `path:"id" doc:"Id of the session, ses_…"`
}

// begin begins a session for somebody who has proved who they are, in a transaction with what belongs to it, and gives the
// browser its cookie. The session that the browser had ends: nobody can plant one that goes on as another user's.
func (s *server) begin(ctx context.Context, c *call, prove func(ctx context.Context, tx *db.Tx) (account.Proof, error)) (session, error) {
	var n account.SignedIn
	var a account.Account
	err := s.c.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		proof, err := prove(ctx, tx)
		if err != nil {
			return err
		}
		if n, err = s.c.Accounts.Begin(ctx, tx, proof, account.Origin{Source: s.source(c.request), UserAgent: c.request.UserAgent()}, s.cookie(c.request, sessionCookie)); err != nil {
			return err
		}
		if a, err = s.c.Accounts.Get(ctx, tx, n.Account); err != nil {
			return err
		}
		c.user, c.account, c.note = &n.User, n.Account, note{subject: n.ID}
		return s.record(ctx, tx, c)
	})
	if err != nil {
		return session{}, err
	}
	// The cookie's life is counted by the browser's clock, so it is told as a length.
	s.setSessionCookie(c, n.Token, int(n.ExpiresAt.Sub(s.c.Clock.Now())/time.Second))
	s.setDeviceCookie(c, n.Device)
	return session{n.User, a, n.Role, n.ExpiresAt}, nil
}

// proved is a proof that was made before the transaction.
func proved(p account.Proof) func(context.Context, *db.Tx) (account.Proof, error) {
	return func(context.Context, *db.Tx) (account.Proof, error) { return p, nil }
}

func (s *server) addSessions() {
	at := AccountBase + "/sessions"
	s.addWaysIn()

	list(s, spec{
		method: http.MethodGet, path: at, id: "listSessions", tag: tagAccount, door: doorUser,
		summary: "List your own sessions", text: "Those that have not ended, newest first, in all accounts.",
	}, func(ctx context.Context, c *call, _ *page, p db.Page) ([]sessionInfo, db.Listed, error) {
		sessions, total, err := s.c.Accounts.ListSessions(ctx, s.c.DB, c.user.ID, p)
		out := []sessionInfo{}
		for _, n := range sessions {
			out = append(out, sessionInfo{n.ID, n.CreatedAt, n.SeenAt, n.ExpiresAt, n.Address, n.UserAgent, n.ID == c.session.ID})
		}
		return out, total, err
	})

	write(s, spec{
		method: http.MethodDelete, path: at, id: "signOut", tag: tagAccount, door: doorUser, summary: "Sign out",
	}, func(ctx context.Context, tx *db.Tx, c *call, _ *none) (signedOut, error) {
		s.setSessionCookie(c, "", -1)
		c.note.subject = c.session.ID
		return signedOut{true}, s.c.Accounts.SignOut(ctx, tx, c.token)
	})

	write(s, spec{
		method: http.MethodDelete, path: at + "/others", id: "endOtherSessions", tag: tagAccount, door: doorUser, summary: "End all of your sessions but this one",
	}, func(ctx context.Context, tx *db.Tx, c *call, _ *none) (signedOut, error) {
		c.note.subject = c.user.ID
		return signedOut{true}, s.c.Accounts.EndOtherSessions(ctx, tx, c.user.ID, c.session.ID)
	})

	write(s, spec{
		method: http.MethodDelete, path: at + "/{id}", id: "endSession", tag: tagAccount, door: doorUser, summary: "End one of your sessions",
	}, func(ctx context.Context, tx *db.Tx, c *call, in *sessionPath) (signedOut, error) {
		return signedOut{true}, s.c.Accounts.EndSession(ctx, tx, c.user.ID, in.ID)
	})
}
