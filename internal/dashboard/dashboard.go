package dashboard

import (
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"regexp"
	"strconv"
	"strings"
	"sync"
)

// The pattern includes the folder dist if it exists, and the page for a program without it.
//
//go:embed all:dist*
var built embed.FS

const (
	index = "index.html"
	// unbuilt replaces every page in a program without them.
	unbuilt = "dist-unbuilt.html"
)

// policy lets the pages load only what this server has; %s are the hashes of the scripts in
// index.html itself. The terminal's client is WebAssembly, which counts as a generated script. The
// pages' components set styles on elements.
const policy = "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'%s; style-src 'self' 'unsafe-inline'; " +
	"img-src 'self' data:; " +
	"connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'"

// permissions denies the pages device features that they never use. Passkeys and the clipboard keep
// the browser's default.
const permissions = "accelerometer=(), autoplay=(), camera=(), display-capture=(), geolocation=(), gyroscope=(), " +
	"magnetometer=(), microphone=(), midi=(), payment=(), usb=()"

// media are the types of the files of a build. The system's own table differs between machines.
var media = map[string]string{
	".html": "text/html; charset=utf-8", ".js": "text/javascript; charset=utf-8",
	".mjs": "text/javascript; charset=utf-8",
	".css": "text/css; charset=utf-8", ".json": "application/json", ".map": "application/json",
	".webmanifest": "application/manifest+json",
	".wasm":        "application/wasm", ".svg": "image/svg+xml", ".png": "image/png", ".jpg": "image/jpeg",
	".webp": "image/webp", ".ico": "image/x-icon",
	".woff2": "font/woff2", ".woff": "font/woff", ".txt": "text/plain; charset=utf-8",
}

// encodings are the possible encodings of a file, smallest first, with their file extensions.
var encodings = []struct{ name, ending string }{{"br", ".br"}, {"gzip", ".gz"}}

// file is one file in its embedded encodings.
type file struct {
	media string
	// etag returns the hash of the content. It reads the content once, when it is first wanted.
	etag func() (string, error)
	// forms are the names of the embedded files, by encoding; "" is the file as it is. WebAssembly,
	// which is large, has a gzip form only, which every browser accepts.
	forms map[string]string
}

// Pages serves the embedded pages.
type Pages struct {
	from   fs.FS
	files  map[string]*file
	home   *file
	policy string
}

// New returns the embedded pages, or one that explains how to build them. It panics if they cannot
// be read.
func New() *Pages {
	p, err := pages(built)
	if err != nil {
		panic("dashboard: " + err.Error())
	}
	return p
}

// pages finds all files once: a request only finds its name. No content is kept, since reading an
// embedded file copies it, and an idle server would hold two of each.
func pages(from fs.FS) (*Pages, error) {
	p := &Pages{from: from, files: map[string]*file{}}
	err := fs.WalkDir(from, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		within, dist := strings.CutPrefix(name, "dist/")
		if !dist {
			if name == unbuilt {
				p.home = newFile(name)
				p.home.forms[""] = name
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
		p.files[plain].forms[encoding] = name
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
		if err := f.finish(from); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	if err := p.home.finish(from); err != nil {
		return nil, err
	}
	page, err := fs.ReadFile(from, p.home.forms[""])
	p.policy = fmt.Sprintf(policy, hashes(page))
	return p, err
}

// inline matches a script in a page itself.
var inline = regexp.MustCompile(`(?s)<script>(.*?)</script>`)

// hashes returns the hashes of the scripts in the page for a content security policy, each after a
// space.
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
	return &file{media: m, forms: map[string]string{}}
}

// finish sets etag. All forms have the same content.
func (f *file) finish(from fs.FS) error {
	name, plain := f.forms[""]
	if !plain {
		if name = f.forms["gzip"]; name == "" {
			return errors.New("has no form that every browser accepts")
		}
	}
	f.etag = sync.OnceValues(func() (string, error) {
		sum := sha256.New()
		if err := copyFile(sum, from, name); err != nil {
			return "", err
		}
		return base64.RawURLEncoding.EncodeToString(sum.Sum(nil)[:12]), nil
	})
	return nil
}

func copyFile(to io.Writer, from fs.FS, name string) error {
	file, err := from.Open(name)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	_, err = io.Copy(to, file)
	return err
}

// Serve answers a GET or HEAD of a file, or of a path within the pages, which are all index.html.
// It writes nothing and returns false for any other request: a missing asset, or an unknown
// endpoint of the API.
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
	encoding := f.choose(r.Header.Values("Accept-Encoding"))
	info, err := fs.Stat(p.from, f.forms[encoding])
	hash, unread := f.etag()
	if err != nil || unread != nil { // not of files that are part of the program
		return false
	}
	h := w.Header()
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Vary", "Accept-Encoding")
	if asset { // scripts and styles, to which the page's own headers apply; headers are not compressed
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
	} else {
		h.Set("Cache-Control", "no-cache")
		h.Set("Content-Security-Policy", p.policy)
		h.Set("Permissions-Policy", permissions)
		h.Set("Referrer-Policy", "same-origin")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
	}
	etag := `"` + hash + encoding + `"`
	h.Set("ETag", etag)
	if matches(r.Header.Values("If-None-Match"), etag) {
		w.WriteHeader(http.StatusNotModified)
		return true
	}
	h.Set("Content-Type", f.media)
	h.Set("Content-Length", strconv.FormatInt(info.Size(), 10))
	if encoding != "" {
		h.Set("Content-Encoding", encoding)
	}
	w.WriteHeader(http.StatusOK)
	if r.Method != http.MethodHead {
		_ = copyFile(w, p.from, f.forms[encoding]) // the client may have disconnected
	}
	return true
}

// wantsPage reports whether to answer the request with a page. A program that calls an unknown
// endpoint of the API needs an error instead.
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

// choose returns the best encoding that the file has and the client accepts; "" for none.
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
		if f.forms[e.name] != "" && (wanted || !named && takes["*"]) {
			return e.name
		}
	}
	if f.forms[""] == "" {
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
