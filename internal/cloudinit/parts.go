package cloudinit

import (
	"errors"
	"io"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Parts is a cloud-config text taken apart, for clouds that take packages, files and commands as an object, and no text.
type Parts struct {
	Packages []string `yaml:"packages"`
	Files    []File   `yaml:"write_files"`
	Commands []string `yaml:"runcmd"`
}

// File is an entry of write_files. Its names in JSON are cloud-init's own. All but Path may be "".
type File struct {
	Path        string `json:"path" yaml:"path"`
	Content     string `json:"content" yaml:"content"`
	Encoding    string `json:"encoding,omitempty" yaml:"encoding"`
	Owner       string `json:"owner,omitempty" yaml:"owner"`
	Permissions string `json:"permissions,omitempty" yaml:"permissions"`
}

// Split takes the text apart. Nothing of it may be lost on the way, since nobody would notice: where something is not one of the Parts, wrong
// is a sentence for a tenant that says so. The Parts are nil where there is nothing in the text.
func Split(text string) (parts *Parts, wrong string) {
	if text == "" {
		return nil, ""
	}
	if strings.TrimSpace(firstLine(text)) != "#cloud-config" {
		return nil, `The cloud-config text must begin with the line "#cloud-config".`
	}
	parts = &Parts{}
	d := yaml.NewDecoder(strings.NewReader(text))
	d.KnownFields(true)
	if err := d.Decode(parts); err != nil && !errors.Is(err, io.EOF) { // EOF: nothing but comments
		return nil, "This provider takes only packages, write_files and runcmd of a cloud-config text: packages and runcmd as lists of texts, " +
			"write_files with path, content, encoding, owner and permissions. Leave the rest out, or deploy without it and set it up over SSH."
	}
	if err := d.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return nil, "This provider takes a cloud-config text of one document only."
	}
	for _, f := range parts.Files {
		if f.Path == "" {
			return nil, "Each entry of write_files needs a path."
		}
	}
	if len(parts.Packages)+len(parts.Files)+len(parts.Commands) == 0 {
		return nil, ""
	}
	return parts, ""
}
