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
	"strconv"
	"strings"

	"github.com/billetcloud/billet/client"
)

// What the server says of a machine ends up in a command line and in files that ssh reads. Nothing of it may be taken for an option, a pattern or a second line.
var (
	idForm      = regexp.MustCompile(`^[A-Za-z0-9_]{1,100}$`)
	userForm    = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.-]{0,63}$`)
	hostForm    = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?$`)
	keyTypeForm = regexp.MustCompile(`^[a-z0-9][a-z0-9@.-]{0,99}$`)
	aliasForm   = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]*$`)
)

// reach is how ssh gets to a machine.
type reach struct {
	id, address, user string
	port              int
	// options are ssh's, by name and in order.
	options []option
}

// option is one of ssh, with its value as a configuration file has it.
type option struct{ name, value string }

// reach says how to get to a running machine, and writes down its host keys where ssh finds them: it is known by the deployment's id, whatever address it has, and
// by no other key than those that the server names.
func (t *tool) reach(d *client.Deployment) (*reach, error) {
	r := &reach{id: d.ID, address: or(d.IPAddress, ""), user: or(d.SSHUser, ""), port: or(d.SSHPort, 0)}
	_, err := netip.ParseAddr(r.address)
	switch {
	case r.address == "" || r.user == "" || r.port == 0:
		return nil, &fault{exitConflict, "NOT_RUNNING", fmt.Sprintf("%s has no SSH address.", d.Name)}
	case !idForm.MatchString(r.id), !userForm.MatchString(r.user), r.port < 1 || r.port > 65535,
		!hostForm.MatchString(r.address) && (err != nil || strings.Contains(r.address, "%")):
		return nil, &fault{exitUnavailable, "NOT_BILLET", fmt.Sprintf("the server names %q, port %d and the user %q for %s, which cannot be an SSH address.", r.address, r.port, r.user, d.ID)}
	}
	dir, err := t.reachDir()
	if err != nil {
		return nil, err
	}
	file, strict := filepath.Join(dir, r.id+".known_hosts"), "yes"
	if len(d.SSHHostKeys) > 0 {
		lines := ""
		for _, line := range d.SSHHostKeys {
			key, is := hostKey(line)
			if !is {
				return nil, &fault{exitUnavailable, "NOT_BILLET", fmt.Sprintf("the server names a host key of %s that cannot be read.", d.ID)}
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
		{"HostKeyAlias", r.id}, {"UserKnownHostsFile", configQuoted(file)}, {"GlobalKnownHostsFile", os.DevNull}, {"StrictHostKeyChecking", strict}, {"CheckHostIP", "no"},
	}
	return r, nil
}

// unchecked tells whether the machine's key is taken as it comes.
func (r *reach) unchecked() bool {
	return slices.Contains(r.options, option{"StrictHostKeyChecking", "accept-new"})
}

// reachDir is the directory for what ssh reads of the chosen server's machines, one for each server, so that none can speak for another's.
func (t *tool) reachDir() (string, error) {
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
		return "", usage("%q is no server's address.", p.URL)
	}
	host := strings.Map(func(c rune) rune {
		if c == '.' || c == '-' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' {
			return c
		}
		return '_'
	}, u.Host)
	return filepath.Join(dir, "ssh", host), nil
}

// hostKey is the key of a known_hosts line, its type and its value.
func hostKey(line string) (string, bool) {
	words := strings.Fields(line)
	if len(words) != 3 || strings.HasPrefix(words[0], "@") || !keyTypeForm.MatchString(words[1]) {
		return "", false
	}
	_, err := base64.StdEncoding.DecodeString(words[2])
	return words[1] + " " + words[2], err == nil
}

// configQuoted is a file name as ssh's configuration has it.
func configQuoted(file string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, `%`, `%%`).Replace(file) + `"`
}

// block is the Host block for a machine.
func (r *reach) block(names ...string) string {
	b := "Host " + strings.Join(names, " ") + "\n    HostName " + r.address + "\n    Port " + strconv.Itoa(r.port) + "\n    User " + r.user + "\n"
	for _, o := range r.options {
		b += "    " + o.name + " " + o.value + "\n"
	}
	return b
}

// writePrivate writes a file of the configuration, whole or not at all, for its owner alone.
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

// running finds a deployment, and waits where its machine is still being made.
func (t *tool) running(ctx context.Context, c *client.Client, ref string, wait bool) (*client.Deployment, error) {
	d, err := deployment(ctx, c, ref)
	if err != nil {
		return nil, err
	}
	switch d.Status {
	case client.DeploymentRunning:
		return d, nil
	case client.DeploymentStopped:
		return nil, &fault{exitConflict, "NOT_RUNNING", fmt.Sprintf("%s is switched off.\n'billet power-on %s' switches it on.", d.Name, d.ID)}
	case client.DeploymentPending, client.DeploymentDeploying:
		if !wait {
			return nil, &fault{exitConflict, "NOT_RUNNING", fmt.Sprintf("%s is %s, and does not run yet.\nWithout --no-wait it is waited for.", d.Name, d.Status)}
		}
		t.note("billet: %s is %s; waiting until SSH answers. Ctrl-C ends the wait, and the deploy goes on.", clean(d.Name), d.Status)
		return t.waitForRunning(ctx, c, d, nil)
	}
	return nil, &client.DeploymentEndedError{Deployment: d, Wanted: client.DeploymentRunning}
}
