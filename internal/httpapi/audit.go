package httpapi

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"github.com/billetcloud/billet/internal/account"
	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/audit"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
)

// note is what a handler tells the audit beyond what the call itself shows.
type note struct {
	// subject is what was changed; "" for what the path's {id} names.
	subject id.ID
	// account is whose record it goes into; "" for the caller's.
	account id.ID
	// nothing says that nothing was changed after all.
	nothing bool
}

// record writes the call into the audit, in the transaction of its change.
func (s *server) record(ctx context.Context, tx *db.Tx, c *call) error {
	if c.note.nothing {
		return nil
	}
	e := audit.Entry{Account: c.account, Actor: c.actor(), Action: c.route.id, Subject: c.note.subject, Address: s.address(c.request).String(), RequestID: c.id}
	if c.note.account != "" {
		e.Account = c.note.account
	}
	if named := c.request.PathValue("id"); e.Subject == "" && idForm.MatchString(named) {
		e.Subject = id.ID(named)
	}
	return s.c.Audit.Append(ctx, tx, e)
}

// actor is who makes the call.
func (c *call) actor() audit.Actor {
	switch {
	case c.route.door == doorOperator && c.key != nil: // tenants read it, too: the id leads the operator to who it was
		return audit.Actor{Kind: audit.Operator, ID: c.key.ID, Name: "operator"}
	case c.route.door == doorOperator:
		return audit.Actor{Kind: audit.Operator, ID: c.user.ID, Name: "operator"}
	case c.key != nil:
		return audit.Actor{Kind: audit.Key, ID: c.key.ID, Name: c.key.Name}
	case c.user != nil:
		return audit.Actor{Kind: audit.User, ID: c.user.ID, Name: c.user.Called()}
	default:
		return audit.Actor{Kind: audit.System}
	}
}

// signInFailed writes down that somebody did not get in as this user, and returns the error. A user whom nobody has is
// written down, too, under no account: whoever measures the time must not learn the difference.
func (s *server) signInFailed(ctx context.Context, c *call, p account.User, err error) error {
	switch apierr.CodeOf(err) {
	case apierr.SignInFailed, apierr.SecondFactorRequired:
	default:
		return err
	}
	wrong := s.c.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		home, _, err := s.c.Accounts.HomeOf(ctx, tx, p.ID)
		if err != nil {
			return err
		}
		if err := s.c.Audit.Forget(ctx, tx); err != nil { // every time: see above
			return err
		}
		return s.c.Audit.Append(ctx, tx, audit.Entry{
			Account: home, Actor: audit.Actor{Kind: audit.System}, Action: "signInFailed", Subject: p.ID, Address: s.address(c.request).String(), RequestID: c.id,
		})
	})
	if wrong != nil {
		s.c.Log.ErrorContext(ctx, "a failed sign-in was not written down", slog.String("requestId", string(c.id)), slog.String("error", wrong.Error()))
	}
	return err
}

type auditQuery struct {
	page
	Actor   id.ID      `query:"actor" maxLength:"40" doc:"Id of the user or API key who did it."`
	Action  string     `query:"action" maxLength:"64" doc:"The operationId of the call, such as createDeployment; or signInFailed."`
	Subject id.ID      `query:"subject" maxLength:"40" doc:"Id of what it was done to."`
	From    *time.Time `query:"from" doc:"Not before this time."`
	To      *time.Time `query:"to" doc:"Before this time."`
}

func (s *server) addAudit() {
	list(s, spec{
		method: http.MethodGet, path: AccountBase + "/audit", id: "listAudit", tag: tagAccount, door: doorUser, scope: account.ReadAudit,
		summary: "Who did what",
		text:    "Newest first: every successful change in this account, by people and by API keys, and sign-ins, also failed ones of its people. A failed sign-in has the user as its subject and nobody as its actor.",
	}, func(ctx context.Context, c *call, in *auditQuery, p db.Page) ([]audit.Entry, db.Listed, error) {
		return s.c.Audit.List(ctx, s.c.DB, c.account, audit.Filter{Actor: in.Actor, Action: in.Action, Subject: in.Subject, From: in.From, To: in.To}, p)
	})
}
