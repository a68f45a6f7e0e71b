package rackagent

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

var loopback = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}

// trusting is TenantClient with the certificate of a test's server.
func trusting(s *httptest.Server, networks []netip.Prefix) *http.Client {
	c, roots := TenantClient(networks), x509.NewCertPool()
	roots.AddCert(s.Certificate())
	c.Transport.(*http.Transport).TLSClientConfig = &tls.Config{RootCAs: roots}
	return c
}

func TestTenantsImagesAreNotReadFromPrivateNetworks(t *testing.T) {
	for address, want := range map[string]bool{
		"1.1.1.1:443": true, "[2606:4700::1111]:443": true, "10.20.1.2:443": true,
		"10.0.0.1:443": false, "127.0.0.1:443": false, "[::1]:443": false, "[::ffff:127.0.0.1]:443": false,
		"169.254.169.254:80": false, "192.168.1.1:443": false, "172.16.0.1:443": false, "100.64.0.1:443": false,
		"0.0.0.0:443": false, "[fe80::1%eth0]:443": false, "[fd00::1]:443": false, "[64:ff9b::a00:1]:443": false,
		"[::ffff:10.20.1.2]:443": true, "example.com:443": false,
	} {
		err := permitted(address, []netip.Prefix{netip.MustParsePrefix("10.20.0.0/16")})
		if (err == nil) != want {
			t.Errorf("%s: %v", address, err)
		}
	}
	var reached atomic.Int64
	s := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached.Add(1) }))
	t.Cleanup(s.Close)
	t.Setenv("HTTPS_PROXY", s.URL)
	// A name is checked by the address of the connection, however it resolves.
	for _, host := range []string{"127.0.0.1", "localhost", "127.1"} {
		url := strings.Replace(s.URL, "127.0.0.1", host, 1)
		if answer, err := trusting(s, nil).Get(url); err == nil {
			answer.Body.Close()
			t.Errorf("%s was reached", url)
		}
	}
	if n := reached.Load(); n != 0 {
		t.Fatalf("%d requests arrived", n)
	}
	answer, err := trusting(s, loopback).Get(s.URL)
	if err != nil || reached.Load() != 1 {
		t.Fatal("a network that the operator allows is not reached:", err)
	}
	answer.Body.Close()
}

func TestRedirectsOfTenantsImagesAreChecked(t *testing.T) {
	var plain atomic.Int64
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { plain.Add(1) }))
	t.Cleanup(other.Close)
	var s *httptest.Server
	s = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/once":
			http.Redirect(w, r, s.URL+"/file?", http.StatusFound)
		case "/file":
			fmt.Fprint(w, "file", r.Header.Get("Referer"))
		case "/private": // 127.0.0.0/8 is allowed, the rest of loopback is not
			http.Redirect(w, r, strings.Replace(s.URL, "127.0.0.1", "[::1]", 1), http.StatusFound)
		case "/plain":
			http.Redirect(w, r, other.URL, http.StatusFound)
		default:
			http.Redirect(w, r, s.URL+"/loop", http.StatusFound)
		}
	}))
	t.Cleanup(s.Close)
	answer, err := trusting(s, loopback).Get(s.URL + "/once?secret")
	if err != nil {
		t.Fatal(err)
	}
	b, _ := io.ReadAll(answer.Body)
	answer.Body.Close()
	if string(b) != "file" {
		t.Errorf("got %q: the address before a redirect is told to the next server", b)
	}
	for path, want := range map[string]string{
		"/private": "::1 is not a public", "/plain": "HTTPS", "/loop": "redirects",
	} {
		if _, err := trusting(s, loopback).Get(s.URL + path); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", path, err)
		}
	}
	if plain.Load() != 0 {
		t.Error("a redirect to plain HTTP was followed")
	}
}

// A tenant may state the address of billetd as that of an image: it must not get the token.
func TestTenantsImagesGetNoToken(t *testing.T) {
	var token atomic.Value
	s := httptest.NewTLSServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		token.Store(r.Header.Get("Authorization"))
	}))
	t.Cleanup(s.Close)
	a := &Agent{
		Parameters: Parameters{URL: s.URL, Token: "secret"}, Server: s.Client(), Images: s.Client(),
		Tenants: func(networks []netip.Prefix) *http.Client { return trusting(s, networks) },
	}
	for tenant, want := range map[bool]string{false: "Bearer secret", true: ""} {
		body, err := a.open(t.Context(), Image{URL: s.URL + "/a", Tenant: tenant, Networks: loopback})
		if err != nil {
			t.Fatal(err)
		}
		body.Close()
		if got := token.Load(); got != want {
			t.Errorf("tenant %t: got the token %q", tenant, got)
		}
	}
	j := Image{URL: "http://images.example.com/a", SHA256: strings.Repeat("a", 64), Format: Raw, Bytes: 1, Tenant: true}
	if wrong := j.faults(); len(wrong) != 1 {
		t.Errorf("plain HTTP is accepted: %v", wrong)
	}
}

// tenantJob sets the job that installs a tenant's image of a server.
func (r *rack) tenantJob(s *httptest.Server, format Format, size int64) {
	r.job = Job{ID: "job_1", Kind: Deploy, Config: &Config{}, Image: &Image{
		URL: s.URL + "/a?secret=abc", SHA256: strings.Repeat("ab", 32), Format: format, Bytes: size, Tenant: true,
		Networks: loopback,
	}}
	r.agent.Tenants = func(n []netip.Prefix) *http.Client { return trusting(s, n) }
}

// TestServersOfTenantsImagesDoNotWriteReports: what such a server sends is neither too long for
// billetd, nor does it reach the console as it is.
func TestServersOfTenantsImagesDoNotWriteReports(t *testing.T) {
	for name, answer := range map[string]string{
		"status": "HTTP/1.1 404 \x1b]0;title\x07%s\r\nContent-Length: 0\r\n\r\n",
		"other":  "HTTP/1.1 302 F\r\nLocation: https://[::1]/%s\r\nContent-Length: 0\r\n\r\n",
		"wrong":  "HTTP/1.1 302 F\r\nLocation: https://[%s\r\nContent-Length: 0\r\n\r\n",
		"none":   "\x1b]0;title\x07%s\r\n\r\n",
	} {
		for _, size := range []int{0, 10 << 10, 3 << 20} {
			s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				c, _, err := w.(http.Hijacker).Hijack()
				if err != nil {
					return
				}
				defer c.Close()
				_, _ = fmt.Fprintf(c, answer, strings.Repeat("x", size))
			}))
			t.Cleanup(s.Close)
			r := newRack(t, newDrive("A", newMemory("a", testDrive)))
			r.tenantJob(s, Raw, 100)
			if next := r.agent.Run(t.Context()); next != PowerOff {
				t.Errorf("%s, %d: next %d", name, size, next)
			}
			e := r.last(t).Error
			if e == nil || e.Code != ImageUnavailable || len(e.Message) > maxText ||
				strings.Contains(e.Message, "secret") {
				t.Errorf("%s, %d: %+v", name, size, e)
			}
			for _, line := range r.console {
				if len(line) > maxText || strings.ContainsAny(line, "\x1b\x07\n") {
					t.Errorf("%s, %d: the console has %.400q", name, size, line)
				}
			}
		}
	}
}

// TestSlowDownloadsEnd: a server that sends forever is the image's fault.
func TestSlowDownloadsEnd(t *testing.T) {
	var asked atomic.Int64
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		asked.Add(1)
		_, _ = io.WriteString(w, "drop")
		_ = http.NewResponseController(w).Flush()
		<-request.Context().Done()
	}))
	t.Cleanup(s.Close)
	for _, format := range []Format{Raw, QCOW2} {
		asked.Store(0)
		r := newRack(t, newDrive("A", newMemory("a", testDrive)))
		r.tenantJob(s, format, 100)
		r.agent.TenantLimit = 300 * time.Millisecond
		next := r.agent.Run(t.Context())
		if e := r.last(t).Error; next != PowerOff || e == nil || e.Code != ImageUnavailable ||
			!strings.Contains(e.Message, "more than 300ms") {
			t.Errorf("%s: next %d, %+v", format, next, e)
		}
		if n := asked.Load(); n > 1 {
			t.Errorf("%s: %d downloads", format, n)
		}
	}
}
