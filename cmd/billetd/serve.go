package main

import (
	"context"
	"os"
	"time"

	"github.com/billetcloud/billet/internal/app"
	"github.com/billetcloud/billet/internal/observe"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

func serve() *cobra.Command {
	common := &commonFlags{}
	var level, format string
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run the server",
		Long: `Run the server: the API and the background jobs.

With --sim it offers simulated machines, each a real SSH endpoint on this machine, and
` + "`billetd sim advance`" + ` moves its clock. With --demo it creates a demo account once.`,
		Example: "  billetd serve --sim --demo\n" +
			"  billetd serve --listen 0.0.0.0:8080 --database-url postgres://billet@db/billet\n" +
			"  billetd serve --tls-domain gpu.example.com",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var err error
			if common.cfg.Log, err = logger(level, format); err != nil {
				return err
			}
			tlsPorts(cmd.Flags(), &common.cfg)
			standardTraces(cmd.Context(), cmd.Flags(), &common.cfg)
			context.AfterFunc(cmd.Context(), func() { // whatever still runs
				time.Sleep(common.cfg.StopTime())
				common.cfg.Log.ErrorContext(context.WithoutCancel(cmd.Context()), "shutdown timed out; exiting",
					"after", common.cfg.StopTime())
				os.Exit(1)
			})
			a, err := app.Open(cmd.Context(), common.cfg)
			if err != nil {
				return err
			}
			defer func() { _ = a.Close() }()
			return a.Run(cmd.Context(), func(s app.Started) {
				welcome(cmd.OutOrStdout(), s, common.cfg)
				notifyReady(cmd.Context(), common.cfg.Log)
			})
		},
	}
	common.flags(cmd)
	f := cmd.Flags()
	f.StringVar(&common.cfg.Listen, "listen", common.cfg.Listen, "`address` of the API")
	f.StringVar(
		&common.cfg.MetricsListen,
		"metrics-listen",
		common.cfg.MetricsListen,
		"`address` of the Prometheus metrics: loopback, or any with --metrics-token-file; empty for none",
	)
	f.IntVar(&common.cfg.DatabasePool, "database-pool", common.cfg.DatabasePool,
		"maximum `number` of connections to PostgreSQL; see docs/sizing.md")
	f.StringVar(&common.cfg.DatabaseReplicaURL, "database-replica-url", "",
		"postgres:// `URL` of a standby that serves reports, such as usage and statements; see docs/sizing.md")
	observationFlags(f, &common.cfg)
	f.BoolVar(&common.cfg.Migrate, "migrate", false,
		"migrate a PostgreSQL database at the start, instead of by billetd migrate; SQLite always is")
	f.DurationVar(&common.cfg.Drain, "drain", 0,
		"how long to go on serving after SIGTERM while /readyz fails, so that a load balancer can notice")
	f.StringVar(&common.cfg.RedisURL, "redis-url", "", "redis:// `URL` through which replicas share rate limits")
	f.BoolVar(&common.cfg.Sim, "sim", false, "add simulated providers and a clock that can be moved")
	f.BoolVar(
		&common.cfg.SimUnisolated,
		"sim-unisolated",
		false,
		"run simulated machines without isolation if necessary: anyone who logs in to one has all\n"+
			"rights of the server's user",
	)
	f.StringVar(&common.cfg.SimMachines, "sim-machines", common.cfg.SimMachines,
		"ssh: simulated machines with an SSH server; banner: only an SSH banner, for tests with many")
	_ = f.MarkHidden("sim-machines")
	f.StringVar(&common.cfg.StripeURL, "stripe-url", "", "`URL` of a fake of Stripe, for tests with --sim")
	_ = f.MarkHidden("stripe-url")
	f.BoolVar(&common.cfg.Demo, "demo", false, "create a demo account once and write demo.json to the data directory")
	f.DurationVar(&common.cfg.MaxClockSkew, "max-clock-skew", common.cfg.MaxClockSkew,
		"maximum difference from the database's clock; beyond it the server runs no jobs")
	f.DurationVar(&common.cfg.PastDueGrace, "past-due-grace", common.cfg.PastDueGrace,
		"how long deployments keep running while the balance is negative")
	f.DurationVar(&common.cfg.PastDueKeepVolumes, "past-due-keep-volumes", common.cfg.PastDueKeepVolumes,
		"how long volumes are kept while the balance is negative")
	f.StringVar(
		&common.cfg.OrphanedMachines,
		"orphaned-machines",
		common.cfg.OrphanedMachines,
		"terminate or report orphaned machines at providers. If two Billet servers share a\n"+
			"provider account, both must use report",
	)
	f.DurationVar(&common.cfg.OrphanedMachinesGrace, "orphaned-machines-grace", common.cfg.OrphanedMachinesGrace,
		"how long orphaned machines are kept before they are terminated")
	f.DurationVar(&common.cfg.KeepEvents, "keep-events", common.cfg.KeepEvents,
		"how long events are kept; 0s for all of them")
	f.DurationVar(&common.cfg.KeepAudit, "keep-audit", common.cfg.KeepAudit,
		"how long entries of the audit log are kept; 0s for all of them")
	f.DurationVar(&common.cfg.KeepIssues, "keep-issues", common.cfg.KeepIssues,
		"how long closed issues are kept; 0s for all of them")
	f.StringVar(&common.cfg.ArchiveDir, "archive-dir", "",
		"`directory` for old events and audit entries, as JSON lines, before they are deleted")
	f.StringVar(
		&common.cfg.Markup,
		"markup",
		"",
		"`percent` added to provider prices: 10, or per provider: voltage-park=12.5,northgrid=8",
	)
	f.StringVar(
		&common.cfg.ProvidersFile,
		"providers-file",
		"",
		"YAML `file` with provider accounts, in addition to billetd provider add; see docs/providers.md",
	)
	f.StringVar(
		&common.cfg.WebhookAllowNetworks,
		"webhook-allow-networks",
		"",
		"non-public `networks` that webhooks may be sent to, comma-separated",
	)
	f.BoolVar(&common.cfg.WebhookAllowHTTP, "webhook-allow-http", false, "allow webhooks to http:// addresses")
	f.StringVar(
		&common.cfg.TrustedProxies,
		"trusted-proxies",
		"",
		"`networks` of proxies whose X-Forwarded-For, X-Forwarded-Proto and Forwarded headers are\n"+
			"trusted, comma-separated",
	)
	f.StringVar(
		&common.cfg.PublicURL,
		"public-url",
		"",
		"`URL` of the server in browsers, such as https://gpu.example.com; required for passkeys and\n"+
			"invitations, and makes cookies Secure if it is https",
	)
	tlsFlags(f, &common.cfg)
	racksFlags(f, &common.cfg)
	f.StringVar(&common.cfg.OIDCIssuer, "oidc-issuer", "", "`URL` of an identity provider for sign-in (OpenID Connect)")
	f.StringVar(&common.cfg.OIDCClientID, "oidc-client-id", "", "client `ID` of this server at the identity provider")
	f.StringVar(&common.cfg.OIDCClientSecretFile, "oidc-client-secret-file", "", "`file` with the client secret")
	f.StringVar(&common.cfg.OIDCName, "oidc-name", "", "display `name` of the identity provider")
	f.StringVar(&level, "log-level", "info", "log `level`: debug, info, warn or error")
	f.StringVar(&format, "log-format", "text", "log `format`: text or json")
	return cmd
}

// observationFlags are the flags of who watches the server.
func observationFlags(f *pflag.FlagSet, c *app.Config) {
	f.StringVar(&c.MetricsTokenFile, "metrics-token-file", "",
		"`file` with the bearer token that a scrape of the metrics must send")
	f.BoolVar(&c.MetricsProfiling, "metrics-profiling", false,
		"serve Go's profiles at /debug/pprof/ of --metrics-listen; needs --metrics-token-file")
	f.StringVar(&c.TracesEndpoint, "traces-endpoint", "",
		"base `URL` of an OpenTelemetry receiver of traces (OTLP over HTTP), such as http://localhost:4318;\n"+
			"default: "+standardEndpointName+", else no traces")
	f.Float64Var(&c.TracesPercent, "traces-percent", c.TracesPercent,
		"`share` of the requests that are traced, in percent")
}

// standardEndpointName is the variable in which OpenTelemetry's programs look for their receiver.
const standardEndpointName = "OTEL_EXPORTER_OTLP_ENDPOINT"

// standardTraces sends traces to what the variable has, unless the flag says otherwise. A value
// that cannot be used sends none: it is often set for all programs of a machine, perhaps for OTLP
// over gRPC, and must keep none from starting.
func standardTraces(ctx context.Context, f *pflag.FlagSet, c *app.Config) {
	endpoint := os.Getenv(standardEndpointName)
	if endpoint == "" || f.Changed("traces-endpoint") {
		return
	}
	if err := observe.CheckEndpoint(endpoint); err != nil {
		c.Log.WarnContext(ctx, "no traces are sent: "+standardEndpointName+" cannot be used; set --traces-endpoint",
			"error", err)
		return
	}
	c.TracesEndpoint = endpoint
}

// racksFlags are the flags of a server that serves the operator's own servers.
func racksFlags(f *pflag.FlagSet, c *app.Config) {
	f.StringVar(&c.RacksListen, "racks-listen", "",
		"`address` of the provisioning network, at which BMCs and agents of your own servers reach this one\n"+
			"by TLS; see docs/racks.md")
	f.StringVar(&c.RacksURL, "racks-url", "",
		"`URL` at which they reach --racks-listen, such as https://10.0.0.2:8444")
	f.StringVar(&c.ImageNetworks, "image-allow-networks", "",
		"non-public `networks` that your own servers may download tenants' images from, comma-separated")
	f.StringVar(&c.RacksAgentISO, "racks-agent-iso", "", "`file` with the image of the agent that runs on them")
}

// tlsFlags are the flags of a server that terminates TLS itself.
func tlsFlags(f *pflag.FlagSet, c *app.Config) {
	f.StringVar(&c.TLSDomain, "tls-domain", "",
		"`domains`, comma-separated, to serve https for, with certificates that the server gets and renews\n"+
			"by ACME; --listen is then :443 by default, --http-listen :80 and --public-url the first domain's")
	f.StringVar(&c.TLSEmail, "tls-email", "", "`email` address for the ACME account")
	f.StringVar(&c.TLSACMEDirectory, "tls-acme-directory", c.TLSACMEDirectory, "directory `URL` of the ACME server")
	f.StringVar(&c.TLSACMECAFile, "tls-acme-ca-file", "",
		"`file` with the certificates that verify the ACME server, in PEM; default: the system's")
	f.StringVar(&c.TLSCert, "tls-cert", "",
		"`file` with a certificate and its chain in PEM, to serve https with instead; read again when it changes")
	f.StringVar(&c.TLSKey, "tls-key", "", "`file` with the key of --tls-cert in PEM")
	f.StringVar(&c.HTTPListen, "http-listen", "",
		"`address` of plain HTTP, which redirects to https and answers ACME challenges; empty for none")
}

// defaultTLS is --listen of a server that terminates TLS itself.
const defaultTLS = ":443"

// tlsPorts sets the well-known ports for a server that terminates TLS, unless others were chosen.
func tlsPorts(f *pflag.FlagSet, c *app.Config) {
	if c.TLSDomain == "" && c.TLSCert == "" {
		return
	}
	if !f.Changed("listen") {
		c.Listen = defaultTLS
	}
	if !f.Changed("http-listen") {
		c.HTTPListen = ":80"
	}
}
