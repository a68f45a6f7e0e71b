package main

import (
	"context"
	"os"
	"time"

	"github.com/billetcloud/billet/internal/app"
	"github.com/spf13/cobra"
)

func serve() *cobra.Command {
	h := &house{}
	var level, format string
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run the server",
		Long: `Run the server: the API, and the work in the background.

With --sim it sells simulated machines, each a real SSH endpoint on this machine, and
` + "`billetd sim advance`" + ` moves its clock. With --demo it makes an account to try it with, once.`,
		Example: "  billetd serve --sim --demo\n  billetd serve --listen 0.0.0.0:8080 --database-url postgres://billet@db/billet",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var err error
			if h.c.Log, err = logger(level, format); err != nil {
				return err
			}
			context.AfterFunc(cmd.Context(), func() { // whatever hangs
				time.Sleep(app.StopTime)
				h.c.Log.ErrorContext(context.WithoutCancel(cmd.Context()), "stopping took too long; the process ends as it is", "after", app.StopTime)
				os.Exit(1)
			})
			a, err := app.Open(cmd.Context(), h.c)
			if err != nil {
				return err
			}
			defer func() { _ = a.Close() }()
			return a.Run(cmd.Context(), func(s app.Started) {
				welcome(cmd.OutOrStdout(), s, h.c)
				tellReady(cmd.Context(), h.c.Log)
			})
		},
	}
	h.flags(cmd)
	f := cmd.Flags()
	f.StringVar(&h.c.Listen, "listen", h.c.Listen, "address of the API")
	f.StringVar(&h.c.MetricsListen, "metrics-listen", h.c.MetricsListen, `loopback address of the Prometheus metrics, "" for none`)
	f.StringVar(&h.c.RedisURL, "redis-url", "", "a redis:// URL, so that replicas share their rate limits")
	f.BoolVar(&h.c.Sim, "sim", false, "add the simulated providers, and a clock that can be moved")
	f.BoolVar(&h.c.SimUnisolated, "sim-unisolated", false, "start simulated machines also where they cannot be isolated: anyone who logs in to one has all rights of the server's user")
	f.StringVar(&h.c.SimMachines, "sim-machines", h.c.SimMachines, "ssh: simulated machines that one can log in to; banner: simulated machines that only greet, for tests with many")
	_ = f.MarkHidden("sim-machines")
	f.BoolVar(&h.c.Demo, "demo", false, "make a demo account once, and write demo.json in the data directory")
	f.DurationVar(&h.c.MaxClockSkew, "max-clock-skew", h.c.MaxClockSkew, "how far this machine's clock may differ from the database's; beyond it the server takes no jobs, and says so")
	f.DurationVar(&h.c.PastDueGrace, "past-due-grace", h.c.PastDueGrace, "how long deployments go on when the money is used up")
	f.DurationVar(&h.c.PastDueKeepVolumes, "past-due-keep-volumes", h.c.PastDueKeepVolumes, "how long volumes are kept then")
	f.StringVar(&h.c.UnownedMachines, "orphaned-machines", h.c.UnownedMachines, "end: machines with one of our ids that nobody here has are ended; report: an operator decides. Where two Billets share a provider's account, both need report")
	f.DurationVar(&h.c.UnownedGrace, "unowned-grace", h.c.UnownedGrace, "how long such machines are left alone before they are ended")
	f.StringVar(&h.c.Markup, "markup", "", `percent above the provider's price: "10", or by provider "voltage-park=12.5,northgrid=8"`)
	f.StringVar(&h.c.ProvidersFile, "providers-file", "", "YAML that names accounts at clouds, beside those of billetd provider add; see docs/providers.md")
	f.StringVar(&h.c.WebhookAllowNetworks, "webhook-allow-networks", "", "networks that webhooks may be sent to although they are not public, comma-separated")
	f.BoolVar(&h.c.WebhookAllowHTTP, "webhook-allow-http", false, "let webhooks go to http:// addresses")
	f.StringVar(&h.c.TrustedProxies, "trusted-proxies", "", "networks of your proxies, whose X-Forwarded-For, X-Forwarded-Proto and Forwarded are believed, comma-separated")
	f.StringVar(&h.c.PublicURL, "public-url", "", "where browsers reach the server, such as https://gpu.example.com; passkeys and invitations need it, and an https one makes cookies Secure")
	f.StringVar(&h.c.OIDCIssuer, "oidc-issuer", "", "URL of an identity provider that people may sign in with (OpenID Connect)")
	f.StringVar(&h.c.OIDCClientID, "oidc-client-id", "", "who this server is to the identity provider")
	f.StringVar(&h.c.OIDCClientSecretFile, "oidc-client-secret-file", "", "file that holds the secret which goes with it")
	f.StringVar(&h.c.OIDCName, "oidc-name", "", "what people call the identity provider")
	f.StringVar(&level, "log-level", "info", "debug, info, warn or error")
	f.StringVar(&format, "log-format", "text", "text or json")
	return cmd
}
