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

// house are the flags that say where the server's things are; every verb that needs them has them.
type house struct{ c app.Config }

func root() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "billetd",
		Short: "The bare-metal GPU cloud that one user can run",
		Long: `billetd puts many sources of GPU machines behind one API: browse offers, deploy
bare metal, SSH in, attach storage, pay from a prepaid wallet by the hour.

Start it with nothing set up:

    billetd serve --sim --demo

Every flag is also an environment variable: --data-dir is BILLET_DATA_DIR. A flag wins.
BILLET_SECRET_KEY, which is no flag, is the key of what is kept encrypted; replicas
share it. Without it the key is secret.key in the data directory.`,
		SilenceUsage: true, SilenceErrors: true,
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error { return fromEnvironment(cmd.Flags()) },
	}
	cmd.AddCommand(serve(), simulator(), accounts(), persons(), keys(), wallets(), issues(), providers(), secretKeys(), openapi(), health(), versionVerb())
	return cmd
}

func (h *house) flags(cmd *cobra.Command) *cobra.Command {
	h.c = app.Default()
	h.c.SecretKey, h.c.Version = os.Getenv("BILLET_SECRET_KEY"), version.Get().Version
	cmd.Flags().StringVar(&h.c.DataDir, "data-dir", h.c.DataDir, "where the database, the simulator's machines and the operator's socket are")
	cmd.Flags().StringVar(&h.c.SecretKeyCommand, "secret-key-command", "", "a command that prints the key of what is kept encrypted, in base64, as a key management service's client does")
	cmd.Flags().StringVar(&h.c.DatabaseURL, "database-url", "", "a postgres:// URL; SQLite in the data directory without one")
	return cmd
}

// fromEnvironment sets each flag that was not given from its variable, --database-url from BILLET_DATABASE_URL.
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
		return nil, fmt.Errorf("--log-level %q is none of debug, info, warn, error", level)
	}
	o := &slog.HandlerOptions{Level: l}
	switch format {
	case "text":
		return slog.New(slog.NewTextHandler(os.Stderr, o)), nil
	case "json":
		return slog.New(slog.NewJSONHandler(os.Stderr, o)), nil
	}
	return nil, fmt.Errorf("--log-format %q is neither text nor json", format)
}
