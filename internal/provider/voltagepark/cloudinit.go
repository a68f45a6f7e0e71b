package voltagepark

import (
	"bytes"
	"errors"
	"io"
	"strings"

	"go.yaml.in/yaml/v3"
)

// cloudConfig is what the cloud takes of a cloud-config text.
type cloudConfig struct {
	Packages []string    `json:"packages,omitempty" yaml:"packages"`
	Files    []cloudFile `json:"write_files,omitempty" yaml:"write_files"`
	Commands []string    `json:"runcmd,omitempty" yaml:"runcmd"`
}

type cloudFile struct {
	Path        string `json:"path" yaml:"path"`
	Content     string `json:"content" yaml:"content"`
	Encoding    string `json:"encoding,omitempty" yaml:"encoding"`
	Owner       string `json:"owner,omitempty" yaml:"owner"`
	Permissions string `json:"permissions,omitempty" yaml:"permissions"`
}

// cloudInit reads the text. Nothing of it may be lost on the way: what the cloud has no place for is refused.
func cloudInit(text string) (*cloudConfig, error) {
	if text == "" {
		return nil, nil
	}
	if first, _, _ := strings.Cut(text, "\n"); strings.TrimSpace(first) != "#cloud-config" {
		return nil, refuse(`The cloud-config text must begin with the line "#cloud-config".`)
	}
	var c cloudConfig
	d := yaml.NewDecoder(bytes.NewReader([]byte(text)))
	d.KnownFields(true)
	err := d.Decode(&c)
	if errors.Is(err, io.EOF) { // comments only
		return nil, nil
	}
	if err == nil {
		if err := d.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
			return nil, refuse("This provider takes a cloud-config text of one document only.")
		}
	}
	if err != nil {
		return nil, refuse("This provider takes only packages, write_files and runcmd of a cloud-config text: packages and runcmd as lists of texts, " +
			"write_files with path, content, encoding, owner and permissions. Leave the rest out, or deploy without it and set it up over SSH.")
	}
	for _, f := range c.Files {
		if f.Path == "" {
			return nil, refuse("Each entry of write_files needs a path.")
		}
	}
	return &c, nil
}
