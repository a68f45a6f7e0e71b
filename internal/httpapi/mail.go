package httpapi

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/billetcloud/billet/internal/account"
	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/mail"
	"github.com/billetcloud/billet/internal/rest"
)

// mails are the outbox for the operator, and which mails a member gets.
type mails struct {
	db       *db.DB
	svc      *mail.Service
	accounts *account.Service
}

func (h mails) routes(r *rest.Router) {
	const preferences = AccountBase + "/mail-preferences"
	rest.ReadVersioned(r, rest.Operation{
		Method: http.MethodGet, Path: preferences, ID: "getMailPreferences", Tag: tagAccount, Auth: rest.SessionOnly,
		Summary: "Get your email preferences",
		Description: "Which emails about the account that the session works in you get. NOT_FOUND while you view " +
			"an account as an operator.",
		Errors: []apierr.Code{apierr.NotFound},
	}, h.preferences)
	rest.Write(r, rest.Operation{
		Method: http.MethodPatch, Path: preferences, ID: "updateMailPreferences", Tag: tagAccount,
		Auth: rest.SessionOnly, Summary: "Update your email preferences",
		Description: "For the account that the session works in. Emails about security and the loss of data cannot " +
			"be switched off.",
	}, h.updatePreferences)
	test := rest.Operation{
		Method: http.MethodPost, Path: OperatorBase + "/settings/mail-test", ID: "testMail", Tag: tagOperator,
		Auth: rest.OperatorOnly, Scope: string(account.WriteOperator), Summary: "Send a test email",
		Description: "Sends an email by the current settings and waits up to 8 seconds for the result. A failure is " +
			"a result, too: it names the step that failed.",
		Errors: []apierr.Code{apierr.Conflict},
	}
	rest.Unmanaged(r, test, h.test)
	rest.List(r, rest.Operation{
		Method: http.MethodGet, Path: OperatorBase + "/mails", ID: "listMails", Tag: tagOperator,
		Auth: rest.OperatorOnly, Scope: string(account.ReadOperator), Summary: "List emails",
		Description: "Emails of the last 30 days without their text, newest first.",
	}, h.list)
}

type mailPreferences struct {
	// Configured tells the dashboard whether the switches have an effect.
	Configured bool          `json:"configured" doc:"Whether this server sends emails."`
	Kinds      []mail.Switch `json:"kinds" doc:"All kinds of emails."`
}

type updateMailPreferences struct {
	Body struct {
		Off []mail.Kind `json:"off" maxItems:"50" doc:"Kinds that you do not want. Replaces the list; an empty list turns all on."`
	}
}

type testMail struct {
	Body struct {
		To string `json:"to" minLength:"1" maxLength:"254" example:"me@example.com" doc:"Address that the email is sent to."`
	}
}

type mailsQuery struct {
	rest.Paging
	State mail.State `query:"state" doc:"All if omitted."`
}

func (h mails) preferences(
	ctx context.Context, r db.Reader, c *rest.Call, _ *rest.NoInput,
) (mailPreferences, error) {
	off, err := h.accounts.MailOff(ctx, r, c.Caller.Account, callerOf(c).user.ID)
	if err != nil {
		return mailPreferences{}, err
	}
	configured, err := h.svc.Configured(ctx, r)
	return mailPreferences{configured, mail.Switches(off)}, err
}

func (h mails) updatePreferences(
	ctx context.Context, tx *db.Tx, c *rest.Call, in *updateMailPreferences,
) (mailPreferences, error) {
	user := callerOf(c).user
	c.Change.Subject = user.ID
	var fields []apierr.FieldError
	var off []string
	for i, kind := range in.Body.Off {
		can := slices.ContainsFunc(mail.Switches(nil), func(s mail.Switch) bool {
			return s.Kind == kind && s.CanSwitchOff
		})
		if !can {
			fields = append(fields, apierr.FieldError{
				Field: fmt.Sprintf("off[%d]", i), Message: "cannot be switched off; remove it from the list.",
			})
		}
		off = append(off, string(kind))
	}
	if err := apierr.Invalid(fields).OrNil(); err != nil {
		return mailPreferences{}, err
	}
	if err := h.accounts.SetMailOff(ctx, tx, c.Caller.Account, user.ID, off); err != nil {
		return mailPreferences{}, err
	}
	return h.preferences(ctx, tx, c, &rest.NoInput{})
}

func (h mails) test(ctx context.Context, c *rest.Call, in *testMail) (mail.TestResult, error) {
	result, err := h.svc.Test(ctx, in.Body.To)
	if err != nil {
		return mail.TestResult{}, err
	}
	return result, h.db.InTx(ctx, func(ctx context.Context, tx *db.Tx) error { return c.Record(ctx, tx) })
}

func (h mails) list(ctx context.Context, _ *rest.Call, in *mailsQuery, p db.Page) ([]mail.Mail, db.Listed, error) {
	return h.svc.List(ctx, h.db, in.State, p)
}

// security returns a mail that tells a user about a change of how they sign in. The cause is the
// request.
func security(c *rest.Call, tx *db.Tx, kind mail.Kind, user account.User, data map[string]string) mail.Message {
	all := map[string]string{"at": mail.Text(tx.Now), "address": c.Address().String()}
	for name, value := range data {
		all[name] = value
	}
	return mail.Message{Kind: kind, Cause: string(c.ID), To: user.Email, Data: all}
}

// secondFactor returns the mail about a change of a user's second factor.
func secondFactor(c *rest.Call, tx *db.Tx, user account.User, what string) mail.Message {
	return security(c, tx, mail.SecondFactorChanged, user, map[string]string{"what": what})
}

// signedInOn returns the mail about a sign-in on a browser that the user has not used before.
func signedInOn(c *rest.Call, tx *db.Tx, n account.SignedIn) mail.Message {
	browser := strings.TrimSpace(n.UserAgent)
	if browser == "" {
		browser = "unknown"
	}
	m := security(c, tx, mail.NewSignIn, n.User, map[string]string{"browser": browser})
	m.Cause = string(n.ID)
	return m
}
