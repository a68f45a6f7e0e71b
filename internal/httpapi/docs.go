package httpapi

import (
	"embed"

	"github.com/billetcloud/billet/internal/rest"
)

//go:embed docs
var docs embed.FS

// serveDocs serves the page that shows the OpenAPI document.
func serveDocs(r *rest.Router) {
	for path, file := range map[string]struct{ name, media string }{
		"/docs":          {"docs/index.html", "text/html; charset=utf-8"},
		"/docs/docs.js":  {"docs/docs.js", "text/javascript; charset=utf-8"},
		"/docs/docs.css": {"docs/docs.css", "text/css; charset=utf-8"},
	} {
		content, err := docs.ReadFile(file.name)
		if err != nil {
			panic("httpapi: " + err.Error())
		}
		r.File(path, file.media, content)
	}
}
