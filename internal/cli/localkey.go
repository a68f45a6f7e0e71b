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

// localKey is a public key that this machine has the private one of.
type localKey struct {
	// line is as in an authorized_keys file, fingerprint is SHA256:….
	line, fingerprint string
	// file is the private key's; empty for one that only the agent has.
	file string
}

// fingerprint is that of an authorized_keys line; empty where it is none.
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

// keyFiles are the keys in ~/.ssh of which both halves are there.
func (t *tool) keyFiles() []localKey {
	home := t.env("HOME")
	if home == "" {
		return nil
	}
	names, _ := filepath.Glob(filepath.Join(home, ".ssh", "*.pub")) // an error is of the pattern only
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

// agentKeys are the keys of the SSH agent; none where there is none.
func (t *tool) agentKeys(ctx context.Context) []localKey {
	if t.env("SSH_AUTH_SOCK") == "" {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	list := exec.CommandContext(ctx, "ssh-add", "-L")
	list.Env = t.envForOthers()
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

// identityOf is a private key that all the machines let in, and that ssh might not try by itself since it has a name of its own; empty where there is none.
func (t *tool) identityOf(machines []*client.Deployment) string {
	for _, k := range t.keyFiles() {
		if !slices.ContainsFunc(machines, func(d *client.Deployment) bool {
			return !slices.ContainsFunc(d.SSHKeys, func(r client.SSHKeyReference) bool { return r.Fingerprint == k.fingerprint })
		}) {
			return k.file
		}
	}
	return ""
}
