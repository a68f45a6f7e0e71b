package spheron

import (
	"github.com/billetcloud/billet/internal/cloudinit"
	"github.com/billetcloud/billet/internal/provider"
)

// cloudInit is what the cloud takes of cloud-init.
type cloudInit struct {
	Packages   []string             `json:"packages,omitempty"`
	WriteFiles []cloudinit.PartFile `json:"writeFiles,omitempty"`
	RunCmd     []string             `json:"runcmd,omitempty"`
}

// encodings are cloud-init's names of them, and the cloud's.
var encodings = map[string]string{
	"": "", "text/plain": "", "b64": "b64", "base64": "b64", "gz": "gzip", "gzip": "gzip",
	"gz+b64": "gz+b64", "gz+base64": "gz+b64", "gzip+b64": "gz+b64", "gzip+base64": "gz+b64",
}

// readCloudInit maps the request's cloud-config text, and adds its host key. What the cloud has no word for is refused rather than
// left out, since nobody would notice.
func readCloudInit(r provider.LaunchRequest) (*cloudInit, error) {
	parts, wrong := cloudinit.Split(r.CloudInit)
	if wrong != nil {
		return nil, rejected("The cloud-config cannot be used: " + wrong[0].String())
	}
	if r.HostKey.Public != "" {
		parts = parts.AddHostKey(r.HostKey.Private, r.HostKey.Public)
	}
	if parts == nil {
		return nil, nil
	}
	for i := range parts.Files {
		f := &parts.Files[i]
		f.Encoding = encodings[f.Encoding] // which has every one that Split takes
	}
	return &cloudInit{parts.Packages, parts.Files, parts.Commands}, nil
}

// CheckCloudInit answers as provider.CloudInitChecker's.
func (a *Adapter) CheckCloudInit(text string) []string {
	_, wrong := cloudinit.Split(text)
	return cloudinit.Sentences(wrong)
}
