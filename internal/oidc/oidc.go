package oidc

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
)

const (
	// askTime is how long the provider may take to answer one question.
	askTime = 10 * time.Second
	// maxAnswer is the most bytes of an answer that are read.
	maxAnswer = 1 << 20
	// skew is how much the provider's clock may be behind ours. It may be ahead by three minutes.
	skew = 2 * time.Minute
)

// Config says which provider, and who we are to it. Every field is required.
type Config struct {
	// Issuer is the provider's URL, as it names itself in what it signs.
	Issuer, ClientID, ClientSecret string
	// Name is what people call the provider.
	Name string
	// RedirectURL is where the provider sends the browser back to; it must be registered there.
	RedirectURL string
	// Now is the machine's own time.
	Now func() time.Time
}

// Client speaks with one provider. It is safe for concurrent use.
type Client struct {
	c    Config
	http *http.Client

	mu       sync.Mutex
	provider *provider // nil until it has answered once
	// style is how the provider wants our secret. It is found out at the first sign-in.
	style oauth2.AuthStyle
}

// New returns a Client. It asks the provider nothing yet.
func New(c Config) (*Client, error) {
	if c.Issuer == "" || c.ClientID == "" || c.ClientSecret == "" || c.Name == "" || c.RedirectURL == "" || c.Now == nil {
		return nil, errors.New("an identity provider needs an issuer, a client id, a client secret, a name and a public URL to come back to")
	}
	return &Client{c: c, http: &http.Client{Timeout: askTime, Transport: bounded{http.DefaultTransport}}}, nil
}

// bounded cuts answers that are too long.
type bounded struct{ to http.RoundTripper }

func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := b.to.RoundTrip(r)
	if err == nil {
		resp.Body = struct {
			io.Reader
			io.Closer
		}{io.LimitReader(resp.Body, maxAnswer), resp.Body}
	}
	return resp, err
}

// Name is what people call the provider.
func (c *Client) Name() string { return c.c.Name }

func (c *Client) config(p *provider, style oauth2.AuthStyle) *oauth2.Config {
	at := p.Endpoint()
	at.AuthStyle = style
	return &oauth2.Config{
		ClientID: c.c.ClientID, ClientSecret: c.c.ClientSecret, Endpoint: at, RedirectURL: c.c.RedirectURL,
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
	if p.query { // a provider may be set up to post a form by default, which a browser would send without our cookie
		options = append(options, oauth2.SetAuthURLParam("response_mode", "query"))
	}
	return c.config(p, oauth2.AuthStyleInHeader).AuthCodeURL(state, options...), nil
}

// Claims are what the provider says about who signed in.
type Claims struct {
	Issuer, Subject string
	Email           string
	// EmailVerified is what the provider says of that very address.
	EmailVerified bool
	// UserInfoError is why the provider could not be asked for what its token does not say.
	UserInfoError error
}

// said are the claims that we read, in a token or from the userinfo endpoint.
type said struct {
	Subject string `json:"sub"`
	Email   any    `json:"email"`
	// EmailVerified is a boolean. Some write the word instead, some null, and some leave it out.
	EmailVerified any `json:"email_verified"`
	// DomainVerified and Tenant are Entra's: it does not say email_verified, but, where the app asks for this optional claim, whether
	// the address belongs to a domain that the tenant has proved to own.
	DomainVerified any    `json:"xms_edov"`
	Tenant         string `json:"tid"`
	// AuthorizedParty is for whom the token was made, among those that may read it.
	AuthorizedParty string `json:"azp"`
}

// address returns the email address, "" for none, and whether the provider says whether it is verified, and that it is.
func (s said) address() (email string, told, verified bool) {
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

// Finish exchanges the code that the browser brought for what the provider says. Every error means that nobody is signed in.
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
	raw, _ := token.Extra("id_token").(string)
	if raw == "" {
		return Claims{}, errors.New("the provider sent no id_token")
	}
	// One set of keys for all sign-ins: a token with a key that is not among them has them read again, once.
	late := func() time.Time { return c.c.Now().Add(-skew) }
	signed, err := p.Verifier(&oidc.Config{ClientID: c.c.ClientID, Now: late, SkipIssuerCheck: true}).Verify(ctx, raw)
	if err != nil {
		return Claims{}, fmt.Errorf("check the id_token: %w", err)
	}
	var s said
	if err := signed.Claims(&s); err != nil {
		return Claims{}, fmt.Errorf("read the id_token: %w", err)
	}
	switch {
	case !p.issuedBy(signed.Issuer, s.Tenant):
		return Claims{}, fmt.Errorf("the id_token is of the issuer %q, not of %q", shortened(signed.Issuer), p.issuer)
	case s.AuthorizedParty != "" && s.AuthorizedParty != c.c.ClientID, s.AuthorizedParty == "" && len(signed.Audience) > 1:
		return Claims{}, errors.New("the id_token was made for another client")
	case nonce == "" || subtle.ConstantTimeCompare([]byte(signed.Nonce), []byte(nonce)) != 1:
		return Claims{}, errors.New("the id_token is of another sign-in")
	}
	out := Claims{Issuer: signed.Issuer, Subject: signed.Subject}
	if !strings.Contains(p.issuer, tenantPlace) {
		out.Issuer = p.issuer // Google names itself in two ways, and is one provider
	}
	email, told, verified := s.address()
	out.Email, out.EmailVerified = email, verified
	if told || p.userInfo == "" {
		return out, nil
	}
	// The token says less than is to be known: Authelia and Zitadel tell the rest when they are asked.
	more, err := c.readUserInfo(ctx, p, token)
	if err == nil && more.Subject != signed.Subject { // OpenID Connect Core 1.0, 5.3.2
		err = errors.New("the userinfo endpoint speaks of somebody else")
	}
	if err != nil {
		out.UserInfoError = err // whoever has signed in before is known by the subject alone
		return out, nil
	}
	if more.Tenant == "" {
		more.Tenant = s.Tenant
	}
	// The address and what is said of it come from one place: a word about one address says nothing of another.
	if address, _, good := more.address(); address != "" && (email == "" || strings.EqualFold(address, email)) {
		out.Email, out.EmailVerified = address, good
	}
	return out, nil
}

// exchange presents the code and our secret, in the header or among the parameters. Where the provider refuses us, and not the code, it
// is asked the other way: a provider may take both and want one of each client.
func (c *Client) exchange(ctx context.Context, p *provider, code, verifier string) (*oauth2.Token, error) {
	c.mu.Lock()
	style := c.style
	c.mu.Unlock()
	token, err := c.config(p, style).Exchange(ctx, code, oauth2.VerifierOption(verifier))
	var refused *oauth2.RetrieveError
	if !errors.As(err, &refused) || (refused.ErrorCode != "invalid_client" && (refused.ErrorCode != "" || refused.Response.StatusCode != http.StatusUnauthorized)) {
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

// withoutBody drops what the provider wrote, which goes into no log: it may repeat the code.
func withoutBody(err error) error {
	var e *oauth2.RetrieveError
	if errors.As(err, &e) {
		return fmt.Errorf("the provider answered %s %s", e.Response.Status, shortened(e.ErrorCode))
	}
	return err
}

// shortened bounds what of a provider's text is logged.
func shortened(text string) string {
	if len(text) > 200 {
		return text[:200]
	}
	return text
}
