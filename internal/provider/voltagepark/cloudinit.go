package voltagepark

import "github.com/billetcloud/billet/internal/cloudinit"

// cloudConfig is what the cloud takes of a cloud-config text.
type cloudConfig struct {
	Packages []string             `json:"packages,omitempty"`
	Files    []cloudinit.PartFile `json:"write_files,omitempty"`
	Commands []string             `json:"runcmd,omitempty"`
}

// cloudInit reads the text. What the cloud has no place for is refused.
func cloudInit(text string) (*cloudConfig, error) {
	parts, wrong := cloudinit.Split(text)
	if wrong != nil {
		return nil, refuse("The cloud-config cannot be used: " + wrong[0].String())
	}
	return (*cloudConfig)(parts), nil
}

// CheckCloudInit answers as provider.CloudInitChecker's.
func (a *Adapter) CheckCloudInit(text string) []string {
	_, wrong := cloudinit.Split(text)
	return cloudinit.Sentences(wrong)
}
