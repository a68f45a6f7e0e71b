package httpapi

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/billetcloud/billet/test/webauthntest"
	"github.com/pquerna/otp/totp"
)

func at(host string) option {
	return func(r *http.Request) { r.Host = host }
}

func TestAnAuthenticatorAppOverTheAPI(t *testing.T) {
	on(t, func(t *testing.T, w *world) {
		cookie := w.signIn(w.ada)
		email := string(w.ada.account) + "@example.com"
		base := AccountBase + "/me/totp"
		started := w.by(200, cookie, "POST", base, nil)
		secret := started.text("secret")
		if u, err := url.Parse(started.text("otpauthUrl")); err != nil || u.Query().Get("secret") != secret {
			t.Fatalf("%s", started.body)
		}
		code := func() string {
			c, err := totp.GenerateCode(secret, w.time.Now())
			if err != nil {
				t.Fatal(err)
			}
			return c
		}
		w.by(400, cookie, "POST", base+"/confirm", map[string]string{"code": "000000"})
		confirmed := w.by(
			200,
			cookie,
			"POST",
			base+"/confirm",
			map[string]string{"code": code()},
			header("Idempotency-Key", "k"),
		)
		recovery := dig(confirmed.data, "recoveryCodes").([]any)
		if len(recovery) != 10 {
			t.Fatalf("%s", confirmed.body)
		}
		if again := w.by(200, cookie, "POST", base+"/confirm", map[string]string{"code": code()},
			header("Idempotency-Key", "k")); string(
			again.body,
		) != string(
			confirmed.body,
		) {
			t.Errorf("repeated: %s", again.body)
		}
		var kept string
		if err := w.d.QueryRow(t.Context(), `SELECT body FROM idempotency WHERE key = 'k'`).Scan(&kept); err != nil ||
			strings.Contains(kept, recovery[0].(string)[:9]) {
			t.Errorf("%q %v", kept, err)
		}
		w.by(409, cookie, "POST", base, nil)
		login := func(code string) map[string]string {
			return map[string]string{"email": email, "password": goodPassword, "code": code}
		}
		r := w.refused(
			"SECOND_FACTOR_REQUIRED",
			tenant{},
			"POST",
			AccountBase+"/sessions",
			map[string]string{"email": email, "password": goodPassword},
		)
		if methods := dig(r.error, "details", "methods"); r.status != 401 || len(methods.([]any)) != 2 ||
			r.header.Get("Set-Cookie") != "" {
			t.Errorf("%d %s", r.status, r.body)
		}
		w.refused(
			"SECOND_FACTOR_REQUIRED",
			tenant{},
			"POST",
			AccountBase+"/sessions",
			login(code()),
		) // confirming has used it up
		w.time.pass(30 * time.Second)
		w.want(201, tenant{}, "POST", AccountBase+"/sessions", login(code()))
		w.want(201, tenant{}, "POST", AccountBase+"/sessions", login(recovery[3].(string)))
		w.refused("SECOND_FACTOR_REQUIRED", tenant{}, "POST", AccountBase+"/sessions", login(recovery[3].(string)))
		if members := w.by(200, cookie, "GET", AccountBase+"/members", nil); dig(members.list[0], "totp") != true {
			t.Errorf("%s", members.body)
		}
		// The first half of a sign-in is no failure, a wrong code is one.
		if got := w.by(200, cookie, "GET", AccountBase+"/audit?action=signInFailed", nil); len(got.list) != 2 {
			t.Errorf("%s", got.body)
		}
		w.by(400, cookie, "DELETE", base, map[string]string{"password": "not the right one"})
		w.by(200, cookie, "DELETE", base, map[string]string{"password": goodPassword})
		w.want(
			201,
			tenant{},
			"POST",
			AccountBase+"/sessions",
			map[string]string{"email": email, "password": goodPassword},
		)
	})
}

// pass moves the machine's time.
func (m *machineTime) pass(d time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.now = m.now.Add(d)
}

func TestPasskeysOverTheAPI(t *testing.T) {
	on(t, func(t *testing.T, w *world) {
		cookie := w.signIn(w.ada)
		d := webauthntest.New(t, "http://localhost:8080", "localhost")
		local := at("localhost:8080")
		keys, sessions := AccountBase+"/me/passkeys", AccountBase+"/sessions/passkey"
		offer := w.by(200, cookie, "POST", keys+"/options", map[string]any{}, local).data
		if dig(offer, "options", "rp", "id") != "localhost" ||
			dig(offer, "options", "authenticatorSelection", "userVerification") != "required" ||
			dig(offer, "options", "authenticatorSelection", "residentKey") != "required" {
			t.Errorf("%v", offer)
		}
		add := map[string]any{
			"challengeId": dig(offer, "challengeId"),
			"name":        "laptop",
			"credential":  d.Register(dig(offer, "options")),
		}
		made := w.by(201, cookie, "POST", keys, add, local)
		w.by(400, cookie, "POST", keys, add, local) // the challenge is used up
		members := w.by(200, cookie, "GET", AccountBase+"/members", nil)
		if m := members.list[0]; dig(m, "passkeys") != 1.0 || dig(m, "totp") != false {
			t.Errorf("the member with a passkey: %v", m)
		}
		ask := func() (any, any) {
			r := w.want(200, tenant{}, "POST", sessions+"/options", nil, local).data
			return dig(r, "challengeId"), dig(r, "options")
		}
		challenge, options := ask()
		answer := map[string]any{"challengeId": challenge, "credential": d.SignIn(options)}
		r := w.want(201, tenant{}, "POST", sessions, answer, local)
		if dig(r.data, "user", "email") != string(w.ada.account)+"@example.com" || dig(r.data, "role") != "owner" {
			t.Errorf("%s", r.body)
		}
		w.by(200, cookieOf(r), "GET", AccountBase+"/me", nil)
		w.refused("SIGN_IN_FAILED", tenant{}, "POST", sessions, answer, local) // replayed
		d.Forge = true
		challenge, options = ask()
		w.refused(
			"SIGN_IN_FAILED",
			tenant{},
			"POST",
			sessions,
			map[string]any{"challengeId": challenge, "credential": d.SignIn(options)},
			local,
		)
		d.Forge = false
		w.refused(
			"SIGN_IN_FAILED",
			tenant{},
			"POST",
			sessions,
			map[string]any{"challengeId": "chl_none", "credential": map[string]any{"id": "x"}},
			local,
		)
		one := keys + "/" + made.text("id")
		if r := w.by(200, cookie, "PATCH", one, map[string]string{"name": "laptop"}); r.text("name") != "laptop" ||
			r.text("lastUsedAt") == "" {
			t.Errorf("%s", r.body)
		}
		w.by(200, cookie, "DELETE", one, nil)
		challenge, options = ask()
		w.refused(
			"SIGN_IN_FAILED",
			tenant{},
			"POST",
			sessions,
			map[string]any{"challengeId": challenge, "credential": d.SignIn(options)},
			local,
		)
	})
}

func TestWherePasskeysWork(t *testing.T) {
	w := newWorld(t)
	w.configure(func(c *Config) { c.Limiter = allowAll{} })
	public := func(s string) *url.URL {
		u, err := url.Parse(s)
		if err != nil {
			t.Fatal(err)
		}
		return u
	}
	for _, test := range []struct {
		public *url.URL
		host   string
		id     string
	}{
		{nil, "localhost:8080", "localhost"}, {nil, "gpu.localhost", "gpu.localhost"}, {nil, "127.0.0.1:8080", ""},
		{nil, "[::1]:8080", ""}, {nil, "gpu.example.com", ""}, {nil, "", ""},
		{public("https://gpu.example.com"), "127.0.0.1:8080", "gpu.example.com"},
		{public("https://gpu.example.com:8443"), "evil.example", "gpu.example.com"},
		{public("http://gpu.example.com"), "gpu.example.com", ""},
		{public("http://localhost:8080"), "localhost:8080", "localhost"},
		{public("https://192.0.2.1"), "192.0.2.1", ""},
	} {
		w.configure(func(c *Config) { c.PublicURL = test.public })
		r := w.want(200, tenant{}, "GET", AccountBase+"/sign-in", nil, at(test.host))
		if dig(r.data, "passkeys") != (test.id != "") || dig(r.data, "password") != true ||
			dig(r.data, "oidc") != nil ||
			dig(r.data, "demo") != nil {
			t.Errorf("%v %s: %s", test.public, test.host, r.body)
		}
		o := w.do(tenant{}, "POST", AccountBase+"/sessions/passkey/options", nil, at(test.host))
		if test.id == "" && o.code != "CONFLICT" || test.id != "" && dig(o.data, "options", "rpId") != test.id {
			t.Errorf("%v %s: %s", test.public, test.host, o.body)
		}
	}
	w.configure(func(c *Config) { c.DemoEmail = func() string { return "demo@billet.test" } })
	if r := w.want(200, tenant{}, "GET", AccountBase+"/sign-in", nil); dig(
		r.data,
		"demo",
		"email",
	) != "demo@billet.test" {
		t.Errorf("%s", r.body)
	}
}
