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
	"github.com/billetcloud/billet/internal/certificate"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/db/postgres"
	"github.com/billetcloud/billet/internal/issue"
	"github.com/billetcloud/billet/internal/observe"
	"github.com/billetcloud/billet/internal/pastdue"
	"github.com/billetcloud/billet/internal/provider"
	"github.com/billetcloud/billet/internal/provider/racks"
	"github.com/billetcloud/billet/internal/provideraccount"
	"github.com/billetcloud/billet/internal/rackagent"
	"github.com/billetcloud/billet/internal/ratelimit/redislimit"
	"github.com/billetcloud/billet/internal/retention"
)

// Config is the configuration of the server. Each field is a flag and an environment variable of
// billetd.
type Config struct {
	// Listen is the address of the API. MetricsListen is the address of the Prometheus metrics;
	// "" for none. It must be a loopback address, unless MetricsTokenFile names a file with the
	// token that a scrape must send. MetricsProfiling adds Go's profiles, and needs the token.
	Listen, MetricsListen, MetricsTokenFile string
	MetricsProfiling                        bool
	// TracesEndpoint is the URL of an OTLP receiver over HTTP that gets traces; "" for none.
	// TracesPercent is the share of the requests, and of the jobs that follow from none, that are
	// traced.
	TracesEndpoint string
	TracesPercent  float64
	// DataDir has the embedded database, the simulator's state and the operator's socket. It is
	// created with mode 0700.
	DataDir string
	// formerMayLack is for commands that deal with a former secret key that is not configured.
	formerMayLack bool
	// DatabaseURL is a postgres:// URL, or "" for SQLite in DataDir.
	DatabaseURL string
	// DatabasePool is how many connections to PostgreSQL a server may have open at once.
	DatabasePool int
	// DatabaseReplicaURL is the postgres:// URL of a standby of DatabaseURL that serves reports; ""
	// for none.
	DatabaseReplicaURL string
	// RedisURL is a redis:// URL if several replicas share their rate limits, or "" to count in
	// memory.
	RedisURL string
	// MaxClockSkew is how far this machine's clock may differ from the database's before the server
	// claims no jobs.
	MaxClockSkew time.Duration
	// Sim adds the simulated providers, and a clock that `billetd sim advance` moves.
	Sim bool
	// SimMachines selects what a simulated machine is: "ssh", processes of its own with an SSH
	// server, or "banner", a listener in this process that only greets, for tests with many
	// machines.
	SimMachines string
	// SimUnisolated allows simulated machines that cannot be isolated: they have all rights of the
	// server's user.
	SimUnisolated bool
	// Demo creates a demo account once and describes it in DataDir/demo.json.
	Demo bool
	// PastDueGrace and PastDueKeepVolumes are how long deployments and volumes of a past-due
	// account are kept.
	PastDueGrace, PastDueKeepVolumes time.Duration
	// OrphanedMachines selects what happens to machines with a reference of this server that no
	// record owns: "terminate" or "report". OrphanedMachinesGrace is how long they are left alone
	// before they are terminated.
	OrphanedMachines      string
	OrphanedMachinesGrace time.Duration
	// KeepEvents, KeepAudit and KeepIssues are how long events, entries of the audit log and closed
	// issues are kept; 0 is forever. ArchiveDir is the folder into which events and entries are
	// written before they are deleted; "" for none.
	KeepEvents, KeepAudit, KeepIssues time.Duration
	ArchiveDir                        string
	// Migrate has a server with PostgreSQL migrate the database when it starts. With SQLite, it
	// always does.
	Migrate bool
	// Drain is how long the server goes on serving after it was told to stop, while /readyz fails.
	Drain time.Duration
	// Markup is the percentage that tenants pay above the provider's price: "10" for all providers,
	// or by provider as in "voltage-park=12.5,northgrid=8".
	Markup string
	// ProvidersFile lists provider accounts in addition to those that `billetd provider add` has
	// stored; "" for none.
	ProvidersFile string
	// WebhookAllowNetworks are networks to which webhooks may be sent although they are not public,
	// separated by commas. WebhookAllowHTTP allows http:// URLs.
	WebhookAllowNetworks string
	WebhookAllowHTTP     bool
	// TrustedProxies are the networks whose X-Forwarded-For, X-Forwarded-Proto and Forwarded are
	// trusted, separated by commas.
	TrustedProxies string
	// PublicURL is the URL of the server for browsers, such as https://gpu.example.com; "" to use
	// each request's.
	PublicURL string
	// TLSDomain are the domains, separated by commas, for which the server gets certificates by
	// ACME from the server with the directory URL TLSACMEDirectory, which TLSACMECAFile verifies
	// instead of the system's authorities. TLSEmail may be "". TLSCert and TLSKey are files with a
	// certificate instead. Without either, Listen is plain HTTP.
	TLSDomain, TLSEmail, TLSACMEDirectory, TLSACMECAFile, TLSCert, TLSKey string
	// HTTPListen is the address of plain HTTP beside TLS, which redirects to PublicURL and answers
	// challenges of ACME; "" for none.
	HTTPListen string
	// RacksListen is the address at which BMCs and agents of the operator's own servers reach this
	// one by TLS, RacksURL how they do, and RacksAgentISO the file with the agent's image; all are
	// empty if it serves none.
	RacksListen, RacksURL, RacksAgentISO string
	// ImageNetworks are networks, separated by commas, that are not public and that tenants' own
	// images may be downloaded from.
	ImageNetworks string
	// OIDCIssuer and the others configure an identity provider that users may sign in with; all are
	// empty for none. OIDCClientSecretFile is the file with the secret. They need a PublicURL.
	OIDCIssuer, OIDCClientID, OIDCClientSecretFile, OIDCName string
	// SecretKey is the key of encrypted data, 32 bytes in base64, which replicas share; "" for the
	// one in DataDir, which is created at the first start. It is an environment variable only,
	// because every user of the machine can see flags.
	SecretKey string
	// SecretKeyCommand is a shell command that prints that key, for use with a key management
	// service.
	SecretKeyCommand string
	Version          string
	Log              *slog.Logger
	// serves is true for a server, and false for a command.
	serves bool
	// Database is an open database to use instead of DatabaseURL or DataDir, Providers are added to
	// the configured ones, and Probe replaces the connection to a machine's SSH port. They are for
	// programs that measure the server.
	Database  *db.DB
	Providers []provider.Provider
	// StripeURL replaces Stripe's address by that of a fake, which has this server's clock. It is
	// for tests of payments and needs Sim.
	StripeURL string
	// AgentImage replaces the image in RacksAgentISO, for tests.
	AgentImage racks.Image
	// AgentBoot goes with it, for machines without a BMC. It may be nil.
	AgentBoot func() (rackagent.Boot, error)
	Probe     func(ctx context.Context, at provider.Endpoint) (hostKey string, err error)
}

// A server with fewer connections than smallestPool would keep requests waiting for its background
// jobs. More than largestPool are a mistake: PostgreSQL gets slower with each.
const smallestPool, largestPool = 5, 1000

// DefaultMaxClockSkew is far more than the error of a clock that NTP synchronizes.
const DefaultMaxClockSkew = 5 * time.Second

// Default returns the default configuration.
func Default() Config {
	return Config{
		Listen: "127.0.0.1:8080", MetricsListen: "127.0.0.1:9464", TracesPercent: 100,
		DataDir: "./data", SimMachines: "ssh", DatabasePool: postgres.DefaultConnections,
		MaxClockSkew: DefaultMaxClockSkew, PastDueGrace: pastdue.DefaultGrace,
		PastDueKeepVolumes: pastdue.DefaultKeepVolumes, OrphanedMachines: "terminate",
		OrphanedMachinesGrace: issue.DefaultGrace, TLSACMEDirectory: certificate.LetsEncrypt,
		KeepEvents: retention.DefaultEvents, KeepAudit: retention.DefaultAudit, KeepIssues: retention.DefaultIssues,
	}
}

// check returns every error of the configuration at once.
func (c Config) check() error {
	return errors.Join(c.checkAddresses(), c.checkStorage(), c.checkPolicies(), c.checkNetworks(), c.checkOIDC(),
		c.checkTLS(), c.checkRacks())
}

func (c Config) checkAddresses() error {
	var errs []error
	if _, _, err := net.SplitHostPort(c.Listen); err != nil {
		errs = append(errs, fmt.Errorf("--listen: %w", err))
	}
	if c.MetricsListen != "" {
		if host, _, err := net.SplitHostPort(c.MetricsListen); err != nil {
			errs = append(errs, fmt.Errorf("--metrics-listen: %w", err))
		} else if !loopbackHost(host) && c.MetricsTokenFile == "" {
			errs = append(errs, errors.New("--metrics-listen must be host:port on a loopback address, or "+
				"--metrics-token-file must name a file with a token, because the metrics cover all tenants"))
		}
	}
	if _, err := parsePublicURL(c.PublicURL); err != nil {
		errs = append(errs, fmt.Errorf("--public-url: %w", err))
	}
	return errors.Join(append(errs, c.checkObservation()...)...)
}

func (c Config) checkObservation() (errs []error) {
	if c.MetricsProfiling && c.MetricsTokenFile == "" {
		errs = append(errs, errors.New("--metrics-profiling needs --metrics-token-file"))
	}
	if c.TracesEndpoint != "" {
		if err := observe.CheckEndpoint(c.TracesEndpoint); err != nil {
			errs = append(errs, fmt.Errorf("--traces-endpoint: %w", err))
		}
	}
	if c.TracesPercent < 0 || c.TracesPercent > 100 || c.TracesPercent != c.TracesPercent {
		errs = append(errs, errors.New("--traces-percent must be from 0 to 100"))
	}
	return errs
}

func (c Config) checkStorage() error {
	var errs []error
	if c.Log == nil {
		errs = append(errs, errors.New("a logger is required"))
	}
	if c.DataDir == "" {
		errs = append(errs, errors.New("--data-dir must not be empty"))
	}
	if c.DatabaseURL != "" {
		if err := postgres.CheckURL(c.DatabaseURL); err != nil {
			errs = append(errs, fmt.Errorf("--database-url: %w; omit it for SQLite", err))
		}
	}
	switch err := postgres.CheckReplicaURL(c.DatabaseReplicaURL); {
	case c.DatabaseReplicaURL == "":
	case c.DatabaseURL == "":
		errs = append(errs, errors.New("--database-replica-url needs --database-url: SQLite has no replicas"))
	case err != nil:
		errs = append(errs, fmt.Errorf("--database-replica-url: %w", err))
	}
	if c.DatabasePool < smallestPool || c.DatabasePool > largestPool {
		errs = append(errs, fmt.Errorf("--database-pool must be from %d to %d", smallestPool, largestPool))
	}
	if c.RedisURL != "" {
		if err := redislimit.CheckURL(c.RedisURL); err != nil {
			errs = append(errs, fmt.Errorf("--redis-url: %w", err))
		}
	}
	return errors.Join(errs...)
}

func (c Config) checkPolicies() error {
	var errs []error
	if c.SimMachines != "ssh" && c.SimMachines != "banner" {
		errs = append(errs, errors.New("--sim-machines must be ssh or banner"))
	}
	if c.Drain < 0 || c.Drain > maxDrain {
		errs = append(errs, fmt.Errorf("--drain must be from 0s to %s", maxDrain))
	}
	if c.MaxClockSkew < time.Second {
		errs = append(errs, errors.New("--max-clock-skew must be at least 1s"))
	}
	if c.PastDueGrace < 0 || c.PastDueKeepVolumes < c.PastDueGrace {
		errs = append(errs, errors.New(
			"--past-due-keep-volumes must not be shorter than --past-due-grace, which must not be negative"))
	}
	if c.OrphanedMachines != "terminate" && c.OrphanedMachines != "report" {
		errs = append(errs, errors.New("--orphaned-machines must be terminate or report"))
	}
	if c.OrphanedMachinesGrace < 0 {
		errs = append(errs, errors.New("--orphaned-machines-grace must not be negative"))
	}
	if _, err := parseMarkup(c.Markup); err != nil {
		errs = append(errs, fmt.Errorf("--markup: %w", err))
	}
	for flag, keep := range map[string]time.Duration{
		"--keep-events": c.KeepEvents, "--keep-audit": c.KeepAudit, "--keep-issues": c.KeepIssues,
	} {
		if keep != 0 && keep < retention.Shortest {
			errs = append(errs, fmt.Errorf("%s must be at least %v, or 0 to keep all", flag, retention.Shortest))
		}
	}
	return errors.Join(errs...)
}

func (c Config) checkNetworks() error {
	var errs []error
	if c.StripeURL != "" && !c.Sim {
		errs = append(errs, errors.New("--stripe-url needs --sim: it is for tests, and the key of Stripe goes there"))
	}
	if _, err := parseNetworks(c.TrustedProxies); err != nil {
		errs = append(errs, fmt.Errorf("--trusted-proxies: %w", err))
	}
	if _, err := parseNetworks(c.WebhookAllowNetworks); err != nil {
		errs = append(errs, fmt.Errorf("--webhook-allow-networks: %w", err))
	}
	if _, err := parseNetworks(c.ImageNetworks); err != nil {
		errs = append(errs, fmt.Errorf("--image-allow-networks: %w", err))
	}
	return errors.Join(errs...)
}

func (c Config) checkOIDC() error {
	given := []bool{c.OIDCIssuer != "", c.OIDCClientID != "", c.OIDCClientSecretFile != ""}
	if slices.Contains(given, true) && (slices.Contains(given, false) || c.PublicURL == "") {
		return errors.New("--oidc-issuer, --oidc-client-id and --oidc-client-secret-file must be used together, " +
			"and need --public-url")
	}
	return nil
}

// parseMarkup returns the basis points by provider; "" is for all others.
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
			return nil, fmt.Errorf(
				"%q is not a percentage from 0 to 1000 with at most two decimals, alone or as provider=percentage",
				part)
		}
		if _, twice := out[slug]; twice {
			return nil, fmt.Errorf("%q is listed twice", part)
		}
		out[slug] = bp
	}
	return out, nil
}

// parsePublicURL parses the origin of a web site; nil for "".
func parsePublicURL(s string) (*url.URL, error) {
	if s == "" {
		return nil, nil
	}
	u, err := url.Parse(strings.ToLower(strings.TrimSuffix(s, "/")))
	if err != nil || (u.Scheme != "https" && u.Scheme != "http") || u.Hostname() == "" || u.Path != "" ||
		u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		// The text is not shown, because it may contain a password.
		return nil, errors.New(
			"must be the address of a site without a path, user or query, such as https://gpu.example.com")
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
