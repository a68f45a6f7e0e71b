package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"net/url"
	"os"
	"os/exec"
	"runtime"
	"strings"

	"github.com/billetcloud/billet/client"
	"github.com/spf13/cobra"
	"golang.org/x/term"
)

// signedInAs is what a login tells of itself; the key's secret is not in it.
type signedInAs struct {
	// Profile is empty where the key is from the environment.
	Profile string `json:"profile"`
	URL     string `json:"url"`
	// Key is nil for a server that does not tell.
	Key *client.Key `json:"key"`
	// Available is what the wallet has; nil where the key may not see it.
	Available *client.Money `json:"available"`
}

func (t *tool) login() *cobra.Command {
	var withKey, noBrowser bool
	cmd := &cobra.Command{
		Use: "login [URL]", Short: "Sign in to a Billet server", Args: cobra.MaximumNArgs(1),
		Long: `Signs in to a server. billet shows a code and opens the dashboard. Sign in there, compare the code, choose what the new
API key may do, and approve it. The page can be opened on another device.

With --with-key, billet reads an existing API key: it prompts without showing the input, or reads standard input.

The key is saved in a file that only you can read, in the profile that --profile names. Without --profile, another server
gets a profile named after its host. The newest profile becomes the current one.`,
		Example: `  billet login https://billet.example
  billet login --profile work https://billet.example
  billet login --with-key https://billet.example < key.txt`,
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	f := cmd.Flags()
	f.BoolVar(&withKey, "with-key", false, "read an existing API key instead of authorizing this device")
	f.BoolVar(&noBrowser, "no-browser", false, "do not open a browser")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		ctx := cmd.Context()
		have, err := t.credentials()
		if err != nil {
			return err
		}
		at, err := t.loginURL(ctx, have, args)
		if err != nil {
			return err
		}
		if _, err := t.connect(profile{URL: at, APIKey: "x"}); err != nil { // before anything is asked
			return err
		}
		if exposed(at) {
			t.note("billet: the connection to %s is not encrypted: whoever is in between can read the API key.", at)
		}
		p := profile{URL: at}
		if withKey {
			p.APIKey, err = t.readKey(ctx)
		} else {
			p, err = t.authorizeDevice(ctx, p, !noBrowser)
		}
		if err != nil {
			return err
		}
		c, err := t.connect(p)
		if err != nil {
			return err
		}
		is, err := who(ctx, c)
		if err != nil {
			return err
		}
		if is.Key != nil {
			p.KeyID, p.Account = is.Key.ID, is.Key.Account.Name
		}
		// It is read again: another login may have come meanwhile.
		if have, err = t.credentials(); err != nil {
			return err
		}
		name := t.loginName(have, at)
		before, replaced := have.Profiles[name]
		have.Profiles[name], have.Current = p, name
		if err := t.keep(have); err != nil {
			return err
		}
		if replaced && before.APIKey != p.APIKey {
			t.note("billet: the key that this login had before, %s, still works until it is revoked: %s", unknown(before.KeyID), keysPage(before.URL))
		}
		if t.env("BILLET_API_KEY") != "" {
			t.note("billet: BILLET_API_KEY is set and goes before this login; unset it, or say --profile %s.", name)
		}
		is.Profile, is.URL = name, at
		return t.showWho(is)
	}
	return cmd
}

// loginURL is the server to sign in to: the one that is named, or else the last one.
func (t *tool) loginURL(ctx context.Context, have credentials, args []string) (string, error) {
	at := ""
	if len(args) == 1 {
		at = args[0]
	}
	for _, other := range []string{t.url, have.Profiles[t.profileName(have)].URL, t.env("BILLET_URL"), have.Profiles[have.Current].URL} {
		if at == "" {
			at = other
		}
	}
	if at == "" {
		if !t.asks() {
			return "", usage("say which server to sign in to: billet login https://…")
		}
		var err error
		if at, err = t.line(ctx, "Which server? Its address, such as https://billet.example", ""); err != nil {
			return "", err
		}
	}
	at = strings.TrimSpace(at)
	if !strings.Contains(at, "://") {
		scheme := "https://"
		if loopback(at) {
			scheme = "http://"
		}
		at = scheme + at
	}
	return strings.TrimRight(at, "/"), nil
}

// loopback tells whether an address without its scheme is of this machine.
func loopback(at string) bool {
	u, err := url.Parse("//" + at)
	if err != nil {
		return false
	}
	ip, err := netip.ParseAddr(u.Hostname())
	return u.Hostname() == "localhost" || err == nil && ip.IsLoopback()
}

// exposed tells whether a key is sent there for everybody to read.
func exposed(at string) bool {
	rest, plain := strings.CutPrefix(strings.ToLower(at), "http://")
	return plain && !loopback(rest)
}

// loginName is the profile of a login there: the one that is named, or that is for this server, or the usual one, or one called as the server.
func (t *tool) loginName(have credentials, at string) string {
	if t.profile != "" || t.env("BILLET_PROFILE") != "" {
		return t.profileName(have)
	}
	if have.Profiles[have.Current].URL == at {
		return have.Current
	}
	for _, name := range have.names() {
		if have.Profiles[name].URL == at {
			return name
		}
	}
	if u, err := url.Parse(at); err == nil && len(have.Profiles) > 0 {
		return u.Host
	}
	return defaultProfile
}

// readKey asks for a key that is not shown, or reads a line.
func (t *tool) readKey(ctx context.Context) (string, error) {
	var b []byte
	var err error
	if terminal(t.In) {
		_, _ = fmt.Fprint(t.Err, "API key, which is not shown: ")
		b, err = t.unseen(ctx)
		t.note("")
	} else {
		b, err = bufio.NewReader(t.In).ReadBytes('\n')
	}
	if err != nil && !errors.Is(err, io.EOF) { // the last line may have no end
		return "", err
	}
	key := strings.TrimSpace(string(b))
	if key == "" {
		return "", usage("there was no API key on standard input.")
	}
	return key, nil
}

// unseen reads a line that is not shown. Whoever gives up gets the terminal back as it was.
func (t *tool) unseen(ctx context.Context) ([]byte, error) {
	fd := int(t.In.Fd())
	before, err := term.GetState(fd)
	if err != nil {
		return nil, err
	}
	type line struct {
		b   []byte
		err error
	}
	read := make(chan line, 1)
	go func() {
		b, err := term.ReadPassword(fd)
		read <- line{b, err}
	}()
	select {
	case l := <-read:
		return l.b, l.err
	case <-ctx.Done():
		_ = term.Restore(fd, before)
		return nil, ctx.Err()
	}
}

// authorizeDevice gets a key by device authorization: a user approves it in the dashboard.
func (t *tool) authorizeDevice(ctx context.Context, p profile, browser bool) (profile, error) {
	name := "billet"
	if host, err := os.Hostname(); err == nil && host != "" {
		name = "billet on " + clean(host)
	}
	if r := []rune(name); len(r) > 64 {
		name = string(r[:64])
	}
	d, err := client.AuthorizeDevice(ctx, t.config(p), client.DeviceAuthorizationRequest{ClientID: name})
	if errors.Is(err, client.ErrNotFound) {
		return p, &fault{exitSignIn, "NO_DEVICE_AUTHORIZATION",
			"this server has no device authorization: create an API key in its dashboard, and sign in with --with-key."}
	} else if err != nil {
		return p, err
	}
	t.note("Open %s\nand compare the code: %s", clean(d.VerificationURIComplete), clean(d.UserCode))
	if browser && t.asks() {
		t.browse(d.VerificationURIComplete)
	}
	t.note("Waiting for your approval. Press Ctrl-C to cancel.")
	token, err := d.Wait(ctx)
	if err != nil {
		return p, err
	}
	p.APIKey, p.KeyID, p.Account = token.Key, token.KeyID, token.AccountName
	return p, nil
}

// browse opens a page where there is somewhere to see it. Where that fails the user has the address.
func (t *tool) browse(page string) {
	program := "xdg-open"
	switch {
	case runtime.GOOS == "darwin":
		program = "open"
	case t.env("DISPLAY") == "" && t.env("WAYLAND_DISPLAY") == "":
		return
	}
	path, err := exec.LookPath(program)
	if err != nil || strings.HasPrefix(page, "-") {
		return
	}
	b := exec.Command(path, page)
	b.Env = t.envForOthers()
	if b.Start() == nil {
		go func() { _ = b.Wait() }()
	}
}

// who asks the server whose key it is. A key that is not accepted is an error; one that may not see the wallet is not.
func who(ctx context.Context, c *client.Client) (signedInAs, error) {
	var is signedInAs
	k, err := c.Key.Get(ctx)
	if err == nil {
		is.Key = k
	} else if !errors.Is(err, client.ErrNotFound) { // as a server answers that does not have the call yet
		return is, err
	}
	w, err := c.Wallet.Get(ctx)
	if err == nil {
		is.Available = &w.Available
	} else if !errors.Is(err, client.ErrInsufficientScope) {
		return is, err
	}
	return is, nil
}

// showWho answers with who is signed in.
func (t *tool) showWho(is signedInAs) error {
	rows := []row{{"Server", is.URL}, {"Profile", is.Profile}}
	if is.Profile == "" {
		rows[1].value = "none; BILLET_API_KEY is set"
	}
	id := is.Profile
	if k := is.Key; k != nil {
		id = k.ID
		scopes := make([]string, len(k.Scopes))
		for i, s := range k.Scopes {
			scopes[i] = string(s)
		}
		expires := "never"
		if k.ExpiresAt != nil {
			expires = when(*k.ExpiresAt) + ", in " + since(k.ExpiresAt.Sub(t.Now()))
		}
		rows = append(rows, row{"Account", k.Account.Name + " (" + k.Account.ID + ")"}, row{"Key", k.Name + " (" + k.ID + ")"}, row{"May", strings.Join(scopes, "\n")},
			row{"From", strings.Join(k.AllowedNetworks, "\n")}, row{"Expires", expires}, row{"Limits", limits(k)})
	}
	if is.Available != nil {
		rows = append(rows, row{"Available", total(*is.Available)})
	}
	return show(t, id, is, rows...)
}

// limits are what a key may spend, for people.
func limits(k *client.Key) string {
	s := k.Spending
	if s == nil {
		return ""
	}
	spent := or(k.Spent, client.Spent{})
	var lines []string
	if s.MaxHourlyPrice != nil {
		lines = append(lines, hourly(*s.MaxHourlyPrice)+" for a machine")
	}
	if s.MaxSpendPerDay != nil {
		lines = append(lines, fmt.Sprintf("%s a day, of which %s are used", *s.MaxSpendPerDay, spent.CommittedToday))
	}
	if s.MaxSpendPerMonth != nil {
		lines = append(lines, fmt.Sprintf("%s a month, of which %s are used", *s.MaxSpendPerMonth, spent.CommittedThisMonth))
	}
	if s.MaxDeployments != nil {
		lines = append(lines, fmt.Sprintf("%d machines at a time, of which %d are there", *s.MaxDeployments, spent.Deployments))
	}
	if len(s.GPUTypes) > 0 {
		lines = append(lines, "only "+strings.Join(s.GPUTypes, ", "))
	}
	return strings.Join(lines, "\n")
}

func (t *tool) whoami() *cobra.Command {
	cmd := &cobra.Command{
		Use: "whoami", Short: "Which server, account and key is used", Args: cobra.NoArgs, Example: "  billet whoami\n  billet whoami -o json",
		Long: "Shows the server and the account that billet talks to, and what its API key may do and spend. The key itself is not shown.",
	}
	return t.verb(cmd, func(ctx context.Context, c *client.Client, _ []string) error {
		p, err := t.signedIn()
		if err != nil {
			return err
		}
		is, err := who(ctx, c)
		if err != nil {
			return err
		}
		is.URL = p.URL
		if is.Profile, err = t.usedProfile(); err != nil {
			return err
		}
		return t.showWho(is)
	})
}

// usedProfile names the login that is used; what the environment says has none.
func (t *tool) usedProfile() (string, error) {
	if t.env("BILLET_API_KEY") != "" && t.profile == "" {
		return "", nil
	}
	have, err := t.credentials()
	return t.profileName(have), err
}

func (t *tool) logout() *cobra.Command {
	var all bool
	cmd := &cobra.Command{
		Use: "logout", Short: "Forget a login", Args: cobra.NoArgs, Example: "  billet logout\n  billet logout --profile work\n  billet logout --all",
		Long: "Forgets a login on this machine. Its API key still works until it expires or is revoked in the dashboard, which billet says how to do.",
	}
	cmd.Flags().BoolVar(&all, "all", false, "forget every login")
	cmd.RunE = func(*cobra.Command, []string) error {
		have, err := t.credentials()
		if err != nil {
			return err
		}
		names := have.names()
		if name := t.profileName(have); !all {
			names = []string{name}
			if _, there := have.Profiles[name]; !there {
				return &fault{exitSignIn, "NOT_SIGNED_IN", fmt.Sprintf("there is no login %q to forget.%s", name, t.envStays())}
			}
		}
		forgotten := []loginEntry{}
		for _, name := range names {
			forgotten = append(forgotten, entry(have, name))
			delete(have.Profiles, name)
		}
		if _, there := have.Profiles[have.Current]; !there {
			have.Current = ""
			if left := have.names(); len(left) > 0 {
				have.Current = left[0]
			}
		}
		if err := t.keep(have); err != nil {
			return err
		}
		if t.format != "table" && t.format != "wide" {
			return list(t, loginListing, forgotten)
		}
		for _, e := range forgotten {
			if err := t.print(clean(fmt.Sprintf("Signed out of %s (%s). Its key, %s, still works until it is revoked: %s", e.URL, e.Name, unknown(e.KeyID), keysPage(e.URL)))); err != nil {
				return err
			}
		}
		if have.Current != "" {
			t.note("billet: %s is the login that is used now.", have.Current)
		}
		if text := t.envStays(); text != "" {
			t.note("billet:%s", text)
		}
		return nil
	}
	return cmd
}

// envStays says that a key of the environment is no login.
func (t *tool) envStays() string {
	if t.env("BILLET_API_KEY") == "" {
		return ""
	}
	return " BILLET_API_KEY is still set in the environment; unset it, too."
}

func unknown(id string) string {
	if id == "" {
		return "whose id was not kept"
	}
	return id
}

// keysPage is where a user revokes keys.
func keysPage(at string) string {
	u, err := url.Parse(at)
	if err != nil {
		return "the dashboard"
	}
	return u.Scheme + "://" + u.Host + "/settings/api-keys"
}

// loginEntry is a login as it is listed, without its key.
type loginEntry struct {
	Name    string `json:"name"`
	URL     string `json:"url"`
	Account string `json:"account"`
	KeyID   string `json:"keyId"`
	Current bool   `json:"current"`
}

func entry(have credentials, name string) loginEntry {
	p := have.Profiles[name]
	return loginEntry{name, p.URL, p.Account, p.KeyID, name == have.Current}
}

var loginListing = listing[loginEntry]{
	id: func(e loginEntry) string { return e.Name },
	columns: []column[loginEntry]{
		{name: "current", head: "USED", text: func(e loginEntry) string {
			if e.Current {
				return "*"
			}
			return ""
		}, raw: func(e loginEntry) string { return fmt.Sprint(e.Current) }},
		{name: "name", head: "PROFILE", text: func(e loginEntry) string { return e.Name }},
		{name: "url", head: "SERVER", text: func(e loginEntry) string { return e.URL }},
		{name: "account", head: "ACCOUNT", text: func(e loginEntry) string { return e.Account }},
		{name: "keyId", head: "KEY", text: func(e loginEntry) string { return e.KeyID }},
	},
	none: "No logins. 'billet login https://…' makes one.",
}

func (t *tool) profiles() *cobra.Command {
	cmd := &cobra.Command{
		Use: "profiles", Aliases: []string{"profile"}, Short: "Your logins", Args: cobra.NoArgs, Example: "  billet profiles\n  billet profiles use work\n  billet --profile work ps",
		Long: "Lists the logins on this machine. The one with a star is used where none is named.",
		RunE: func(*cobra.Command, []string) error {
			have, err := t.credentials()
			if err != nil {
				return err
			}
			entries := make([]loginEntry, 0, len(have.Profiles))
			for _, name := range have.names() {
				entries = append(entries, entry(have, name))
			}
			return list(t, loginListing, entries)
		},
	}
	cmd.AddCommand(&cobra.Command{
		Use: "use <name>", Short: "Choose the login that is used", Args: cobra.ExactArgs(1), Example: "  billet profiles use work",
		ValidArgsFunction: func(_ *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
			have, err := t.credentials()
			if err != nil || len(args) > 0 {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			return have.names(), cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(_ *cobra.Command, args []string) error {
			have, err := t.credentials()
			if err != nil {
				return err
			}
			if _, there := have.Profiles[args[0]]; !there {
				return &fault{exitNotFound, "NOT_FOUND", fmt.Sprintf("there is no login %q; there are: %s.", args[0], strings.Join(have.names(), ", "))}
			}
			have.Current = args[0]
			if err := t.keep(have); err != nil {
				return err
			}
			if text := t.envStays(); text != "" {
				t.note("billet: it is not used as long as BILLET_API_KEY is set in the environment.")
			}
			e := entry(have, args[0])
			if t.format != "table" && t.format != "wide" {
				return show(t, e.Name, e)
			}
			return t.print(clean(fmt.Sprintf("%s is used from now on: %s", e.Name, e.URL)))
		},
	})
	return cmd
}
