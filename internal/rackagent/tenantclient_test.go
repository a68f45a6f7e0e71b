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
