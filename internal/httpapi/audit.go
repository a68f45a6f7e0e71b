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
	"github.com/billetcloud/billet/internal/rest"
)

// auditLog is the audit log of accounts, written by every change.
type auditLog struct {
	db       *db.DB
	log      *slog.Logger
	entries  *audit.Service
	accounts *account.Service
}

func (h auditLog) routes(r *rest.Router) {
	rest.List(r, rest.Operation{
		Method: http.MethodGet, Path: AccountBase + "/audit", ID: "listAudit", Tag: tagAccount,
		Auth: rest.SessionOnly, Scope: string(account.ReadAudit), MayLag: true,
		Summary: "List audit log entries",
		Description: "Every successful change in this account by users and API keys, and all sign-ins, including " +
			"failed ones of its " +
			"members. Newest first. A failed sign-in has the user as its subject and no actor.",
	}, h.list)
}

type auditQuery struct {
	rest.Paging
	Actor   id.ID      `query:"actor" maxLength:"40" doc:"Id of the user or API key that made the change."`
	Action  string     `query:"action" maxLength:"64" doc:"The operationId of the call, such as createDeployment; closeConsole or signInFailed."`
	Subject id.ID      `query:"subject" maxLength:"64" doc:"Id of the changed resource."`
	From    *time.Time `query:"from" doc:"At or after this time."`
	To      *time.Time `query:"to" doc:"Before this time."`
}

func (h auditLog) list(
	ctx context.Context, c *rest.Call, in *auditQuery, p db.Page,
) ([]audit.Entry, db.Listed, error) {
	return h.entries.List(ctx, h.db, c.Caller.Account, in.filter(), p)
}

func (q auditQuery) filter() audit.Filter {
	return audit.Filter{Actor: q.Actor, Action: q.Action, Subject: q.Subject, From: q.From, To: q.To}
}

// record writes the entry of a call, in the transaction of its change.
func (h auditLog) record(ctx context.Context, tx *db.Tx, c *rest.Call) error {
	e := audit.Entry{
		Account: c.Caller.Account, Actor: actor(c), Action: c.Route.ID, Subject: c.Change.Subject,
		SubjectName: c.Change.Name, Address: c.Address().String(), RequestID: c.ID,
	}
	if c.Change.Account != "" {
		e.Account = c.Change.Account
	}
	if e.Subject == "" {
		e.Subject = c.PathID()
	}
	all := []audit.Entry{e}
	if len(c.Change.Subjects) > 0 {
		all = nil
	}
	for _, subject := range c.Change.Subjects {
		e.Subject = subject
		all = append(all, e)
	}
	if c.Route.Auth == rest.OperatorOnly && e.Account != c.Caller.Account {
		// The operator's own account has the entry, too: what operators did is found in one place.
		for _, e := range all {
			e.Account = c.Caller.Account
			all = append(all, e)
		}
	}
	return h.entries.Append(ctx, tx, all...)
}

// recorded reports whether the account's log has the entry of a request.
func (h auditLog) recorded(ctx context.Context, account, request id.ID) (bool, error) {
	return h.entries.Has(ctx, h.db, account, request)
}

// actor is who makes the call. Tenants read the entries of operators, too: the id identifies them
// to the operator only.
func actor(c *rest.Call) audit.Actor {
	who := callerOf(c)
	switch {
	case c.Route.Auth == rest.OperatorOnly && who.key != nil:
		return audit.Actor{Kind: audit.Operator, ID: who.key.ID, Name: "operator"}
	case c.Route.Auth == rest.OperatorOnly:
		return audit.Actor{Kind: audit.Operator, ID: who.user.ID, Name: "operator"}
	case who.key != nil:
		return audit.Actor{Kind: audit.Key, ID: who.key.ID, Name: who.key.Name}
	case who.user != nil:
		return audit.Actor{Kind: audit.User, ID: who.user.ID, Name: who.user.Called()}
	default:
		return audit.Actor{Kind: audit.System}
	}
}

// signInFailed records a failed sign-in of the user and returns the error. It does the same work
// where there is no such user, so that the response time tells nothing.
func (h auditLog) signInFailed(ctx context.Context, c *rest.Call, user account.User, err error) error {
	switch apierr.CodeOf(err) {
	case apierr.SignInFailed, apierr.SecondFactorRequired:
	default:
		return err
	}
	failed := h.db.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		home, _, err := h.accounts.HomeOf(ctx, tx, user.ID)
		if err != nil {
			return err
		}
		if err := h.entries.Forget(ctx, tx); err != nil { // every time: see above
			return err
		}
		return h.entries.Append(ctx, tx, audit.Entry{
			Account: home, Actor: audit.Actor{Kind: audit.System}, Action: "signInFailed", Subject: user.ID,
			Address: c.Address().String(), RequestID: c.ID,
		})
	})
	if failed != nil {
		h.log.ErrorContext(ctx, "a failed sign-in was not recorded",
			slog.String("requestId", string(c.ID)), slog.String("error", failed.Error()))
	}
	return err
}
