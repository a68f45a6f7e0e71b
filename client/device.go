package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
)

const (
	// deviceGrant is the grant type of RFC 8628.
	deviceGrant = "urn:ietf:params:oauth:grant-type:device_code"
	// slowDownBy is how much longer a program waits between token requests after slow_down.
	slowDownBy = 5 * time.Second
)

// DeviceAuthorizationRequest describes the program that needs an API key.
type DeviceAuthorizationRequest struct {
	// ClientID is the name of the program and its host, which the user sees, such as "billet on
	// my-laptop": 1 to 64 characters.
	ClientID string
	// Scopes are the scopes to request; nil for every scope. The user decides.
	Scopes []Scope
}

type createDeviceAuthorization struct {
	ClientID string `json:"client_id"`
	Scope    string `json:"scope,omitempty"`
}

type deviceCodes struct {
	DeviceCode              string `json:"device_code"`
	UserCode                string `json:"user_code"`
	VerificationURI         string `json:"verification_uri"`
	VerificationURIComplete string `json:"verification_uri_complete"`
	ExpiresIn               int    `json:"expires_in"`
	Interval                int    `json:"interval"`
}

type createDeviceToken struct {
	GrantType  string `json:"grant_type"`
	DeviceCode string `json:"device_code"`
	ClientID   string `json:"client_id"`
}

type deviceToken struct {
	AccessToken string `json:"access_token"`
	TokenType   string `json:"token_type"`
	Scope       string `json:"scope"`
	ExpiresIn   *int   `json:"expires_in,omitempty"`
	KeyID       string `json:"key_id"`
	KeyName     string `json:"key_name"`
	AccountID   string `json:"account_id"`
	AccountName string `json:"account_name"`
}

// DeviceAuthorization is a pending request for an API key, which a user approves in the dashboard
// (RFC 8628).
type DeviceAuthorization struct {
	// UserCode is the code that the user enters, such as BCDF-GHJK. Show it, so that the user can
	// compare it with the page.
	UserCode string
	// VerificationURI is the page where the user enters the code; VerificationURIComplete has it
	// filled in. Both are http or https.
	VerificationURI, VerificationURIComplete string
	// ExpiresAt is when the code expires.
	ExpiresAt time.Time

	c                    *Client
	clientID, deviceCode string
	interval             time.Duration
}

// String returns the page with the user code, and not the device code.
func (d DeviceAuthorization) String() string {
	return "client.DeviceAuthorization(" + d.VerificationURIComplete + ")"
}

// GoString returns String.
func (d DeviceAuthorization) GoString() string { return d.String() }

// DeviceToken is the API key of an approved device authorization.
type DeviceToken struct {
	// Key is the secret, for Config.APIKey. The server does not show it again.
	Key string
	// KeyID is key_…, and KeyName the name that the user gave the key.
	KeyID, KeyName string
	// Scopes are the scopes of the key.
	Scopes []Scope
	// ExpiresAt is when the key expires; nil for never.
	ExpiresAt *time.Time
	// AccountID is acc_…, and AccountName the account's name.
	AccountID, AccountName string
}

// String returns the id of the key, and not its secret.
func (t DeviceToken) String() string { return "client.DeviceToken(" + t.KeyID + ")" }

// GoString returns String.
func (t DeviceToken) GoString() string { return t.String() }

// AuthorizeDevice requests an API key from a server: a signed-in user enters the code in the
// dashboard and approves it. Of the Config it needs the BaseURL, and ignores the APIKey. If the
// answer is lost, the authorization expires unused.
//
//	config := client.Config{BaseURL: "https://billet.example"}
//	r := client.DeviceAuthorizationRequest{ClientID: "billet on my-laptop"}
//	d, err := client.AuthorizeDevice(ctx, config, r)
//	fmt.Printf("Open %s and compare the code: %s\n", d.VerificationURIComplete, d.UserCode)
//	t, err := d.Wait(ctx)
func AuthorizeDevice(
	ctx context.Context, config Config, r DeviceAuthorizationRequest, options ...CallOption,
) (*DeviceAuthorization, error) {
	base, err := baseOf(config.BaseURL)
	if err != nil {
		return nil, err
	}
	config.APIKey = ""
	c := config.client(base)
	codes, err := c.authorizeDevice(ctx, r, options)
	if err != nil {
		return nil, err
	}
	// Programs open the pages in a browser.
	for _, text := range []string{codes.VerificationURI, codes.VerificationURIComplete} {
		if !strings.HasPrefix(text, "https://") && !strings.HasPrefix(text, "http://") {
			return nil, errors.New("client: the server's verification page is neither http nor https")
		}
	}
	return &DeviceAuthorization{
		UserCode: codes.UserCode, VerificationURI: codes.VerificationURI,
		VerificationURIComplete: codes.VerificationURIComplete,

		ExpiresAt: c.now().Add(time.Duration(codes.ExpiresIn) * time.Second),
		c:         c, clientID: r.ClientID, deviceCode: codes.DeviceCode,
		interval: min(max(time.Duration(codes.Interval)*time.Second, time.Second), time.Minute),
	}, nil
}

// Wait waits until the user approves the request and returns the key. It returns ErrAccessDenied if
// the user denied it, ErrExpiredToken if it was not approved in time, and ErrInvalidGrant if the
// key was used or revoked. After another error it may be called again: if an answer was lost, the
// key gets another secret until it is used.
func (d *DeviceAuthorization) Wait(ctx context.Context, options ...CallOption) (*DeviceToken, error) {
	for {
		if err := d.c.sleep(ctx, d.interval); err != nil {
			return nil, ended(ctx, request{method: http.MethodPost, path: "/device/token"}, nil)
		}
		t, err := d.c.deviceToken(ctx, d.deviceCode, d.clientID, options)
		switch {
		case err == nil:
			return d.tokenOf(t)
		case errors.Is(err, ErrSlowDown):
			d.interval += slowDownBy
		case !errors.Is(err, ErrAuthorizationPending):
			return nil, err
		}
	}
}

func (d *DeviceAuthorization) tokenOf(t *deviceToken) (*DeviceToken, error) {
	if t.AccessToken == "" || !strings.EqualFold(t.TokenType, "Bearer") {
		return nil, errors.New("client: the server's token is no API key")
	}
	out := &DeviceToken{
		Key:         t.AccessToken,
		KeyID:       t.KeyID,
		KeyName:     t.KeyName,
		AccountID:   t.AccountID,
		AccountName: t.AccountName,
	}
	for _, s := range strings.Fields(t.Scope) {
		out.Scopes = append(out.Scopes, Scope(s))
	}
	if t.ExpiresIn != nil {
		at := d.c.now().Add(time.Duration(*t.ExpiresIn) * time.Second)
		out.ExpiresAt = &at
	}
	return out, nil
}

func (c *Client) authorizeDevice(
	ctx context.Context,
	r DeviceAuthorizationRequest,
	options []CallOption,
) (*deviceCodes, error) {
	body := createDeviceAuthorization{ClientID: r.ClientID, Scope: joinScopes(r.Scopes)}
	return oauth[deviceCodes](ctx, c, "/device/authorize", body, options)
}

func (c *Client) deviceToken(
	ctx context.Context,
	deviceCode, clientID string,
	options []CallOption,
) (*deviceToken, error) {
	return oauth[deviceToken](ctx, c, "/device/token", createDeviceToken{deviceGrant, deviceCode, clientID}, options)
}

// oauth calls an OAuth endpoint, which is beside the inventory's base and has no envelope.
func oauth[T any](ctx context.Context, c *Client, path string, body any, options []CallOption) (*T, error) {
	r := request{method: http.MethodPost, path: path, body: body}
	r.url = strings.TrimSuffix(c.base, "/inventory") + "/account" + path
	out := new(T)
	err := c.do(ctx, r, options, func(b []byte) error {
		if err := json.Unmarshal(b, out); err != nil {
			return fmt.Errorf("the answer cannot be read: %w", err)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

func joinScopes(scopes []Scope) string {
	texts := make([]string, len(scopes))
	for i, s := range scopes {
		texts[i] = string(s)
	}
	return strings.Join(texts, " ")
}
