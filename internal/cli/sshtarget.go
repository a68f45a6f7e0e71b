package cli

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/billetcloud/billet/client"
)

// The server's data about a machine ends up in a command line and in files that ssh reads. These
// forms keep it from being read as an option, a pattern or a second line.
var (
	idForm      = regexp.MustCompile(`^[A-Za-z0-9_]{1,100}$`)
	userForm    = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.-]{0,63}$`)
	hostForm    = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?$`)
	keyTypeForm = regexp.MustCompile(`^[a-z0-9][a-z0-9@.-]{0,99}$`)
	aliasForm   = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]*$`)
)

// sshTarget is how ssh connects to a machine.
type sshTarget struct {
	id, address, user string
	port              int
	// options are ssh's options, in order.
	options []option
}

// option is an option of ssh, with its value as in a configuration file.
type option struct{ name, value string }

// sshTarget returns how to connect to a running machine, and writes its host keys to a file for
// ssh. ssh identifies the machine by the deployment's id, whatever its address, and accepts only
// the host keys that the server reports.
func (t *tool) sshTarget(d *client.Deployment) (*sshTarget, error) {
	r := &sshTarget{
		id:      d.ID,
		address: valueOr(d.IPAddress, ""),
		user:    valueOr(d.SSHUser, ""),
		port:    valueOr(d.SSHPort, 0),
	}
	_, err := netip.ParseAddr(r.address)
	switch {
	case r.address == "" || r.user == "" || r.port == 0:
		return nil, &cliError{exitConflict, "NOT_RUNNING", fmt.Sprintf("%s has no SSH address.", d.Name)}
	case !idForm.MatchString(r.id), !userForm.MatchString(r.user), r.port < 1 || r.port > 65535,
		!hostForm.MatchString(r.address) && (err != nil || strings.Contains(r.address, "%")):
		return nil, &cliError{
			exitUnavailable,
			"NOT_BILLET",
			fmt.Sprintf("the server returned an invalid SSH address for %s: %q, "+
				"port %d, user %q.", d.ID, r.address, r.port, r.user),
		}
	}
	dir, err := t.sshDir()
	if err != nil {
		return nil, err
	}
	file, strict := filepath.Join(dir, r.id+".known_hosts"), "yes"
	if len(d.SSHHostKeys) > 0 {
		lines := ""
		for _, line := range d.SSHHostKeys {
			key, is := hostKey(line)
			if !is {
				text := fmt.Sprintf("the server returned an invalid host key for %s.", d.ID)
				return nil, &cliError{exitUnavailable, "NOT_BILLET", text}
			}
			lines += r.id + " " + key + "\n"
		}
		if err := writePrivate(file, lines); err != nil {
			return nil, err
		}
	} else {
		file, strict = filepath.Join(dir, r.id+".first_seen"), "accept-new"
	}
	r.options = []option{
		{"HostKeyAlias", r.id}, {"UserKnownHostsFile", configQuoted(file)}, {"GlobalKnownHostsFile", os.DevNull},
		{"StrictHostKeyChecking", strict}, {"CheckHostIP", "no"},
	}
	return r, nil
}

// trustOnFirstUse reports whether the first host key that the machine shows is accepted.
func (r *sshTarget) trustOnFirstUse() bool {
	return slices.Contains(r.options, option{"StrictHostKeyChecking", "accept-new"})
}

// sshDir returns the directory for the files that ssh reads. Each server has its own, so that no
// server can change another's host keys.
func (t *tool) sshDir() (string, error) {
	dir, err := t.configDir()
	if err != nil {
		return "", err
	}
	p, err := t.signedIn()
	if err != nil {
		return "", err
	}
	u, err := url.Parse(p.URL)
	if err != nil || u.Host == "" {
		return "", usageError("invalid server address %q.", p.URL)
	}
	host := strings.Map(func(c rune) rune {
		if c == '.' || c == '-' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' {
			return c
		}
		return '_'
	}, u.Host)
	return filepath.Join(dir, "ssh", host), nil
}

// hostKey returns the type and value of the key in a known_hosts line.
func hostKey(line string) (string, bool) {
	words := strings.Fields(line)
	if len(words) != 3 || strings.HasPrefix(words[0], "@") || !keyTypeForm.MatchString(words[1]) {
		return "", false
	}
	_, err := base64.StdEncoding.DecodeString(words[2])
	return words[1] + " " + words[2], err == nil
}

// configQuoted quotes a file name for ssh's configuration.
func configQuoted(file string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, `%`, `%%`).Replace(file) + `"`
}

// block returns the Host block for a machine.
func (r *sshTarget) block(names ...string) string {
	b := fmt.Sprintf("Host %s\n    HostName %s\n    Port %d\n    User %s\n",
		strings.Join(names, " "), r.address, r.port, r.user)
	for _, o := range r.options {
		b += "    " + o.name + " " + o.value + "\n"
	}
	return b
}

// writePrivate writes a file atomically, readable only by its owner.
func writePrivate(path, text string) error {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, ".billet-*") // which makes it 0600
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(f.Name()) }() // gone already where all went well
	_, err = f.WriteString(text)
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

// running finds a deployment and, with wait, waits until a machine that is starting runs.
func (t *tool) running(ctx context.Context, c *client.Client, ref string, wait bool) (*client.Deployment, error) {
	d, err := deployment(ctx, c, ref)
	if err != nil {
		return nil, err
	}
	switch d.Status {
	case client.DeploymentRunning:
		return d, nil
	case client.DeploymentStopped:
		return nil, &cliError{
			exitConflict,
			"NOT_RUNNING",
			fmt.Sprintf("%s is powered off.\nRun 'billet power-on %s' to start it.",
				d.Name, d.ID),
		}
	case client.DeploymentPending, client.DeploymentDeploying:
		if !wait {
			return nil, &cliError{exitConflict, "NOT_RUNNING", fmt.Sprintf("%s is %s, not running yet.\n"+
				"Without --no-wait, billet waits for it.", d.Name, d.Status)}
		}
		t.note("billet: %s is %s; waiting for SSH. Ctrl-C stops waiting; the deployment continues.", clean(d.Name),
			d.Status)
		return t.waitForRunning(ctx, c, d, nil)
	}
	return nil, &client.DeploymentEndedError{Deployment: d, Wanted: client.DeploymentRunning}
}
