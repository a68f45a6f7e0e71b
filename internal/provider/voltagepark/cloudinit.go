package voltagepark

import "github.com/billetcloud/billet/internal/cloudinit"

// cloudConfig is what the cloud takes of a cloud-config text.
type cloudConfig struct {
	Packages []string         `json:"packages,omitempty"`
	Files    []cloudinit.File `json:"write_files,omitempty"`
	Commands []string         `json:"runcmd,omitempty"`
}

// cloudInit reads the text. What the cloud has no place for is refused.
func cloudInit(text string) (*cloudConfig, error) {
	parts, wrong := cloudinit.Split(text)
	if wrong != "" {
		return nil, refuse(wrong)
	}
	return (*cloudConfig)(parts), nil
}
