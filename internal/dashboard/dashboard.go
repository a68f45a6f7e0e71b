package dashboard

import (
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"regexp"
	"strconv"
	"strings"
)

// The pattern takes in the folder dist where there is one, and without it the page that says so.
//
//go:embed all:dist*
var built embed.FS

const (
	index = "index.html"
	// unbuilt stands in for every page of a program that was built without them.
	unbuilt = "dist-unbuilt.html"
)

// policy lets the pages load what this server has and nothing else; %s are the hashes of the scripts that index.html itself
// holds. The terminal's client is WebAssembly, which counts as a script that is made up on the spot; the pages' components
// set styles on elements.
const policy = "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'%s; style-src 'self' 'unsafe-inline'; img-src 'self' data:; " +
	"connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'"

// permissions closes to the pages what of the device they never use. Passkeys and the clipboard stay as browsers have them.
const permissions = "accelerometer=(), autoplay=(), camera=(), display-capture=(), geolocation=(), gyroscope=(), magnetometer=(), microphone=(), midi=(), payment=(), usb=()"

// media are the types of the files that a build makes. The system's own table differs from machine to machine.
var media = map[string]string{
	".html": "text/html; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".mjs": "text/javascript; charset=utf-8",
	".css": "text/css; charset=utf-8", ".json": "application/json", ".map": "application/json", ".webmanifest": "application/manifest+json",
	".wasm": "application/wasm", ".svg": "image/svg+xml", ".png": "image/png", ".jpg": "image/jpeg", ".webp": "image/webp", ".ico": "image/x-icon",
	".woff2": "font/woff2", ".woff": "font/woff", ".txt": "text/plain; charset=utf-8",
}

// encodings are those that a file may have beside it, the smallest first, with their endings.
var encodings = []struct{ name, ending string }{{"br", ".br"}, {"gzip", ".gz"}}

// file is one file in the forms in which it was built in.
type file struct {
	media string
	etag  string
	// forms are by encoding; "" is the file as it is. WebAssembly, which is large, has a gzip form only: whoever reads the one reads the other.
	forms map[string][]byte
}

// Pages serve the built pages.
type Pages struct {
	files  map[string]*file
	home   *file
	policy string
}

// New returns the pages that were built into the program, or one that says how to build them. It panics where
// what was built in cannot be read.
func New() *Pages {
	p, err := pages(built)
	if err != nil {
		panic("dashboard: " + err.Error())
	}
	return p
}

// pages reads everything once: requests look up a name.
func pages(from fs.FS) (*Pages, error) {
	p := &Pages{files: map[string]*file{}}
	err := fs.WalkDir(from, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := fs.ReadFile(from, name)
		if err != nil {
			return err
		}
		within, dist := strings.CutPrefix(name, "dist/")
		if !dist {
			if name == unbuilt {
				p.home = newFile(name)
				p.home.forms[""] = content
			}
			return nil
		}
		plain, encoding := within, ""
		for _, e := range encodings {
			if base, compressed := strings.CutSuffix(within, e.ending); compressed {
				plain, encoding = base, e.name
			}
		}
		if p.files[plain] == nil {
			p.files[plain] = newFile(plain)
		}
		p.files[plain].forms[encoding] = content
		return nil
	})
	if err != nil {
		return nil, err
	}
	if f := p.files[index]; f != nil {
		p.home = f
	}
	if p.home == nil {
		return nil, fs.ErrNotExist
	}
	for name, f := range p.files {
		if err := f.finish(); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	p.policy = fmt.Sprintf(policy, hashes(p.home.forms[""]))
	return p, p.home.finish()
}

// inline is a script that stands in a page itself.
var inline = regexp.MustCompile(`(?s)<script>(.*?)</script>`)

// hashes names the scripts that stand in the page as a content security policy does, each after a space.
func hashes(page []byte) string {
	var out strings.Builder
	for _, script := range inline.FindAllSubmatch(page, -1) {
		sum := sha256.Sum256(script[1])
		out.WriteString(" 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'")
	}
	return out.String()
}

func newFile(name string) *file {
	m := media[path.Ext(name)]
	if m == "" {
		m = "application/octet-stream"
	}
	return &file{media: m, forms: map[string][]byte{}}
}

// finish names the content. All forms of a file say the same, so any of them does.
func (f *file) finish() error {
	content, plain := f.forms[""]
	if !plain {
		if content = f.forms["gzip"]; content == nil {
			return errors.New("is there in no form that every browser can read")
		}
	}
	sum := sha256.Sum256(content)
	f.etag = base64.RawURLEncoding.EncodeToString(sum[:12])
	return nil
}

// Serve answers a GET or HEAD of a file, or of an address within the pages, which all are index.html. It answers nothing and
// returns false where the request is for something else: a missing asset, or a call of the API at an address that it does not have.
func (p *Pages) Serve(w http.ResponseWriter, r *http.Request) bool {
	name := strings.TrimPrefix(r.URL.Path, "/")
	f := p.files[name]
	asset := strings.HasPrefix(name, "assets/")
	if f == nil {
		if asset || !wantsPage(r) {
			return false
		}
		f = p.home
	}
	h := w.Header()
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Vary", "Accept-Encoding")
	if asset { // scripts and styles, to which the page's own headers apply: there are many, and headers are not compressed
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
	} else {
		h.Set("Cache-Control", "no-cache")
		h.Set("Content-Security-Policy", p.policy)
		h.Set("Permissions-Policy", permissions)
		h.Set("Referrer-Policy", "same-origin")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
	}
	encoding := f.choose(r.Header.Values("Accept-Encoding"))
	etag := `"` + f.etag + encoding + `"`
	h.Set("ETag", etag)
	if matches(r.Header.Values("If-None-Match"), etag) {
		w.WriteHeader(http.StatusNotModified)
		return true
	}
	content := f.forms[encoding]
	h.Set("Content-Type", f.media)
	h.Set("Content-Length", strconv.Itoa(len(content)))
	if encoding != "" {
		h.Set("Content-Encoding", encoding)
	}
	w.WriteHeader(http.StatusOK)
	if r.Method != http.MethodHead {
		_, _ = w.Write(content) // a client that went away
	}
	return true
}

// wantsPage tells whether a page answers the request. A program that calls the API at a mistyped address is
// served better with an error than with a page.
func wantsPage(r *http.Request) bool {
	if r.Header.Get("Authorization") != "" || r.Header.Get("X-API-Key") != "" {
		return false
	}
	accepts := strings.Join(r.Header.Values("Accept"), ",")
	if strings.TrimSpace(accepts) == "" {
		return true
	}
	for part := range strings.SplitSeq(accepts, ",") {
		switch kind, _, _ := mime.ParseMediaType(part); kind {
		case "*/*", "text/*", "text/html", "application/xhtml+xml":
			return true
		}
	}
	return false
}

// choose returns the best encoding of those that the file has and the client takes, "" for none.
func (f *file) choose(accepted []string) string {
	takes := map[string]bool{}
	for part := range strings.SplitSeq(strings.Join(accepted, ","), ",") {
		name, weight, _ := strings.Cut(part, ";")
		_, q, weighted := strings.Cut(weight, "q=")
		v, err := strconv.ParseFloat(strings.TrimSpace(q), 64)
		takes[strings.ToLower(strings.TrimSpace(name))] = !weighted || err == nil && v > 0
	}
	for _, e := range encodings {
		wanted, named := takes[e.name]
		if f.forms[e.name] != nil && (wanted || !named && takes["*"]) {
			return e.name
		}
	}
	if f.forms[""] == nil {
		return "gzip"
	}
	return ""
}

func matches(given []string, etag string) bool {
	for part := range strings.SplitSeq(strings.Join(given, ","), ",") {
		if part = strings.TrimSpace(part); part == "*" || strings.TrimPrefix(part, "W/") == etag {
			return true
		}
	}
	return false
}
