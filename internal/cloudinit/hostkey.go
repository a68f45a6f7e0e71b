package cloudinit

import (
	"reflect"
	"strings"

	"go.yaml.in/yaml/v3"
)

// hostKeyModule is the module of cloud-init that gives a machine its SSH host keys.
const hostKeyModule = "ssh_keys"

// HostKeyPath is where AddHostKey puts the private key. cloud-init deletes the keys under their
// usual names at the first start, after it wrote files.
const HostKeyPath = "/etc/ssh/billet_host_ed25519_key"

// TakesHostKey reports whether a host key can be added to the text: it is "", or a mapping without
// one.
func TakesHostKey(text string) bool {
	m, readable := decoded(text)
	_, own := m[hostKeyModule]
	return readable && !own
}

func decoded(text string) (m map[string]any, readable bool) {
	return m, text == "" || Check(text) == nil && yaml.Unmarshal([]byte(text), &m) == nil
}

// WithHostKey returns the text with that SSH host key, an Ed25519 key in OpenSSH's form, as the
// only one of the machine. If it cannot be added without changing anything else, the text is
// returned unchanged.
func WithHostKey(text, private, public string) string {
	if !TakesHostKey(text) {
		return text
	}
	added := map[string]any{hostKeyModule: map[string]string{"ed25519_private": private, "ed25519_public": public}}
	b, err := yaml.Marshal(added)
	if err != nil {
		return text
	}
	before, _ := decoded(text)
	whole := "#cloud-config\n" + string(b)
	if text != "" {
		whole = strings.TrimRight(text, "\n") + "\n" + string(b)
	}
	if same(whole, before) {
		return whole
	}
	// A text in flow style, or one that ends in the middle of a text block.
	all, err := yaml.Marshal(before)
	if err != nil {
		return text
	}
	if whole = "#cloud-config\n" + string(all) + string(b); same(whole, before) {
		return whole
	}
	return text
}

// same reports whether the text has its former content, and a host key.
func same(text string, before map[string]any) bool {
	after, readable := decoded(text)
	if _, added := after[hostKeyModule]; !readable || !added {
		return false
	}
	delete(after, hostKeyModule)
	return len(after) == 0 && len(before) == 0 || reflect.DeepEqual(after, before)
}

// AddHostKey returns the parts, which may be nil, with that host key as the only one of the
// machine, for clouds that take packages, files and commands. The server reads it at its start; the
// command is for images whose server starts before cloud-init.
func (p *Parts) AddHostKey(private, public string) *Parts {
	out := &Parts{}
	if p != nil {
		*out = *p
	}
	out.Files = append([]PartFile{
		{Path: HostKeyPath, Content: private, Owner: "root:root", Permissions: "0600"},
		{Path: HostKeyPath + ".pub", Content: public + "\n", Owner: "root:root", Permissions: "0644"},
		{
			Path:        "/etc/ssh/sshd_config.d/00-billet-host-key.conf",
			Content:     "HostKey " + HostKeyPath + "\n",
			Owner:       "root:root",
			Permissions: "0644",
		},
	}, out.Files...)
	out.Commands = append([]string{"systemctl reload ssh || systemctl reload sshd || true"}, out.Commands...)
	return out
}
