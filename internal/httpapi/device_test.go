package httpapi

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/account"
	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/db/dbtest"
)

// asked is a login that a program has begun.
type asked struct{ device, user string }

func (w *world) startLogin(options ...option) asked {
	w.t.Helper()
	r := w.want(201, tenant{}, "POST", Base+"/logins", map[string]any{"client": "billet on laptop"}, options...)
	return asked{r.text("deviceCode"), r.text("userCode")}
}

func (w *world) claim(a asked, options ...option) reply {
	w.t.Helper()
	return w.do(tenant{}, "POST", Base+"/logins/claim", map[string]string{"deviceCode": a.device}, options...)
}

func (w *world) allow(cookie string, a asked) string {
	w.t.Helper()
	return w.by(200, cookie, "POST", AccountBase+"/logins/allow", map[string]any{"userCode": a.user, "name": "laptop"}).text("id")
}

// worlds runs f on both engines, without limits by the minute.
func worlds(t *testing.T, f func(t *testing.T, w *world)) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		w := newWorldOn(t, d, c)
		w.s.c.Limiter = allowAll{}
		f(t, w)
	})
}

func TestAProgramGetsAKeyByACode(t *testing.T) {
	worlds(t, func(t *testing.T, w *world) {
		cookie, bob := w.signIn(w.ada), w.signIn(w.bob)
		r := w.want(201, tenant{}, "POST", Base+"/logins", map[string]any{"client": "billet on laptop", "scopes": []string{"offers:read", "wallet:read"}}, from("198.51.100.7"))
		a := asked{r.text("deviceCode"), r.text("userCode")}
		if len(a.device) != 43 || len(a.user) != 9 || r.text("verificationUrl") != "http://example.com/login-code" || r.text("verificationUrlComplete") != "http://example.com/login-code#"+a.user {
			t.Fatalf("%s", r.body)
		}
		same(t, "expires", r.text("expiresAt"), w.clock.Now().Add(10*time.Minute).Format(time.RFC3339Nano))
		if p := w.claim(a); p.status != 202 || p.text("status") != "pending" || strings.Contains(string(p.body), "key") {
			t.Fatalf("%d %s", p.status, p.body)
		}

		look := w.by(200, cookie, "POST", AccountBase+"/logins/look", map[string]string{"userCode": strings.ToLower(strings.Replace(a.user, "-", " ", 1))})
		if look.text("client") != "billet on laptop" || look.text("address") != "198.51.100.7" || !strings.Contains(string(look.body), `"scopes":["offers:read","wallet:read"]`) {
			t.Errorf("%s", look.body)
		}
		made := w.by(200, cookie, "POST", AccountBase+"/logins/allow", map[string]any{
			"userCode": a.user, "name": "laptop", "scopes": []string{"offers:read", "wallet:read"}, "expiresAt": w.clock.Now().Add(time.Hour),
			"allowedNetworks": []string{"192.0.2.0/24"}, "spendingLimits": map[string]any{"maxSpendPerDay": 50, "maxDeployments": 2},
		})
		if made.text("prefix") != "pk_live_…" || !strings.Contains(string(made.body), `"maxSpendPerDay":50`) || strings.Contains(string(made.body), `"key":`) {
			t.Errorf("%s", made.body)
		}
		// Nothing of it is left for who has the code as well, in the same account or another.
		for _, path := range []string{"/logins/look", "/logins/deny"} {
			same(t, path, w.by(404, cookie, "POST", AccountBase+path, map[string]string{"userCode": a.user}).code, "NOT_FOUND")
			same(t, path, w.by(404, bob, "POST", AccountBase+path, map[string]string{"userCode": a.user}).code, "NOT_FOUND")
		}
		w.by(404, bob, "GET", AccountBase+"/api-keys/"+made.text("id"), nil)

		got := w.claim(a)
		if got.status != 200 || got.text("status") != "allowed" || got.text("keyId") != made.text("id") || got.text("name") != "laptop" ||
			!strings.Contains(string(got.body), fmt.Sprintf(`"account":{"id":%q,"name":"Ada"}`, w.ada.account)) {
			t.Fatalf("%d %s", got.status, got.body)
		}
		program := tenant{secret: got.text("key")}
		w.want(200, program, "GET", Base+"/wallet", nil, from("192.0.2.1"))
		w.refused("NETWORK_NOT_ALLOWED", program, "GET", Base+"/wallet", nil, from("198.51.100.7"))
		w.refused("INSUFFICIENT_SCOPE", program, "GET", Base+"/volumes", nil, from("192.0.2.1"))
		k := w.by(200, cookie, "GET", AccountBase+"/api-keys/"+made.text("id"), nil)
		same(t, "prefix", k.text("prefix"), program.secret[:12]+"…")
		// Once it was used, it is not given out again.
		same(t, "after its use", w.claim(a).code, "LOGIN_CLAIMED")
		if err := w.c.Accounts.FlushLastUse(t.Context()); err != nil {
			t.Fatal(err)
		}
		same(t, "after its use was written", w.claim(a).code, "LOGIN_CLAIMED")

		audit := string(w.by(200, cookie, "GET", AccountBase+"/audit?subject="+made.text("id"), nil).body)
		for _, want := range []string{`"action":"allowLogin"`, `"action":"claimLogin"`} {
			if strings.Count(audit, want) != 1 {
				t.Errorf("not one %s in %s", want, audit)
			}
		}
		for _, secret := range []string{program.secret, a.device, a.user, strings.Replace(a.user, "-", "", 1)} {
			if strings.Contains(w.log.String(), secret) || strings.Contains(audit, secret) || w.stores(secret) {
				t.Errorf("%s is in the log, the audit or the database", secret)
			}
		}
	})
}

// stores tells whether the text stands in a row that has to do with logins and keys.
func (w *world) stores(text string) bool {
	w.t.Helper()
	for _, query := range []string{
		`SELECT device_hash || user_hash || client || scopes || address FROM device_authorization`, `SELECT secret_hash || prefix || name FROM api_key`, `SELECT body FROM idempotency`,
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

// However many claim at once, one key is there, and one of the secrets that were told is its.
func TestClaimsAtOnceGetOneKey(t *testing.T) {
	worlds(t, func(t *testing.T, w *world) {
		cookie, a := w.signIn(w.ada), w.startLogin()
		allows := make([]int, 4)
		var wg sync.WaitGroup
		for i := range allows {
			wg.Go(func() { // also of those that allow it at once one does
				rec := httptest.NewRecorder()
				w.s.ServeHTTP(rec, w.request(tenant{}, "POST", AccountBase+"/logins/allow", map[string]string{"userCode": a.user, "name": "laptop"},
					header("Cookie", cookie), header("Sec-Fetch-Site", "same-origin")))
				allows[i] = rec.Code
			})
		}
		wg.Wait()
		slices.Sort(allows)
		same(t, "allowed", allows, []int{200, 404, 404, 404})

		secrets := make([]string, 6)
		for i := range secrets {
			wg.Go(func() {
				if r := w.claim(a); r.status == 200 {
					secrets[i] = r.text("key")
				} else {
					t.Errorf("%d %s", r.status, r.body)
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
			t.Errorf("%d keys: %s", n, keys.body)
		}
	})
}

// Whoever did not get the answer asks again, and what was lost on the way is worth nothing.
func TestALostClaimIsRepeated(t *testing.T) {
	worlds(t, func(t *testing.T, w *world) {
		cookie, a := w.signIn(w.ada), w.startLogin()
		key := w.allow(cookie, a)
		lost, got := w.claim(a), w.claim(a)
		if lost.status != 200 || got.status != 200 || lost.text("keyId") != key || got.text("keyId") != key || lost.text("key") == got.text("key") {
			t.Fatalf("%s, then %s", lost.body, got.body)
		}
		w.refused("INVALID_API_KEY", tenant{secret: lost.text("key")}, "GET", Base+"/wallet", nil)
		w.want(200, tenant{secret: got.text("key")}, "GET", Base+"/wallet", nil)

		// A key that was taken back in between is not given out.
		b := w.startLogin()
		w.by(200, cookie, "DELETE", AccountBase+"/api-keys/"+w.allow(cookie, b), nil)
		same(t, "revoked", w.claim(b).code, "CONFLICT")
	})
}

func TestALoginIsDenied(t *testing.T) {
	worlds(t, func(t *testing.T, w *world) {
		cookie, a := w.signIn(w.ada), w.startLogin()
		w.by(200, cookie, "POST", AccountBase+"/logins/deny", map[string]string{"userCode": a.user})
		if r := w.claim(a); r.status != 403 || r.code != "LOGIN_DENIED" {
			t.Errorf("%d %s", r.status, r.body)
		}
		w.by(404, cookie, "POST", AccountBase+"/logins/allow", map[string]string{"userCode": a.user, "name": "laptop"})
		if audit := string(w.by(200, cookie, "GET", AccountBase+"/audit?action=denyLogin", nil).body); strings.Count(audit, `"lgn_`) != 1 {
			t.Errorf("%s", audit)
		}
		same(t, "a code of nobody", w.claim(asked{device: strings.Repeat("A", 43)}).code, "NOT_FOUND")
		same(t, "no code", w.claim(asked{device: "x"}).code, "NOT_FOUND")
	})
}

func TestALoginExpires(t *testing.T) {
	worlds(t, func(t *testing.T, w *world) {
		cookie, early, late := w.signIn(w.ada), w.startLogin(), w.startLogin()
		key := w.allow(cookie, early)
		w.clock.Advance(account.LoginLength - time.Microsecond)
		if r := w.claim(late); r.status != 202 {
			t.Errorf("%d %s", r.status, r.body)
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
		same(t, "revoked while it lasts", revoked(), false)
		w.clock.Advance(time.Microsecond)
		for _, a := range []asked{early, late} {
			if r := w.claim(a); r.status != 409 || r.code != "LOGIN_EXPIRED" {
				t.Errorf("%d %s", r.status, r.body)
			}
		}
		w.by(404, cookie, "POST", AccountBase+"/logins/look", map[string]string{"userCode": late.user})
		w.by(404, cookie, "POST", AccountBase+"/logins/allow", map[string]string{"userCode": late.user, "name": "laptop"})
		// Nobody knows the secret of a key that was not claimed, so it is taken off the list of those that work.
		w.clock.Advance(time.Minute)
		forget()
		same(t, "revoked afterwards", revoked(), true)
		same(t, "remembered", w.claim(late).code, "LOGIN_EXPIRED")
		w.clock.Advance(time.Hour)
		forget()
		same(t, "forgotten", w.claim(late).code, "NOT_FOUND")
	})
}

// Keys that were claimed outlive their login.
func TestAClaimedKeyStays(t *testing.T) {
	w := newWorld(t)
	a := w.startLogin()
	w.allow(w.signIn(w.ada), a)
	secret := w.claim(a).text("key")
	w.clock.Advance(2 * time.Hour)
	if err := w.c.Accounts.ForgetDeviceAuthorizations(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.want(200, tenant{secret: secret}, "GET", Base+"/wallet", nil)
}

func TestCodesAreNotGuessed(t *testing.T) {
	worlds(t, func(t *testing.T, w *world) {
		ada, bob, a := w.signIn(w.ada), w.signIn(w.bob), w.startLogin()
		code := map[string]string{"userCode": a.user}
		for _, mistyped := range []string{"BCDF", "BCDF-GHJA", "BCDF-GHJ\u0130", "12345678"} { // cost no guess
			r := w.by(400, ada, "POST", AccountBase+"/logins/look", map[string]string{"userCode": mistyped})
			same(t, mistyped, r.fields(), []string{"userCode"})
		}
		for i := range 10 {
			w.by(200, ada, "POST", AccountBase+"/logins/look", code) // gives back its own try only
			w.by(404, ada, "POST", AccountBase+"/logins/"+[]string{"look", "deny"}[i%2], map[string]string{"userCode": "BBBB-BBBB"})
		}
		for _, path := range []string{"look", "deny", "allow"} {
			body := map[string]string{"userCode": a.user}
			if path == "allow" {
				body["name"] = "laptop"
			}
			r := w.by(429, ada, "POST", AccountBase+"/logins/"+path, body)
			if r.header.Get("Retry-After") == "" {
				t.Errorf("%s: %v", path, r.header)
			}
		}
		w.by(200, bob, "POST", AccountBase+"/logins/look", code) // each user's guesses count for themselves
		w.clock.Advance(15 * time.Minute)
		w.by(404, ada, "POST", AccountBase+"/logins/look", code)
	})
}

func TestLoginsUnderWayAreBounded(t *testing.T) {
	worlds(t, func(t *testing.T, w *world) {
		cookie := w.signIn(w.ada)
		body := map[string]string{"client": "billet"}
		var last asked
		for range 100 {
			last = w.startLogin(from("198.51.100.7"))
		}
		r := w.refused("RATE_LIMIT_EXCEEDED", tenant{}, "POST", Base+"/logins", body, from("198.51.100.7"))
		same(t, "status", r.status, 429)
		w.startLogin(from("198.51.100.8"))
		w.by(200, cookie, "POST", AccountBase+"/logins/deny", map[string]string{"userCode": last.user})
		w.startLogin(from("198.51.100.7"))
		w.refused("RATE_LIMIT_EXCEEDED", tenant{}, "POST", Base+"/logins", body, from("198.51.100.7"))
		w.clock.Advance(account.LoginLength)
		w.startLogin(from("198.51.100.7"))

		w.tx(func(ctx context.Context, tx *db.Tx) error { // as many as there may be, from everywhere
			_, err := tx.Exec(ctx, `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000)
				INSERT INTO device_authorization (id, device_hash, user_hash, client, scopes, address, network, created_at, expires_at)
				SELECT 'lgn_' || i, 'd' || i, 'u' || i, 'x', '', '', '', 0, CAST($1 AS BIGINT) FROM n`, db.Micros(tx.Now.Add(time.Minute)))
			return err
		})
		w.refused("SERVICE_UNAVAILABLE", tenant{}, "POST", Base+"/logins", body, from("198.51.100.9"))
	})
}

func TestWhoStartsALoginIsLimitedByAddress(t *testing.T) {
	w := newWorld(t)
	for range openLimit {
		w.do(tenant{}, "POST", Base+"/logins/claim", map[string]string{"deviceCode": "x"}, from("198.51.100.7"))
	}
	w.refused("RATE_LIMIT_EXCEEDED", tenant{}, "POST", Base+"/logins", map[string]string{"client": "billet"}, from("198.51.100.7"))
	w.refused("NETWORK_NOT_ALLOWED", tenant{}, "POST", Base+"/logins", map[string]string{"client": "billet"}, header("Sec-Fetch-Site", "cross-site"))
	w.refused("NETWORK_NOT_ALLOWED", tenant{}, "POST", AccountBase+"/logins/allow", map[string]string{"userCode": "BBBB-BBBB", "name": "x"}, header("Cookie", w.signIn(w.ada)), header("Sec-Fetch-Site", "cross-site"))
	r := w.refused("INVALID_REQUEST", tenant{}, "POST", Base+"/logins", map[string]any{"client": "a\u202eb", "scopes": []string{"operator:read"}})
	same(t, "fields", r.fields(), []string{"scopes[0]"})
	same(t, "fields", w.refused("INVALID_REQUEST", tenant{}, "POST", Base+"/logins", map[string]any{"client": "a\u202eb"}).fields(), []string{"client"})
}

// Who is removed before the program comes takes the key along.
func TestAKeyGoesWithWhoAllowedIt(t *testing.T) {
	w := newWorld(t)
	owner, a := w.signIn(w.ada), w.startLogin()
	p := w.user(w.ada, account.Member, "member@example.com")
	w.allow(w.cookie(p.Email), a)
	w.by(200, owner, "DELETE", AccountBase+"/members/"+string(p.ID), nil)
	same(t, "claimed", w.claim(a).code, "CONFLICT")
}

// A claim that waits is answered by the decision, the end of its time, or that of the server.
func TestAClaimWaits(t *testing.T) {
	worlds(t, func(t *testing.T, w *world) {
		cookie, a := w.signIn(w.ada), w.startLogin()
		waiting := func(seconds int) chan reply {
			out := make(chan reply, 1)
			go func() {
				out <- w.do(tenant{}, "POST", fmt.Sprintf("%s/logins/claim?waitSeconds=%d", Base, seconds), map[string]string{"deviceCode": a.device})
			}()
			return out
		}
		if r := <-waiting(1); r.status != 202 {
			t.Errorf("%d %s", r.status, r.body)
		}
		answer := waiting(60)
		key := w.allow(cookie, a) // whichever of the two comes first
		if r := <-answer; r.status != 200 || r.text("keyId") != key {
			t.Errorf("%d %s", r.status, r.body)
		}
		a = w.startLogin()
		answer = waiting(60)
		w.c.Events.EndWatches()
		if r := <-answer; r.status != 202 {
			t.Errorf("%d %s", r.status, r.body)
		}

		// Whoever went away is given nothing that they would not hear of.
		a = w.startLogin()
		w.allow(cookie, a)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if r := w.do(tenant{}, http.MethodPost, Base+"/logins/claim?waitSeconds=60", map[string]string{"deviceCode": a.device}, func(r *http.Request) { *r = *r.WithContext(ctx) }); r.status < 500 {
			t.Errorf("%d %s", r.status, r.body)
		}
		same(t, "claimed", w.claimedLogins(), 1)
	})
}

// claimedLogins is how many logins were claimed.
func (w *world) claimedLogins() (n int) {
	w.t.Helper()
	if err := w.d.QueryRow(w.t.Context(), `SELECT COUNT(*) FROM device_authorization WHERE claimed_at IS NOT NULL`).Scan(&n); err != nil {
		w.t.Fatal(err)
	}
	return n
}
