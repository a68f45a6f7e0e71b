package httpapi

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/account"
	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/db/dbtest"
	"github.com/billetcloud/billet/internal/rest"
	"golang.org/x/oauth2"
)

const (
	authorizePath = AccountBase + "/device/authorize"
	tokenPath     = AccountBase + "/device/token"
	lookupPath    = AccountBase + "/device-authorizations/lookup"
	approvePath   = AccountBase + "/device-authorizations/approve"
	denyPath      = AccountBase + "/device-authorizations/deny"

	deviceClient = "billet on laptop"
)

// deviceCodePair has the two codes of a device authorization.
type deviceCodePair struct{ device, user string }

func asForm(r *http.Request) { r.Header.Set("Content-Type", "application/x-www-form-urlencoded") }

// post sends a form, as OAuth clients do.
func (w *world) post(path string, form url.Values, options ...option) reply {
	w.t.Helper()
	return w.do(tenant{}, "POST", path, form.Encode(), append([]option{asForm}, options...)...)
}

func (w *world) authorizeDevice(options ...option) deviceCodePair {
	w.t.Helper()
	r := w.post(authorizePath, url.Values{"client_id": {deviceClient}}, options...)
	if r.status != 200 {
		w.t.Fatalf("authorize: got status %d, want 200: %s", r.status, r.body)
	}
	return deviceCodePair{r.text("device_code"), r.text("user_code")}
}

// token requests a token. It lets the interval pass first.
func (w *world) token(codes deviceCodePair, options ...option) reply {
	w.t.Helper()
	w.clock.Advance(account.DevicePollInterval)
	return w.tokenNow(codes, options...)
}

func (w *world) tokenNow(codes deviceCodePair, options ...option) reply {
	w.t.Helper()
	return w.post(
		tokenPath,
		url.Values{"grant_type": {deviceGrant}, "device_code": {codes.device}, "client_id": {deviceClient}},
		options...)
}

// tokenFails requests a token and fails the test unless the error is that code with status 400.
func (w *world) tokenFails(want string, codes deviceCodePair) {
	w.t.Helper()
	if r := w.token(codes); r.status != 400 || r.code != want {
		w.t.Errorf("token: got %d %s, want 400 %s: %s", r.status, r.code, want, r.body)
	}
}

func (w *world) approve(cookie string, codes deviceCodePair) string {
	w.t.Helper()
	return w.by(200, cookie, "POST", approvePath, map[string]any{"userCode": codes.user, "name": "laptop"}).text("id")
}

// worlds runs f on both engines, without limits by the minute.
func worlds(t *testing.T, f func(t *testing.T, w *world)) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		w := newWorldOn(t, d, c)
		w.configure(func(c *Config) { c.Limiter = allowAll{} })
		f(t, w)
	})
}

// between lets a test act before each token request of a client.
type between func()

func (b between) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Path == tokenPath {
		b()
	}
	return http.DefaultTransport.RoundTrip(r)
}

// The device flow of golang.org/x/oauth2, which knows nothing of Billet, gets a key, and the errors
// of RFC 8628.
func TestDeviceFlow_OAuth2Client(t *testing.T) {
	worlds(t, func(t *testing.T, w *world) {
		cookie := w.signIn(w.ada)
		server := httptest.NewServer(w.s)
		defer server.Close()
		config := &oauth2.Config{
			ClientID: deviceClient, Scopes: []string{"offers:read", "wallet:read"},
			Endpoint: oauth2.Endpoint{DeviceAuthURL: server.URL + authorizePath, TokenURL: server.URL + tokenPath},
		}
		flow := func(decide func(polls int, userCode string)) (*oauth2.Token, int, error) {
			t.Helper()
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			da, err := config.DeviceAuth(ctx)
			if err != nil {
				t.Fatalf("DeviceAuth: %v", err)
			}
			if da.Interval != 5 || da.VerificationURIComplete != server.URL+"/device#"+da.UserCode ||
				time.Until(da.Expiry) < 9*time.Minute {
				t.Errorf("DeviceAuth: got %+v", da)
			}
			da.Interval = 1 // the simulated clock passes the real interval
			polls := 0
			client := &http.Client{Transport: between(func() {
				polls++
				w.clock.Advance(account.DevicePollInterval)
				decide(polls, da.UserCode)
			})}
			token, err := config.DeviceAccessToken(context.WithValue(ctx, oauth2.HTTPClient, client), da)
			return token, polls, err
		}
		wantError := func(err error, want string) {
			t.Helper()
			if e, is := errors.AsType[*oauth2.RetrieveError](err); !is || e.ErrorCode != want ||
				e.ErrorDescription == "" {
				t.Errorf("DeviceAccessToken: got %v, want error %s with a description", err, want)
			}
		}

		token, polls, err := flow(func(polls int, code string) {
			if polls == 3 { // each poll of this client is two requests until it knows how to send its client_id
				w.by(
					200,
					cookie,
					"POST",
					approvePath,
					map[string]any{"userCode": code, "name": "laptop", "scopes": []string{"wallet:read"}},
				)
			}
		})
		if err != nil {
			t.Fatalf("DeviceAccessToken: %v", err)
		}
		if polls < 3 || token.TokenType != "Bearer" || token.Extra("scope") != "wallet:read" || !token.Expiry.IsZero() {
			t.Errorf(
				"got token of type %s, scope %v, expiry %s after %d requests",
				token.TokenType,
				token.Extra("scope"),
				token.Expiry,
				polls,
			)
		}
		resp, err := config.Client(t.Context(), token).Get(server.URL + Base + "/wallet")
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != 200 {
			t.Errorf("GET /wallet with the token: got status %d, want 200", resp.StatusCode)
		}

		_, _, err = flow(func(polls int, code string) {
			if polls == 1 {
				w.by(200, cookie, "POST", denyPath, map[string]string{"userCode": code})
			}
		})
		wantError(err, "access_denied")
		_, _, err = flow(func(int, string) { w.clock.Advance(account.DeviceCodeLifetime) })
		wantError(err, "expired_token")
		config.Scopes = []string{"everything"}
		_, err = config.DeviceAuth(t.Context())
		wantError(err, "invalid_scope")
	})
}

func TestDeviceFlow_KeyIsAsApproved(t *testing.T) {
	worlds(t, func(t *testing.T, w *world) {
		cookie, bob := w.signIn(w.ada), w.signIn(w.bob)
		codes := w.authorizeFrom("198.51.100.7", "offers:read wallet:read")
		w.tokenFails("authorization_pending", codes)

		typed := strings.ToLower(strings.Replace(codes.user, "-", " ", 1))
		found := w.by(200, cookie, "POST", lookupPath, map[string]string{"userCode": typed})
		if found.text("clientId") != deviceClient || found.text("address") != "198.51.100.7" ||
			!strings.Contains(string(found.body), `"scopes":["offers:read","wallet:read"]`) {
			t.Errorf("lookup: got %s", found.body)
		}
		made := w.by(200, cookie, "POST", approvePath, map[string]any{
			"userCode": codes.user, "name": "laptop", "scopes": []string{"offers:read", "wallet:read"},
			"expiresAt": w.clock.Now().Add(time.Hour),
			"allowedNetworks": []string{
				"192.0.2.0/24",
			}, "spendingLimits": map[string]any{"maxSpendPerDay": 50, "maxDeployments": 2},
		})
		if made.text("prefix") != "pk_live_…" || !strings.Contains(string(made.body), `"maxSpendPerDay":50`) ||
			strings.Contains(string(made.body), `"key":`) {
			t.Errorf("approve: got %s", made.body)
		}
		// The code is of no use to another user who has it, in the same account or another.
		for _, path := range []string{lookupPath, denyPath} {
			same(t, path, w.by(404, cookie, "POST", path, map[string]string{"userCode": codes.user}).code, "NOT_FOUND")
			same(t, path, w.by(404, bob, "POST", path, map[string]string{"userCode": codes.user}).code, "NOT_FOUND")
		}
		w.by(404, bob, "GET", AccountBase+"/api-keys/"+made.text("id"), nil)

		got := w.token(codes)
		if got.status != 200 || got.text("token_type") != "Bearer" || got.text("scope") != "offers:read "+
			"wallet:read" || got.text("key_id") != made.text("id") ||
			got.text("key_name") != "laptop" ||
			got.text("account_id") != string(w.ada.account) ||
			got.text("account_name") != "Ada" ||
			!strings.Contains(string(got.body), `"expires_in":3595`) {
			t.Fatalf("token: got %d %s", got.status, got.body)
		}
		program := tenant{secret: got.text("access_token")}
		w.want(200, program, "GET", Base+"/wallet", nil, from("192.0.2.1"))
		w.refused("NETWORK_NOT_ALLOWED", program, "GET", Base+"/wallet", nil, from("198.51.100.7"))
		w.refused("INSUFFICIENT_SCOPE", program, "GET", Base+"/volumes", nil, from("192.0.2.1"))
		k := w.by(200, cookie, "GET", AccountBase+"/api-keys/"+made.text("id"), nil)
		same(t, "prefix", k.text("prefix"), program.secret[:12]+"…")
		// A used key is not given out again.
		w.tokenFails("invalid_grant", codes)
		if err := w.c.Accounts.FlushLastUse(t.Context()); err != nil {
			t.Fatal(err)
		}
		w.tokenFails("invalid_grant", codes)

		audit := string(w.by(200, cookie, "GET", AccountBase+"/audit?subject="+made.text("id"), nil).body)
		for _, want := range []string{`"action":"approveDeviceAuthorization"`, `"action":"createDeviceToken"`} {
			if n := strings.Count(audit, want); n != 1 {
				t.Errorf("audit: got %d of %s, want 1: %s", n, want, audit)
			}
		}
		w.keepsSecret(audit, program.secret, codes.device, codes.user, strings.Replace(codes.user, "-", "", 1))
	})
}

// authorizeFrom begins a device authorization at that address, and checks the answer.
func (w *world) authorizeFrom(address, scope string) deviceCodePair {
	w.t.Helper()
	r := w.post(authorizePath, url.Values{"client_id": {deviceClient}, "scope": {scope}}, from(address))
	codes := deviceCodePair{r.text("device_code"), r.text("user_code")}
	if len(codes.device) != 43 || len(codes.user) != 9 ||
		r.text("verification_uri") != "http://example.com/device" ||
		r.text("verification_uri_complete") != "http://example.com/device#"+codes.user {
		w.t.Fatalf("authorize: got %s", r.body)
	}
	return codes
}

// keepsSecret fails the test if a secret is in the log, the audit or the database.
func (w *world) keepsSecret(audit string, secrets ...string) {
	w.t.Helper()
	for _, s := range secrets {
		if strings.Contains(w.log.String(), s) || strings.Contains(audit, s) || w.stores(s) {
			w.t.Errorf("%s is in the log, the audit or the database", s)
		}
	}
}

// stores reports whether the text is in a row of device authorizations, keys or kept responses.
func (w *world) stores(text string) bool {
	w.t.Helper()
	for _, query := range []string{
		`SELECT device_hash || user_hash || client_id || scopes || address FROM device_authorization`,
		`SELECT secret_hash || prefix || name FROM api_key`, `SELECT body FROM idempotency`,
	} {
		rows, err := w.d.Query(w.t.Context(), query)
		if err != nil {
			w.t.Fatal(err)
		}
		for rows.Next() {
			var row string
			if err := rows.Scan(&row); err != nil {
				w.t.Fatal(err)
			}
			if strings.Contains(row, text) {
				return true
			}
		}
		if err := rows.Err(); err != nil {
			w.t.Fatal(err)
		}
	}
	return false
}

// The OAuth endpoints check their parameters as RFC 6749 and RFC 8628 say.
func TestDeviceEndpoints_Errors(t *testing.T) {
	w := newWorld(t)
	w.configure(func(c *Config) { c.Limiter = allowAll{} })
	codes := w.authorizeDevice()
	grant, device, client := []string{deviceGrant}, []string{codes.device}, []string{deviceClient}
	for _, c := range []struct {
		name, path string
		form       url.Values
		want       string
	}{
		{"no client", authorizePath, url.Values{"scope": {"offers:read"}}, "invalid_request"},
		{"empty client", authorizePath, url.Values{"client_id": {""}}, "invalid_request"},
		{"client with a hidden character", authorizePath, url.Values{"client_id": {"a\u202eb"}}, "invalid_request"},
		{"client that is no UTF-8", authorizePath, url.Values{"client_id": {"a\xffb"}}, "invalid_request"},
		{"no parameter", authorizePath, url.Values{}, "invalid_request"},
		{"client twice", authorizePath, url.Values{"client_id": {"a", "b"}}, "invalid_request"},
		{"operator's scope", authorizePath, url.Values{"client_id": client, "scope": {"operator:read"}},
			"invalid_scope"},
		{"no grant", tokenPath, url.Values{"device_code": device, "client_id": client}, "invalid_request"},
		{"no code", tokenPath, url.Values{"grant_type": grant, "client_id": client}, "invalid_request"},
		{"no client", tokenPath, url.Values{"grant_type": grant, "device_code": device}, "invalid_request"},
		{"other grant", tokenPath, url.Values{"grant_type": {"password"}, "device_code": device, "client_id": client},
			"unsupported_grant_type"},
		{"other client", tokenPath, url.Values{"grant_type": grant, "device_code": device, "client_id": {"x"}},
			"invalid_grant"},
		{"unknown code", tokenPath, url.Values{"grant_type": grant, "device_code": {strings.Repeat("A", 43)},
			"client_id": client}, "invalid_grant"},
		{"no code at all", tokenPath, url.Values{"grant_type": grant, "device_code": {"x"}, "client_id": client},
			"invalid_grant"},
		{"unknown parameter", tokenPath, url.Values{"grant_type": grant, "device_code": device, "client_id": client,
			"x": {"y"}}, "authorization_pending"},
	} {
		if r := w.post(c.path, c.form); r.status != 400 || r.code != c.want {
			t.Errorf("%s, %s: got %d %s, want 400 %s: %s", c.path, c.name, r.status, r.code, c.want, r.body)
		}
	}
	if r := w.post(authorizePath, nil); !strings.Contains(string(r.body), "client_id") {
		t.Errorf("no parameter: got %s, want a text that names client_id", r.body)
	}
	// JSON with the same fields will do.
	if r := w.do(tenant{}, "POST", authorizePath, map[string]string{"client_id": deviceClient}); r.status != 200 {
		t.Errorf("JSON: got %d, want 200: %s", r.status, r.body)
	}
	if r := w.do(tenant{}, "POST", authorizePath, "<x/>", header("Content-Type", "text/xml")); r.status != 415 ||
		r.code != "invalid_request" {
		t.Errorf("XML: got %d %s, want 415 invalid_request", r.status, r.code)
	}
	if r := w.post(authorizePath, url.Values{"client_id": client}, header("Sec-Fetch-Site",
		"cross-site")); r.status != 403 ||
		r.code != "invalid_request" {
		t.Errorf("from another site: got %d %s, want 403 invalid_request", r.status, r.code)
	}
	w.refused(
		"NETWORK_NOT_ALLOWED",
		tenant{},
		"POST",
		approvePath,
		map[string]string{"userCode": "BBBB-BBBB", "name": "x"},
		header("Cookie", w.signIn(w.ada)),
		header("Sec-Fetch-Site", "cross-site"),
	)
	w.refused("UNSUPPORTED_MEDIA_TYPE", tenant{}, "POST", AccountBase+"/sessions", "email=a&password=b", asForm)
}

func TestDeviceToken_SlowDown(t *testing.T) {
	worlds(t, func(t *testing.T, w *world) {
		codes := w.authorizeDevice()
		for i, c := range []struct {
			pause time.Duration
			want  string
		}{
			{0, "authorization_pending"}, {0, "slow_down"}, {3 * time.Second, "slow_down"},
			{time.Second, "authorization_pending"},
			{account.DevicePollInterval, "authorization_pending"},
		} {
			w.clock.Advance(c.pause)
			if r := w.tokenNow(codes); r.status != 400 || r.code != c.want {
				t.Errorf("request %d: got %d %s, want 400 %s", i+1, r.status, r.code, c.want)
			}
		}
		// Once the user has decided, the program need not wait.
		w.approve(w.signIn(w.ada), codes)
		if r := w.tokenNow(codes); r.status != 200 {
			t.Errorf("after the approval: got %d, want 200: %s", r.status, r.body)
		}
	})
}

// However many requests come at once, there is one key, and one of the secrets given out is its
// secret.
func TestDeviceToken_ConcurrentRequests(t *testing.T) {
	worlds(t, func(t *testing.T, w *world) {
		cookie, codes := w.signIn(w.ada), w.authorizeDevice()
		approvals := make([]int, 4)
		var wg sync.WaitGroup
		for i := range approvals {
			wg.Go(func() { // also of concurrent approvals one succeeds
				rec := httptest.NewRecorder()
				w.s.ServeHTTP(
					rec,
					w.request(
						tenant{},
						"POST",
						approvePath,
						map[string]string{"userCode": codes.user, "name": "laptop"},
						header("Cookie", cookie),
						header("Sec-Fetch-Site", "same-origin"),
					),
				)
				approvals[i] = rec.Code
			})
		}
		wg.Wait()
		slices.Sort(approvals)
		same(t, "approvals", approvals, []int{200, 404, 404, 404})

		secrets := make([]string, 6)
		for i := range secrets {
			wg.Go(func() {
				if r := w.tokenNow(codes); r.status == 200 {
					secrets[i] = r.text("access_token")
				} else {
					t.Errorf("token: got %d, want 200: %s", r.status, r.body)
				}
			})
		}
		wg.Wait()
		work := 0
		for _, secret := range secrets {
			if w.do(tenant{secret: secret}, "GET", Base+"/wallet", nil).status == 200 {
				work++
			}
		}
		same(t, "secrets that work", work, 1)
		keys := w.by(200, cookie, "GET", AccountBase+"/api-keys", nil)
		if n := strings.Count(string(keys.body), `"laptop"`); n != 1 {
			t.Errorf("got %d keys, want 1: %s", n, keys.body)
		}
	})
}

// A program that lost the response repeats the request, and the secret that was lost is worthless.
func TestDeviceToken_RepeatedAfterLostResponse(t *testing.T) {
	worlds(t, func(t *testing.T, w *world) {
		cookie, codes := w.signIn(w.ada), w.authorizeDevice()
		key := w.approve(cookie, codes)
		lost, got := w.token(codes), w.token(codes)
		if lost.status != 200 || got.status != 200 || lost.text("key_id") != key || got.text("key_id") != key ||
			lost.text("access_token") == got.text("access_token") {
			t.Fatalf("got %s, then %s", lost.body, got.body)
		}
		w.refused("INVALID_API_KEY", tenant{secret: lost.text("access_token")}, "GET", Base+"/wallet", nil)
		w.want(200, tenant{secret: got.text("access_token")}, "GET", Base+"/wallet", nil)

		// A key that was revoked in between is not given out.
		other := w.authorizeDevice()
		w.by(200, cookie, "DELETE", AccountBase+"/api-keys/"+w.approve(cookie, other), nil)
		w.tokenFails("invalid_grant", other)

		// A caller that went away gets no secret.
		gone := w.authorizeDevice()
		w.approve(cookie, gone)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if r := w.token(gone, func(r *http.Request) { *r = *r.WithContext(ctx) }); r.status < 500 {
			t.Errorf("got %d for a canceled request, want 5xx: %s", r.status, r.body)
		}
		same(t, "tokens issued", w.issuedTokens(), 1)
	})
}

func TestDeviceAuthorization_Denied(t *testing.T) {
	worlds(t, func(t *testing.T, w *world) {
		cookie, codes := w.signIn(w.ada), w.authorizeDevice()
		w.by(200, cookie, "POST", denyPath, map[string]string{"userCode": codes.user})
		w.tokenFails("access_denied", codes)
		w.by(404, cookie, "POST", approvePath, map[string]string{"userCode": codes.user, "name": "laptop"})
		audit := string(w.by(200, cookie, "GET", AccountBase+"/audit?action=denyDeviceAuthorization", nil).body)
		if n := strings.Count(audit, `"dau_`); n != 1 {
			t.Errorf("audit: got %d denials, want 1: %s", n, audit)
		}
	})
}

func TestDeviceAuthorization_Expires(t *testing.T) {
	worlds(t, func(t *testing.T, w *world) {
		cookie, approved, pending := w.signIn(w.ada), w.authorizeDevice(), w.authorizeDevice()
		key := w.approve(cookie, approved)
		w.clock.Advance(account.DeviceCodeLifetime - time.Microsecond)
		if r := w.tokenNow(pending); r.code != "authorization_pending" {
			t.Errorf("got %d %s, want authorization_pending", r.status, r.code)
		}
		forget := func() {
			t.Helper()
			if err := w.c.Accounts.ForgetDeviceAuthorizations(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		revoked := func() bool {
			return w.by(200, cookie, "GET", AccountBase+"/api-keys/"+key, nil).data.(map[string]any)["revokedAt"] != nil
		}
		forget()
		same(t, "revoked before it expires", revoked(), false)
		w.clock.Advance(time.Microsecond)
		w.tokenFails("expired_token", approved)
		w.tokenFails("expired_token", pending)
		w.by(404, cookie, "POST", lookupPath, map[string]string{"userCode": pending.user})
		w.by(404, cookie, "POST", approvePath, map[string]string{"userCode": pending.user, "name": "laptop"})
		// A key that no program fetched has no secret, so it is revoked.
		w.clock.Advance(time.Minute)
		forget()
		same(t, "revoked after it expired", revoked(), true)
		w.tokenFails("expired_token", pending)
		w.clock.Advance(time.Hour)
		forget()
		w.tokenFails("invalid_grant", pending)
	})
}

func TestDeviceAuthorization_FetchedKeyOutlivesIt(t *testing.T) {
	w := newWorld(t)
	codes := w.authorizeDevice()
	w.approve(w.signIn(w.ada), codes)
	secret := w.token(codes).text("access_token")
	w.clock.Advance(2 * time.Hour)
	if err := w.c.Accounts.ForgetDeviceAuthorizations(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.want(200, tenant{secret: secret}, "GET", Base+"/wallet", nil)
}

func TestUserCode_GuessesAreLimited(t *testing.T) {
	worlds(t, func(t *testing.T, w *world) {
		ada, bob, codes := w.signIn(w.ada), w.signIn(w.bob), w.authorizeDevice()
		code := map[string]string{"userCode": codes.user}
		for _, mistyped := range []string{"BCDF", "BCDF-GHJA", "BCDF-GHJ\u0130", "12345678"} { // do not count
			r := w.by(400, ada, "POST", lookupPath, map[string]string{"userCode": mistyped})
			same(t, mistyped, r.fields(), []string{"userCode"})
		}
		for i := range 10 {
			w.by(200, ada, "POST", lookupPath, code) // takes back its own count only
			w.by(404, ada, "POST", []string{lookupPath, denyPath}[i%2], map[string]string{"userCode": "BBBB-BBBB"})
		}
		for _, path := range []string{lookupPath, denyPath, approvePath} {
			body := map[string]string{"userCode": codes.user}
			if path == approvePath {
				body["name"] = "laptop"
			}
			if r := w.by(429, ada, "POST", path, body); r.header.Get("Retry-After") == "" {
				t.Errorf("%s: no Retry-After in %v", path, r.header)
			}
		}
		w.by(200, bob, "POST", lookupPath, code) // another user's guesses are counted separately
		w.clock.Advance(15 * time.Minute)
		w.by(404, ada, "POST", lookupPath, code)
	})
}

func TestDeviceAuthorization_PendingAreLimited(t *testing.T) {
	worlds(t, func(t *testing.T, w *world) {
		cookie := w.signIn(w.ada)
		refused := func(status int, code, address string) {
			t.Helper()
			if r := w.post(authorizePath, url.Values{"client_id": {deviceClient}}, from(address)); r.status != status ||
				r.code != code {
				t.Errorf("from %s: got %d %s, want %d %s", address, r.status, r.code, status, code)
			}
		}
		var last deviceCodePair
		for range 100 {
			last = w.authorizeDevice(from("198.51.100.7"))
		}
		refused(429, "slow_down", "198.51.100.7")
		w.authorizeDevice(from("198.51.100.8"))
		w.by(200, cookie, "POST", denyPath, map[string]string{"userCode": last.user})
		w.authorizeDevice(from("198.51.100.7"))
		refused(429, "slow_down", "198.51.100.7")
		w.clock.Advance(account.DeviceCodeLifetime)
		w.authorizeDevice(from("198.51.100.7"))

		w.tx(func(ctx context.Context, tx *db.Tx) error { // the most that may be pending in total
			_, err := tx.Exec(ctx, `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000)
				INSERT INTO device_authorization
					(id, device_hash, user_hash, client_id, scopes, address, network, created_at, expires_at)
				SELECT 'dau_' || i, 'd' || i, 'u' || i, 'x', '', '', '', 0, CAST($1 AS BIGINT) FROM n`,
				db.Micros(tx.Now.Add(time.Minute)))
			return err
		})
		refused(503, "temporarily_unavailable", "198.51.100.9")
	})
}

func TestDeviceEndpoints_LimitedByAddress(t *testing.T) {
	w := newWorld(t)
	for range rest.PublicLimit {
		w.tokenNow(deviceCodePair{device: "x"}, from("198.51.100.7"))
	}
	for _, path := range []string{authorizePath, tokenPath} {
		if r := w.post(path, url.Values{"client_id": {deviceClient}}, from("198.51.100.7")); r.status != 429 ||
			r.code != "slow_down" ||
			r.header.Get("Retry-After") == "" {
			t.Errorf("%s: got %d %s, want 429 slow_down with Retry-After", path, r.status, r.code)
		}
	}
}

// The key of a removed user who approved it is revoked with their other keys.
func TestDeviceToken_UserRemoved(t *testing.T) {
	w := newWorld(t)
	owner, codes := w.signIn(w.ada), w.authorizeDevice()
	p := w.user(w.ada, account.Member, "member@example.com")
	w.approve(w.cookie(p.Email), codes)
	w.by(200, owner, "DELETE", AccountBase+"/members/"+string(p.ID), nil)
	w.tokenFails("invalid_grant", codes)
}

// issuedTokens counts the device authorizations whose program got a token.
func (w *world) issuedTokens() (n int) {
	w.t.Helper()
	const count = `SELECT COUNT(*) FROM device_authorization WHERE issued_at IS NOT NULL`
	if err := w.d.QueryRow(w.t.Context(), count).Scan(&n); err != nil {
		w.t.Fatal(fmt.Errorf("count tokens: %w", err))
	}
	return n
}
