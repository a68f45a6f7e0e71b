package httpapi

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/billetcloud/billet/internal/account"
	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/oidc"
	"github.com/billetcloud/billet/internal/rest"
)

const (
	oidcBase  = AccountBase + "/oidc"
	oidcStart = oidcBase + "/start"
	// OIDCCallback is the path that the identity provider sends browsers back to.
	OIDCCallback = oidcBase + "/callback"
)

// redirected has the target of the redirect in the body, too.
type redirected struct {
	Location string `json:"location"`
}

type startOIDC struct {
	ReturnTo string `query:"returnTo" maxLength:"512" doc:"Path in the dashboard to return to; / if omitted."`
}

// Check refuses to send the browser to another site.
func (in *startOIDC) Check() []apierr.FieldError {
	if in.ReturnTo != "" && !isOwnPath(in.ReturnTo) {
		return []apierr.FieldError{
			{Field: "query.returnTo", Message: "must be a path of this site, such as /deployments."},
		}
	}
	return nil
}

// isOwnPath reports whether a browser that is sent there stays on this site. Browsers read a
// backslash as a slash, and two slashes as the start of another host's name.
func isOwnPath(path string) bool {
	u, err := url.Parse(path)
	return err == nil && u.Scheme == "" && u.Host == "" && u.User == nil &&
		strings.HasPrefix(path, "/") && !strings.HasPrefix(path, "//") &&
		!strings.ContainsFunc(path, func(r rune) bool { return r <= ' ' || r == '\\' || r == 0x7f })
}

type finishOIDC struct {
	State string `query:"state" maxLength:"512"`
	Code  string `query:"code" maxLength:"8192"`
	Error string `query:"error" maxLength:"512"`
}

// oidcSignIn is signing in with an identity provider.
type oidcSignIn struct {
	db       *db.DB
	accounts *account.Service
	audit    auditLog
	start    sessionStarter
	client   *oidc.Client // nil where there is none
}

func (h oidcSignIn) routes(r *rest.Router) {
	rest.Unmanaged(r, rest.Operation{
		Method: http.MethodGet, Path: oidcStart, ID: "startOidc", Tag: tagAccount, Auth: rest.Public,
		Status:      http.StatusFound,
		Summary:     "Sign in with the identity provider",
		Description: "For a browser to open, not for scripts. NOT_FOUND if no identity provider is configured.",
		Errors:      []apierr.Code{apierr.NotFound},
	}, h.begin)
	rest.Unmanaged(r, rest.Operation{
		Method: http.MethodGet, Path: OIDCCallback, ID: "finishOidc", Tag: tagAccount, Auth: rest.Public,
		Status: http.StatusFound, IgnoreUnknownQuery: true, Summary: "Finish the sign-in with the identity provider",
		Description: "Redirects the browser to where it wanted to go, signed in; or to /sign-in?error=… with one of " +
			"the codes. Only existing " +
			"users can sign in, with the provider's verified email address.",
		Errors: []apierr.Code{apierr.NotFound},
	}, h.callback)
}

func (h oidcSignIn) begin(ctx context.Context, c *rest.Call, in *startOIDC) (redirected, error) {
	if h.client == nil {
		return redirected{}, rest.NotFound("identity provider")
	}
	back := in.ReturnTo
	if back == "" {
		back = "/"
	}
	var start account.ExternalStart
	if err := h.db.InTx(ctx, func(ctx context.Context, tx *db.Tx) (err error) {
		start, err = h.accounts.StartExternal(ctx, tx, back)
		return err
	}); err != nil {
		return redirected{}, err
	}
	to, err := h.client.StartURL(ctx, start.State, start.Nonce, start.Verifier)
	if err != nil {
		return redirected{}, rest.Unavailable(
			"The identity provider does not answer. Try again, or sign in another way.",
			err,
		)
	}
	c.SetCookie(oidcCookie, start.Cookie, int(account.ExternalTime.Seconds()))
	return redirect(c, to), nil
}

func (h oidcSignIn) callback(ctx context.Context, c *rest.Call, in *finishOIDC) (redirected, error) {
	if h.client == nil {
		return redirected{}, rest.NotFound("identity provider")
	}
	back, err := h.finish(ctx, c, in)
	if err == nil {
		return redirect(c, back), nil
	}
	refused, is := errors.AsType[*apierr.Error](err)
	if !is {
		return redirected{}, err
	}
	c.Fail(err) // for the log: the browser gets only the code
	c.Discard()
	c.SetCookie(oidcCookie, "", -1)
	return redirect(c, "/sign-in?error="+string(refused.Code)), nil
}

// finish signs the user in and returns where they wanted to go.
func (h oidcSignIn) finish(ctx context.Context, c *rest.Call, in *finishOIDC) (string, error) {
	cookie, _ := c.Cookie(oidcCookie)
	nonce, verifier, back, err := h.accounts.AnswerExternal(ctx, in.State, cookie)
	if err != nil {
		return "", err
	}
	if in.Code == "" {
		return "", account.RefuseExternal(errors.New("the provider sent no code: " + rest.Shown(in.Error)))
	}
	claims, err := h.client.Finish(ctx, in.Code, nonce, verifier)
	if err != nil {
		return "", account.RefuseExternal(err)
	}
	p, err := h.accounts.VerifyExternal(ctx, account.External{
		Issuer: claims.Issuer, Subject: claims.Subject, Email: claims.Email, EmailVerified: claims.EmailVerified,
	})
	if err != nil && claims.UserInfoError != nil { // the log needs the reason for a missing address
		err = errors.Join(err, claims.UserInfoError)
	}
	if err != nil {
		return "", err
	}
	if _, err := h.start.startProved(ctx, c, p); err != nil {
		return "", err
	}
	c.SetCookie(oidcCookie, "", -1)
	return back, nil
}

func redirect(c *rest.Call, to string) redirected {
	c.SetHeader("Location", to)
	return redirected{to}
}
