package httpapi

import (
	"context"
	"net"
	"net/http"
	"net/url"
	"strings"

	"github.com/billetcloud/billet/internal/account"
	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
)

// waysIn is how people can sign in here.
type waysIn struct {
	Password bool     `json:"password" doc:"With e-mail address and password: always."`
	Passkeys bool     `json:"passkeys" doc:"With a passkey. Not where the address of the page is an IP address, or has neither https nor localhost."`
	OIDC     *oidcWay `json:"oidc" doc:"With an identity provider; null where there is none."`
	Demo     *demoWay `json:"demo" doc:"The demo account; null where there is none."`
}

type oidcWay struct {
	Name     string `json:"name" doc:"What the button says."`
	StartURL string `json:"startUrl" doc:"Where the browser goes; takes returnTo."`
}

type demoWay struct {
	Email string `json:"email"`
}

type passkeyAnswer struct {
	Body struct {
		ChallengeID id.ID          `json:"challengeId" minLength:"1" maxLength:"40"`
		Credential  map[string]any `json:"credential" doc:"AuthenticationResponseJSON of WebAuthn Level 3, as PublicKeyCredential.toJSON() makes it."`
	}
}

func (s *server) addWaysIn() {
	at := AccountBase + "/sessions"
	read(s, spec{
		method: http.MethodGet, path: AccountBase + "/sign-in", id: "getSignIn", tag: tagAccount, door: doorOpen, summary: "How people can sign in here",
		text: "What the sign-in page offers; it may differ by the address that the page was opened at.",
	}, func(_ context.Context, c *call, _ *none) (waysIn, error) {
		_, passkeys := s.relyingParty(c.request)
		w := waysIn{Password: true, Passkeys: passkeys}
		if s.c.OIDC != nil {
			w.OIDC = &oidcWay{s.c.OIDC.Name(), oidcStart}
		}
		if s.c.DemoEmail != nil {
			if email := s.c.DemoEmail(); email != "" {
				w.Demo = &demoWay{email}
			}
		}
		return w, nil
	})

	read(s, spec{
		method: http.MethodPost, path: at, id: "signIn", tag: tagAccount, door: doorOpen, status: http.StatusCreated,
		summary: "Sign in", text: "Sets a cookie that scripts cannot read. The session works in the account where the user worked last. " +
			"An Idempotency-Key has no meaning here: each call makes a session of its own.",
		errors: []apierr.Code{apierr.SignInFailed, apierr.SecondFactorRequired, apierr.InsufficientScope, apierr.NetworkNotAllowed},
	}, func(ctx context.Context, c *call, in *signIn) (session, error) {
		p, err := s.c.Accounts.Verify(ctx, in.Body.Email, in.Body.Password, in.Body.Code, s.source(c.request))
		if err != nil {
			if in.Body.Code == "" && apierr.CodeOf(err) == apierr.SecondFactorRequired {
				return session{}, err // the first half of a sign-in, and no failure
			}
			return session{}, s.signInFailed(ctx, c, p.User, err)
		}
		n, err := s.begin(ctx, c, proved(p))
		if err != nil {
			return session{}, s.signInFailed(ctx, c, p.User, err)
		}
		return n, nil
	})

	read(s, spec{
		method: http.MethodPost, path: at + "/passkey/options", id: "askForPasskey", tag: tagAccount, door: doorOpen,
		summary: "Begin to sign in with a passkey", text: "The answer's `options` are for navigator.credentials.get().", errors: []apierr.Code{apierr.Conflict, apierr.NetworkNotAllowed},
	}, func(ctx context.Context, c *call, _ *emptyBody) (o account.PasskeyOptions, err error) {
		rp, err := s.passkeySite(c.request)
		if err != nil {
			return o, err
		}
		err = s.c.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
			o, err = s.c.Accounts.AskForPasskey(ctx, tx, rp)
			return err
		})
		return o, err
	})

	read(s, spec{
		method: http.MethodPost, path: at + "/passkey", id: "signInWithPasskey", tag: tagAccount, door: doorOpen, status: http.StatusCreated,
		summary: "Sign in with a passkey", text: "A passkey counts as both factors. A challenge is used up by the first answer, whatever comes of it.",
		errors: []apierr.Code{apierr.SignInFailed, apierr.InsufficientScope, apierr.Conflict, apierr.NetworkNotAllowed},
	}, func(ctx context.Context, c *call, in *passkeyAnswer) (session, error) {
		rp, err := s.passkeySite(c.request)
		if err != nil {
			return session{}, err
		}
		p, err := s.c.Accounts.VerifyWithPasskey(ctx, rp, string(in.Body.ChallengeID), encode(in.Body.Credential))
		if err != nil {
			return session{}, s.signInFailed(ctx, c, p.User, err)
		}
		return s.begin(ctx, c, proved(p))
	})
}

// emptyBody is the input of a POST that has nothing to say yet.
type emptyBody struct {
	Body struct{}
}

// relyingParty is the site that passkeys are made for: the public URL, or else the machine itself. Elsewhere the Host that a
// request names proves nothing, and browsers take no IP address and nothing without TLS.
func (s *server) relyingParty(r *http.Request) (account.RelyingParty, bool) {
	at := s.c.PublicURL
	if at == nil {
		at = s.origin(r)
		if !isLocalhost(at.Hostname()) {
			return account.RelyingParty{}, false
		}
	}
	host := at.Hostname()
	if net.ParseIP(host) != nil || (at.Scheme != "https" && !isLocalhost(host)) {
		return account.RelyingParty{}, false
	}
	return account.RelyingParty{ID: host, Origin: at.Scheme + "://" + at.Host}, true
}

func isLocalhost(host string) bool {
	return host == "localhost" || strings.HasSuffix(host, ".localhost")
}

func (s *server) passkeySite(r *http.Request) (account.RelyingParty, error) {
	rp, can := s.relyingParty(r)
	if !can {
		return rp, apierr.New(apierr.Conflict, "Passkeys do not work at this address: browsers want https and a name, or localhost. Open the page by its name, or ask the operator to set --public-url.")
	}
	return rp, nil
}

// origin is where the browser that makes the request is, as it says itself.
func (s *server) origin(r *http.Request) *url.URL {
	u := &url.URL{Scheme: "http", Host: strings.ToLower(r.Host)}
	if s.secure(r) {
		u.Scheme = "https"
	}
	return u
}

// public is where links lead to.
func (s *server) public(r *http.Request) *url.URL {
	if s.c.PublicURL != nil {
		return s.c.PublicURL
	}
	return s.origin(r)
}
