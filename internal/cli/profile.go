package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

// defaultProfile is the name of the first login.
const defaultProfile = "default"

// profile is one login.
type profile struct {
	// URL is the server's address, APIKey the key.
	URL    string `json:"url"`
	APIKey string `json:"apiKey"`
	// KeyID and Account describe the key, if they are known.
	KeyID   string `json:"keyId,omitempty"`
	Account string `json:"account,omitempty"`
}

// credentials is the content of the credentials file.
type credentials struct {
	// Current is the profile used by default.
	Current  string             `json:"current"`
	Profiles map[string]profile `json:"profiles"`
}

// configDir returns the directory for billet's files.
func (t *tool) configDir() (string, error) {
	if dir := t.env("BILLET_CONFIG_DIR"); dir != "" {
		return dir, nil
	}
	if dir := t.env("XDG_CONFIG_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "billet"), nil
	}
	home := t.env("HOME")
	if home == "" {
		return "", errors.New("the home directory is unknown: set HOME or BILLET_CONFIG_DIR")
	}
	if runtime.GOOS == "darwin" {
		return filepath.Join(home, "Library", "Application Support", "billet"), nil
	}
	return filepath.Join(home, ".config", "billet"), nil
}

func (t *tool) credentialsFile() (string, error) {
	dir, err := t.configDir()
	return filepath.Join(dir, "credentials.json"), err
}

// credentials reads the logins, if there are any. It warns about a file that other users can read.
func (t *tool) credentials() (credentials, error) {
	c := credentials{Profiles: map[string]profile{}}
	path, err := t.credentialsFile()
	if err != nil {
		return c, err
	}
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return c, nil
	} else if err != nil {
		return c, err
	}
	if err := json.Unmarshal(b, &c); err != nil {
		return c, fmt.Errorf("cannot read %s: %w\nDelete the file and run 'billet login' again", path, err)
	}
	if c.Profiles == nil {
		c.Profiles = map[string]profile{}
	}
	if i, err := os.Stat(path); err == nil && i.Mode().Perm()&0o077 != 0 {
		t.note("billet: other users of this machine can read your API key. Fix this with: chmod 600 '%s'", path)
	}
	return c, nil
}

// keep writes the logins atomically, to a file that only its owner can read.
func (t *tool) keep(c credentials) error {
	path, err := t.credentialsFile()
	if err != nil {
		return err
	}
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	b, err := json.MarshalIndent(c, "", "  ")
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, ".credentials-*") // which makes it 0600
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(f.Name()) }() // gone already where all went well
	if _, err = f.Write(append(b, '\n')); err == nil {
		err = f.Sync()
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

// profileName returns the selected profile: that of the flag, of the environment, or the current
// one.
func (t *tool) profileName(c credentials) string {
	for _, name := range []string{t.profile, t.env("BILLET_PROFILE"), c.Current} {
		if name != "" {
			return name
		}
	}
	return defaultProfile
}

// signedIn returns the login to use. A key in the environment overrides the logins unless --profile
// is set.
func (t *tool) signedIn() (profile, error) {
	env := profile{URL: t.env("BILLET_URL"), APIKey: t.env("BILLET_API_KEY")}
	if t.url != "" {
		env.URL = t.url
	}
	if env.APIKey != "" && t.profile == "" {
		if env.URL == "" {
			return env, &cliError{
				exitSignIn,
				"NOT_SIGNED_IN",
				"BILLET_API_KEY is set, but BILLET_URL is not. Set it to the key's server.",
			}
		}
		return env, nil
	}
	c, err := t.credentials()
	if err != nil {
		return profile{}, err
	}
	name := t.profileName(c)
	p, there := c.Profiles[name]
	if !there {
		text := "not signed in.\nRun 'billet login https://…', or set BILLET_URL and BILLET_API_KEY."
		if names := c.names(); len(names) > 0 {
			text = fmt.Sprintf(
				"no login named %q. Logins: %s.\nRun 'billet login --profile %s https://…' to create it.",
				name,
				strings.Join(names, ", "),
				name,
			)
		}
		return p, &cliError{exitSignIn, "NOT_SIGNED_IN", text}
	}
	// A key is sent only to its own server.
	if t.url != "" && !sameServer(t.url, p.URL) {
		return p, usageError(
			"the login %q is for %s. To use another --url, set BILLET_API_KEY or sign in there with another --profile.",
			name,
			p.URL,
		)
	}
	// Nor is a command meant for the environment's server run on another one.
	if t.url == "" && t.profile == "" && env.URL != "" && !sameServer(env.URL, p.URL) {
		return p, usageError(
			"the login %q is for %s, but BILLET_URL is %s. "+
				"Set BILLET_API_KEY, unset BILLET_URL, or name a login with --profile.",
			name,
			p.URL,
			env.URL,
		)
	}
	return p, nil
}

// sameServer reports whether two addresses are the same, except for a trailing slash.
func sameServer(a, b string) bool { return strings.TrimRight(a, "/") == strings.TrimRight(b, "/") }

func (c credentials) names() []string {
	names := make([]string, 0, len(c.Profiles))
	for name := range c.Profiles {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
