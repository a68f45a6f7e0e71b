package httpapi

import (
	"crypto/tls"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/billetcloud/billet/internal/rest"
)

func TestAProxyThatIsNotTrustedIsNamedOncePerPeriod(t *testing.T) {
	w := newWorld(t)
	w.configure(func(c *Config) { c.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")} })
	warnings := func() int { return strings.Count(w.log.String(), "start with --trusted-proxies=") }
	w.do(w.ada, "GET", Base+"/offers", nil, from("192.168.0.1"))
	w.do(w.ada, "GET", Base+"/offers", nil, from("10.0.0.1"), header("X-Forwarded-For", "198.51.100.1"))
	same(t, "warnings without a cause", warnings(), 0)
	for range 3 {
		for _, name := range []string{"X-Forwarded-For", "X-Forwarded-Proto", "Forwarded"} {
			w.do(w.ada, "GET", Base+"/offers", nil, from("192.168.0.1"), header(name, "for=x"))
		}
	}
	same(t, "warnings", warnings(), 1)
	if !strings.Contains(w.log.String(), "--trusted-proxies=192.168.0.1") {
		t.Error("the log does not say what to set")
	}
	for i := range 20 { // clients write such headers, too: the log stays readable
		w.do(
			w.ada,
			"GET",
			Base+"/offers",
			nil,
			from(fmt.Sprintf("198.51.100.%d", i)),
			header("X-Forwarded-For", "1.2.3.4"),
		)
	}
	same(t, "warnings of many peers", warnings(), 5)
	for range 60 {
		w.passMinute()
	}
	w.do(w.ada, "GET", Base+"/offers", nil, from("192.168.0.1"), header("X-Forwarded-For", "198.51.100.1"))
	same(t, "warnings after the period", warnings(), 6)
}

func TestCookies(t *testing.T) {
	w := newWorld(t)
	w.signIn(w.ada)
	login := map[string]string{"email": string(w.ada.account) + "@example.com", "password": goodPassword}
	for _, c := range []struct {
		name, public string
		secure       bool
		how          []option
	}{
		{"in the clear", "", false, nil},
		{"over TLS", "", true, []option{func(r *http.Request) { r.TLS = &tls.ConnectionState{} }}},
		{"behind our proxy", "", true, []option{from("10.0.0.1"), header("X-Forwarded-Proto", "https")}},
		{"who only says so", "", false, []option{from("203.0.113.1"), header("X-Forwarded-Proto", "https")}},
		{"https site, proxy says nothing", "https://gpu.example.com", true, []option{from("192.168.0.1")}},
		{"https site, proxy says http", "https://gpu.example.com", true,
			[]option{from("10.0.0.1"), header("X-Forwarded-Proto", "http")}},
		{"https site, Host rewritten", "https://gpu.example.com", true,
			[]option{func(r *http.Request) { r.Host = "127.0.0.1:8080" }, header("Origin", "https://gpu.example.com")}},
		{"http site", "http://gpu.lan", false, []option{header("Origin", "http://gpu.lan")}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w.s = w.serving(c.public)
			r := w.want(201, tenant{}, "POST", AccountBase+"/sessions", login, c.how...)
			set := r.header.Values("Set-Cookie")
			if len(set) != 2 || !strings.Contains(set[0], sessionCookie.Name) ||
				!strings.Contains(set[1], deviceCookie.Name) {
				t.Fatalf("%q", set)
			}
			for _, cookie := range set {
				host := strings.HasPrefix(cookie, "__Host-") && strings.Contains(cookie, "; Path=/;") &&
					strings.Contains(cookie, "; Secure") &&
					!strings.Contains(cookie, "Domain")
				plain := strings.HasPrefix(cookie, "billet_") && strings.Contains(cookie, "; Path=/api/v1") &&
					!strings.Contains(cookie, "Secure")
				if !strings.Contains(cookie, "; HttpOnly") || !strings.Contains(cookie, "; SameSite=Strict") ||
					host != c.secure ||
					plain == c.secure {
					t.Errorf("%s", cookie)
				}
			}
			sent := append([]option{header("Cookie", cookieOf(r)), header("Sec-Fetch-Site", "same-origin")}, c.how...)
			w.want(200, tenant{}, "GET", AccountBase+"/me", nil, sent...)
			// a page of another host of the domain can plant a cookie without the prefix
			if c.secure {
				planted := strings.TrimPrefix(cookieOf(r), "__Host-")
				w.want(401, tenant{}, "GET", AccountBase+"/me", nil, append(sent, header("Cookie", planted))...)
			}
			w.want(200, tenant{}, "DELETE", AccountBase+"/sessions", nil, sent...)
			want := ""
			if strings.HasPrefix(c.public, "https") {
				want = "max-age=31536000"
			}
			for _, answer := range []reply{r, w.do(tenant{}, "GET", "/nothing", nil, c.how...),
				w.do(tenant{}, "GET", "/healthz", nil, c.how...)} {
				same(t, "HSTS", answer.header.Get("Strict-Transport-Security"), want)
			}
		})
	}
}

// serving is the world's server with a public URL, behind proxies in 10.0.0.0/8.
func (w *world) serving(public string) *server {
	w.t.Helper()
	w.passMinute()
	c := w.c
	c.Registry = prometheus.NewRegistry()
	c.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
	if public != "" {
		at, err := url.Parse(public)
		if err != nil {
			w.t.Fatal(err)
		}
		c.PublicURL = at
	}
	return newServer(c)
}

func TestThePublicURLIsAnAllowedOriginAndNoOtherIs(t *testing.T) {
	w := newWorld(t)
	cookie := w.signIn(w.ada)
	w.s = w.serving("https://gpu.example.com")
	cookie = "__Host-" + cookie
	rewritten := func(r *http.Request) { r.Host = "backend:8080" }
	for origin, want := range map[string]int{
		"https://gpu.example.com": 200, "http://gpu.example.com": 403, "https://gpu.example.com:8443": 403,
		"https://evil.example":                 403,
		"https://gpu.example.com.evil.example": 403, "null": 403,
	} {
		w.want(
			want,
			tenant{},
			"PATCH",
			AccountBase+"/me",
			map[string]string{"name": "Ada"},
			header("Cookie", cookie),
			rewritten,
			header("Origin", origin),
		)
	}
}

// A browser that loads the pages, and users who sign in, share an address with all others in the
// office.
func TestAFloodFromAnOfficeClosesNothingForTheOthers(t *testing.T) {
	w := newWorld(t)
	office := from("198.51.100.7")
	email := string(w.ada.account) + "@example.com"
	w.signIn(w.ada)
	login := map[string]string{"email": email, "password": goodPassword}
	known := w.want(201, tenant{}, "POST", AccountBase+"/sessions", login, office)
	_, device, _ := strings.Cut(strings.Split(known.header.Values("Set-Cookie")[1], ";")[0], "=")
	w.passMinute()
	for range 2 * rest.AddressLimit { // a program with a wrong key
		w.do(tenant{secret: "pk_live_wrong"}, "GET", Base+"/offers", nil, office)
	}
	w.refused("RATE_LIMIT_EXCEEDED", tenant{secret: "pk_live_wrong"}, "GET", Base+"/offers", nil, office)
	w.want(201, tenant{}, "POST", AccountBase+"/sessions", login, office)
	w.refused("SIGN_IN_REQUIRED", tenant{}, "GET", AccountBase+"/me", nil, office)
	w.want(200, w.ada, "GET", Base+"/offers", nil, office)
	for i := range 30 { // one user who does not know their password
		w.refused(
			"SIGN_IN_FAILED",
			tenant{},
			"POST",
			AccountBase+"/sessions",
			map[string]string{"email": fmt.Sprintf("eve%d@example.com", i), "password": "wrong password"},
			office,
		)
	}
	w.want(201, tenant{}, "POST", AccountBase+"/sessions", login, office)
	for range rest.PublicLimit { // and one who means harm
		w.do(tenant{}, "GET", AccountBase+"/sign-in", nil, office)
	}
	w.refused("RATE_LIMIT_EXCEEDED", tenant{}, "POST", AccountBase+"/sessions", login, office)
	w.want(
		201,
		tenant{},
		"POST",
		AccountBase+"/sessions",
		login,
		office,
		header("Cookie", deviceCookie.Name+"="+device),
	)
	w.refused(
		"RATE_LIMIT_EXCEEDED",
		tenant{},
		"POST",
		AccountBase+"/sessions",
		login,
		office,
		header("Cookie", deviceCookie.Name+"=x"+device),
	)
	w.passMinute()
	w.want(201, tenant{}, "POST", AccountBase+"/sessions", login, office)
}
