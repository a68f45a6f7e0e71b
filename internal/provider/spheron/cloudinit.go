package spheron

import (
	"bytes"
	"errors"
	"io"
	"regexp"

	"go.yaml.in/yaml/v3"
)

// cloudInit is what the cloud takes of cloud-init.
type cloudInit struct {
	Packages   []string    `json:"packages,omitempty" yaml:"packages"`
	RunCmd     []string    `json:"runcmd,omitempty" yaml:"runcmd"`
	WriteFiles []writeFile `json:"writeFiles,omitempty" yaml:"write_files"`
}

type writeFile struct {
	Path        string `json:"path" yaml:"path"`
	Content     string `json:"content" yaml:"content"`
	Owner       string `json:"owner,omitempty" yaml:"owner"`
	Permissions string `json:"permissions,omitempty" yaml:"permissions"`
	Encoding    string `json:"encoding,omitempty" yaml:"encoding"`
}

var octal = regexp.MustCompile(`^[0-7]{3,4}$`)

// encodings are cloud-init's names of them, and the cloud's.
var encodings = map[string]string{
	"": "", "text/plain": "", "b64": "b64", "base64": "b64", "gz": "gzip", "gzip": "gzip",
	"gz+b64": "gz+b64", "gz+base64": "gz+b64", "gzip+b64": "gz+b64", "gzip+base64": "gz+b64",
}

// readCloudInit maps a cloud-config text. What the cloud has no word for is refused rather than left out, since nobody would notice.
func readCloudInit(text string) (*cloudInit, error) {
	if text == "" {
		return nil, nil
	}
	c, d := &cloudInit{}, yaml.NewDecoder(bytes.NewReader([]byte(text)))
	d.KnownFields(true)
	if err := d.Decode(c); err != nil && !errors.Is(err, io.EOF) { // EOF: nothing but comments
		return nil, rejected("The provider takes only packages, runcmd and write_files of cloud-init, with packages and commands as plain texts.")
	}
	if err := d.Decode(&yaml.Node{}); !errors.Is(err, io.EOF) {
		return nil, rejected("The provider takes one document of cloud-init only.")
	}
	for i := range c.WriteFiles {
		f := &c.WriteFiles[i]
		encoding, known := encodings[f.Encoding]
		if f.Path == "" || f.Permissions != "" && !octal.MatchString(f.Permissions) || !known {
			return nil, rejected("Each of write_files needs a path; permissions are octal like '0644', and the encoding is b64, gzip or gz+b64.")
		}
		f.Encoding = encoding
	}
	if len(c.Packages)+len(c.RunCmd)+len(c.WriteFiles) == 0 {
		return nil, nil
	}
	return c, nil
}
