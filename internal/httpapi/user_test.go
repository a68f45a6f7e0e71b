package httpapi

import (
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/billetcloud/billet/internal/rest"
)

func TestSessions(t *testing.T) {
	w := newWorld(t)
	cookie, site := header("Cookie", w.signIn(w.ada)), header("Sec-Fetch-Site", "same-origin")
	w.refused(
		"SIGN_IN_FAILED",
		tenant{},
		"POST",
		AccountBase+"/sessions",
		map[string]string{"email": string(w.ada.account) + "@example.com", "password": "another one, wrong"},
	)
	me := w.want(200, tenant{}, "GET", AccountBase+"/me", nil, cookie)
	if !strings.Contains(string(me.body), `"name":"Ada"`) {
		t.Errorf("%s", me.body)
	}
	same(t, "Limit", me.header.Get("X-RateLimit-Limit"), sessionLimits.Read)
	// The dashboard uses the same calls as everyone else.
	w.want(200, tenant{}, "GET", Base+"/wallet", nil, cookie)
	k := w.want(
		201,
		tenant{},
		"POST",
		Base+"/ssh-keys",
		map[string]string{"name": "a", "publicKey": publicKey(t)},
		cookie,
		site,
	)
	w.want(200, w.ada, "GET", Base+"/ssh-keys/"+k.text("id"), nil)
	// An API key given beside the cookie is what counts.
	w.refused("NOT_FOUND", w.bob, "GET", Base+"/ssh-keys/"+k.text("id"), nil, cookie)
	out := w.want(200, tenant{}, "DELETE", AccountBase+"/sessions", nil, cookie, site)
	if c := out.header.Get("Set-Cookie"); !strings.Contains(c, "Max-Age=0") {
		t.Errorf("Set-Cookie: %s", c)
	}
	w.refused("SIGN_IN_REQUIRED", tenant{}, "GET", AccountBase+"/me", nil, cookie)
	w.refused("SIGN_IN_REQUIRED", tenant{}, "GET", Base+"/wallet", nil, cookie)
	w.refused("SIGN_IN_REQUIRED", tenant{}, "GET", AccountBase+"/me", nil)
}

func TestAnotherSitesPageCanDoNothing(t *testing.T) {
	w := newWorld(t)
	cookie := header("Cookie", w.signIn(w.ada))
	body := map[string]string{"name": "a", "publicKey": publicKey(t)}
	for _, foreign := range []option{header("Sec-Fetch-Site", "cross-site"), header("Sec-Fetch-Site", "same-site"),
		header("Origin", "https://evil.example")} {
		if r := w.refused("NETWORK_NOT_ALLOWED", tenant{}, "POST", Base+"/ssh-keys", body, cookie,
			foreign); r.status != 403 {
			t.Errorf("%d", r.status)
		}
		w.refused(
			"NETWORK_NOT_ALLOWED",
			tenant{},
			"POST",
			AccountBase+"/sessions",
			map[string]string{"email": "a@b.c", "password": "x"},
			foreign,
		)
	}
	// With an API key no cookie is at stake.
	w.want(201, w.ada, "POST", Base+"/ssh-keys", body, header("Origin", "https://ci.example"))
}

func TestAPIKeys(t *testing.T) {
	w := newWorld(t)
	w.configure(func(c *Config) { c.Limiter = allowAll{} })
	cookie, site := header("Cookie", w.signIn(w.ada)), header("Sec-Fetch-Site", "same-origin")
	at := AccountBase + "/api-keys"
	r := w.refused(
		"INVALID_REQUEST",
		tenant{},
		"POST",
		at,
		map[string]any{
			"name":            "",
			"scopes":          []string{"everything"},
			"allowedNetworks": []string{"x"},
			"expiresAt":       "2001-01-01T00:00:00Z",
		},
		cookie,
		site,
	)
	if len(r.fields()) != 4 {
		t.Errorf("%s", r.body)
	}
	body := map[string]any{"name": "ci", "scopes": []string{"offers:read"}}
	made := w.want(201, tenant{}, "POST", at, body, cookie, site, header("Idempotency-Key", "k"))
	w.want(200, tenant{secret: made.text("key")}, "GET", Base+"/offers", nil)
	w.refused("INSUFFICIENT_SCOPE", tenant{secret: made.text("key")}, "GET", Base+"/wallet", nil)
	one := at + "/" + made.text("id")
	if got := w.want(200, tenant{}, "GET", one, nil, cookie); strings.Contains(string(got.body), made.text("key")) {
		t.Error("the secret is shown again")
	}
	w.want(
		200,
		tenant{},
		"PATCH",
		one,
		`{"name":"ci-2","expiresAt":"2029-01-01T00:00:00Z","allowedNetworks":[]}`,
		cookie,
		site,
	)
	if got := w.want(200, tenant{}, "PATCH", one, `{"expiresAt":null}`, cookie, site); got.text("expiresAt") != "" ||
		got.text("name") != "ci-2" {
		t.Errorf("%s", got.body)
	}
	if list := w.want(200, tenant{}, "GET", at, nil, cookie).list; len(list) != 2 {
		t.Errorf("%v", list)
	}
	w.want(200, tenant{}, "DELETE", one, nil, cookie, site)
	w.want(200, tenant{}, "DELETE", one, nil, cookie, site)
	w.refused("REVOKED_API_KEY", tenant{secret: made.text("key")}, "GET", Base+"/offers", nil)
	w.refused("CONFLICT", tenant{}, "PATCH", one, `{"name":"x"}`, cookie, site)
}

// The answer that shows a secret is kept in a form that only the same session can read.
func TestAKeptSecretIsSealed(t *testing.T) {
	w := newWorld(t)
	site, with := header("Sec-Fetch-Site", "same-origin"), header("Idempotency-Key", "k")
	cookie := header("Cookie", w.signIn(w.ada))
	body := map[string]any{"name": "ci"}
	made := w.want(201, tenant{}, "POST", AccountBase+"/api-keys", body, cookie, site, with)
	again := w.want(201, tenant{}, "POST", AccountBase+"/api-keys", body, cookie, site, with)
	if string(made.body) != string(again.body) || again.header.Get("Idempotent-Replayed") != "true" {
		t.Errorf("%s, then %s", made.body, again.body)
	}
	var kept string
	if err := w.d.QueryRow(t.Context(), `SELECT body FROM idempotency`).Scan(&kept); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(kept, "pk_live") || strings.Contains(kept, "cGtfbGl2ZV") ||
		strings.Contains(kept, "wa19saXZlX") ||
		strings.Contains(kept, "BrX2xpdmVf") {
		t.Error("the secret is in the database")
	}
	r := w.want(
		201,
		tenant{},
		"POST",
		AccountBase+"/sessions",
		map[string]string{"email": string(w.ada.account) + "@example.com", "password": "a long enough password"},
	)
	other, _, _ := strings.Cut(r.header.Get("Set-Cookie"), ";")
	w.refused("CONFLICT", tenant{}, "POST", AccountBase+"/api-keys", body, header("Cookie", other), site, with)
}

func TestThePageLoadsNothingFromElsewhere(t *testing.T) {
	w := newWorld(t)
	for _, path := range []string{"/docs", "/docs/docs.js", "/docs/docs.css", "/openapi.json"} {
		r := w.want(200, tenant{}, "GET", path, nil)
		policy := r.header.Get("Content-Security-Policy")
		if !strings.Contains(policy, "default-src 'none'") || strings.Contains(policy, "unsafe") ||
			strings.Contains(policy, "http") {
			t.Errorf("%s: %s", path, policy)
		}
		if path == "/openapi.json" {
			same(t, "the document", string(r.body) == string(Document("test")), true)
			continue
		}
		unsafe := regexp.MustCompile(`(?i)https?://|//[a-z0-9-]+\.[a-z]|innerHTML|localStorage|sessionStorage|` +
			`eval\(| on[a-z]+="|style="`)
		if found := unsafe.FindString(string(r.body)); found != "" {
			t.Errorf("%s has %q", path, found)
		}
	}
}

func TestElsewhere(t *testing.T) {
	w := newWorld(t)
	dashboard := func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path == "/assets/gone.js" {
			return false
		}
		w.WriteHeader(http.StatusTeapot)
		return true
	}
	w.configure(func(c *Config) { c.Elsewhere = dashboard })
	for path, want := range map[string]int{"/": 418, "/deployments/": 418, "/assets/x.js": 418, "/assets/gone.js": 404,
		"/favicon.ico": 418, "/docs": 200, "/healthz": 200, "/api": 404, "/api/v1": 404, "/api/v1/x": 404} {
		r := w.do(tenant{}, "GET", path, nil)
		same(t, path, r.status, want)
		if want == 418 { // not counted as calls are
			same(t, path+": limit", r.header.Get("X-RateLimit-Limit"), rest.PageLimit)
		}
	}
	w.refused("METHOD_NOT_ALLOWED", tenant{}, "POST", "/deployments/", nil)
	for i := range rest.PageLimit {
		if r := w.do(tenant{}, "GET", "/", nil, from("198.51.100.7")); r.status != 418 {
			t.Fatalf("request %d: %d", i+1, r.status)
		}
	}
	w.refused("RATE_LIMIT_EXCEEDED", tenant{}, "GET", "/", nil, from("198.51.100.7"))
}
