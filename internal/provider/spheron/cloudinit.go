package spheron

import (
	"regexp"

	"github.com/billetcloud/billet/internal/cloudinit"
)

// cloudInit is what the cloud takes of cloud-init.
type cloudInit struct {
	Packages   []string         `json:"packages,omitempty"`
	WriteFiles []cloudinit.File `json:"writeFiles,omitempty"`
	RunCmd     []string         `json:"runcmd,omitempty"`
}

var octal = regexp.MustCompile(`^[0-7]{3,4}$`)

// encodings are cloud-init's names of them, and the cloud's.
var encodings = map[string]string{
	"": "", "text/plain": "", "b64": "b64", "base64": "b64", "gz": "gzip", "gzip": "gzip",
	"gz+b64": "gz+b64", "gz+base64": "gz+b64", "gzip+b64": "gz+b64", "gzip+base64": "gz+b64",
}

// readCloudInit maps a cloud-config text. What the cloud has no word for is refused rather than left out, since nobody would notice.
func readCloudInit(text string) (*cloudInit, error) {
	parts, wrong := cloudinit.Split(text)
	if wrong != "" {
		return nil, rejected(wrong)
	}
	if parts == nil {
		return nil, nil
	}
	for i := range parts.Files {
		f := &parts.Files[i]
		encoding, known := encodings[f.Encoding]
		if f.Permissions != "" && !octal.MatchString(f.Permissions) || !known {
			return nil, rejected("The permissions of each of write_files are octal like '0644', and its encoding is b64, gzip or gz+b64.")
		}
		f.Encoding = encoding
	}
	return &cloudInit{parts.Packages, parts.Files, parts.Commands}, nil
}
