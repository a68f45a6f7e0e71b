package app

import (
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/billetcloud/billet/internal/provider"
)

// What is read of --markup means the same when it is written again, and nothing is taken that a
// provider could not have.
func FuzzMarkup(f *testing.F) {
	for _, s := range []string{"", "10", "voltage-park=12.5,northgrid=8", "10,voltage-park=0", "1000", "1000.01", "-1",
		"12.345", "a=1,a=2", "=1", "10,20", ",", "x=", "X=1", " a = 1 ", "a=1,", "0.10", "1e1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, err := parseMarkup(s)
		if err != nil {
			if got != nil {
				t.Errorf("%q: %v with %v", s, got, err)
			}
			return
		}
		var parts []string
		for _, slug := range slices.Sorted(maps.Keys(got)) {
			bp := got[slug]
			if bp < 0 || bp > 100_000 || (slug != "" && !provider.ValidSlug(slug)) {
				t.Fatalf("%q gives %q a markup of %d", s, slug, bp)
			}
			percent := fmt.Sprintf("%d.%02d", bp/100, bp%100)
			if slug != "" {
				percent = slug + "=" + percent
			}
			parts = append(parts, percent)
		}
		if again, err := parseMarkup(strings.Join(parts, ",")); err != nil || !maps.Equal(again, got) {
			t.Errorf("%q is %v, written again %v, %v", s, got, again, err)
		}
		if s != "" && len(got) != strings.Count(s, ",")+1 {
			t.Errorf("%q names %d markups and is %v", s, strings.Count(s, ",")+1, got)
		}
	})
}

// Networks are those that were written, without the bits that mean nothing, and single addresses
// are networks of one.
func FuzzNetworks(f *testing.F) {
	for _, s := range []string{"", "10.0.0.0/8", "127.0.0.1", "::1, 2001:db8::/32", "10.1.2.3/8", "fe80::1%eth0",
		"fe80::%eth0/64", "::ffff:10.0.0.1", "::ffff:10.0.0.0/104", "1.2.3.4/33", "x", ",,", "010.0.0.1", "0.0.0.0/0"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, err := parseNetworks(s)
		if err != nil {
			return
		}
		var parts []string
		for _, p := range got {
			if !p.IsValid() || p != p.Masked() || p.Addr().Zone() != "" {
				t.Fatalf("%q is %v", s, got)
			}
			parts = append(parts, p.String())
		}
		if again, err := parseNetworks(strings.Join(parts, ",")); err != nil || !slices.Equal(again, got) {
			t.Errorf("%q is %v, written again %v, %v", s, got, again, err)
		}
		// as callers' addresses are compared
		if a, err := netip.ParseAddr(strings.TrimSpace(s)); err == nil &&
			(len(got) != 1 || !got[0].Contains(a.Unmap())) {
			t.Errorf("%q is not in %v", s, got)
		}
	})
}

// Plain HTTP redirects to the public URL, whatever the request says.
func FuzzRedirect(f *testing.F) {
	for _, s := range [][2]string{
		{"/offers?a=b", "gpu.example.com"}, {"//evil.example", "evil.example"}, {"http://evil.example/x", ""},
		{"/%0d%0aX: y", "a"}, {"/\\evil.example", "a"}, {"*", "a"}, {"/@evil.example", "a:b@c"}, {"/..//x", "a"},
	} {
		f.Add(s[0], s[1])
	}
	public, err := parsePublicURL("https://gpu.example.com:8443")
	if err != nil {
		f.Fatal(err)
	}
	a := &App{public: public}
	f.Fuzz(func(t *testing.T, target, host string) {
		u, err := url.ParseRequestURI(target)
		if err != nil {
			t.Skip("net/http refuses it")
		}
		w := httptest.NewRecorder()
		a.redirect(nil).ServeHTTP(w, &http.Request{
			Method: http.MethodGet, URL: u, Host: host, RequestURI: target, Header: http.Header{},
		})
		to, err := url.Parse(w.Header().Get("Location"))
		if err != nil || to.Scheme != "https" || to.Host != public.Host || to.User != nil {
			t.Errorf("%q of %q leads to %q (%v)", target, host, w.Header().Get("Location"), err)
		}
	})
}
