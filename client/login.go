package client

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// LoginRequest says who asks for an API key.
type LoginRequest struct {
	// Client is what the user recognises the program by, such as "billet on my-laptop": 1 to 64 characters.
	Client string `json:"client"`
	// Scopes is what the program would like to do; nil for everything. The user decides.
	Scopes []Scope `json:"scopes,omitempty"`
}

type startedLogin struct {
	DeviceCode string    `json:"deviceCode"`
	UserCode   string    `json:"userCode"`
	URL        string    `json:"verificationUrl"`
	URLWhole   string    `json:"verificationUrlComplete"`
	ExpiresAt  time.Time `json:"expiresAt"`
	Interval   int       `json:"intervalSeconds"`
}

type claimLogin struct {
	DeviceCode string `json:"deviceCode"`
}

type loginStatus string

const (
	loginPending loginStatus = "pending"
	loginAllowed loginStatus = "allowed"
)

type claimedLogin struct {
	Status    loginStatus   `json:"status"`
	Key       string        `json:"key,omitempty"`
	KeyID     string        `json:"keyId,omitempty"`
	Name      string        `json:"name,omitempty"`
	Scopes    []Scope       `json:"scopes,omitempty"`
	ExpiresAt *time.Time    `json:"expiresAt,omitempty"`
	Account   *LoginAccount `json:"account,omitempty"`
}

// Login is a program's wait for an API key that a user allows in the dashboard.
type Login struct {
	// UserCode is what the user types, such as BCDF-GHJK. Show it, so that they can compare it with the page.
	UserCode string
	// VerificationURL is the page where they type it; VerificationURLComplete has it filled in. Both are http or https.
	VerificationURL, VerificationURLComplete string
	// ExpiresAt is when it is too late, by the server's clock.
	ExpiresAt time.Time

	c          *Client
	deviceCode string
	interval   time.Duration
}

// String names the page and the code, and not what the key is claimed with.
func (l Login) String() string { return "client.Login(" + l.VerificationURLComplete + ")" }

// GoString is String.
func (l Login) GoString() string { return l.String() }

// LoginKey is the API key that a login brought.
type LoginKey struct {
	// Key is the key, for Config.APIKey. It is told this once.
	Key string
	// ID is key_…, and Name what the user called it.
	ID, Name string
	// Scopes are what it may do.
	Scopes []Scope
	// ExpiresAt is when it ceases to work; nil for never.
	ExpiresAt *time.Time
	// Account is where it works.
	Account LoginAccount
}

// LoginAccount is the account of a key.
type LoginAccount struct {
	// ID is acc_….
	ID string `json:"id"`
	// Name is what it is called.
	Name string `json:"name"`
}

// String names the key, and does not show it.
func (k LoginKey) String() string { return "client.LoginKey(" + k.ID + ")" }

// GoString is String.
func (k LoginKey) GoString() string { return k.String() }

// StartLogin asks a server for an API key, without having one: a signed-in user types the login's code in the dashboard and allows it. Of the Config
// the BaseURL is required, and the APIKey is not looked at. An answer that gets lost leaves a login behind that nobody claims, and that expires.
//
//	l, err := client.StartLogin(ctx, client.Config{BaseURL: "https://billet.example"}, client.LoginRequest{Client: "billet on my-laptop"})
//	fmt.Printf("Open %s and compare the code: %s\n", l.VerificationURLComplete, l.UserCode)
//	k, err := l.Wait(ctx)
func StartLogin(ctx context.Context, config Config, r LoginRequest, options ...CallOption) (*Login, error) {
	base, err := baseOf(config.BaseURL)
	if err != nil {
		return nil, err
	}
	config.APIKey = ""
	c := config.client(base)
	s, err := c.startLogin(ctx, r, options)
	if err != nil {
		return nil, err
	}
	for _, text := range []string{s.URL, s.URLWhole} { // programs open it in a browser
		if !strings.HasPrefix(text, "https://") && !strings.HasPrefix(text, "http://") {
			return nil, errors.New("client: the server's page for logins is neither http nor https")
		}
	}
	return &Login{
		UserCode: s.UserCode, VerificationURL: s.URL, VerificationURLComplete: s.URLWhole, ExpiresAt: s.ExpiresAt,
		c: c, deviceCode: s.DeviceCode, interval: min(max(time.Duration(s.Interval)*time.Second, time.Second), time.Minute),
	}, nil
}

// Wait waits until the login is allowed and returns its key. The wait is as long as the context, and ends with ErrLoginDenied or ErrLoginExpired where nothing came of
// the login. After another error it may be called again. Where an answer gets lost the key is claimed again, with another secret, until it was used.
func (l *Login) Wait(ctx context.Context, options ...CallOption) (*LoginKey, error) {
	for {
		asked := l.c.now()
		got, err := l.c.claimLogin(ctx, l.deviceCode, longPoll, options)
		if err != nil {
			return nil, err
		}
		if got.Status == loginAllowed && got.Key != "" && got.Account != nil {
			return &LoginKey{Key: got.Key, ID: got.KeyID, Name: got.Name, Scopes: got.Scopes, ExpiresAt: got.ExpiresAt, Account: *got.Account}, nil
		}
		if got.Status != loginPending {
			return nil, errors.New("client: the server answered a login neither as pending nor with a key")
		}
		// A server that stops answers its long polls at once, and what is in between may not let it wait.
		if l.c.now().Sub(asked) < l.interval {
			if err := l.c.sleep(ctx, l.interval); err != nil {
				return nil, ended(ctx, request{method: http.MethodPost, path: "/logins/claim"}, nil)
			}
		}
	}
}

func (c *Client) startLogin(ctx context.Context, r LoginRequest, options []CallOption) (*startedLogin, error) {
	return one[startedLogin](ctx, c, request{method: http.MethodPost, path: "/logins", body: r}, options)
}

func (c *Client) claimLogin(ctx context.Context, deviceCode string, wait time.Duration, options []CallOption) (*claimedLogin, error) {
	return one[claimedLogin](ctx, c, request{
		method: http.MethodPost, path: "/logins/claim", body: claimLogin{deviceCode}, wait: wait,
		query: url.Values{"waitSeconds": {strconv.Itoa(int(wait / time.Second))}},
	}, options)
}
