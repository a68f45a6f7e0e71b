package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/billetcloud/billet/internal/account"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/db/postgres"
	"github.com/billetcloud/billet/internal/issue"
	"github.com/billetcloud/billet/internal/pastdue"
	"github.com/billetcloud/billet/internal/provider"
	"github.com/billetcloud/billet/internal/provideraccount"
	"github.com/billetcloud/billet/internal/ratelimit/redislimit"
)

// Config is everything that an operator can set. Each field is a flag and an environment variable of billetd.
type Config struct {
	// Listen is the address of the API, MetricsListen that of the Prometheus metrics, which must be a loopback address;
	// "" for none.
	Listen, MetricsListen string
	// DataDir holds the embedded database, the simulator's world and the operator's socket. It is made, mode 0700, where it is missing.
	DataDir string
	// DatabaseURL is a postgres:// URL, or "" for SQLite in DataDir.
	DatabaseURL string
	// RedisURL is a redis:// URL where several replicas share their rate limits, or "" to count in memory.
	RedisURL string
	// MaxClockSkew is how far this machine's clock may differ from the database's before the server takes no jobs.
	MaxClockSkew time.Duration
	// Sim adds the simulated providers, and a clock that `billetd sim advance` moves.
	Sim bool
	// SimMachines is what a simulated machine is made of: "ssh", processes of its own with an SSH server, or "banner", a listener in
	// this process that only greets, for tests with many.
	SimMachines string
	// SimUnisolated lets simulated machines be started where they cannot be isolated: with all rights of the server's user.
	SimUnisolated bool
	// Demo makes a demo account once and writes how to use it to DataDir/demo.json.
	Demo bool
	// PastDueGrace and PastDueKeepVolumes say how long deployments and volumes outlast the money.
	PastDueGrace, PastDueKeepVolumes time.Duration
	// OrphanedMachines says what becomes of machines with one of our ids that no record owns: "terminate" or "report"; OrphanedMachinesGrace is how
	// long they are left alone before they are ended.
	OrphanedMachines      string
	OrphanedMachinesGrace time.Duration
	// Markup is what tenants pay above the provider's price: "10" for ten per cent everywhere, or by provider
	// as "voltage-park=12.5,northgrid=8".
	Markup string
	// ProvidersFile names upstream clouds and the operator's accounts there, beside those that `billetd provider add` has put into the
	// database; "" for none.
	ProvidersFile string
	// WebhookAllowNetworks are networks to which webhooks may be sent although they are not public, comma-separated; WebhookAllowHTTP
	// lets them go to http:// addresses.
	WebhookAllowNetworks string
	WebhookAllowHTTP     bool
	// TrustedProxies are the networks whose X-Forwarded-For, X-Forwarded-Proto and Forwarded are believed, comma-separated.
	TrustedProxies string
	// PublicURL is where browsers reach the server, such as https://gpu.example.com; "" where only each request tells.
	PublicURL string
	// OIDCIssuer and the rest name an identity provider that people may sign in with; all empty for none. OIDCClientSecretFile is the
	// file that holds the secret. They need a PublicURL.
	OIDCIssuer, OIDCClientID, OIDCClientSecretFile, OIDCName string
	// SecretKey is the key of what is kept encrypted, 32 bytes in base64, where replicas share it; "" for the one in DataDir,
	// which is made at the first start. It is an environment variable only: flags are seen by everybody on the machine.
	SecretKey string
	// SecretKeyCommand is a program, run by the shell at the start, that prints that key: the way to keep it with a key management service.
	SecretKeyCommand string
	Version          string
	Log              *slog.Logger
	// Database, where it is given, is an open database in place of the one that DatabaseURL or DataDir names, Providers are beside
	// the configured ones, and Probe takes the place of knocking at a machine's SSH port. They are for programs that build the server
	// around what they measure.
	Database  *db.DB
	Providers []provider.Provider
	Probe     func(ctx context.Context, at provider.Endpoint) (hostKey string, err error)
}

// DefaultMaxClockSkew is far more than a clock that is kept by NTP is ever off.
const DefaultMaxClockSkew = 5 * time.Second

// Default returns the configuration that needs nothing set.
func Default() Config {
	return Config{
		Listen: "127.0.0.1:8080", MetricsListen: "127.0.0.1:9464", DataDir: "./data", SimMachines: "ssh", MaxClockSkew: DefaultMaxClockSkew,
		PastDueGrace: pastdue.DefaultGrace, PastDueKeepVolumes: pastdue.DefaultKeepVolumes,
		OrphanedMachines: "terminate", OrphanedMachinesGrace: issue.DefaultGrace,
	}
}

// check returns every fault of the configuration at once.
func (c Config) check() error {
	var errs []error
	if c.Log == nil {
		errs = append(errs, errors.New("no logger was given"))
	}
	if c.DataDir == "" {
		errs = append(errs, errors.New("--data-dir is empty"))
	}
	if _, _, err := net.SplitHostPort(c.Listen); err != nil {
		errs = append(errs, fmt.Errorf("--listen: %w", err))
	}
	if c.MetricsListen != "" {
		host, _, err := net.SplitHostPort(c.MetricsListen)
		if ip := net.ParseIP(host); err != nil || (host != "localhost" && (ip == nil || !ip.IsLoopback())) {
			errs = append(errs, errors.New("--metrics-listen must be host:port on a loopback address: the metrics tell what every tenant does"))
		}
	}
	if c.DatabaseURL != "" {
		if err := postgres.CheckURL(c.DatabaseURL); err != nil {
			errs = append(errs, fmt.Errorf("--database-url: %w; leave it out for SQLite", err))
		}
	}
	if c.RedisURL != "" {
		if err := redislimit.CheckURL(c.RedisURL); err != nil {
			errs = append(errs, fmt.Errorf("--redis-url: %w", err))
		}
	}
	if c.SimMachines != "ssh" && c.SimMachines != "banner" {
		errs = append(errs, errors.New("--sim-machines must be ssh or banner"))
	}
	if c.MaxClockSkew < time.Second {
		errs = append(errs, errors.New("--max-clock-skew must be at least 1s"))
	}
	if c.PastDueGrace < 0 || c.PastDueKeepVolumes < c.PastDueGrace {
		errs = append(errs, errors.New("--past-due-keep-volumes must not be shorter than --past-due-grace, which must not be negative"))
	}
	if c.OrphanedMachines != "terminate" && c.OrphanedMachines != "report" {
		errs = append(errs, errors.New("--orphaned-machines must be terminate or report"))
	}
	if c.OrphanedMachinesGrace < 0 {
		errs = append(errs, errors.New("--orphaned-machines-grace must not be negative"))
	}
	if _, err := parseNetworks(c.TrustedProxies); err != nil {
		errs = append(errs, fmt.Errorf("--trusted-proxies: %w", err))
	}
	if _, err := parseNetworks(c.WebhookAllowNetworks); err != nil {
		errs = append(errs, fmt.Errorf("--webhook-allow-networks: %w", err))
	}
	if _, err := parseMarkup(c.Markup); err != nil {
		errs = append(errs, fmt.Errorf("--markup: %w", err))
	}
	if _, err := parsePublicURL(c.PublicURL); err != nil {
		errs = append(errs, fmt.Errorf("--public-url: %w", err))
	}
	given := []bool{c.OIDCIssuer != "", c.OIDCClientID != "", c.OIDCClientSecretFile != ""}
	if slices.Contains(given, true) && (slices.Contains(given, false) || c.PublicURL == "") {
		errs = append(errs, errors.New("--oidc-issuer, --oidc-client-id and --oidc-client-secret-file go together, and need --public-url"))
	}
	return errors.Join(errs...)
}

// parseMarkup returns the basis points by provider; those under "" are for every other.
func parseMarkup(s string) (map[string]int64, error) {
	out := map[string]int64{}
	if s == "" {
		return out, nil
	}
	for part := range strings.SplitSeq(s, ",") {
		slug, percent, named := strings.Cut(strings.TrimSpace(part), "=")
		if !named {
			slug, percent = "", slug
		}
		bp, err := provideraccount.ParseMarkup(percent)
		if err != nil || (named && !provider.ValidSlug(slug)) {
			return nil, fmt.Errorf("%q is not a percentage from 0 to 1000 with at most two decimals, alone or as provider=percentage", part)
		}
		if _, twice := out[slug]; twice {
			return nil, fmt.Errorf("%q is given twice", part)
		}
		out[slug] = bp
	}
	return out, nil
}

// parsePublicURL reads the origin of a web site; nil for "".
func parsePublicURL(s string) (*url.URL, error) {
	if s == "" {
		return nil, nil
	}
	u, err := url.Parse(strings.ToLower(strings.TrimSuffix(s, "/")))
	if err != nil || (u.Scheme != "https" && u.Scheme != "http") || u.Hostname() == "" || u.Path != "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		// The text is not shown: it may hold a password.
		return nil, errors.New("must be the address of a site without a path, user or query, such as https://gpu.example.com")
	}
	if port := u.Port(); (u.Scheme == "https" && port == "443") || (u.Scheme == "http" && port == "80") {
		u.Host = strings.TrimSuffix(u.Host, ":"+port) // as browsers write it in Origin
	}
	return u, nil
}

// parseNetworks reads a comma-separated list of networks and single addresses.
func parseNetworks(s string) ([]netip.Prefix, error) {
	var out []netip.Prefix
	for part := range strings.SplitSeq(s, ",") {
		part = strings.TrimSpace(part)
		if part == "" {
			continue
		}
		p, ok := account.ParseNetwork(part)
		if !ok {
			return nil, fmt.Errorf("%q is neither a network such as 10.0.0.0/8 nor an address", part)
		}
		out = append(out, p)
	}
	return out, nil
}
