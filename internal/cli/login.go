package cli

import (
	"bufio"
	"cmp"
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

// identity describes a login, without the secret of its key.
type identity struct {
	// Profile is empty if the key comes from the environment.
	Profile string `json:"profile"`
	URL     string `json:"url"`
	// Key is nil if the server does not describe it.
	Key *client.Key `json:"key"`
	// Available is the available balance; nil if the key may not read it.
	Available *client.Money `json:"available"`
}

func (t *tool) login() *cobra.Command {
	var withKey, noBrowser bool
	cmd := &cobra.Command{
		Use: "login [URL]", Short: "Sign in to a Billet server", Args: cobra.MaximumNArgs(1),
		Long: `Signs in to a server with device authorization: billet shows a code and opens the
dashboard, where you compare the code, choose the scopes of the new API key and authorize it.
Without a browser on this machine, open the page on another device.

With --with-key, billet prompts for an existing API key, or reads it from standard input.

The login is saved as a profile, in a file that only you can read. Its name is that of --profile; a
second server's default name is its host. The latest login becomes the current one.`,
		Example: `  billet login https://billet.example
  billet login --profile work https://billet.example
  billet login --with-key https://billet.example < key.txt`,
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	f := cmd.Flags()
	f.BoolVar(&withKey, "with-key", false, "use an existing API key instead of device authorization")
	f.BoolVar(&noBrowser, "no-browser", false, "do not open a browser")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		ctx := cmd.Context()
		saved, err := t.credentials()
		if err != nil {
			return err
		}
		at, err := t.loginURL(ctx, saved, args)
		if err != nil {
			return err
		}
		if _, err := t.connect(profile{URL: at, APIKey: "x"}); err != nil { // before any prompt
			return err
		}
		if sendsKeyInClear(at) {
			t.note("billet: the connection to %s is not encrypted: the API key can be read in transit.", at)
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
		who, err := fetchIdentity(ctx, c)
		if err != nil {
			return err
		}
		if who.Key != nil {
			p.KeyID, p.Account = who.Key.ID, who.Key.Account.Name
		}
		// Another login may have been saved in the meantime.
		if saved, err = t.credentials(); err != nil {
			return err
		}
		name := t.loginName(saved, at)
		before, replaced := saved.Profiles[name]
		saved.Profiles[name], saved.Current = p, name
		if err := t.keep(saved); err != nil {
			return err
		}
		if replaced && before.APIKey != p.APIKey {
			t.note("billet: the previous key of this login, %s, stays valid until you revoke it: %s",
				orUnknown(before.KeyID), apiKeysURL(before.URL))
		}
		if t.env("BILLET_API_KEY") != "" {
			t.note("billet: BILLET_API_KEY is set and overrides this login. Unset it, or use --profile %s.", name)
		}
		who.Profile, who.URL = name, at
		return t.showIdentity(who)
	}
	return cmd
}

// loginURL returns the server to sign in to: the given one, otherwise the current login's.
func (t *tool) loginURL(ctx context.Context, saved credentials, args []string) (string, error) {
	at := ""
	if len(args) == 1 {
		at = args[0]
	}
	selected, current := saved.Profiles[t.profileName(saved)].URL, saved.Profiles[saved.Current].URL
	at = cmp.Or(at, t.url, selected, t.env("BILLET_URL"), current)
	if at == "" {
		if !t.interactive() {
			return "", usageError("name the server to sign in to: billet login https://…")
		}
		var err error
		if at, err = t.line(ctx, "Server address, such as https://billet.example", ""); err != nil {
			return "", err
		}
	}
	at = strings.TrimSpace(at)
	if !strings.Contains(at, "://") {
		scheme := "https://"
		if isLoopback(at) {
			scheme = "http://"
		}
		at = scheme + at
	}
	return strings.TrimRight(at, "/"), nil
}

// isLoopback reports whether an address without scheme is a loopback address.
func isLoopback(at string) bool {
	u, err := url.Parse("//" + at)
	if err != nil {
		return false
	}
	ip, err := netip.ParseAddr(u.Hostname())
	return u.Hostname() == "localhost" || err == nil && ip.IsLoopback()
}

// sendsKeyInClear reports whether requests to the address are sent unencrypted over a network.
func sendsKeyInClear(at string) bool {
	rest, plain := strings.CutPrefix(strings.ToLower(at), "http://")
	return plain && !isLoopback(rest)
}

// loginName returns the profile for a login at a server: the selected one, else one of the same
// server, else the default profile, or the server's host if there are other logins.
func (t *tool) loginName(saved credentials, at string) string {
	if t.profile != "" || t.env("BILLET_PROFILE") != "" {
		return t.profileName(saved)
	}
	if saved.Profiles[saved.Current].URL == at {
		return saved.Current
	}
	for _, name := range saved.names() {
		if saved.Profiles[name].URL == at {
			return name
		}
	}
	if u, err := url.Parse(at); err == nil && len(saved.Profiles) > 0 {
		return u.Host
	}
	return defaultProfile
}

// readKey prompts for a key without echo, or reads a line.
func (t *tool) readKey(ctx context.Context) (string, error) {
	var b []byte
	var err error
	if terminal(t.In) {
		_, _ = fmt.Fprint(t.Err, "API key (hidden): ")
		b, err = t.readHidden(ctx)
		t.note("")
	} else {
		b, err = bufio.NewReader(t.In).ReadBytes('\n')
	}
	if err != nil && !errors.Is(err, io.EOF) { // the last line may lack a line feed
		return "", err
	}
	key := strings.TrimSpace(string(b))
	if key == "" {
		return "", usageError("no API key on standard input.")
	}
	return key, nil
}

// readHidden reads a line without echo. It restores the terminal if the context ends.
func (t *tool) readHidden(ctx context.Context) ([]byte, error) {
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
		return p, &cliError{
			exitSignIn, "NO_DEVICE_AUTHORIZATION",
			"this server does not support device authorization. Create an API key in its dashboard and use --with-key.",
		}
	} else if err != nil {
		return p, err
	}
	t.note("Open %s\nand compare the code: %s", clean(d.VerificationURIComplete), clean(d.UserCode))
	if browser && t.interactive() {
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

// browse opens a page if there is a display. On failure, the user still has the printed address.
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
	b.Env = t.childEnv()
	if b.Start() == nil {
		go func() { _ = b.Wait() }()
	}
}

// fetchIdentity asks the server about the key. A rejected key is an error; a missing scope for the
// wallet is not.
func fetchIdentity(ctx context.Context, c *client.Client) (identity, error) {
	var who identity
	k, err := c.Key.Get(ctx)
	if err == nil {
		who.Key = k
	} else if !errors.Is(err, client.ErrNotFound) { // an older server has no such endpoint
		return who, err
	}
	w, err := c.Wallet.Get(ctx)
	if err == nil {
		who.Available = &w.Available
	} else if !errors.Is(err, client.ErrInsufficientScope) {
		return who, err
	}
	return who, nil
}

// showIdentity prints an identity.
func (t *tool) showIdentity(who identity) error {
	rows := []row{{"Server", who.URL}, {"Profile", who.Profile}}
	if who.Profile == "" {
		rows[1].value = "none (BILLET_API_KEY is set)"
	}
	id := who.Profile
	if k := who.Key; k != nil {
		id = k.ID
		scopes := make([]string, len(k.Scopes))
		for i, s := range k.Scopes {
			scopes[i] = string(s)
		}
		expires := "never"
		if k.ExpiresAt != nil {
			expires = fmt.Sprintf("%s (in %s)", localTime(*k.ExpiresAt), duration(k.ExpiresAt.Sub(t.Now())))
		}
		rows = append(rows, row{"Account", k.Account.Name + " (" + k.Account.ID + ")"},
			row{"Key", k.Name + " (" + k.ID + ")"}, row{"Scopes", strings.Join(scopes, "\n")},
			row{"IP allowlist", strings.Join(k.AllowedNetworks, "\n")}, row{"Expires", expires},
			row{"Spending limits", limits(k)})
	}
	if who.Available != nil {
		rows = append(rows, row{"Available", total(*who.Available)})
	}
	return show(t, id, who, rows...)
}

// limits describes the spending limits of a key.
func limits(k *client.Key) string {
	s := k.Spending
	if s == nil {
		return ""
	}
	spent := valueOr(k.Spent, client.Spent{})
	var lines []string
	if s.MaxHourlyPrice != nil {
		lines = append(lines, hourly(*s.MaxHourlyPrice)+" per machine")
	}
	if s.MaxSpendPerDay != nil {
		lines = append(lines,
			fmt.Sprintf("%s per day (%s used)", total(*s.MaxSpendPerDay), total(spent.CommittedToday)))
	}
	if s.MaxSpendPerMonth != nil {
		lines = append(lines,
			fmt.Sprintf("%s per month (%s used)", total(*s.MaxSpendPerMonth), total(spent.CommittedThisMonth)))
	}
	if s.MaxDeployments != nil {
		lines = append(lines, fmt.Sprintf("%d concurrent deployments (%d used)", *s.MaxDeployments, spent.Deployments))
	}
	if len(s.GPUTypes) > 0 {
		lines = append(lines, "only "+strings.Join(s.GPUTypes, ", "))
	}
	return strings.Join(lines, "\n")
}

func (t *tool) whoami() *cobra.Command {
	cmd := &cobra.Command{
		Use: "whoami", Short: "Show the current server, account and API key", Args: cobra.NoArgs,
		Example: "  billet whoami\n  billet whoami -o json",
		Long: "Shows the server and the account in use, and the scopes and spending limits of the API key.\n" +
			"The key itself is not shown.",
	}
	return t.withClient(cmd, func(ctx context.Context, c *client.Client, _ []string) error {
		p, err := t.signedIn()
		if err != nil {
			return err
		}
		who, err := fetchIdentity(ctx, c)
		if err != nil {
			return err
		}
		who.URL = p.URL
		if who.Profile, err = t.activeProfile(); err != nil {
			return err
		}
		return t.showIdentity(who)
	})
}

// activeProfile returns the name of the login in use, or "" if the key comes from the environment.
func (t *tool) activeProfile() (string, error) {
	if t.env("BILLET_API_KEY") != "" && t.profile == "" {
		return "", nil
	}
	saved, err := t.credentials()
	return t.profileName(saved), err
}

func (t *tool) logout() *cobra.Command {
	var all bool
	cmd := &cobra.Command{
		Use: "logout", Short: "Remove a login", Args: cobra.NoArgs,
		Example: "  billet logout\n  billet logout --profile work\n  billet logout --all",
		Long: "Removes a login from this machine. Its API key stays valid until it expires or you revoke it in\n" +
			"the dashboard.",
	}
	cmd.Flags().BoolVar(&all, "all", false, "remove all logins")
	cmd.RunE = func(*cobra.Command, []string) error {
		saved, err := t.credentials()
		if err != nil {
			return err
		}
		names := saved.names()
		if name := t.profileName(saved); !all {
			names = []string{name}
			if _, there := saved.Profiles[name]; !there {
				return &cliError{exitSignIn, "NOT_SIGNED_IN", fmt.Sprintf("no login named %q.%s", name, t.envKeyNote())}
			}
		}
		removed := []loginEntry{}
		for _, name := range names {
			removed = append(removed, entry(saved, name))
			delete(saved.Profiles, name)
		}
		if _, there := saved.Profiles[saved.Current]; !there {
			saved.Current = ""
			if left := saved.names(); len(left) > 0 {
				saved.Current = left[0]
			}
		}
		if err := t.keep(saved); err != nil {
			return err
		}
		if t.format != "table" && t.format != "wide" {
			return list(t, loginListing, removed)
		}
		for _, e := range removed {
			text := fmt.Sprintf("Removed the login %s (%s). Its key, %s, stays valid until you revoke it: %s",
				e.Name, e.URL, orUnknown(e.KeyID), apiKeysURL(e.URL))
			if err := t.print(clean(text)); err != nil {
				return err
			}
		}
		if saved.Current != "" {
			t.note("billet: the current login is now %s.", saved.Current)
		}
		if text := t.envKeyNote(); text != "" {
			t.note("billet:%s", text)
		}
		return nil
	}
	return cmd
}

// envKeyNote is a note about a key in the environment, which logout does not remove.
func (t *tool) envKeyNote() string {
	if t.env("BILLET_API_KEY") == "" {
		return ""
	}
	return " BILLET_API_KEY is still set in the environment. Unset it, too."
}

func orUnknown(id string) string {
	if id == "" {
		return "whose ID is not known"
	}
	return id
}

// apiKeysURL is the page of the dashboard where a user revokes keys.
func apiKeysURL(at string) string {
	u, err := url.Parse(at)
	if err != nil {
		return "the dashboard"
	}
	return u.Scheme + "://" + u.Host + "/settings/api-keys"
}

// loginEntry is a login in a list, without its key.
type loginEntry struct {
	Name    string `json:"name"`
	URL     string `json:"url"`
	Account string `json:"account"`
	KeyID   string `json:"keyId"`
	Current bool   `json:"current"`
}

func entry(saved credentials, name string) loginEntry {
	p := saved.Profiles[name]
	return loginEntry{name, p.URL, p.Account, p.KeyID, name == saved.Current}
}

var loginListing = listing[loginEntry]{
	id: func(e loginEntry) string { return e.Name },
	columns: []column[loginEntry]{
		{name: "current", head: "CURRENT", text: func(e loginEntry) string {
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
	none: "No logins. Run 'billet login https://…' to sign in.",
}

func (t *tool) profiles() *cobra.Command {
	cmd := &cobra.Command{
		Use: "profiles", Aliases: []string{"profile"}, Short: "List and switch logins", Args: cobra.NoArgs,
		Example: "  billet profiles\n  billet profiles use work\n  billet --profile work ps",
		Long:    "Lists the logins on this machine. The current one, marked *, is used unless --profile names another.",
		RunE: func(*cobra.Command, []string) error {
			saved, err := t.credentials()
			if err != nil {
				return err
			}
			entries := make([]loginEntry, 0, len(saved.Profiles))
			for _, name := range saved.names() {
				entries = append(entries, entry(saved, name))
			}
			return list(t, loginListing, entries)
		},
	}
	cmd.AddCommand(&cobra.Command{
		Use: "use <name>", Short: "Switch to another login", Args: cobra.ExactArgs(1),
		Example: "  billet profiles use work",
		ValidArgsFunction: func(
			_ *cobra.Command, args []string, _ string,
		) ([]cobra.Completion, cobra.ShellCompDirective) {
			saved, err := t.credentials()
			if err != nil || len(args) > 0 {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			return saved.names(), cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(_ *cobra.Command, args []string) error {
			saved, err := t.credentials()
			if err != nil {
				return err
			}
			if _, there := saved.Profiles[args[0]]; !there {
				return &cliError{
					exitNotFound,
					"NOT_FOUND",
					fmt.Sprintf("no login named %q. Logins: %s.", args[0], strings.Join(saved.names(), ", ")),
				}
			}
			saved.Current = args[0]
			if err := t.keep(saved); err != nil {
				return err
			}
			if text := t.envKeyNote(); text != "" {
				t.note("billet: BILLET_API_KEY is set in the environment and overrides this login.")
			}
			e := entry(saved, args[0])
			if t.format != "table" && t.format != "wide" {
				return show(t, e.Name, e)
			}
			return t.print(clean(fmt.Sprintf("The current login is now %s: %s", e.Name, e.URL)))
		},
	})
	return cmd
}
