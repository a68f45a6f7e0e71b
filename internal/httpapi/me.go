package httpapi

import (
	"context"
	"net/http"

	"github.com/billetcloud/billet/internal/account"
	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
)

// me is who is signed in, and where.
type me struct {
	User     account.User         `json:"user"`
	Account  account.Account      `json:"account" doc:"The account that the session works in."`
	Role     account.Role         `json:"role" doc:"What the user may do in it."`
	Scopes   []account.Scope      `json:"scopes" doc:"What that role allows."`
	Accounts []account.Membership `json:"accounts" doc:"All accounts that the user belongs to."`
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

// changed is the answer to a change that has nothing to show.
type changed struct {
	Changed bool `json:"changed"`
}

func (s *server) meOf(ctx context.Context, r db.Reader, n account.Session) (me, error) {
	a, err := s.c.Accounts.Get(ctx, r, n.Account)
	if err != nil {
		return me{}, err
	}
	all, err := s.c.Accounts.Memberships(ctx, r, n.User.ID)
	return me{n.User, a, n.Role, n.Role.Scopes(), all}, err
}

func (s *server) addMe() {
	at := AccountBase + "/me"
	read(s, spec{
		method: http.MethodGet, path: at, id: "getMe", tag: tagAccount, door: doorUser, summary: "Who is signed in, and where",
	}, func(ctx context.Context, c *call, _ *none) (me, error) {
		return s.meOf(ctx, s.c.DB, *c.session)
	})

	write(s, spec{
		method: http.MethodPatch, path: at, id: "updateMe", tag: tagAccount, door: doorUser, summary: "Change your name",
	}, func(ctx context.Context, tx *db.Tx, c *call, in *updateMe) (me, error) {
		c.note.subject = c.user.ID
		if err := s.c.Accounts.Rename(ctx, tx, c.user.ID, in.Body.Name); err != nil {
			return me{}, err
		}
		n := *c.session
		n.User.Name = in.Body.Name
		return s.meOf(ctx, tx, n)
	})

	write(s, spec{
		method: http.MethodPut, path: at + "/account", id: "switchAccount", tag: tagAccount, door: doorUser,
		summary: "Work in another of your accounts", text: "Moves this session, and has your next one begin there.", errors: []apierr.Code{apierr.NotFound},
	}, func(ctx context.Context, tx *db.Tx, c *call, in *switchAccount) (me, error) {
		n, err := s.c.Accounts.SwitchAccount(ctx, tx, *c.session, in.Body.AccountID)
		if err != nil {
			return me{}, err
		}
		c.note.subject, c.note.account = c.session.ID, n.Account
		return s.meOf(ctx, tx, n)
	})

	// The passwords are hashed before the transaction, which would keep all others waiting.
	read(s, spec{
		method: http.MethodPut, path: at + "/password", id: "changePassword", tag: tagAccount, door: doorUser, alone: true,
		summary: "Change your password", text: "Ends all of your sessions but this one.",
	}, func(ctx context.Context, c *call, in *changePassword) (changed, error) {
		if err := s.c.Accounts.ConfirmPassword(ctx, *c.user, "currentPassword", in.Body.CurrentPassword); err != nil {
			return changed{}, err
		}
		p, err := s.c.Accounts.HashPassword(ctx, "newPassword", in.Body.NewPassword)
		if err != nil {
			return changed{}, err
		}
		return changed{true}, s.recorded(ctx, c, c.user.ID, func(ctx context.Context, tx *db.Tx) error {
			return s.c.Accounts.SetPassword(ctx, tx, c.user.ID, p, c.session.ID)
		})
	})
}

// recorded runs a change of a route that manages its own transactions, with its entry in the audit.
func (s *server) recorded(ctx context.Context, c *call, subject id.ID, change func(ctx context.Context, tx *db.Tx) error) error {
	return s.c.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		if err := change(ctx, tx); err != nil {
			return err
		}
		c.note = note{subject: subject}
		return s.record(ctx, tx, c)
	})
}
