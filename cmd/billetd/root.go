package main

import (
	"fmt"
	"log/slog"
	"os"
	"strings"

	"github.com/billetcloud/billet/internal/app"
	"github.com/billetcloud/billet/internal/version"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// commonFlags locate the server's database and files. Every command that needs them has these
// flags.
type commonFlags struct{ cfg app.Config }

func root() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "billetd",
		Short: "Run a bare-metal GPU cloud",
		Long: `billetd offers the GPU machines of many providers through one API: browse offers, deploy
bare metal, connect over SSH, attach storage, and pay by the hour from a prepaid wallet.

Try it without any setup:

    billetd serve --sim --demo

Every flag has an environment variable, which the flag overrides: BILLET_DATA_DIR for
--data-dir. BILLET_SECRET_KEY, which is not a flag, is the key that encrypts secrets;
replicas share it. By default, the key is secret.key in the data directory.`,
		SilenceUsage: true, SilenceErrors: true,
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error { return fromEnvironment(cmd.Flags()) },
	}
	cmd.AddCommand(serve(), simulator(), accounts(), users(), keys(), wallets(), ledgers(), deployments(), volumes(),
		issues(),
		announcements(), topUps(), invoices(), adjustments(), promoCodes(), serviceCredits(),
		providers(), machines(), priceRules(), settingsCommand(), paymentsCommand(), setupCode(), certificates(),
		secretKeys(), migrateCommand(), backups(), restore(), recoveries(), openapi(), health(), versionCommand())
	return cmd
}

func (common *commonFlags) flags(cmd *cobra.Command) *cobra.Command {
	f := cmd.Flags()
	common.cfg = app.Default()
	common.cfg.SecretKey, common.cfg.Version = os.Getenv("BILLET_SECRET_KEY"), version.Get().Version
	f.StringVar(&common.cfg.DataDir, "data-dir", common.cfg.DataDir,
		"`directory` of the database, the simulated machines and the operator's socket")
	f.StringVar(&common.cfg.SecretKeyCommand, "secret-key-command", "",
		"`command` that prints the secret key in base64, for key management services")
	f.StringVar(&common.cfg.DatabaseURL, "database-url", "",
		"postgres:// `URL`; default: SQLite in the data directory")
	return cmd
}

// fromEnvironment sets each flag that was not given from its variable: --database-url from
// BILLET_DATABASE_URL.
func fromEnvironment(flags *pflag.FlagSet) (err error) {
	flags.VisitAll(func(f *pflag.Flag) {
		name := "BILLET_" + strings.ToUpper(strings.ReplaceAll(f.Name, "-", "_"))
		value, set := os.LookupEnv(name)
		if !set || f.Changed || f.Name == "help" || f.Name == "output" || err != nil {
			return
		}
		if e := flags.Set(f.Name, value); e != nil {
			err = fmt.Errorf("%s: %w", name, e)
		}
	})
	return err
}

func logger(level, format string) (*slog.Logger, error) {
	var l slog.Level
	if err := l.UnmarshalText([]byte(level)); err != nil {
		return nil, fmt.Errorf("--log-level must be debug, info, warn or error, not %q", level)
	}
	o := &slog.HandlerOptions{Level: l}
	switch format {
	case "text":
		return slog.New(slog.NewTextHandler(os.Stderr, o)), nil
	case "json":
		o.ReplaceAttr = withUnit
		return slog.New(slog.NewJSONHandler(os.Stderr, o)), nil
	}
	return nil, fmt.Errorf("--log-format must be text or json, not %q", format)
}

// withUnit writes a duration as seconds, which its name says: JSON has no durations.
func withUnit(_ []string, a slog.Attr) slog.Attr {
	if a.Value.Kind() == slog.KindDuration {
		return slog.Float64(a.Key+"Seconds", a.Value.Duration().Seconds())
	}
	return a
}
