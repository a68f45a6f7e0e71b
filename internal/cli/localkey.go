package cli

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/billetcloud/billet/client"
)

// localKey is a public key whose private key is on this machine.
type localKey struct {
	// line is in authorized_keys format, fingerprint in the form SHA256:….
	line, fingerprint string
	// file is the private key's path, or "" for a key of the SSH agent.
	file string
}

// fingerprint returns the fingerprint of an authorized_keys line, or "" if it is none.
func fingerprint(line string) string {
	words := strings.Fields(line)
	if len(words) < 2 {
		return ""
	}
	blob, err := base64.StdEncoding.DecodeString(words[1])
	if err != nil || len(blob) == 0 {
		return ""
	}
	sum := sha256.Sum256(blob)
	return "SHA256:" + base64.RawStdEncoding.EncodeToString(sum[:])
}

// localKeyFiles returns the key pairs in ~/.ssh.
func (t *tool) localKeyFiles() []localKey {
	home := t.env("HOME")
	if home == "" {
		return nil
	}
	names, _ := filepath.Glob(filepath.Join(home, ".ssh", "*.pub")) // the only error is a bad pattern
	slices.Sort(names)
	var keys []localKey
	for _, name := range names {
		b, err := os.ReadFile(name)
		if err != nil {
			continue
		}
		private := strings.TrimSuffix(name, ".pub")
		line, _, _ := strings.Cut(string(b), "\n")
		if print := fingerprint(line); print != "" && strings.Count(line, " ") > 0 {
			if _, err := os.Stat(private); err == nil {
				keys = append(keys, localKey{strings.TrimSpace(line), print, private})
			}
		}
	}
	return keys
}

// agentKeys returns the keys of the SSH agent, if there is one.
func (t *tool) agentKeys(ctx context.Context) []localKey {
	if t.env("SSH_AUTH_SOCK") == "" {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	list := exec.CommandContext(ctx, "ssh-add", "-L")
	list.Env = t.childEnv()
	out, err := list.Output()
	if err != nil {
		return nil
	}
	var keys []localKey
	for line := range strings.Lines(string(out)) {
		if print := fingerprint(line); print != "" {
			keys = append(keys, localKey{line: strings.TrimSpace(line), fingerprint: print})
		}
	}
	return keys
}

// identityFileFor returns a private key that is authorized on all machines, or "". Under a name of
// its own, ssh would not try it by default.
func (t *tool) identityFileFor(machines []*client.Deployment) string {
	for _, k := range t.localKeyFiles() {
		unauthorized := func(d *client.Deployment) bool {
			return !slices.ContainsFunc(d.SSHKeys,
				func(r client.SSHKeyReference) bool { return r.Fingerprint == k.fingerprint })
		}
		if !slices.ContainsFunc(machines, unauthorized) {
			return k.file
		}
	}
	return ""
}
