package httpapi

import (
	"embed"
	"net/http"
	"time"
)

//go:embed docs
var docs embed.FS

// docsPolicy lets the documentation page load and call this server only, and nobody frame it: an API key is typed into it.
const docsPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// serveDocument serves the OpenAPI document and the page that shows it.
func (s *server) serveDocument(document []byte) {
	s.file("/openapi.json", "application/json", document)
	for path, file := range map[string]struct{ name, media string }{
		"/docs":          {"docs/index.html", "text/html; charset=utf-8"},
		"/docs/docs.js":  {"docs/docs.js", "text/javascript; charset=utf-8"},
		"/docs/docs.css": {"docs/docs.css", "text/css; charset=utf-8"},
	} {
		content, err := docs.ReadFile(file.name)
		if err != nil {
			panic("httpapi: " + err.Error())
		}
		s.file(path, file.media, content)
	}
}

// file serves content that does not change while the process runs.
func (s *server) file(path, media string, content []byte) {
	s.own[path] = true
	s.mux.HandleFunc(path, func(plain http.ResponseWriter, r *http.Request) {
		c, w := r.Context().Value(callKey{}).(*call), plain.(*recorder)
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			s.refuseMethod(w, r, c)
			return
		}
		if err := s.takePage(r.Context(), w, r); err != nil {
			c.fail(err)
			s.send(w, r, failed(err, c.id))
			return
		}
		s.send(w, r, answer{Status: http.StatusOK, Body: content, Header: map[string]string{
			"Content-Type": media, "Content-Security-Policy": docsPolicy, "Referrer-Policy": "no-referrer",
			"Cache-Control": "no-cache", "X-Frame-Options": "DENY", "Cross-Origin-Opener-Policy": "same-origin",
		}})
	})
}

// iconKept is how long a browser need not ask again for an icon that is not there.
const iconKept = 24 * time.Hour

// noIcon answers browsers, which ask for an icon beside every page without being told to, where no dashboard has one. It
// counts as a probe does: a look at the documentation must not use up what an address may try otherwise.
func (s *server) noIcon(plain http.ResponseWriter, r *http.Request) {
	c, w := r.Context().Value(callKey{}).(*call), plain.(*recorder)
	err := s.takeAddress(r.Context(), w, r, doorProbe)
	if err == nil {
		w.Header().Set("Cache-Control", "public, max-age="+seconds(iconKept))
		err = missing("icon")
	}
	c.fail(err)
	s.send(w, r, failed(err, c.id))
}
