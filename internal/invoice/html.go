package invoice

import (
	"bytes"
	"embed"
	"html/template"
)

//go:embed templates/invoice.html
var files embed.FS

var htmlTemplate = template.Must(template.ParseFS(files, "templates/invoice.html"))

func (d Document) html() ([]byte, error) {
	var b bytes.Buffer
	err := htmlTemplate.Execute(&b, d.page())
	return b.Bytes(), err
}
