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

// defaultProfile is the profile of a login that names none.
const defaultProfile = "default"

// profile is one login.
type profile struct {
	// URL is the server's address, APIKey the key.
	URL    string `json:"url"`
	APIKey string `json:"apiKey"`
	// KeyID and Account say which key it is, and whose, where that was known.
	KeyID   string `json:"keyId,omitempty"`
	Account string `json:"account,omitempty"`
}

// credentials are all logins, as they are kept.
type credentials struct {
	// Current is the profile that is used where none is named.
	Current  string             `json:"current"`
	Profiles map[string]profile `json:"profiles"`
}

// configDir is where the system keeps the configuration of programs.
func (t *tool) configDir() (string, error) {
	if dir := t.env("BILLET_CONFIG_DIR"); dir != "" {
		return dir, nil
	}
	if dir := t.env("XDG_CONFIG_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "billet"), nil
	}
	home := t.env("HOME")
	if home == "" {
		return "", errors.New("the home directory is not known: set HOME or BILLET_CONFIG_DIR")
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

// credentials reads the logins; none where there is no file yet. A file that others can read is used, and said.
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
		return c, fmt.Errorf("%s cannot be read: %w\n'billet login' writes it anew once it is away", path, err)
	}
	if c.Profiles == nil {
		c.Profiles = map[string]profile{}
	}
	if i, err := os.Stat(path); err == nil && i.Mode().Perm()&0o077 != 0 {
		t.note("billet: other users of this machine can read your API key; mend it with: chmod 600 '%s'", path)
	}
	return c, nil
}

// keep writes the logins, whole or not at all, for their owner alone.
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

// profileName is the profile that was chosen: by the flag, the environment, or the last login.
func (t *tool) profileName(c credentials) string {
	for _, name := range []string{t.profile, t.env("BILLET_PROFILE"), c.Current} {
		if name != "" {
			return name
		}
	}
	return defaultProfile
}

// signedIn is the login to use. A key in the environment wins unless --profile names a login.
func (t *tool) signedIn() (profile, error) {
	env := profile{URL: t.env("BILLET_URL"), APIKey: t.env("BILLET_API_KEY")}
	if t.url != "" {
		env.URL = t.url
	}
	if env.APIKey != "" && t.profile == "" {
		if env.URL == "" {
			return env, &fault{exitSignIn, "NOT_SIGNED_IN", "BILLET_API_KEY is set, and BILLET_URL is not: say which server the key is for."}
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
		text := "you are not signed in.\n'billet login https://…' signs in to a server; or set BILLET_URL and BILLET_API_KEY."
		if names := c.names(); len(names) > 0 {
			text = fmt.Sprintf("there is no login %q; there are: %s.\n'billet login --profile %s https://…' makes it.", name, names, name)
		}
		return p, &fault{exitSignIn, "NOT_SIGNED_IN", text}
	}
	// A key is sent to the server that it was made by, and to no other.
	if t.url != "" && !sameServer(t.url, p.URL) {
		return p, usage("the login %q is for %s; with --url give BILLET_API_KEY, or log in there with another --profile.", name, p.URL)
	}
	// Nor is a verb that was meant for the environment's server done at another.
	if t.url == "" && t.profile == "" && env.URL != "" && !sameServer(env.URL, p.URL) {
		return p, usage("the login %q is for %s; BILLET_URL is %s, and BILLET_API_KEY is not set. Set it, unset BILLET_URL, or say which login by --profile.", name, p.URL, env.URL)
	}
	return p, nil
}

// sameServer tells whether two addresses are one, as a login keeps them.
func sameServer(a, b string) bool { return strings.TrimRight(a, "/") == strings.TrimRight(b, "/") }

func (c credentials) names() []string {
	names := make([]string, 0, len(c.Profiles))
	for name := range c.Profiles {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
