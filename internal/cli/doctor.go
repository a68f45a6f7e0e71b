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
	// clockSkew is how far the clocks may be apart before it matters.
	clockSkew = 30 * time.Second
	// checkPatience is how long one look may take.
	checkPatience = 10 * time.Second
)

// diagnosis is what one look of the doctor found.
type diagnosis struct {
	Check string `json:"check"`
	// Status is ok, warning or failed.
	Status  string `json:"status"`
	Message string `json:"message"`
	// Cure is what to do about it; empty where nothing is.
	Cure string `json:"cure,omitempty"`
}

// doctor looks at one thing after the other. What cannot be looked at, since something before it failed, is left out.
type doctor struct {
	t     *tool
	fix   bool
	found []diagnosis
}

func (d *doctor) ok(check, format string, args ...any) {
	d.found = append(d.found, diagnosis{check, "ok", fmt.Sprintf(format, args...), ""})
}

func (d *doctor) warn(check, cure, format string, args ...any) {
	d.found = append(d.found, diagnosis{check, "warning", fmt.Sprintf(format, args...), cure})
}

func (d *doctor) failed(check, cure, format string, args ...any) {
	d.found = append(d.found, diagnosis{check, "failed", fmt.Sprintf(format, args...), cure})
}

func (t *tool) doctor() *cobra.Command {
	var fix bool
	cmd := &cobra.Command{
		Use: "doctor", Short: "Find out what is wrong, and how to mend it", Args: cobra.NoArgs, Example: "  billet doctor\n  billet doctor --fix\n  billet doctor -o json",
		Long: `Looks one by one at what billet needs: the login, the way to the server, the API key and what it may do, SSH and your SSH keys, the money, and what is
left of the requests of this minute. The exit code is 1 where something failed.`,
	}
	cmd.Flags().BoolVar(&fix, "fix", false, "mend what can be mended here: who may read the file with the logins")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		d := &doctor{t: t, fix: fix}
		d.file()
		p, err := t.signedIn()
		if err != nil {
			d.failed("login", "billet login https://…", "%s", firstLine(err))
		} else if where, err := t.usedProfile(); err != nil {
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
		if err := d.tell(); err != nil {
			return err
		}
		if slices.ContainsFunc(d.found, func(f diagnosis) bool { return f.Status == "failed" }) {
			return exit(exitOther)
		}
		return nil
	}
	return cmd
}

// file looks at the file with the logins.
func (d *doctor) file() {
	path, err := d.t.credentialsFile()
	if err != nil {
		d.failed("file", "set HOME or BILLET_CONFIG_DIR", "%s", firstLine(err))
		return
	}
	i, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist) && d.t.env("BILLET_API_KEY") != "":
		d.ok("file", "none, and none is needed: BILLET_API_KEY is set")
	case errors.Is(err, fs.ErrNotExist):
		d.failed("file", "billet login https://…", "there are no logins at %s", path)
	case err != nil:
		d.failed("file", "", "%s", firstLine(err))
	case i.Mode().Perm()&0o077 == 0:
		d.ok("file", "%s, for you alone", path)
	case d.fix:
		if err := os.Chmod(path, 0o600); err != nil {
			d.failed("file", "chmod 600 "+shellQuoted(path), "%s", firstLine(err))
			return
		}
		d.ok("file", "%s, mended: other users could read it", path)
	default:
		d.failed("file", "billet doctor --fix", "other users of this machine can read your API key in %s", path)
	}
}

// server looks at the way to the server and, if it is there, at what is behind it.
func (d *doctor) server(ctx context.Context, p profile) {
	config := d.t.config(p)
	config.MaxRetries, config.OnRetry, config.Timeout = -1, nil, checkPatience
	c, err := client.New(config)
	if err != nil {
		d.failed("address", "billet login https://…", "%s", plain(err))
		return
	}
	u, err := url.Parse(p.URL)
	if err != nil {
		return // New would have said so
	}
	if exposed(p.URL) {
		d.warn("address", "use https://", "%s is not encrypted: whoever is in between can read the API key", p.URL)
	} else {
		d.ok("address", "%s", p.URL)
	}
	// Through a proxy the way is the proxy's, and the answer is all there is to see.
	if proxy, err := http.ProxyFromEnvironment(&http.Request{URL: u}); err == nil && proxy != nil {
		d.ok("network", "by the proxy %s", proxy.Host)
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
			d.warn("requests", "wait a minute, or ask less often", "%d of %d reads are left in this minute", r.Rate.Remaining, r.Rate.Limit)
		} else {
			d.ok("requests", "%d of %d reads are left in this minute", r.Rate.Remaining, r.Rate.Limit)
		}
	}
}

// network goes the way to the server step by step, so that it is known which one fails.
func (d *doctor) network(ctx context.Context, u *url.URL) bool {
	ctx, cancel := context.WithTimeout(ctx, checkPatience)
	defer cancel()
	addresses, err := net.DefaultResolver.LookupHost(ctx, u.Hostname())
	if err != nil {
		d.failed("name", "is the address right, and is this machine online?", "%s has no address: %s", u.Hostname(), firstLine(err))
		return false
	}
	d.ok("name", "%s is %s", u.Hostname(), strings.Join(addresses, ", "))
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	connection, err := (&net.Dialer{}).DialContext(ctx, "tcp", net.JoinHostPort(u.Hostname(), port))
	if err != nil {
		d.failed("network", "does the server run, and does a firewall let port "+port+" through?", "port %s does not answer: %s", port, firstLine(err))
		return false
	}
	defer func() { _ = connection.Close() }()
	d.ok("network", "port %s answers", port)
	if u.Scheme != "https" {
		return true
	}
	secure := tls.Client(connection, &tls.Config{ServerName: u.Hostname()})
	err = secure.HandshakeContext(ctx)
	cure := "does the server speak HTTPS at this port?"
	if bad := (x509.CertificateInvalidError{}); errors.As(err, &bad) && bad.Reason == x509.Expired {
		cure = "is this machine's clock right? Otherwise the server's operator has to renew the certificate"
	} else if v := (*tls.CertificateVerificationError)(nil); errors.As(err, &v) {
		cure = "a certificate of your own is trusted by SSL_CERT_FILE"
	}
	if err != nil {
		d.failed("encryption", cure, "%s", firstLine(err))
		return false
	}
	until := secure.ConnectionState().PeerCertificates[0].NotAfter
	if left := until.Sub(d.t.Now()); left < 7*24*time.Hour {
		d.warn("encryption", "tell the operator of the server", "the certificate ends in %s", since(left))
	} else {
		d.ok("encryption", "the certificate is good until %s", when(until))
	}
	return true
}

// billet looks at who answers, and at the clocks.
func (d *doctor) billet(ctx context.Context, c *client.Client) bool {
	before := d.t.Now()
	a, err := c.Raw(ctx, client.RawRequest{Path: "/"})
	after := d.t.Now()
	if err != nil {
		d.failed("server", "is the address that of a Billet server?", "%s", plain(err))
		return false
	}
	index, err := c.Index(ctx)
	if err != nil {
		d.failed("server", "is the address that of a Billet server?", "%s", plain(err))
		return false
	}
	d.ok("server", "%s %s", index.Name, index.Version)
	at, err := http.ParseTime(a.Header.Get("Date"))
	if err != nil {
		return true
	}
	// The date is to the second, and of some instant between the request and the answer.
	switch {
	case before.Sub(at.Add(time.Second)) > clockSkew:
		d.warn("clock", "set this machine's clock", "it is %s ahead of the server's time", since(before.Sub(at)))
	case at.Sub(after) > clockSkew:
		d.warn("clock", "set this machine's clock", "it is %s behind the server's time", since(at.Sub(after)))
	default:
		d.ok("clock", "as the server's")
	}
	return true
}

// wanted are the scopes for what people do most, with the verbs that need them.
var wanted = []struct {
	scope client.Scope
	verbs string
}{
	{client.ScopeReadOffers, "offers"}, {client.ScopeReadDeployments, "ps, ssh"}, {client.ScopeWriteDeployments, "deploy, terminate"}, {client.ScopeReadSSHKeys, "deploy"}, {client.ScopeReadWallet, "wallet"},
}

// key looks at the API key.
func (d *doctor) key(ctx context.Context, c *client.Client) (*client.Key, bool) {
	k, err := c.Key.Get(ctx)
	if err != nil {
		d.failed("key", "billet login", "%s", plain(err))
		return nil, false
	}
	switch {
	case k.ExpiresAt != nil && k.ExpiresAt.Sub(d.t.Now()) < 72*time.Hour:
		d.warn("key", "billet login", "%s (%s) of %s expires in %s", k.Name, k.ID, k.Account.Name, since(k.ExpiresAt.Sub(d.t.Now())))
	default:
		d.ok("key", "%s (%s) of %s", k.Name, k.ID, k.Account.Name)
	}
	var lacks []string
	for _, w := range wanted {
		if !slices.Contains(k.Scopes, w.scope) {
			lacks = append(lacks, fmt.Sprintf("%s for %s", w.scope, w.verbs))
		}
	}
	if len(lacks) > 0 {
		d.warn("scopes", "'billet login' makes a key that may", "the key lacks %s", strings.Join(lacks, "; "))
	} else {
		d.ok("scopes", "it may do what is usual")
	}
	return k, true
}

// keys looks whether a machine would let this one in.
func (d *doctor) keys(ctx context.Context, c *client.Client, k *client.Key) {
	here := append(d.t.keyFiles(), d.t.agentKeys(ctx)...)
	if len(here) == 0 {
		d.failed("SSH key", "ssh-keygen -t ed25519", "there is none in ~/.ssh, and none in an agent")
		return
	}
	if !slices.Contains(k.Scopes, client.ScopeReadSSHKeys) {
		d.ok("SSH key", "%d here; the API key may not see those at the server", len(here))
		return
	}
	saved, err := collect(c.SSHKeys.All(ctx, client.SSHKeyQuery{}))
	if err != nil {
		d.failed("SSH key", "", "%s", plain(err))
		return
	}
	for _, s := range saved {
		if slices.ContainsFunc(here, func(l localKey) bool { return l.fingerprint == s.Fingerprint }) {
			d.ok("SSH key", "%s is here and at the server", s.Name)
			return
		}
	}
	cure := "billet keys add"
	if i := slices.IndexFunc(here, func(l localKey) bool { return l.file != "" }); i >= 0 {
		cure = "billet keys add " + shellQuoted(here[i].file+".pub")
	}
	d.warn("SSH key", cure, "of the %d here none is saved at the server: billet deploy gives its own along, and who deploys by the API or the dashboard has to", len(here))
}

// wallet looks at the money.
func (d *doctor) wallet(ctx context.Context, c *client.Client, k *client.Key) {
	if !slices.Contains(k.Scopes, client.ScopeReadWallet) {
		return
	}
	w, err := c.Wallet.Get(ctx)
	switch {
	case err != nil:
		d.failed("wallet", "", "%s", plain(err))
	case w.NegativeSince != nil:
		d.failed("wallet", "top it up: machines of a wallet that stays below zero are ended", "it is below zero since %s: %s", when(*w.NegativeSince), total(w.Balance))
	case w.Available < w.MinimumToDeploy || w.Available <= 0:
		d.warn("wallet", "top it up in the dashboard, under Wallet", "%s are available; a deploy needs %s at least", total(w.Available), total(w.MinimumToDeploy))
	default:
		d.ok("wallet", "%s are available", total(w.Available))
	}
}

// programs looks at what else is needed on this machine.
func (d *doctor) programs() {
	for _, name := range []string{"ssh", "scp"} {
		if path, err := exec.LookPath(name); err != nil {
			d.failed(name, "install OpenSSH's client", "it is not installed")
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
		{name: "cure", text: func(f diagnosis) string { return f.Cure }},
	},
}

// tell answers with what was found.
func (d *doctor) tell() error {
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
		if f.Cure != "" {
			if err := d.t.print("              → " + clean(f.Cure)); err != nil {
				return err
			}
		}
	}
	if count["failed"] > 0 {
		return d.t.print("\n" + strconv.Itoa(count["failed"]) + " failed.")
	} else if count["warning"] > 0 {
		return d.t.print("\nNothing failed.")
	}
	return d.t.print("\nAll is well.")
}

// plain is what a call's error says, without who says it.
func plain(err error) string {
	if e := (*client.Error)(nil); errors.As(err, &e) {
		return e.Message
	}
	return firstLine(err)
}

func firstLine(err error) string {
	line, _, _ := strings.Cut(strings.TrimPrefix(err.Error(), "client: "), "\n")
	return line
}
