package dashboard

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/fstest"
)

func site(t *testing.T, names ...string) *Pages {
	t.Helper()
	from := fstest.MapFS{unbuilt: {Data: []byte("not built")}}
	for _, name := range names {
		from["dist/"+name] = &fstest.MapFile{Data: []byte("content of " + name)}
	}
	p, err := pages(from)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// get asks with headers in pairs; nil is "not served".
func get(p *Pages, method, path string, headers ...string) *http.Response {
	r := httptest.NewRequest(method, path, nil)
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	rec := httptest.NewRecorder()
	if !p.Serve(rec, r) {
		return nil
	}
	return rec.Result()
}

func body(t *testing.T, r *http.Response) string {
	t.Helper()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestEveryPathServesThePageExceptFiles(t *testing.T) {
	p := site(t, "index.html", "assets/app-1a2b.js", "favicon.svg", "ssh/billet-ssh.wasm.gz")
	for path, want := range map[string]string{
		"/": "index.html", "/deployments/dep_1": "index.html", "/index.html": "index.html", "/settings/": "index.html",
		"//": "index.html", "/dist/index.html": "index.html",
		"/assets/app-1a2b.js": "assets/app-1a2b.js", "/favicon.svg": "favicon.svg",
		"/ssh/billet-ssh.wasm": "ssh/billet-ssh.wasm.gz",
	} {
		r := get(p, "GET", path)
		if r == nil || r.StatusCode != 200 {
			t.Errorf("%s: %v", path, r)
			continue
		}
		if got := body(t, r); got != "content of "+want {
			t.Errorf("%s is %q", path, got)
		}
	}
	for _, path := range []string{"/assets/app-0000.js", "/assets/", "/assets/../index.html",
		"/assets/app-1a2b.js.gz"} {
		if r := get(p, "GET", path); r != nil {
			t.Errorf("%s is served: %d", path, r.StatusCode)
		}
	}
	// A program that mistyped an address of the API gets an error, not a page.
	for _, header := range [][2]string{{"Authorization", "Bearer pk_live_x"}, {"X-API-Key", "pk_live_x"},
		{"Accept", "application/json"}} {
		if get(p, "GET", "/inventory/offers", header[0], header[1]) != nil {
			t.Errorf("%v got a page", header)
		}
	}
	for _, accept := range []string{"*/*", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
		"application/json, text/html"} {
		if get(p, "GET", "/deployments", "Accept", accept) == nil {
			t.Errorf("Accept %s got no page", accept)
		}
	}
}

func TestImmutableFilesAreCachedAndOthersRevalidated(t *testing.T) {
	p := site(t, "index.html", "assets/app-1a2b.js", "assets/app-1a2b.js.gz", "assets/app-1a2b.js.br")
	asset := get(p, "GET", "/assets/app-1a2b.js")
	if c := asset.Header.Get("Cache-Control"); c != "public, max-age=31536000, immutable" {
		t.Errorf("an asset: %s", c)
	}
	home := get(p, "GET", "/x")
	if c := home.Header.Get("Cache-Control"); c != "no-cache" {
		t.Errorf("the page: %s", c)
	}
	etag := home.Header.Get("ETag")
	for given, want := range map[string]int{etag: 304, "W/" + etag: 304, `"other", ` + etag: 304, "*": 304,
		`"other"`: 200} {
		if r := get(p, "GET", "/", "If-None-Match", given); r.StatusCode != want ||
			(want == 304) != (body(t, r) == "") {
			t.Errorf("If-None-Match %s: %d, want %d", given, r.StatusCode, want)
		}
	}
	seen := map[string]string{}
	for accepted, want := range map[string]string{
		"": "", "gzip": "gzip", "gzip, deflate, br": "br", "br;q=0, gzip": "gzip", "*": "br", "identity": "",
		"GZIP;q=0.5": "gzip", "gzip;q=0": "",
	} {
		r := get(p, "GET", "/assets/app-1a2b.js", "Accept-Encoding", accepted)
		if got := r.Header.Get("Content-Encoding"); got != want || r.Header.Get("Vary") != "Accept-Encoding" ||
			r.Header.Get("Content-Type") != "text/javascript; charset=utf-8" {
			t.Errorf("Accept-Encoding %q: %q, %v", accepted, got, r.Header)
		}
		seen[want] = r.Header.Get("ETag")
	}
	if seen[""] == seen["gzip"] || seen["gzip"] == seen["br"] {
		t.Errorf("two forms have one ETag: %v", seen)
	}
	if r := get(p, "HEAD", "/"); body(t, r) != "" || r.Header.Get("Content-Length") != "21" {
		t.Errorf("HEAD: %v", r.Header)
	}
}

func TestSecurityHeaders(t *testing.T) {
	r := get(site(t, "index.html"), "GET", "/")
	csp := r.Header.Get("Content-Security-Policy")
	for _, want := range []string{"default-src 'self'", "script-src 'self' 'wasm-unsafe-eval'",
		"frame-ancestors 'none'", "base-uri 'none'", "form-action 'self'", "connect-src 'self'"} {
		if !strings.Contains(csp, want) {
			t.Errorf("the policy lacks %s: %s", want, csp)
		}
	}
	if strings.Contains(csp, "http") || strings.Contains(
		strings.ReplaceAll(csp, "style-src 'self' 'unsafe-inline'", ""), "unsafe-inline") ||
		strings.Contains(csp, "'unsafe-eval'") {
		t.Errorf("the policy is lax: %s", csp)
	}
	if r.Header.Get("X-Content-Type-Options") != "nosniff" || r.Header.Get("Referrer-Policy") == "" ||
		r.Header.Get("Permissions-Policy") == "" {
		t.Errorf("%v", r.Header)
	}
}

func TestInlineScriptsAreAllowedByHash(t *testing.T) {
	page := "<html><script>let a = 1</script><script type=\"module\" " +
		"src=\"/assets/x.js\"></script><script>\nb()</script></html>"
	p, err := pages(fstest.MapFS{"dist/index.html": {Data: []byte(page)}, "dist/favicon.svg": {Data: []byte("<svg/>")}})
	if err != nil {
		t.Fatal(err)
	}
	// echo -n 'let a = 1' | openssl dgst -sha256 -binary | base64, and so on
	want := "script-src 'self' 'wasm-unsafe-eval' 'sha256-LAfYd7pbFUgwfQu8b4q135PeTG2z+/coPEUYCd74eCQ=' " +
		"'sha256-w3yLWLUkl5XPuPEx8bjPobiVq2wTDUiBrthwgSQlwXE=';"
	if csp := get(p, "GET", "/").Header.Get("Content-Security-Policy"); !strings.Contains(csp, want) {
		t.Errorf("%s", csp)
	}
}

// A fresh checkout has no built pages, and is to say so.
func TestUnbuiltDashboardExplainsHowToBuild(t *testing.T) {
	p := site(t)
	if got := body(t, get(p, "GET", "/deployments")); got != "not built" {
		t.Errorf("%q", got)
	}
	text, err := built.ReadFile(unbuilt)
	if err != nil || !strings.Contains(string(text), "make build") {
		t.Errorf("%s %v", text, err)
	}
	if r := get(New(), "GET", "/"); r == nil || r.StatusCode != 200 ||
		!strings.HasPrefix(r.Header.Get("Content-Type"), "text/html") {
		t.Errorf("the program's own: %v", r)
	}
	if _, err := pages(fstest.MapFS{"dist/assets/x.js.br": {}}); err == nil {
		t.Error("pages without a page")
	}
}
