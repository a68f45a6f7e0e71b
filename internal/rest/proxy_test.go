package rest

import (
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
)

// behind is a server that trusts the proxies of these tests.
func behind() *Router {
	return &Router{
		cfg: Config{
			TrustedProxies: []netip.Prefix{
				netip.MustParsePrefix("10.0.0.0/8"),
				netip.MustParsePrefix("fd00::/8"),
				netip.MustParsePrefix("203.0.113.80/32"),
			},
		},
	}
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
		{"who only says so", "203.0.113.9", "X-Forwarded-For: " +
			"198.51.100.1\nX-Forwarded-Proto: https", "203.0.113.9", false},
		{"who only says so, the new way", "203.0.113.9", "Forwarded: " +
			"for=198.51.100.1;proto=https", "203.0.113.9", false},
		{"a proxy that says nothing", "10.0.0.1", "", "10.0.0.1", false},

		// nginx, ngx_http_proxy_module: $proxy_add_x_forwarded_for appends to what came;
		// X-Forwarded-Proto is $scheme.
		{"nginx", "10.0.0.1", "X-Forwarded-For: 198.51.100.1\nX-Forwarded-Proto: https", "198.51.100.1", true},
		{"nginx, the client wrote one, too", "10.0.0.1", "X-Forwarded-For: 6.6.6.6, " +
			"198.51.100.1\nX-Forwarded-Proto: https", "198.51.100.1", true},
		{"nginx, IPv6", "10.0.0.1", "X-Forwarded-For: 2001:db8::5\nX-Forwarded-Proto: http", "2001:db8::5", false},
		{"nginx behind nginx", "10.0.0.1", "X-Forwarded-For: 198.51.100.1, " +
			"10.0.0.2\nX-Forwarded-Proto: https", "198.51.100.1", true},
		{"nginx on a Unix socket", "10.0.0.1", "X-Forwarded-For: unix:", "10.0.0.1", false},

		// HAProxy, option forwardfor: a header line of its own behind those that came. option
		// forwarded: RFC 7239, IPv6 in quotation marks.
		{"HAProxy", "10.0.0.1", "X-Forwarded-For: 6.6.6.6\nX-Forwarded-For: " +
			"198.51.100.1\nX-Forwarded-Proto: https", "198.51.100.1", true},
		{"HAProxy, the client lists trusted ones", "10.0.0.1", "X-Forwarded-For: 6.6.6.6, 10.0.0.9\nX-Forwarded-For: " +
			"198.51.100.1", "198.51.100.1", false},
		{"HAProxy, option forwarded", "10.0.0.1", "Forwarded: proto=https;for=198.51.100.1", "198.51.100.1", true},
		{
			"HAProxy, option forwarded, IPv6 and ports",
			"10.0.0.1",
			`Forwarded: proto=https;by="[fd00::1]:443";for="[2001:db8::5]:51044"`,
			"2001:db8::5",
			true,
		},
		{"HAProxy, option forwarded behind another", "10.0.0.1", "Forwarded: for=6.6.6.6;proto=http\nForwarded: " +
			"for=198.51.100.1;proto=https, for=10.0.0.2;proto=http", "198.51.100.1", true},

		// A client that leaves a quotation mark open hides nothing of what the proxy writes.
		{"an open quotation mark before the proxy's line", "10.0.0.1", "Forwarded: for=192.0.2.99;x=\"\nForwarded: " +
			"proto=https;for=198.51.100.1", "198.51.100.1", true},
		{"an open quotation mark in the proxy's line", "10.0.0.1", "Forwarded: for=192.0.2.99;x=\", " +
			"for=198.51.100.1;proto=https", "10.0.0.1", false},

		// Caddy, reverse_proxy: drops what comes from peers it does not trust, and sets all three.
		{"Caddy", "10.0.0.1", "X-Forwarded-For: 198.51.100.1\nX-Forwarded-Proto: https\nX-Forwarded-Host: " +
			"gpu.example.com", "198.51.100.1", true},

		// Traefik, forwardedHeaders: appends; of a WebSocket the scheme is wss.
		{"Traefik", "10.0.0.1", "X-Forwarded-For: 198.51.100.1, 10.0.0.7\nX-Forwarded-Proto: https\nX-Real-Ip: " +
			"198.51.100.1", "198.51.100.1", true},
		{"Traefik, WebSocket", "10.0.0.1", "X-Forwarded-For: " +
			"198.51.100.1\nX-Forwarded-Proto: wss", "198.51.100.1", true},
		{"Traefik, WebSocket in the clear", "10.0.0.1", "X-Forwarded-For: " +
			"198.51.100.1\nX-Forwarded-Proto: ws", "198.51.100.1", false},

		// AWS Application Load Balancer, "HTTP headers and Application Load Balancers": appends;
		// with client ports kept: ip:port, [ip]:port.
		{"AWS ALB", "10.0.0.1", "X-Forwarded-For: 6.6.6.6, 198.51.100.1\nX-Forwarded-Proto: " +
			"https\nX-Forwarded-Port: 443", "198.51.100.1", true},
		{
			"AWS ALB, IPv6",
			"10.0.0.1",
			"X-Forwarded-For: 2001:DB8::21f:5bff:febf:ce22:8a2e",
			"2001:db8:0:21f:5bff:febf:ce22:8a2e",
			false,
		},
		{"AWS ALB, client ports", "10.0.0.1", "X-Forwarded-For: 198.51.100.1:8080", "198.51.100.1", false},
		{"AWS ALB, client ports and IPv6", "10.0.0.1", "X-Forwarded-For: " +
			"[2001:db8::7334]:8080\nX-Forwarded-Proto: https", "2001:db8::7334", true},

		// Google Cloud, external Application Load Balancer:
		// "<supplied-value>,<client-ip>,<load-balancer-ip>", without spaces.
		{
			"Google Cloud",
			"10.0.0.1",
			"X-Forwarded-For: 6.6.6.6,198.51.100.1,203.0.113.80\nX-Forwarded-Proto: https",
			"198.51.100.1",
			true,
		},
		{"Google Cloud, nothing supplied", "10.0.0.1", "X-Forwarded-For: " +
			"2001:db8::5,203.0.113.80\nX-Forwarded-Proto: https", "2001:db8::5", true},

		// Azure Application Gateway, "rewrite HTTP headers": a list of IP:port.
		{"Azure Application Gateway", "10.0.0.1", "X-Forwarded-For: 198.51.100.1:63124\nX-Forwarded-Proto: " +
			"https\nX-Forwarded-Port: 443", "198.51.100.1", true},
		{"Azure Application Gateway, two proxies", "10.0.0.1", "X-Forwarded-For: 198.51.100.1, " +
			"10.3.0.4:44911\nX-Forwarded-Proto: https", "198.51.100.1", true},

		// Squid, forwarded_for off; RFC 7239, 6: unknown and hidden ones.
		{"Squid", "10.0.0.1", "X-Forwarded-For: 198.51.100.1, unknown", "10.0.0.1", false},
		{"unknown", "10.0.0.1", "Forwarded: for=unknown;proto=https", "10.0.0.1", true},
		{"hidden", "10.0.0.1", `Forwarded: for="_gazonk";proto=https`, "10.0.0.1", true},
		{"a hidden port", "10.0.0.1", `Forwarded: FOR = "192.0.2.43:_x" ; Proto = "HTTPS"`, "192.0.2.43", true},
		{
			"a comma within quotation marks",
			"10.0.0.1",
			`Forwarded: for="\"6.6.6.6, for=7.7.7.7", for=198.51.100.1`,
			"198.51.100.1",
			false,
		},

		{"both: Forwarded came from the client", "10.0.0.1", "X-Forwarded-For: 198.51.100.1\nForwarded: " +
			"for=6.6.6.6;proto=https", "198.51.100.1", false},
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
		{"a scheme for each hop", "10.0.0.1", "X-Forwarded-For: 6.6.6.6, 198.51.100.1\nX-Forwarded-Proto: " +
			"http, https", "198.51.100.1", true},
		{"a scheme for each hop, in the clear", "10.0.0.1", "X-Forwarded-For: 6.6.6.6, " +
			"198.51.100.1\nX-Forwarded-Proto: https,http", "198.51.100.1", false},
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
		if got := s.Address(r).String(); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
		if got := s.Secure(r); got != c.secure {
			t.Errorf("%s: secure %t, want %t", c.name, got, c.secure)
		}
	}
	r := httptest.NewRequest("GET", "/", nil)
	r.RemoteAddr = "nonsense"
	if got := behind().Address(r).IsValid(); got != false {
		t.Errorf("a peer without an address: got %v, want %v", got, false)
	}
	if got := networkOf(netip.MustParseAddr("2001:db8:1:2:3::4")); got != "2001:db8:1:2::/64" {
		t.Errorf("an IPv6 customer: got %v, want %v", got, "2001:db8:1:2::/64")
	}
	if got := networkOf(netip.MustParseAddr("192.0.2.1")); got != "192.0.2.1" {
		t.Errorf("an IPv4 one: got %v, want %v", got, "192.0.2.1")
	}
}
