package spheron

import (
	"github.com/billetcloud/billet/internal/cloudinit"
	"github.com/billetcloud/billet/internal/provider"
	"github.com/billetcloud/billet/internal/provider/upstream"
)

// cloudInit is the part of cloud-init that the cloud supports.
type cloudInit struct {
	Packages   []string             `json:"packages,omitempty"`
	WriteFiles []cloudinit.PartFile `json:"writeFiles,omitempty"`
	RunCmd     []string             `json:"runcmd,omitempty"`
}

// encodings are the cloud's names of encodings, by those of cloud-init.
var encodings = map[string]string{
	"": "", "text/plain": "", "b64": "b64", "base64": "b64", "gz": "gzip", "gzip": "gzip",
	"gz+b64": "gz+b64", "gz+base64": "gz+b64", "gzip+b64": "gz+b64", "gzip+base64": "gz+b64",
}

// parseCloudInit translates the request's cloud-config text and adds its host key. What the cloud
// does not support is refused rather than left out silently.
func parseCloudInit(r provider.LaunchRequest) (*cloudInit, error) {
	parts, wrong := cloudinit.Split(r.CloudInit)
	if wrong != nil {
		return nil, upstream.Rejected("The cloud-config cannot be used: " + wrong[0].String())
	}
	if r.HostKey.Public != "" {
		parts = parts.AddHostKey(r.HostKey.Private, r.HostKey.Public)
	}
	if parts == nil {
		return nil, nil
	}
	for i := range parts.Files {
		f := &parts.Files[i]
		f.Encoding = encodings[f.Encoding] // has every one that Split accepts
	}
	return &cloudInit{parts.Packages, parts.Files, parts.Commands}, nil
}

// CheckCloudInit implements provider.CloudInitChecker.
func (a *Adapter) CheckCloudInit(text string) []string {
	_, wrong := cloudinit.Split(text)
	return cloudinit.Sentences(wrong)
}
