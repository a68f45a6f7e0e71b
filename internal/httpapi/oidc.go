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
)

const (
	oidcBase  = AccountBase + "/oidc"
	oidcStart = oidcBase + "/start"
	// OIDCCallback is the path that the identity provider sends browsers back to.
	OIDCCallback = oidcBase + "/callback"
)

// redirected says in the body, too, where the browser is sent.
type redirected struct {
	Location string `json:"location"`
}

type startOIDC struct {
	ReturnTo string `query:"returnTo" maxLength:"512" doc:"Path in the dashboard to come back to; / if left out."`
}

func (in *startOIDC) check() []apierr.FieldError {
	if in.ReturnTo != "" && !isOwnPath(in.ReturnTo) {
		return []apierr.FieldError{{Field: "query.returnTo", Message: "must be a path of this site, such as /deployments."}}
	}
	return nil
}

// isOwnPath tells whether a browser that is sent there stays on this site. Browsers read a backslash as a slash, and
// two slashes as the beginning of another site's name.
func isOwnPath(path string) bool {
	u, err := url.Parse(path)
	return err == nil && u.Scheme == "" && u.Host == "" && u.User == nil && strings.HasPrefix(path, "/") && !strings.HasPrefix(path, "//") &&
		!strings.ContainsFunc(path, func(r rune) bool { return r <= ' ' || r == '\\' || r == 0x7f })
}

type finishOIDC struct {
	State string `query:"state" maxLength:"512"`
	Code  string `query:"code" maxLength:"8192"`
	Error string `query:"error" maxLength:"512"`
}

func (s *server) addOIDC() {
	read(s, spec{
		method: http.MethodGet, path: oidcStart, id: "startOidc", tag: tagAccount, door: doorOpen, status: http.StatusFound,
		summary: "Sign in with the identity provider", text: "For a browser to open, not for scripts. NOT_FOUND where the operator has set up none.",
		errors: []apierr.Code{apierr.NotFound},
	}, func(ctx context.Context, c *call, in *startOIDC) (redirected, error) {
		if s.c.OIDC == nil {
			return redirected{}, missing("identity provider")
		}
		back := in.ReturnTo
		if back == "" {
			back = "/"
		}
		var start account.ExternalStart
		if err := s.c.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) (err error) {
			start, err = s.c.Accounts.StartExternal(ctx, tx, back)
			return err
		}); err != nil {
			return redirected{}, err
		}
		to, err := s.c.OIDC.StartURL(ctx, start.State, start.Nonce, start.Verifier)
		if err != nil {
			return redirected{}, notReady("The identity provider does not answer. Try again, or sign in another way.", err)
		}
		s.setOIDCCookie(c, start.Cookie, int(account.ExternalTime.Seconds()))
		return c.redirect(to), nil
	})

	read(s, spec{
		method: http.MethodGet, path: OIDCCallback, id: "finishOidc", tag: tagAccount, door: doorOpen, status: http.StatusFound, anyQuery: true,
		summary: "Come back from the identity provider",
		text:    "Sends the browser on to where it wanted to go, signed in; or else to /sign-in?error=…, with one of the codes below. Only people who exist here can sign in, with the provider's verified e-mail address.",
		errors:  []apierr.Code{apierr.NotFound},
	}, func(ctx context.Context, c *call, in *finishOIDC) (redirected, error) {
		if s.c.OIDC == nil {
			return redirected{}, missing("identity provider")
		}
		back, err := s.finishOIDC(ctx, c, in)
		if err != nil {
			if known := (*apierr.Error)(nil); !errors.As(err, &known) {
				return redirected{}, err
			}
			c.fail(err) // for the log: the browser learns the code only
			c.header, c.cookies = nil, nil
			s.setOIDCCookie(c, "", -1)
			return c.redirect("/sign-in?error=" + string(apierr.CodeOf(err))), nil
		}
		return c.redirect(back), nil
	})
}

// finishOIDC signs in who came back, and returns where they wanted to go.
func (s *server) finishOIDC(ctx context.Context, c *call, in *finishOIDC) (string, error) {
	nonce, verifier, back, err := s.c.Accounts.AnswerExternal(ctx, in.State, s.cookie(c.request, oidcCookie))
	if err != nil {
		return "", err
	}
	if in.Code == "" {
		return "", account.RefuseExternal(errors.New("the provider sent no code: " + shown(in.Error)))
	}
	said, err := s.c.OIDC.Finish(ctx, in.Code, nonce, verifier)
	if err != nil {
		return "", account.RefuseExternal(err)
	}
	p, err := s.c.Accounts.VerifyExternal(ctx, account.External{Issuer: said.Issuer, Subject: said.Subject, Email: said.Email, EmailVerified: said.EmailVerified})
	if err != nil && said.UserInfoError != nil { // the log is to say why there was no address
		err = errors.Join(err, said.UserInfoError)
	}
	if err != nil {
		return "", err
	}
	if _, err := s.begin(ctx, c, proved(p)); err != nil {
		return "", s.signInFailed(ctx, c, p.User, err)
	}
	s.setOIDCCookie(c, "", -1)
	return back, nil
}

func (c *call) redirect(to string) redirected {
	c.setHeader("Location", to)
	return redirected{to}
}
