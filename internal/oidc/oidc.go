package oidc

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"net/http"
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
	provider *oidc.Provider // nil until it has answered once
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

// discover asks the provider for its addresses, once.
func (c *Client) discover(ctx context.Context) (*oidc.Provider, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.provider != nil {
		return c.provider, nil
	}
	p, err := oidc.NewProvider(oidc.ClientContext(ctx, c.http), c.c.Issuer)
	if err != nil {
		return nil, fmt.Errorf("ask the identity provider for its addresses: %w", err)
	}
	c.provider = p
	return p, nil
}

func (c *Client) config(p *oidc.Provider) *oauth2.Config {
	return &oauth2.Config{
		ClientID: c.c.ClientID, ClientSecret: c.c.ClientSecret, Endpoint: p.Endpoint(), RedirectURL: c.c.RedirectURL,
		Scopes: []string{oidc.ScopeOpenID, "email", "profile"},
	}
}

// StartURL returns where to send the browser.
func (c *Client) StartURL(ctx context.Context, state, nonce, verifier string) (string, error) {
	p, err := c.discover(ctx)
	if err != nil {
		return "", err
	}
	return c.config(p).AuthCodeURL(state, oidc.Nonce(nonce), oauth2.S256ChallengeOption(verifier)), nil
}

// Claims are what the provider says about who signed in.
type Claims struct {
	Issuer, Subject string
	Email           string
	EmailVerified   bool
}

// Finish exchanges the code that the browser brought for what the provider says. Every error means that nobody is signed in.
func (c *Client) Finish(ctx context.Context, code, nonce, verifier string) (Claims, error) {
	p, err := c.discover(ctx)
	if err != nil {
		return Claims{}, err
	}
	ctx = oidc.ClientContext(ctx, c.http)
	token, err := c.config(p).Exchange(ctx, code, oauth2.VerifierOption(verifier))
	if err != nil {
		return Claims{}, fmt.Errorf("exchange the code: %w", withoutBody(err))
	}
	raw, _ := token.Extra("id_token").(string)
	if raw == "" {
		return Claims{}, errors.New("the provider sent no id_token")
	}
	signed, err := p.VerifierContext(ctx, &oidc.Config{ClientID: c.c.ClientID, Now: c.c.Now}).Verify(ctx, raw)
	if err != nil {
		return Claims{}, fmt.Errorf("check the id_token: %w", err)
	}
	if nonce == "" || subtle.ConstantTimeCompare([]byte(signed.Nonce), []byte(nonce)) != 1 {
		return Claims{}, errors.New("the id_token is of another sign-in")
	}
	var said struct {
		Email         string `json:"email"`
		EmailVerified any    `json:"email_verified"`
	}
	if err := signed.Claims(&said); err != nil {
		return Claims{}, fmt.Errorf("read the id_token: %w", err)
	}
	// Some providers write the word instead of the value.
	verified := said.EmailVerified == true || said.EmailVerified == "true"
	return Claims{signed.Issuer, signed.Subject, said.Email, verified}, nil
}

// withoutBody drops what the provider wrote, which goes into no log: it may repeat the code.
func withoutBody(err error) error {
	var e *oauth2.RetrieveError
	if errors.As(err, &e) {
		return fmt.Errorf("the provider answered %s %s", e.Response.Status, e.ErrorCode)
	}
	return err
}
