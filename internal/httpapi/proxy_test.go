package httpapi

import (
	"crypto/tls"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

// behind is a server that trusts the proxies of these tests.
func behind() *server {
	return &server{c: Config{TrustedProxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8"), netip.MustParsePrefix("203.0.113.80/32")}}}
}

// What each product writes is from its manual, named in the comment.
func TestTheClientIsFoundInWhatProxiesWrite(t *testing.T) {
	for _, c := range []struct {
		name, peer string
		header     string // lines "Name: value"
		want       string
		secure     bool
	}{
		{"no proxy", "203.0.113.9", "", "203.0.113.9", false},
		{"who only says so", "203.0.113.9", "X-Forwarded-For: 198.51.100.1\nX-Forwarded-Proto: https", "203.0.113.9", false},
		{"who only says so, the new way", "203.0.113.9", "Forwarded: for=198.51.100.1;proto=https", "203.0.113.9", false},
		{"a proxy that says nothing", "10.0.0.1", "", "10.0.0.1", false},

		// nginx, ngx_http_proxy_module: $proxy_add_x_forwarded_for appends to what came; X-Forwarded-Proto is $scheme.
		{"nginx", "10.0.0.1", "X-Forwarded-For: 198.51.100.1\nX-Forwarded-Proto: https", "198.51.100.1", true},
		{"nginx, the client wrote one, too", "10.0.0.1", "X-Forwarded-For: 6.6.6.6, 198.51.100.1\nX-Forwarded-Proto: https", "198.51.100.1", true},
		{"nginx, IPv6", "10.0.0.1", "X-Forwarded-For: 2001:db8::5\nX-Forwarded-Proto: http", "2001:db8::5", false},
		{"nginx behind nginx", "10.0.0.1", "X-Forwarded-For: 198.51.100.1, 10.0.0.2\nX-Forwarded-Proto: https", "198.51.100.1", true},
		{"nginx on a Unix socket", "10.0.0.1", "X-Forwarded-For: unix:", "10.0.0.1", false},

		// HAProxy, option forwardfor: a header line of its own behind those that came. option forwarded: RFC 7239, IPv6 in quotation marks.
		{"HAProxy", "10.0.0.1", "X-Forwarded-For: 6.6.6.6\nX-Forwarded-For: 198.51.100.1\nX-Forwarded-Proto: https", "198.51.100.1", true},
		{"HAProxy, the client lists trusted ones", "10.0.0.1", "X-Forwarded-For: 6.6.6.6, 10.0.0.9\nX-Forwarded-For: 198.51.100.1", "198.51.100.1", false},
		{"HAProxy, option forwarded", "10.0.0.1", "Forwarded: proto=https;for=198.51.100.1", "198.51.100.1", true},
		{"HAProxy, option forwarded, IPv6 and ports", "10.0.0.1", `Forwarded: proto=https;by="[fd00::1]:443";for="[2001:db8::5]:51044"`, "2001:db8::5", true},
		{"HAProxy, option forwarded behind another", "10.0.0.1", "Forwarded: for=6.6.6.6;proto=http\nForwarded: for=198.51.100.1;proto=https, for=10.0.0.2;proto=http", "198.51.100.1", true},

		// A client that leaves a quotation mark open hides nothing of what the proxy writes.
		{"an open quotation mark before the proxy's line", "10.0.0.1", "Forwarded: for=192.0.2.99;x=\"\nForwarded: proto=https;for=198.51.100.1", "198.51.100.1", true},
		{"an open quotation mark in the proxy's line", "10.0.0.1", "Forwarded: for=192.0.2.99;x=\", for=198.51.100.1;proto=https", "10.0.0.1", false},

		// Caddy, reverse_proxy: drops what comes from peers it does not trust, and sets all three.
		{"Caddy", "10.0.0.1", "X-Forwarded-For: 198.51.100.1\nX-Forwarded-Proto: https\nX-Forwarded-Host: gpu.example.com", "198.51.100.1", true},

		// Traefik, forwardedHeaders: appends; of a WebSocket the scheme is wss.
		{"Traefik", "10.0.0.1", "X-Forwarded-For: 198.51.100.1, 10.0.0.7\nX-Forwarded-Proto: https\nX-Real-Ip: 198.51.100.1", "198.51.100.1", true},
		{"Traefik, WebSocket", "10.0.0.1", "X-Forwarded-For: 198.51.100.1\nX-Forwarded-Proto: wss", "198.51.100.1", true},
		{"Traefik, WebSocket in the clear", "10.0.0.1", "X-Forwarded-For: 198.51.100.1\nX-Forwarded-Proto: ws", "198.51.100.1", false},

		// AWS Application Load Balancer, "HTTP headers and Application Load Balancers": appends; with client ports kept: ip:port, [ip]:port.
		{"AWS ALB", "10.0.0.1", "X-Forwarded-For: 6.6.6.6, 198.51.100.1\nX-Forwarded-Proto: https\nX-Forwarded-Port: 443", "198.51.100.1", true},
		{"AWS ALB, IPv6", "10.0.0.1", "X-Forwarded-For: 2001:DB8::21f:5bff:febf:ce22:8a2e", "2001:db8:0:21f:5bff:febf:ce22:8a2e", false},
		{"AWS ALB, client ports", "10.0.0.1", "X-Forwarded-For: 198.51.100.1:8080", "198.51.100.1", false},
		{"AWS ALB, client ports and IPv6", "10.0.0.1", "X-Forwarded-For: [2001:db8::7334]:8080\nX-Forwarded-Proto: https", "2001:db8::7334", true},

		// Google Cloud, external Application Load Balancer: "<supplied-value>,<client-ip>,<load-balancer-ip>", without spaces.
		{"Google Cloud", "10.0.0.1", "X-Forwarded-For: 6.6.6.6,198.51.100.1,203.0.113.80\nX-Forwarded-Proto: https", "198.51.100.1", true},
		{"Google Cloud, nothing supplied", "10.0.0.1", "X-Forwarded-For: 2001:db8::5,203.0.113.80\nX-Forwarded-Proto: https", "2001:db8::5", true},

		// Azure Application Gateway, "rewrite HTTP headers": a list of IP:port.
		{"Azure Application Gateway", "10.0.0.1", "X-Forwarded-For: 198.51.100.1:63124\nX-Forwarded-Proto: https\nX-Forwarded-Port: 443", "198.51.100.1", true},
		{"Azure Application Gateway behind Front Door", "10.0.0.1", "X-Forwarded-For: 198.51.100.1, 10.3.0.4:44911\nX-Forwarded-Proto: https", "198.51.100.1", true},

		// Squid, forwarded_for off; RFC 7239, 6: unknown and hidden ones.
		{"Squid", "10.0.0.1", "X-Forwarded-For: 198.51.100.1, unknown", "10.0.0.1", false},
		{"unknown", "10.0.0.1", "Forwarded: for=unknown;proto=https", "10.0.0.1", true},
		{"hidden", "10.0.0.1", `Forwarded: for="_gazonk";proto=https`, "10.0.0.1", true},
		{"a hidden port", "10.0.0.1", `Forwarded: FOR = "192.0.2.43:_x" ; Proto = "HTTPS"`, "192.0.2.43", true},
		{"a comma within quotation marks", "10.0.0.1", `Forwarded: for="\"6.6.6.6, for=7.7.7.7", for=198.51.100.1`, "198.51.100.1", false},

		{"both: Forwarded came from the client", "10.0.0.1", "X-Forwarded-For: 198.51.100.1\nForwarded: for=6.6.6.6;proto=https", "198.51.100.1", false},
		{"a zone", "10.0.0.1", "X-Forwarded-For: fe80::1%eth0", "fe80::1", false},
		{"a zone in brackets", "10.0.0.1", "X-Forwarded-For: [fe80::1%eth0]:443", "fe80::1", false},
		{"IPv4 written as IPv6", "::ffff:10.0.0.1", "X-Forwarded-For: ::ffff:198.51.100.1", "198.51.100.1", false},
		{"an IPv6 proxy", "fd00::1", "X-Forwarded-For: [2001:db8::5]", "2001:db8::5", false},
		{"empty elements", "10.0.0.1", "X-Forwarded-For: , 198.51.100.1 ,,", "198.51.100.1", false},
		{"an empty header", "10.0.0.1", "X-Forwarded-For: ", "10.0.0.1", false},
		{"garbage next to the proxy", "10.0.0.1", "X-Forwarded-For: 198.51.100.1, nonsense", "10.0.0.1", false},
		{"garbage of the client", "10.0.0.1", "X-Forwarded-For: <script>, 198.51.100.1", "198.51.100.1", false},
		{"a bracket that is not closed", "10.0.0.1", "X-Forwarded-For: [2001:db8::5", "10.0.0.1", false},
		{"a port that is none", "10.0.0.1", "X-Forwarded-For: 198.51.100.1:http", "10.0.0.1", false},
		{"only proxies", "10.0.0.1", "X-Forwarded-For: 10.0.0.3, 10.0.0.2", "10.0.0.3", false},
		{"a scheme alone", "10.0.0.1", "X-Forwarded-Proto: https", "10.0.0.1", true},
		{"a scheme for each hop", "10.0.0.1", "X-Forwarded-For: 6.6.6.6, 198.51.100.1\nX-Forwarded-Proto: http, https", "198.51.100.1", true},
		{"a scheme for each hop, in the clear", "10.0.0.1", "X-Forwarded-For: 6.6.6.6, 198.51.100.1\nX-Forwarded-Proto: https,http", "198.51.100.1", false},
		{"capital letters", "10.0.0.1", "X-Forwarded-Proto: HTTPS", "10.0.0.1", true},
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.RemoteAddr = netip.AddrPortFrom(netip.MustParseAddr(c.peer), 40000).String()
		for line := range strings.SplitSeq(c.header, "\n") {
			if name, value, is := strings.Cut(line, ": "); is {
				r.Header.Add(name, value)
			}
		}
		s := behind()
		if got := s.address(r).String(); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
		if got := s.secure(r); got != c.secure {
			t.Errorf("%s: secure %t, want %t", c.name, got, c.secure)
		}
	}
	r := httptest.NewRequest("GET", "/", nil)
	r.RemoteAddr = "nonsense"
	same(t, "a peer without an address", behind().address(r).IsValid(), false)
	same(t, "an IPv6 customer", networkOf(netip.MustParseAddr("2001:db8:1:2:3::4")), "2001:db8:1:2::/64")
	same(t, "an IPv4 one", networkOf(netip.MustParseAddr("192.0.2.1")), "192.0.2.1")
}

func TestAProxyThatIsNotTrustedIsNamedOncePerPeriod(t *testing.T) {
	w := newWorld(t)
	w.s.c.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
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
		w.do(w.ada, "GET", Base+"/offers", nil, from(fmt.Sprintf("198.51.100.%d", i)), header("X-Forwarded-For", "1.2.3.4"))
	}
	same(t, "warnings of many peers", warnings(), forgottenMost)
	for range 60 {
		w.passMinute()
	}
	w.do(w.ada, "GET", Base+"/offers", nil, from("192.168.0.1"), header("X-Forwarded-For", "198.51.100.1"))
	same(t, "warnings after the period", warnings(), forgottenMost+1)
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
		{"https site, proxy says http", "https://gpu.example.com", true, []option{from("10.0.0.1"), header("X-Forwarded-Proto", "http")}},
		{"https site, Host rewritten", "https://gpu.example.com", true, []option{func(r *http.Request) { r.Host = "127.0.0.1:8080" }, header("Origin", "https://gpu.example.com")}},
		{"http site", "http://gpu.lan", false, []option{header("Origin", "http://gpu.lan")}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w.s = w.serving(c.public)
			r := w.want(201, tenant{}, "POST", AccountBase+"/sessions", login, c.how...)
			set := r.header.Values("Set-Cookie")
			if len(set) != 2 || !strings.Contains(set[0], sessionCookie) || !strings.Contains(set[1], deviceCookie) {
				t.Fatalf("%q", set)
			}
			for _, cookie := range set {
				host := strings.HasPrefix(cookie, "__Host-") && strings.Contains(cookie, "; Path=/;") && strings.Contains(cookie, "; Secure") && !strings.Contains(cookie, "Domain")
				plain := strings.HasPrefix(cookie, "billet_") && strings.Contains(cookie, "; Path=/api/v1") && !strings.Contains(cookie, "Secure")
				if !strings.Contains(cookie, "; HttpOnly") || !strings.Contains(cookie, "; SameSite=Strict") || host != c.secure || plain == c.secure {
					t.Errorf("%s", cookie)
				}
			}
			sent := append([]option{header("Cookie", cookieOf(r)), header("Sec-Fetch-Site", "same-origin")}, c.how...)
			w.want(200, tenant{}, "GET", AccountBase+"/me", nil, sent...)
			if c.secure { // a page of another host of the domain can plant a cookie without the prefix, and it means nothing
				planted := strings.TrimPrefix(cookieOf(r), "__Host-")
				w.want(401, tenant{}, "GET", AccountBase+"/me", nil, append(sent, header("Cookie", planted))...)
			}
			w.want(200, tenant{}, "DELETE", AccountBase+"/sessions", nil, sent...)
			want := ""
			if strings.HasPrefix(c.public, "https") {
				want = "max-age=31536000"
			}
			for _, answer := range []reply{r, w.do(tenant{}, "GET", "/nothing", nil, c.how...), w.do(tenant{}, "GET", "/healthz", nil, c.how...)} {
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
	cookie = hostPrefix + cookie
	rewritten := func(r *http.Request) { r.Host = "backend:8080" }
	for origin, want := range map[string]int{
		"https://gpu.example.com": 200, "http://gpu.example.com": 403, "https://gpu.example.com:8443": 403, "https://evil.example": 403,
		"https://gpu.example.com.evil.example": 403, "null": 403,
	} {
		w.want(want, tenant{}, "PATCH", AccountBase+"/me", map[string]string{"name": "Ada"}, header("Cookie", cookie), rewritten, header("Origin", origin))
	}
}

// A browser that loads the pages, and people who sign in, share an address with whoever else is in the office.
func TestAFloodFromAnOfficeClosesNothingForTheOthers(t *testing.T) {
	w := newWorld(t)
	office := from("198.51.100.7")
	email := string(w.ada.account) + "@example.com"
	w.signIn(w.ada)
	login := map[string]string{"email": email, "password": goodPassword}
	known := w.want(201, tenant{}, "POST", AccountBase+"/sessions", login, office)
	_, device, _ := strings.Cut(strings.Split(known.header.Values("Set-Cookie")[1], ";")[0], "=")
	w.passMinute()
	for range 2 * addressLimit { // a program with a wrong key
		w.do(tenant{secret: "pk_live_wrong"}, "GET", Base+"/offers", nil, office)
	}
	w.refused("RATE_LIMIT_EXCEEDED", tenant{secret: "pk_live_wrong"}, "GET", Base+"/offers", nil, office)
	w.want(201, tenant{}, "POST", AccountBase+"/sessions", login, office)
	w.refused("SIGN_IN_REQUIRED", tenant{}, "GET", AccountBase+"/me", nil, office)
	w.want(200, w.ada, "GET", Base+"/offers", nil, office)
	for i := range 30 { // one user who does not know their password
		w.refused("SIGN_IN_FAILED", tenant{}, "POST", AccountBase+"/sessions", map[string]string{"email": fmt.Sprintf("eve%d@example.com", i), "password": "wrong password"}, office)
	}
	w.want(201, tenant{}, "POST", AccountBase+"/sessions", login, office)
	for range openLimit { // and one who means harm
		w.do(tenant{}, "GET", AccountBase+"/sign-in", nil, office)
	}
	w.refused("RATE_LIMIT_EXCEEDED", tenant{}, "POST", AccountBase+"/sessions", login, office)
	w.want(201, tenant{}, "POST", AccountBase+"/sessions", login, office, header("Cookie", deviceCookie+"="+device))
	w.refused("RATE_LIMIT_EXCEEDED", tenant{}, "POST", AccountBase+"/sessions", login, office, header("Cookie", deviceCookie+"=x"+device))
	w.passMinute()
	w.want(201, tenant{}, "POST", AccountBase+"/sessions", login, office)
}
