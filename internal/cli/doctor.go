package cli

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"charm.land/lipgloss/v2"
	"github.com/billetcloud/billet/client"
	"github.com/spf13/cobra"
)

const (
	// clockSkew is the difference of the clocks from which on doctor warns.
	clockSkew = 30 * time.Second
	// checkTimeout limits each check.
	checkTimeout = 10 * time.Second
)

// diagnosis is the result of one check.
type diagnosis struct {
	Check string `json:"check"`
	// Status is ok, warning or failed.
	Status  string `json:"status"`
	Message string `json:"message"`
	// Fix is a command or advice that solves the problem, or "".
	Fix string `json:"fix,omitempty"`
}

// doctor runs the checks in order. Checks that depend on a failed one are skipped.
type doctor struct {
	t     *tool
	fix   bool
	found []diagnosis
}

func (d *doctor) ok(check, format string, args ...any) {
	d.found = append(d.found, diagnosis{check, "ok", fmt.Sprintf(format, args...), ""})
}

func (d *doctor) warn(check, fix, format string, args ...any) {
	d.found = append(d.found, diagnosis{check, "warning", fmt.Sprintf(format, args...), fix})
}

func (d *doctor) failed(check, fix, format string, args ...any) {
	d.found = append(d.found, diagnosis{check, "failed", fmt.Sprintf(format, args...), fix})
}

func (t *tool) doctor() *cobra.Command {
	var fix bool
	cmd := &cobra.Command{
		Use: "doctor", Short: "Diagnose and fix problems", Args: cobra.NoArgs,
		Example: "  billet doctor\n  billet doctor --fix\n  billet doctor -o json",
		Long: `Checks everything that billet needs: the login, the connection to the server, the API
key and its scopes, SSH and your SSH keys, the balance and the rate limit. The exit code is 1 if a
check fails.`,
	}
	cmd.Flags().BoolVar(&fix, "fix", false, "fix what can be fixed here: the permissions of the credentials file")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		d := &doctor{t: t, fix: fix}
		d.file()
		p, err := t.signedIn()
		if err != nil {
			d.failed("login", "billet login https://…", "%s", firstLine(err))
		} else if where, err := t.activeProfile(); err != nil {
			d.failed("login", "", "%s", firstLine(err))
		} else {
			if where == "" {
				where = "BILLET_API_KEY"
			}
			d.ok("login", "%s, for %s", where, p.URL)
			d.server(cmd.Context(), p)
		}
		d.programs()
		if err := cmd.Context().Err(); err != nil {
			return err
		}
		if err := d.report(); err != nil {
			return err
		}
		if slices.ContainsFunc(d.found, func(f diagnosis) bool { return f.Status == "failed" }) {
			return exit(exitOther)
		}
		return nil
	}
	return cmd
}

// file checks the credentials file.
func (d *doctor) file() {
	path, err := d.t.credentialsFile()
	if err != nil {
		d.failed("file", "set HOME or BILLET_CONFIG_DIR", "%s", firstLine(err))
		return
	}
	i, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist) && d.t.env("BILLET_API_KEY") != "":
		d.ok("file", "not needed: BILLET_API_KEY is set")
	case errors.Is(err, fs.ErrNotExist):
		d.failed("file", "billet login https://…", "no logins in %s", path)
	case err != nil:
		d.failed("file", "", "%s", firstLine(err))
	case i.Mode().Perm()&0o077 == 0:
		d.ok("file", "%s, readable only by you", path)
	case d.fix:
		if err := os.Chmod(path, 0o600); err != nil {
			d.failed("file", "chmod 600 "+shellQuoted(path), "%s", firstLine(err))
			return
		}
		d.ok("file", "%s, fixed: other users could read it", path)
	default:
		d.failed("file", "billet doctor --fix", "%s is readable by other users of this machine", path)
	}
}

// server checks the connection to the server and then what the server reports.
func (d *doctor) server(ctx context.Context, p profile) {
	config := d.t.config(p)
	config.MaxRetries, config.OnRetry, config.Timeout = -1, nil, checkTimeout
	c, err := client.New(config)
	if err != nil {
		d.failed("address", "billet login https://…", "%s", plain(err))
		return
	}
	u, err := url.Parse(p.URL)
	if err != nil {
		return // New would have said so
	}
	if sendsKeyInClear(p.URL) {
		d.warn("address", "use https://", "%s is not encrypted: the API key can be read in transit", p.URL)
	} else {
		d.ok("address", "%s", p.URL)
	}
	// Behind a proxy only the response can be checked.
	if proxy, err := http.ProxyFromEnvironment(&http.Request{URL: u}); err == nil && proxy != nil {
		d.ok("network", "via proxy %s", proxy.Host)
	} else if !d.network(ctx, u) {
		return
	}
	if !d.billet(ctx, c) {
		return
	}
	k, ok := d.key(ctx, c)
	if !ok {
		return
	}
	d.keys(ctx, c, k)
	d.wallet(ctx, c, k)
	var r client.Response
	if _, err := c.Key.Get(ctx, client.WithResponse(&r)); err == nil && r.Rate.Limit > 0 {
		if r.Rate.Remaining*10 < r.Rate.Limit {
			d.warn("rate limit", "wait a minute, or send fewer requests", "%d of %d reads left this minute",
				r.Rate.Remaining, r.Rate.Limit)
		} else {
			d.ok("rate limit", "%d of %d reads left this minute", r.Rate.Remaining, r.Rate.Limit)
		}
	}
}

// network checks name resolution, the TCP connection and TLS one by one, to find the one that
// fails.
func (d *doctor) network(ctx context.Context, u *url.URL) bool {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	addresses, err := net.DefaultResolver.LookupHost(ctx, u.Hostname())
	if err != nil {
		d.failed("name", "check the address and this machine's network connection", "cannot resolve %s: %s",
			u.Hostname(), firstLine(err))
		return false
	}
	d.ok("name", "%s resolves to %s", u.Hostname(), strings.Join(addresses, ", "))
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	connection, err := (&net.Dialer{}).DialContext(ctx, "tcp", net.JoinHostPort(u.Hostname(), port))
	if err != nil {
		d.failed("network", "check that the server is running and that no firewall blocks port "+port,
			"cannot connect to port %s: %s", port, firstLine(err))
		return false
	}
	defer func() { _ = connection.Close() }()
	d.ok("network", "connected to port %s", port)
	if u.Scheme != "https" {
		return true
	}
	secure := tls.Client(connection, &tls.Config{ServerName: u.Hostname()})
	err = secure.HandshakeContext(ctx)
	fix := "check that this port serves HTTPS"
	if bad, is := errors.AsType[x509.CertificateInvalidError](err); is && bad.Reason == x509.Expired {
		fix = "check this machine's clock; if it is right, the operator must renew the certificate"
	} else if _, is := errors.AsType[*tls.CertificateVerificationError](err); is {
		fix = "to trust a private certificate authority, set SSL_CERT_FILE"
	}
	if err != nil {
		d.failed("encryption", fix, "%s", firstLine(err))
		return false
	}
	until := secure.ConnectionState().PeerCertificates[0].NotAfter
	if left := until.Sub(d.t.Now()); left < 7*24*time.Hour {
		d.warn("encryption", "tell the server's operator", "the certificate expires in %s", duration(left))
	} else {
		d.ok("encryption", "certificate valid until %s", localTime(until))
	}
	return true
}

// billet checks that a Billet server responds, and compares the clocks.
func (d *doctor) billet(ctx context.Context, c *client.Client) bool {
	before := d.t.Now()
	a, err := c.Raw(ctx, client.RawRequest{Path: "/"})
	after := d.t.Now()
	if err != nil {
		d.failed("server", "check that the address is that of a Billet server", "%s", plain(err))
		return false
	}
	index, err := c.Index(ctx)
	if err != nil {
		d.failed("server", "check that the address is that of a Billet server", "%s", plain(err))
		return false
	}
	d.ok("server", "%s %s", index.Name, index.Version)
	at, err := http.ParseTime(a.Header.Get("Date"))
	if err != nil {
		return true
	}
	// The header has a resolution of one second and was written between the request and the
	// response.
	switch {
	case before.Sub(at.Add(time.Second)) > clockSkew:
		d.warn("clock", "set this machine's clock", "%s ahead of the server", duration(before.Sub(at)))
	case at.Sub(after) > clockSkew:
		d.warn("clock", "set this machine's clock", "%s behind the server", duration(at.Sub(after)))
	default:
		d.ok("clock", "in sync with server")
	}
	return true
}

// standardScopes are the scopes of the most common commands.
var standardScopes = []struct {
	scope    client.Scope
	commands string
}{
	{client.ScopeReadOffers, "offers"}, {client.ScopeReadDeployments, "ps, ssh"},
	{client.ScopeWriteDeployments, "deploy, terminate"}, {client.ScopeReadSSHKeys, "deploy"},
	{client.ScopeReadWallet, "wallet"},
}

// key checks the API key.
func (d *doctor) key(ctx context.Context, c *client.Client) (*client.Key, bool) {
	k, err := c.Key.Get(ctx)
	if err != nil {
		d.failed("key", "billet login", "%s", plain(err))
		return nil, false
	}
	switch {
	case k.ExpiresAt != nil && k.ExpiresAt.Sub(d.t.Now()) < 72*time.Hour:
		d.warn("key", "billet login", "%s (%s), account %s, expires in %s", k.Name, k.ID, k.Account.Name,
			duration(k.ExpiresAt.Sub(d.t.Now())))
	default:
		d.ok("key", "%s (%s), account %s", k.Name, k.ID, k.Account.Name)
	}
	var missing []string
	for _, w := range standardScopes {
		if !slices.Contains(k.Scopes, w.scope) {
			missing = append(missing, fmt.Sprintf("%s (for %s)", w.scope, w.commands))
		}
	}
	if len(missing) > 0 {
		d.warn("scopes", "billet login", "missing %s", strings.Join(missing, ", "))
	} else {
		d.ok("scopes", "has standard scopes")
	}
	return k, true
}

// keys checks that an SSH key on this machine can be authorized.
func (d *doctor) keys(ctx context.Context, c *client.Client, k *client.Key) {
	here := append(d.t.localKeyFiles(), d.t.agentKeys(ctx)...)
	if len(here) == 0 {
		d.failed("SSH key", "ssh-keygen -t ed25519", "none in ~/.ssh or an SSH agent")
		return
	}
	if !slices.Contains(k.Scopes, client.ScopeReadSSHKeys) {
		d.ok("SSH key", "%d on this machine; the API key cannot read those saved in the account", len(here))
		return
	}
	saved, err := collect(c.SSHKeys.All(ctx, client.SSHKeyQuery{}))
	if err != nil {
		d.failed("SSH key", "", "%s", plain(err))
		return
	}
	for _, s := range saved {
		if slices.ContainsFunc(here, func(l localKey) bool { return l.fingerprint == s.Fingerprint }) {
			d.ok("SSH key", "%s is on this machine and saved in the account", s.Name)
			return
		}
	}
	fix := "billet keys add"
	if i := slices.IndexFunc(here, func(l localKey) bool { return l.file != "" }); i >= 0 {
		fix = "billet keys add " + shellQuoted(here[i].file+".pub")
	}
	d.warn("SSH key", fix,
		"none of the %d on this machine is saved in the account, which deploys from the dashboard or API need",
		len(here))
}

// wallet checks the balance.
func (d *doctor) wallet(ctx context.Context, c *client.Client, k *client.Key) {
	if !slices.Contains(k.Scopes, client.ScopeReadWallet) {
		return
	}
	w, err := c.Wallet.Get(ctx)
	switch {
	case err != nil:
		d.failed("wallet", "", "%s", plain(err))
	case w.NegativeSince != nil:
		d.failed("wallet", "add funds, or running machines will be terminated", "negative since %s: %s",
			localTime(*w.NegativeSince), total(w.Balance))
	case w.Available < w.MinimumToDeploy || w.Available <= 0:
		d.warn("wallet", "add funds in the dashboard, under Wallet", "%s available; a deploy needs at least %s",
			total(w.Available), total(w.MinimumToDeploy))
	default:
		d.ok("wallet", "%s available", total(w.Available))
	}
}

// programs checks the other programs that billet runs.
func (d *doctor) programs() {
	for _, name := range []string{"ssh", "scp"} {
		if path, err := exec.LookPath(name); err != nil {
			d.failed(name, "install OpenSSH's client", "not installed")
		} else {
			d.ok(name, "%s", filepath.ToSlash(path))
		}
	}
}

var diagnosisListing = listing[diagnosis]{
	id: func(f diagnosis) string { return f.Check + " " + f.Status },
	columns: []column[diagnosis]{
		{name: "check", text: func(f diagnosis) string { return f.Check }},
		{name: "status", text: func(f diagnosis) string { return f.Status }},
		{name: "message", text: func(f diagnosis) string { return f.Message }},
		{name: "fix", text: func(f diagnosis) string { return f.Fix }},
	},
}

// report prints the results.
func (d *doctor) report() error {
	if d.t.format != "table" && d.t.format != "wide" {
		return list(d.t, diagnosisListing, d.found)
	}
	marks := map[string]string{
		"ok":      lipgloss.NewStyle().Foreground(lipgloss.Color("2")).Render("✓"),
		"warning": lipgloss.NewStyle().Foreground(lipgloss.Color("3")).Render("!"),
		"failed":  lipgloss.NewStyle().Foreground(lipgloss.Color("1")).Render("✗"),
	}
	count := map[string]int{}
	for _, f := range d.found {
		count[f.Status]++
		if err := d.t.print(fmt.Sprintf("%s %-10s  %s", marks[f.Status], f.Check, clean(f.Message))); err != nil {
			return err
		}
		if f.Fix != "" {
			if err := d.t.print("              → " + clean(f.Fix)); err != nil {
				return err
			}
		}
	}
	if count["failed"] > 0 {
		return d.t.print("\n" + strconv.Itoa(count["failed"]) + " failed.")
	} else if count["warning"] > 0 {
		return d.t.print("\nNo failures.")
	}
	return d.t.print("\nNo problems found.")
}

// plain returns the message of a call's error without code and request ID.
func plain(err error) string {
	if e, is := errors.AsType[*client.Error](err); is {
		return e.Message
	}
	return firstLine(err)
}

func firstLine(err error) string {
	line, _, _ := strings.Cut(strings.TrimPrefix(err.Error(), "client: "), "\n")
	return line
}
