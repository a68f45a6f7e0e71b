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
	"github.com/billetcloud/billet/internal/rest"
)

const (
	// devicePage is where the dashboard asks for the user code. It reads one behind the #, which no
	// server logs.
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

// deviceToken is the response of RFC 6749 section 5.1, with what a program wants to know about its
// key.
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
	ClientID  string     `json:"clientId" doc:"Name that the program gives itself. It is not verified."`
	Address   string     `json:"address" doc:"IP address that the request came from."`
	Scopes    []keyScope `json:"scopes" doc:"Requested scopes; empty if the program requests none in particular."`
	CreatedAt time.Time  `json:"createdAt" doc:"When the program made the request."`
	ExpiresAt time.Time  `json:"expiresAt" doc:"When the code expires."`
}

type approveDeviceAuthorization struct {
	Body struct {
		UserCode        string          `json:"userCode" minLength:"1" maxLength:"32" example:"BCDF-GHJK" doc:"Code that the program shows. Case, spaces and hyphens are ignored."`
		Name            string          `json:"name" minLength:"1" maxLength:"64" doc:"Name of the key."`
		Scopes          []keyScope      `json:"scopes,omitempty" minItems:"1" maxItems:"11" doc:"Scopes of the key; every scope but wallet:write if omitted, whatever the program requested."`
		ExpiresAt       *time.Time      `json:"expiresAt,omitempty" doc:"When the key expires, in the future; never if omitted."`
		AllowedNetworks []string        `json:"allowedNetworks,omitempty" maxItems:"32" maxLength:"64" doc:"IP addresses and CIDR networks from which the key works; any address if omitted."`
		SpendingLimits  *wantedSpending `json:"spendingLimits,omitempty" doc:"Spending limits of the key; none if omitted."`
	}
}

// deniedDeviceAuthorization is the response to a denial.
type deniedDeviceAuthorization struct {
	Denied bool `json:"denied" doc:"Always true."`
}

// deviceAuthorizations give programs an API key that a user approves (RFC 8628).
type deviceAuthorizations struct {
	db       *db.DB
	log      *slog.Logger
	accounts *account.Service
	site     site
	keys     apiKeys
}

func (h deviceAuthorizations) routes(r *rest.Router) {
	const device, decisions = AccountBase + "/device", AccountBase + "/device-authorizations"
	rest.Unmanaged(r, rest.Operation{
		Method: http.MethodPost, Path: device + "/authorize", ID: "createDeviceAuthorization", Tag: tagAccount,
		Auth: rest.Public, OAuth: true, Summary: "Create a device authorization",
		Description: "The device authorization request of RFC 8628, for a program that needs an API key. Send a " +
			"form, or the same fields " +
			"as JSON. Show the user `user_code` and `verification_uri`; the user signs in to the dashboard and " +
			"approves the request. " +
			"Meanwhile request the token every `interval` seconds. Nothing is created before the approval. An " +
			"Idempotency-Key has no effect.",
		Errors: []apierr.Code{apierr.InvalidScope},
	}, h.create)
	rest.Unmanaged(r, rest.Operation{
		Method: http.MethodPost, Path: device + "/token", ID: "createDeviceToken", Tag: tagAccount,
		Auth: rest.Public, OAuth: true, Summary: "Exchange a device code for an API key",
		Description: "The device access token request of RFC 8628. Repeat it while the error is " +
			"`authorization_pending` or `slow_down`. If " +
			"the response is lost, repeat the request: until the device code expires or the key is used, each " +
			"response has a new secret, " +
			"and the previous one stops working. An Idempotency-Key has no effect.",
		Errors: []apierr.Code{
			apierr.AuthorizationPending, apierr.SlowDown, apierr.AccessDenied, apierr.ExpiredToken, apierr.InvalidGrant,
			apierr.UnsupportedGrantType,
		},
	}, h.exchange)
	rest.Unmanaged(r, rest.Operation{
		Method: http.MethodPost, Path: decisions + "/lookup", ID: "lookUpDeviceAuthorization", Tag: tagAccount,
		Auth: rest.SessionOnly, Scope: string(account.WriteAPIKeys), Summary: "Look up a device authorization",
		Description: "Describes the program that shows this user code. The code is in the body, so that no log has it.",
		Errors:      []apierr.Code{apierr.NotFound},
	}, h.lookUp).Wrap(h.limitGuesses)
	rest.Write(r, rest.Operation{
		Method: http.MethodPost, Path: decisions + "/approve", ID: "approveDeviceAuthorization", Tag: tagAccount,
		Auth: rest.SessionOnly, Scope: string(account.WriteAPIKeys), Summary: "Approve a device authorization",
		Description: "Creates an API key for the program, in the account that you work in. The key gets its secret " +
			"when the program " +
			"requests the token, and only the program sees it. A key that no program fetches before the code expires " +
			"is revoked.",
		Errors: []apierr.Code{apierr.NotFound, apierr.LimitReached},
	}, h.approve).Wrap(h.limitGuesses)
	rest.Write(r, rest.Operation{
		Method: http.MethodPost, Path: decisions + "/deny", ID: "denyDeviceAuthorization", Tag: tagAccount,
		Auth: rest.SessionOnly, Scope: string(account.WriteAPIKeys), Summary: "Deny a device authorization",
		Errors: []apierr.Code{apierr.NotFound},
	}, h.deny).Wrap(h.limitGuesses)
}

func (h deviceAuthorizations) lookUp(ctx context.Context, _ *rest.Call, in *userCode) (deviceAuthorization, error) {
	d, err := h.accounts.LookUpDeviceAuthorization(ctx, h.db, in.Body.UserCode)
	if err != nil {
		return deviceAuthorization{}, err
	}
	out := deviceAuthorization{d.ClientID, d.Address, []keyScope{}, d.CreatedAt, d.ExpiresAt}
	for _, s := range d.Scopes {
		out.Scopes = append(out.Scopes, keyScope(s))
	}
	return out, nil
}

func (h deviceAuthorizations) approve(
	ctx context.Context, tx *db.Tx, c *rest.Call, in *approveDeviceAuthorization,
) (APIKey, error) {
	b, user := &in.Body, callerOf(c).user
	k, err := h.accounts.ApproveDeviceAuthorization(ctx, tx, c.Caller.Account, b.UserCode, account.KeyRequest{
		Name: b.Name, Scopes: scopes(b.Scopes), ExpiresAt: b.ExpiresAt, AllowedNetworks: b.AllowedNetworks,
		CreatedBy: &account.Creator{ID: user.ID, Email: user.Email, Name: user.Name},
	})
	if err != nil {
		return APIKey{}, err
	}
	c.Change.Subject = k.ID
	err = setSpending(ctx, tx, k.ID, b.SpendingLimits)
	return h.keys.spendingOf(ctx, tx, k, err)
}

func (h deviceAuthorizations) deny(
	ctx context.Context, tx *db.Tx, c *rest.Call, in *userCode,
) (deniedDeviceAuthorization, error) {
	d, err := h.accounts.DenyDeviceAuthorization(ctx, tx, c.Caller.Account, callerOf(c).user.ID, in.Body.UserCode)
	c.Change.Subject = d.ID
	return deniedDeviceAuthorization{true}, err
}

// limitGuesses counts each call of the route as a guess of a user code before it does anything
// else.
func (h deviceAuthorizations) limitGuesses(next rest.ServeFunc) rest.ServeFunc {
	return func(ctx context.Context, w http.ResponseWriter, c *rest.Call) (rest.Answer, error) {
		done, err := h.accounts.CountGuess(ctx, callerOf(c).user.ID)
		if err != nil {
			return rest.Answer{}, err
		}
		a, err := next(ctx, w, c)
		if failed := done(wrongGuess(a, err)); failed != nil {
			h.log.WarnContext(ctx, "a right user code was counted as a wrong one", slog.String("error", failed.Error()))
		}
		return a, err
	}
}

// wrongGuess reports whether the response may have shown that a user code is of no use. Other
// errors of a request may be found only if the code is right, so they show as much.
func wrongGuess(a rest.Answer, err error) bool {
	if err == nil {
		return a.Status == http.StatusNotFound // a response that was kept for an Idempotency-Key
	}
	f, is := errors.AsType[*apierr.Error](err)
	if !is {
		return false
	}
	mistyped := slices.ContainsFunc(f.Fields(), func(e apierr.FieldError) bool { return e.Field == "userCode" })
	return f.Code == apierr.NotFound || (f.Code == apierr.InvalidRequest && !mistyped)
}

func (h deviceAuthorizations) create(
	ctx context.Context, c *rest.Call, in *createDeviceAuthorization,
) (deviceCodes, error) {
	var n account.NewDeviceAuthorization
	err := h.db.InTx(ctx, func(ctx context.Context, tx *db.Tx) (err error) {
		n, err = h.accounts.AuthorizeDevice(ctx, tx, in.Body.ClientID, scopesIn(in.Body.Scope), c.Address())
		return err
	})
	return deviceCodes{
		DeviceCode: n.DeviceCode, UserCode: n.UserCode,
		VerificationURI: h.site.link(
			c,
			devicePage,
			"",
		), VerificationURIComplete: h.site.link(c, devicePage, n.UserCode),
		ExpiresIn: int(
			account.DeviceCodeLifetime / time.Second,
		), Interval: int(account.DevicePollInterval / time.Second),
	}, err
}

func (h deviceAuthorizations) exchange(
	ctx context.Context, c *rest.Call, in *createDeviceToken,
) (deviceToken, error) {
	if in.Body.GrantType != deviceGrant {
		return deviceToken{}, apierr.New(apierr.UnsupportedGrantType, "grant_type must be %s.", deviceGrant)
	}
	var t account.DeviceToken
	var out deviceToken
	err := h.db.InTx(ctx, func(ctx context.Context, tx *db.Tx) (err error) {
		t, err = h.accounts.ExchangeDeviceCode(ctx, tx, in.Body.DeviceCode, in.Body.ClientID)
		if err != nil || t.NotYet != nil {
			return err
		}
		a, err := h.accounts.Get(ctx, tx, t.Key.Account)
		if err != nil {
			return err
		}
		out = tokenOf(t, a, tx.Now)
		c.Caller = rest.Caller{Account: t.Key.Account, Key: t.Key.ID, Identity: caller{key: &t.Key}}
		c.Change = rest.Change{Subject: t.Key.ID}
		return c.Record(ctx, tx)
	})
	if err == nil {
		err = t.NotYet
	}
	return out, err
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
