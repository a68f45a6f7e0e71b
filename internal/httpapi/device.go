package httpapi

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/billetcloud/billet/internal/account"
	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
)

const (
	// devicePage is where the dashboard asks for the user code. It reads one behind the #, which no server logs.
	devicePage = "/device"
	// deviceGrant is the grant type of RFC 8628.
	deviceGrant = "urn:ietf:params:oauth:grant-type:device_code"
)

type createDeviceAuthorization struct {
	Body struct {
		ClientID string `json:"client_id" minLength:"1" maxLength:"64" example:"billet on my-laptop" doc:"Name of the program and its host. The user sees it. No registration is needed."`
		Scope    string `json:"scope,omitempty" maxLength:"500" example:"offers:read wallet:read" doc:"Scopes to request, separated by spaces; every scope if omitted. The user decides."`
	}
}

// deviceCodes is the response of RFC 8628 section 3.2.
type deviceCodes struct {
	DeviceCode              string `json:"device_code" doc:"Secret of the program, for the token request. Do not show it."`
	UserCode                string `json:"user_code" doc:"Code that the user enters, such as BCDF-GHJK."`
	VerificationURI         string `json:"verification_uri" doc:"Page of the dashboard where the user enters the code."`
	VerificationURIComplete string `json:"verification_uri_complete" doc:"The same page with the code filled in."`
	ExpiresIn               int    `json:"expires_in" doc:"Lifetime of both codes in seconds."`
	Interval                int    `json:"interval" doc:"Least number of seconds between token requests."`
}

type createDeviceToken struct {
	Body struct {
		GrantType  string `json:"grant_type" minLength:"1" maxLength:"100" example:"urn:ietf:params:oauth:grant-type:device_code" doc:"Always urn:ietf:params:oauth:grant-type:device_code."`
		DeviceCode string `json:"device_code" minLength:"1" maxLength:"128" doc:"The device_code of the device authorization."`
		ClientID   string `json:"client_id" minLength:"1" maxLength:"64" doc:"The client_id of the device authorization."`
	}
}

// deviceToken is the response of RFC 6749 section 5.1, with what a program wants to know about its key.
type deviceToken struct {
	AccessToken string `json:"access_token" doc:"The API key. Send it as Authorization: Bearer, and keep it."`
	TokenType   string `json:"token_type" doc:"Always Bearer."`
	Scope       string `json:"scope" doc:"Scopes of the key, separated by spaces."`
	ExpiresIn   *int   `json:"expires_in,omitempty" doc:"Seconds until the key expires; absent for a key that does not expire."`
	KeyID       id.ID  `json:"key_id" doc:"Id of the key, key_…"`
	KeyName     string `json:"key_name" doc:"Name that the user gave the key."`
	AccountID   id.ID  `json:"account_id" doc:"Id of the key's account, acc_…"`
	AccountName string `json:"account_name" doc:"Name of the key's account."`
}

type userCode struct {
	Body struct {
		UserCode string `json:"userCode" minLength:"1" maxLength:"32" example:"BCDF-GHJK" doc:"Code that the program shows. Case, spaces and hyphens are ignored."`
	}
}

// deviceAuthorization is what a user with the code sees before the decision.
type deviceAuthorization struct {
	ClientID  string          `json:"clientId" doc:"Name that the program gives itself. It is not verified."`
	Address   string          `json:"address" doc:"IP address that the request came from."`
	Scopes    []account.Scope `json:"scopes" enum:"offers:read,deployments:read,deployments:write,ssh-keys:read,ssh-keys:write,volumes:read,volumes:write,wallet:read,webhooks:read,webhooks:write" doc:"Requested scopes; empty if the program requests none in particular."`
	CreatedAt time.Time       `json:"createdAt" doc:"When the program made the request."`
	ExpiresAt time.Time       `json:"expiresAt" doc:"When the code expires."`
}

type approveDeviceAuthorization struct {
	Body struct {
		UserCode        string          `json:"userCode" minLength:"1" maxLength:"32" example:"BCDF-GHJK" doc:"Code that the program shows. Case, spaces and hyphens are ignored."`
		Name            string          `json:"name" minLength:"1" maxLength:"64" doc:"Name of the key."`
		Scopes          []account.Scope `json:"scopes,omitempty" minItems:"1" maxItems:"10" enum:"offers:read,deployments:read,deployments:write,ssh-keys:read,ssh-keys:write,volumes:read,volumes:write,wallet:read,webhooks:read,webhooks:write" doc:"Scopes of the key; every scope if omitted, whatever the program requested."`
		ExpiresAt       *time.Time      `json:"expiresAt,omitempty" doc:"When the key expires, in the future; never if omitted."`
		AllowedNetworks []string        `json:"allowedNetworks,omitempty" maxItems:"32" maxLength:"64" doc:"IP addresses and CIDR networks from which the key works; any address if omitted."`
		Spending        *wantedSpending `json:"spendingLimits,omitempty" doc:"Spending limits of the key; none if omitted."`
	}
}

// deniedDeviceAuthorization is the response to a denial.
type deniedDeviceAuthorization struct {
	Denied bool `json:"denied" doc:"Always true."`
}

func (s *server) addDeviceAuthorization() {
	s.addDeviceEndpoints()
	at := AccountBase + "/device-authorizations"
	read(s, spec{
		method: http.MethodPost, path: at + "/lookup", id: "lookUpDeviceAuthorization", tag: tagAccount, door: doorUser, scope: account.WriteAPIKeys, alone: true,
		summary: "Look up a device authorization", text: "Describes the program that shows this user code. The code is in the body, so that no log has it.",
		errors: []apierr.Code{apierr.NotFound},
	}, func(ctx context.Context, c *call, in *userCode) (deviceAuthorization, error) {
		d, err := s.c.Accounts.LookUpDeviceAuthorization(ctx, s.c.DB, in.Body.UserCode)
		if err != nil {
			return deviceAuthorization{}, err
		}
		return deviceAuthorization{d.ClientID, d.Address, append([]account.Scope{}, d.Scopes...), d.CreatedAt, d.ExpiresAt}, nil
	})

	write(s, spec{
		method: http.MethodPost, path: at + "/approve", id: "approveDeviceAuthorization", tag: tagAccount, door: doorUser, scope: account.WriteAPIKeys,
		summary: "Approve a device authorization",
		text: "Creates an API key for the program, in the account that you work in. The key gets its secret when the program requests the token, " +
			"and only the program sees it. A key that no program fetches before the code expires is revoked.",
		errors: []apierr.Code{apierr.NotFound, apierr.LimitReached},
	}, func(ctx context.Context, tx *db.Tx, c *call, in *approveDeviceAuthorization) (APIKey, error) {
		b := &in.Body
		k, err := s.c.Accounts.ApproveDeviceAuthorization(ctx, tx, c.account, b.UserCode, account.KeyRequest{
			Name: b.Name, Scopes: b.Scopes, ExpiresAt: b.ExpiresAt, AllowedNetworks: b.AllowedNetworks,
			CreatedBy: &account.Creator{ID: c.user.ID, Email: c.user.Email},
		})
		if err != nil {
			return APIKey{}, err
		}
		c.note.subject = k.ID
		err = setSpending(ctx, tx, k.ID, b.Spending)
		return s.spendingOf(ctx, tx, k, err)
	})

	write(s, spec{
		method: http.MethodPost, path: at + "/deny", id: "denyDeviceAuthorization", tag: tagAccount, door: doorUser, scope: account.WriteAPIKeys,
		summary: "Deny a device authorization", errors: []apierr.Code{apierr.NotFound},
	}, func(ctx context.Context, tx *db.Tx, c *call, in *userCode) (deniedDeviceAuthorization, error) {
		d, err := s.c.Accounts.DenyDeviceAuthorization(ctx, tx, c.account, c.user.ID, in.Body.UserCode)
		c.note.subject = d.ID
		return deniedDeviceAuthorization{true}, err
	})
	for _, path := range []string{"/lookup", "/approve", "/deny"} {
		s.limitGuesses(at + path)
	}
}

// limitGuesses counts each call of the route as a guess of a user code before it does anything else.
func (s *server) limitGuesses(path string) {
	rt := s.paths[path].routes[http.MethodPost]
	serve := rt.serve
	rt.serve = func(ctx context.Context, w http.ResponseWriter, c *call) (answer, error) {
		done, err := s.c.Accounts.CountGuess(ctx, c.user.ID)
		if err != nil {
			return answer{}, err
		}
		a, err := serve(ctx, w, c)
		if failed := done(wrongGuess(a, err)); failed != nil {
			s.c.Log.WarnContext(ctx, "a right user code was counted as a wrong one", slog.String("error", failed.Error()))
		}
		return a, err
	}
}

// wrongGuess reports whether the response may have shown that a user code is of no use. Other faults of a request may
// be found only if the code is right, so they show as much.
func wrongGuess(a answer, err error) bool {
	if err == nil {
		return a.Status == http.StatusNotFound // a response that was kept for an Idempotency-Key
	}
	var f *apierr.Error
	if !errors.As(err, &f) {
		return false
	}
	mistyped := slices.ContainsFunc(f.Fields(), func(at apierr.FieldError) bool { return at.Field == "userCode" })
	return f.Code == apierr.NotFound || (f.Code == apierr.InvalidRequest && !mistyped)
}

// addDeviceEndpoints adds the two endpoints of RFC 8628 that a program without a key calls.
func (s *server) addDeviceEndpoints() {
	at := AccountBase + "/device"
	read(s, spec{
		method: http.MethodPost, path: at + "/authorize", id: "createDeviceAuthorization", tag: tagAccount, door: doorOpen, oauth: true,
		summary: "Create a device authorization",
		text: "The device authorization request of RFC 8628, for a program that needs an API key. Send a form, or the same fields as JSON. Show the user `user_code` and " +
			"`verification_uri`; the user signs in to the dashboard and approves the request. Meanwhile request the token every `interval` seconds. " +
			"Nothing is created before the approval. An Idempotency-Key has no effect.",
		errors: []apierr.Code{apierr.InvalidScope},
	}, func(ctx context.Context, c *call, in *createDeviceAuthorization) (deviceCodes, error) {
		var n account.NewDeviceAuthorization
		err := s.c.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) (err error) {
			n, err = s.c.Accounts.AuthorizeDevice(ctx, tx, in.Body.ClientID, scopesIn(in.Body.Scope), s.address(c.request))
			return err
		})
		page := *s.public(c.request)
		page.Path = devicePage
		complete := page
		complete.Fragment = n.UserCode
		return deviceCodes{
			DeviceCode: n.DeviceCode, UserCode: n.UserCode, VerificationURI: page.String(), VerificationURIComplete: complete.String(),
			ExpiresIn: int(account.DeviceCodeLifetime / time.Second), Interval: int(account.DevicePollInterval / time.Second),
		}, err
	})

	read(s, spec{
		method: http.MethodPost, path: at + "/token", id: "createDeviceToken", tag: tagAccount, door: doorOpen, oauth: true,
		summary: "Exchange a device code for an API key",
		text: "The device access token request of RFC 8628. Repeat it while the error is `authorization_pending` or `slow_down`. If the response is lost, repeat the request: until the " +
			"device code expires or the key is used, each response has a new secret, and the previous one stops working. An Idempotency-Key has no effect.",
		errors: []apierr.Code{
			apierr.AuthorizationPending, apierr.SlowDown, apierr.AccessDenied, apierr.ExpiredToken, apierr.InvalidGrant, apierr.UnsupportedGrantType,
		},
	}, func(ctx context.Context, c *call, in *createDeviceToken) (deviceToken, error) {
		if in.Body.GrantType != deviceGrant {
			return deviceToken{}, apierr.New(apierr.UnsupportedGrantType, "grant_type must be %s.", deviceGrant)
		}
		var t account.DeviceToken
		var out deviceToken
		err := s.c.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) (err error) {
			if t, err = s.c.Accounts.ExchangeDeviceCode(ctx, tx, in.Body.DeviceCode, in.Body.ClientID); err != nil || t.NotYet != nil {
				return err
			}
			a, err := s.c.Accounts.Get(ctx, tx, t.Key.Account)
			if err != nil {
				return err
			}
			out = tokenOf(t, a, tx.Now)
			c.key, c.account, c.note = &t.Key, t.Key.Account, note{subject: t.Key.ID}
			return s.record(ctx, tx, c)
		})
		if err == nil {
			err = t.NotYet
		}
		return out, err
	})
}

// scopesIn splits a scope parameter; nil if it is empty.
func scopesIn(scope string) (scopes []account.Scope) {
	for _, s := range strings.Fields(scope) {
		scopes = append(scopes, account.Scope(s))
	}
	return scopes
}

func tokenOf(t account.DeviceToken, a account.Account, now time.Time) deviceToken {
	out := deviceToken{
		AccessToken: t.Secret, TokenType: "Bearer", Scope: strings.Join(texts(t.Key.Scopes), " "),
		KeyID: t.Key.ID, KeyName: t.Key.Name, AccountID: a.ID, AccountName: a.Name,
	}
	if t.Key.ExpiresAt != nil {
		seconds := max(int(t.Key.ExpiresAt.Sub(now)/time.Second), 0)
		out.ExpiresIn = &seconds
	}
	return out
}
