package voltagepark

import (
	"github.com/billetcloud/billet/internal/cloudinit"
	"github.com/billetcloud/billet/internal/provider"
	"github.com/billetcloud/billet/internal/provider/upstream"
)

// cloudConfig is the part of a cloud-config text that the cloud accepts.
type cloudConfig struct {
	Packages []string             `json:"packages,omitempty"`
	Files    []cloudinit.PartFile `json:"write_files,omitempty"`
	Commands []string             `json:"runcmd,omitempty"`
}

// cloudInit parses the request's text and adds its host key. What the cloud does not support is
// refused.
func cloudInit(r provider.LaunchRequest) (*cloudConfig, error) {
	parts, wrong := cloudinit.Split(r.CloudInit)
	if wrong != nil {
		return nil, upstream.Rejected("The cloud-config cannot be used: " + wrong[0].String())
	}
	if r.HostKey.Public != "" {
		parts = parts.AddHostKey(r.HostKey.Private, r.HostKey.Public)
	}
	return (*cloudConfig)(parts), nil
}

// CheckCloudInit implements provider.CloudInitChecker.
func (a *Adapter) CheckCloudInit(text string) []string {
	_, wrong := cloudinit.Split(text)
	return cloudinit.Sentences(wrong)
}
