package main

import (
	"errors"
	"fmt"

	"github.com/billetcloud/billet/internal/app"
	"github.com/spf13/cobra"
)

func secretKeys() *cobra.Command {
	cmd := &cobra.Command{Use: "secret-key", Short: "Manage the key that encrypts secrets"}
	common, yes := &commonFlags{}, false
	replace := &cobra.Command{
		Use: "replace", Args: cobra.NoArgs, Short: "Replace a lost secret key",
		Long: `The database records which key encrypts its secrets, and rejects servers with another
key. If that key is permanently lost, this command records the key in the data directory, or that of
BILLET_SECRET_KEY or --secret-key-command, in its place. Stop all servers first.

Secrets encrypted with the lost key cannot be recovered: users set up their authenticator apps
again, webhooks need new secrets, and providers their API keys (billetd provider key).`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if !yes {
				return errors.New(
					"secrets encrypted with the current key will become unreadable; " +
						"if that key is permanently lost, add --yes",
				)
			}
			before, after, err := app.ReplaceSecretKey(cmd.Context(), common.cfg)
			if err != nil {
				return err
			}
			if before == "" {
				before = "none"
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "The database's secret key is now %s; it was %s.\n", after, before)
			return err
		},
	}
	common.flags(replace)
	replace.Flags().BoolVar(&yes, "yes", false, "confirm that the key is permanently lost")
	cmd.AddCommand(replace)
	return cmd
}
