package httpapi

import (
	"context"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/billetcloud/billet/internal/account"
	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/mail"
	"github.com/billetcloud/billet/internal/oidc"
	"github.com/billetcloud/billet/internal/rest"
	"github.com/billetcloud/billet/internal/settings"
	"github.com/billetcloud/billet/internal/setup"
	"github.com/billetcloud/billet/internal/signup"
)

// sessionStarter starts sessions, however the user has signed in.
type sessionStarter struct {
	db       *db.DB
	clock    clock.Clock
	accounts *account.Service
	audit    auditLog
	mail     *mail.Service
}

// session is a signed-in user, the account that they work in, and until when.
type session struct {
	User      account.User    `json:"user"`
	Account   account.Account `json:"account" doc:"Account that the session works in."`
	Role      account.Role    `json:"role" doc:"Role of the user in that account."`
	ExpiresAt time.Time       `json:"expiresAt"`
}

// start starts a session for a user who has proved their identity, in one transaction with the
// proof, and sets the browser's cookies. The session that the browser had ends: no attacker can
// plant one that continues as another user's.
func (h sessionStarter) start(
	ctx context.Context, c *rest.Call, prove func(ctx context.Context, tx *db.Tx) (account.Proof, error),
) (session, error) {
	var n account.SignedIn
	var a account.Account
	previous, _ := c.Cookie(sessionCookie)
	err := h.db.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		proof, err := prove(ctx, tx)
		if err != nil {
			return err
		}
		origin := account.Origin{Source: source(c), UserAgent: c.Request.UserAgent()}
		if n, err = h.accounts.Begin(ctx, tx, proof, origin, previous); err != nil {
			return err
		}
		if a, err = h.accounts.Get(ctx, tx, n.Account); err != nil {
			return err
		}
		c.Caller = rest.Caller{Account: n.Account, Identity: caller{user: &n.User}}
		c.Change = rest.Change{Subject: n.ID}
		if known := n.Browser == origin.Browser; !known && n.User.CreatedAt.Before(tx.Now) {
			if err := h.mail.Enqueue(ctx, tx, signedInOn(c, tx, n)); err != nil {
				return err
			}
		}
		return c.Record(ctx, tx)
	})
	if err != nil {
		return session{}, err
	}
	// The cookie's life is measured by the browser's clock, so it is sent as a duration.
	c.SetCookie(sessionCookie, n.Token, int(n.ExpiresAt.Sub(h.clock.Now())/time.Second))
	c.SetCookie(deviceCookie, n.Browser, deviceCookieAge)
	return session{n.User, a, n.Role, n.ExpiresAt}, nil
}

// startProved starts a session with a proof that was made before the transaction. A refusal is a
// failed sign-in.
func (h sessionStarter) startProved(ctx context.Context, c *rest.Call, p account.Proof) (session, error) {
	n, err := h.start(ctx, c, func(context.Context, *db.Tx) (account.Proof, error) { return p, nil })
	if err != nil {
		return session{}, h.audit.signInFailed(ctx, c, p.User, err)
	}
	return n, nil
}

// verify checks a password. A missing second factor is the first half of a sign-in, and no failure.
func (h sessionStarter) verify(
	ctx context.Context, c *rest.Call, email, password, code string,
) (account.Proof, error) {
	p, err := h.accounts.Verify(ctx, email, password, code, source(c))
	if err != nil && (code != "" || apierr.CodeOf(err) != apierr.SecondFactorRequired) {
		err = h.audit.signInFailed(ctx, c, p.User, err)
	}
	return p, err
}

// signIn are the ways to sign in.
type signIn struct {
	db                      *db.DB
	accounts                *account.Service
	audit                   auditLog
	start                   sessionStarter
	signUp                  *signup.Service
	site                    site
	oidc                    *oidc.Client
	settings                *settings.Service
	setup                   *setup.Service
	demoEmail, demoPassword func() string
}

func (h signIn) routes(r *rest.Router) {
	const at = AccountBase + "/sessions"
	rest.Read(r, rest.Operation{
		Method: http.MethodGet, Path: AccountBase + "/sign-in", ID: "getSignIn", Tag: tagAccount, Auth: rest.Public,
		Summary: "Get sign-in options", Description: "The options of the sign-in page. They may depend on its address.",
	}, h.options)
	rest.Unmanaged(r, rest.Operation{
		Method: http.MethodPost, Path: at, ID: "signIn", Tag: tagAccount, Auth: rest.Public, Status: http.StatusCreated,
		Summary: "Sign in",
		Description: "Sets a cookie that scripts cannot read. The session works in the account that the user used " +
			"last. An " +
			"Idempotency-Key has no effect: each call starts another session.",
		Errors: []apierr.Code{
			apierr.SignInFailed, apierr.SecondFactorRequired, apierr.InsufficientScope, apierr.NetworkNotAllowed,
		},
	}, h.password)
	rest.Unmanaged(r, rest.Operation{
		Method: http.MethodPost, Path: at + "/passkey/options", ID: "createPasskeySignInOptions", Tag: tagAccount,
		Auth:        rest.Public,
		Summary:     "Create passkey sign-in options",
		Description: "Pass `options` to navigator.credentials.get().",
		Errors:      []apierr.Code{apierr.Conflict, apierr.NetworkNotAllowed},
	}, h.passkeyOptions)
	rest.Unmanaged(r, rest.Operation{
		Method: http.MethodPost, Path: at + "/passkey", ID: "signInWithPasskey", Tag: tagAccount, Auth: rest.Public,
		Status: http.StatusCreated, Summary: "Sign in with a passkey",
		Description: "A passkey counts as both factors. A challenge can be answered once, whatever the result.",
		Errors: []apierr.Code{
			apierr.SignInFailed,
			apierr.InsufficientScope,
			apierr.Conflict,
			apierr.NetworkNotAllowed,
		},
	}, h.passkey)
}

// signInOptions are the ways to sign in here.
type signInOptions struct {
	Name     string         `json:"name" doc:"Name of the installation."`
	Setup    bool           `json:"setup" doc:"Whether the server has no user yet and has to be set up first."`
	Password bool           `json:"password" doc:"Email address and password: always available."`
	Passkeys bool           `json:"passkeys" doc:"Whether passkeys work: not if the page's address is an IP address, or has neither https nor localhost."`
	OIDC     *oidcOption    `json:"oidc" doc:"The identity provider; null if there is none."`
	Demo     *demoOption    `json:"demo" doc:"The demo account; null if there is none."`
	SignUp   signup.Options `json:"signUp" doc:"What a user without an account or password can do."`
}

type oidcOption struct {
	Name     string `json:"name" doc:"Label of the button."`
	StartURL string `json:"startUrl" doc:"Where the browser goes; takes returnTo."`
}

type demoOption struct {
	Email    string `json:"email"`
	Password string `json:"password" doc:"Password of the demo account, where the page is opened on the server's own machine; empty elsewhere."`
}

func (h signIn) options(ctx context.Context, c *rest.Call, _ *rest.NoInput) (signInOptions, error) {
	_, noPasskeys := h.site.passkeys(c)
	open, err := h.signUp.Options(ctx)
	if err != nil {
		return signInOptions{}, err
	}
	now, err := h.settings.Current(ctx)
	if err != nil {
		return signInOptions{}, err
	}
	needed, err := h.setup.Needed(ctx)
	if err != nil {
		return signInOptions{}, err
	}
	out := signInOptions{
		Name: now.Installation.Name, Setup: needed, Password: true, Passkeys: noPasskeys == nil, SignUp: open,
	}
	if h.oidc != nil {
		out.OIDC = &oidcOption{h.oidc.Name(), oidcStart}
	}
	out.Demo = h.demo(c)
	return out, nil
}

// demo is the demo account; nil for none.
func (h signIn) demo(c *rest.Call) *demoOption {
	if h.demoEmail == nil || h.demoEmail() == "" {
		return nil
	}
	out := &demoOption{Email: h.demoEmail()}
	// With another public URL, others reach the server through a proxy, which need not say so.
	local := h.site.publicURL == nil || isThisMachine(h.site.publicURL.Hostname())
	if h.demoPassword != nil && local && onThisMachine(c.Request) {
		out.Password = h.demoPassword()
	}
	return out
}

// onThisMachine reports whether a browser on the server's own machine has opened the server by an
// address of that machine. A proxy in between tells that it is one, or speaks HTTP/1.0 as nginx
// does by default, and a foreign site whose name leads to this machine has another Host.
func onThisMachine(r *http.Request) bool {
	for _, name := range []string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Proto", "X-Real-Ip", "Via"} {
		if len(r.Header.Values(name)) > 0 {
			return false
		}
	}
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if !r.ProtoAtLeast(1, 1) || err != nil || !peer.Addr().Unmap().IsLoopback() {
		return false
	}
	return isThisMachine((&url.URL{Host: r.Host}).Hostname())
}

// isThisMachine reports whether the host is one by which a machine reaches only itself.
func isThisMachine(host string) bool {
	ip, err := netip.ParseAddr(host)
	return strings.EqualFold(host, "localhost") || err == nil && ip.IsLoopback()
}

type passwordSignIn struct {
	Body struct {
		Email    string `json:"email" minLength:"1" maxLength:"254" example:"me@example.com"`
		Password string `json:"password" minLength:"1" maxLength:"1024"`
		Code     string `json:"code,omitempty" maxLength:"64" doc:"Code of the authenticator app, or a recovery code, if two-factor authentication is on."`
	}
}

func (h signIn) password(ctx context.Context, c *rest.Call, in *passwordSignIn) (session, error) {
	p, err := h.start.verify(ctx, c, in.Body.Email, in.Body.Password, in.Body.Code)
	if err != nil {
		return session{}, err
	}
	return h.start.startProved(ctx, c, p)
}

func (h signIn) passkeyOptions(
	ctx context.Context, c *rest.Call, _ *rest.EmptyBody,
) (o account.PasskeyOptions, err error) {
	rp, err := h.site.passkeys(c)
	if err != nil {
		return o, err
	}
	err = h.db.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		o, err = h.accounts.StartPasskeySignIn(ctx, tx, rp)
		return err
	})
	return o, err
}

type passkeySignIn struct {
	Body struct {
		ChallengeID id.ID          `json:"challengeId" minLength:"1" maxLength:"40"`
		Credential  map[string]any `json:"credential" doc:"AuthenticationResponseJSON of WebAuthn Level 3, as PublicKeyCredential.toJSON() returns it."`
	}
}

func (h signIn) passkey(ctx context.Context, c *rest.Call, in *passkeySignIn) (session, error) {
	rp, err := h.site.passkeys(c)
	if err != nil {
		return session{}, err
	}
	p, err := h.accounts.VerifyWithPasskey(ctx, rp, string(in.Body.ChallengeID), rest.Encode(in.Body.Credential))
	if err != nil {
		return session{}, h.audit.signInFailed(ctx, c, p.User, err)
	}
	return h.start.start(ctx, c, func(context.Context, *db.Tx) (account.Proof, error) { return p, nil })
}
