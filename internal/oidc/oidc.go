package oidc

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
)

const (
	// requestTimeout is how long the provider may take for one request.
	requestTimeout = 10 * time.Second
	// maxResponse is the most bytes of a response that are read.
	maxResponse = 1 << 20
	// skew is how much the provider's clock may be behind. It may be ahead by three minutes.
	skew = 2 * time.Minute
)

// Config is what a Client needs. Every field is required.
type Config struct {
	// Issuer is the issuer of the provider's tokens, a URL.
	Issuer, ClientID, ClientSecret string
	// Name is the provider's name on the sign-in page.
	Name string
	// RedirectURL is where the provider redirects the browser; it must be registered there.
	RedirectURL string
	// Now returns real time.
	Now func() time.Time
}

// Client talks to one provider. It is safe for concurrent use.
type Client struct {
	cfg  Config
	http *http.Client

	mu       sync.Mutex
	provider *provider // nil before the first discovery
	// style is how the provider accepts the client secret. The first sign-in finds it.
	style oauth2.AuthStyle
}

// New returns a Client. It makes no request yet.
func New(cfg Config) (*Client, error) {
	if slices.Contains([]string{cfg.Issuer, cfg.ClientID, cfg.ClientSecret, cfg.Name, cfg.RedirectURL}, "") ||
		cfg.Now == nil {
		return nil, errors.New(
			"an identity provider needs an issuer, a client id, a client secret, a name and a public URL of this " +
				"server",
		)
	}
	return &Client{
		cfg:  cfg,
		http: &http.Client{Timeout: requestTimeout, Transport: bounded{http.DefaultTransport}},
	}, nil
}

// bounded limits responses to maxResponse.
type bounded struct{ to http.RoundTripper }

func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := b.to.RoundTrip(r)
	if err == nil {
		resp.Body = struct {
			io.Reader
			io.Closer
		}{io.LimitReader(resp.Body, maxResponse), resp.Body}
	}
	return resp, err
}

// Name returns the provider's name on the sign-in page.
func (c *Client) Name() string { return c.cfg.Name }

func (c *Client) config(p *provider, style oauth2.AuthStyle) *oauth2.Config {
	at := p.Endpoint()
	at.AuthStyle = style
	return &oauth2.Config{
		ClientID: c.cfg.ClientID, ClientSecret: c.cfg.ClientSecret, Endpoint: at, RedirectURL: c.cfg.RedirectURL,
		Scopes: []string{oidc.ScopeOpenID, "email", "profile"},
	}
}

// StartURL returns where to send the browser.
func (c *Client) StartURL(ctx context.Context, state, nonce, verifier string) (string, error) {
	p, err := c.discover(ctx)
	if err != nil {
		return "", err
	}
	options := []oauth2.AuthCodeOption{oidc.Nonce(nonce), oauth2.S256ChallengeOption(verifier)}
	if p.query { // by default it may post a form, which the browser would send without the cookie
		options = append(options, oauth2.SetAuthURLParam("response_mode", "query"))
	}
	return c.config(p, oauth2.AuthStyleInHeader).AuthCodeURL(state, options...), nil
}

// Claims are what the provider says about the user who signed in.
type Claims struct {
	Issuer, Subject string
	Email           string
	// EmailVerified is true if the provider says so of that very address.
	EmailVerified bool
	// UserInfoError is why the userinfo endpoint could not be read for claims that the token lacks.
	UserInfoError error
}

// claims are the claims that are used, from a token or the userinfo endpoint.
type claims struct {
	Subject string `json:"sub"`
	Email   any    `json:"email"`
	// EmailVerified is a boolean. Some providers send a string or null, and some omit it.
	EmailVerified any `json:"email_verified"`
	// DomainVerified and Tenant are Entra's: it has no email_verified, but this optional claim,
	// which is true if the tenant has proved to own the address's domain.
	DomainVerified any    `json:"xms_edov"`
	Tenant         string `json:"tid"`
	// AuthorizedParty is the client that the token was issued for, among its audiences.
	AuthorizedParty string `json:"azp"`
}

// address returns the email address, "" for none. known is true if the claims include its
// verification.
func (s claims) address() (email string, known, verified bool) {
	email, _ = s.Email.(string)
	switch {
	case email == "":
		return "", false, false
	case s.EmailVerified != nil:
		return email, true, isTrue(s.EmailVerified)
	case s.DomainVerified != nil && isTenant(s.Tenant):
		return email, true, isTrue(s.DomainVerified) || s.DomainVerified == "1" || s.DomainVerified == float64(1)
	}
	return email, false, false
}

func isTrue(v any) bool {
	word, _ := v.(string)
	return v == true || strings.EqualFold(word, "true")
}

// Finish exchanges the code that the browser brought for the user's claims. Every error means that
// the sign-in failed.
func (c *Client) Finish(ctx context.Context, code, nonce, verifier string) (Claims, error) {
	p, err := c.discover(ctx)
	if err != nil {
		return Claims{}, err
	}
	ctx = oidc.ClientContext(ctx, c.http)
	token, err := c.exchange(ctx, p, code, verifier)
	if err != nil {
		return Claims{}, fmt.Errorf("exchange the code: %w", withoutBody(err))
	}
	signed, s, err := c.verify(ctx, p, token, nonce)
	if err != nil {
		return Claims{}, err
	}
	out := Claims{Issuer: signed.Issuer, Subject: signed.Subject}
	if !strings.Contains(p.issuer, tenantPlace) {
		out.Issuer = p.issuer // Google has two names, and is one provider
	}
	email, known, verified := s.address()
	out.Email, out.EmailVerified = email, verified
	if known || p.userInfo == "" {
		return out, nil
	}
	// The token says too little: Authelia and Zitadel have the rest at the userinfo endpoint.
	more, err := c.readUserInfo(ctx, p, token)
	if err == nil && more.Subject != signed.Subject { // OpenID Connect Core 1.0, section 5.3.2
		err = errors.New("the userinfo endpoint answers for another subject")
	}
	if err != nil {
		out.UserInfoError = err // a user who has signed in before is known by the subject alone
		return out, nil
	}
	if more.Tenant == "" {
		more.Tenant = s.Tenant
	}
	// The address and its verification must come from one place: a claim about one address says
	// nothing about another.
	if address, _, good := more.address(); address != "" && (email == "" || strings.EqualFold(address, email)) {
		out.Email, out.EmailVerified = address, good
	}
	return out, nil
}

// verify checks the ID token, and returns it with its claims.
func (c *Client) verify(
	ctx context.Context,
	p *provider,
	token *oauth2.Token,
	nonce string,
) (*oidc.IDToken, claims, error) {
	var s claims
	raw, _ := token.Extra("id_token").(string)
	if raw == "" {
		return nil, s, errors.New("the provider sent no id_token")
	}
	// All sign-ins share the provider's keys; a token with an unknown key makes the verifier read
	// them again, once.
	late := func() time.Time { return c.cfg.Now().Add(-skew) }
	verifier := p.Verifier(&oidc.Config{ClientID: c.cfg.ClientID, Now: late, SkipIssuerCheck: true})
	signed, err := verifier.Verify(ctx, raw)
	if err != nil {
		return nil, s, fmt.Errorf("check the id_token: %w", err)
	}
	if err := signed.Claims(&s); err != nil {
		return nil, s, fmt.Errorf("read the id_token: %w", err)
	}
	switch {
	case !p.issuedBy(signed.Issuer, s.Tenant):
		return nil, s, fmt.Errorf("the id_token has the issuer %q, not %q", shortened(signed.Issuer), p.issuer)
	case s.AuthorizedParty != "" && s.AuthorizedParty != c.cfg.ClientID,
		s.AuthorizedParty == "" && len(signed.Audience) > 1:
		return nil, s, errors.New("the id_token was issued for another client")
	case nonce == "" || subtle.ConstantTimeCompare([]byte(signed.Nonce), []byte(nonce)) != 1:
		return nil, s, errors.New("the id_token belongs to another sign-in")
	}
	return signed, s, nil
}

// exchange sends the code with the client secret, in the header or as a parameter. If the provider
// refuses the client, and not the code, exchange tries the other way: a provider may list both and
// require one of them of a client.
func (c *Client) exchange(ctx context.Context, p *provider, code, verifier string) (*oauth2.Token, error) {
	c.mu.Lock()
	style := c.style
	c.mu.Unlock()
	token, err := c.config(p, style).Exchange(ctx, code, oauth2.VerifierOption(verifier))
	if !clientRefused(err) {
		return token, err
	}
	other := oauth2.AuthStyleInHeader
	if style == other {
		other = oauth2.AuthStyleInParams
	}
	token, err2 := c.config(p, other).Exchange(ctx, code, oauth2.VerifierOption(verifier))
	if err2 != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.style = other
	return token, nil
}

// clientRefused reports whether the provider refused the client, and not the code.
func clientRefused(err error) bool {
	e, is := errors.AsType[*oauth2.RetrieveError](err)
	if !is {
		return false
	}
	return e.ErrorCode == "invalid_client" || (e.ErrorCode == "" && e.Response.StatusCode == http.StatusUnauthorized)
}

// withoutBody removes the response body, which must not be logged: it may repeat the code.
func withoutBody(err error) error {
	if e, is := errors.AsType[*oauth2.RetrieveError](err); is {
		return fmt.Errorf("the provider answered %s %s", e.Response.Status, shortened(e.ErrorCode))
	}
	return err
}

// shortened returns a provider's text as far as it is logged.
func shortened(text string) string {
	if len(text) > 200 {
		return text[:200]
	}
	return text
}
