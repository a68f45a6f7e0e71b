package main

import (
	"errors"
	"fmt"

	"github.com/billetcloud/billet/internal/app"
	"github.com/spf13/cobra"
)

func secretKeys() *cobra.Command {
	cmd := &cobra.Command{Use: "secret-key", Short: "The key of what is kept encrypted"}
	h, yes := &house{}, false
	replace := &cobra.Command{
		Use: "replace", Args: cobra.NoArgs, Short: "Go on with another key where the database's is lost",
		Long: `The database names the key that its secrets are sealed with, and a server with another key is refused. Where that key is lost for good, this
makes the key in the data directory, or the one that is given by BILLET_SECRET_KEY or --secret-key-command, the database's. Stop all servers first.

What was sealed with the lost key stays unreadable: people set up their authenticator apps again, webhooks get new secrets, and providers
their API keys (billetd provider key).`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if !yes {
				return errors.New("what is sealed with the database's present key can never be read again; add --yes if that key is lost for good")
			}
			before, after, err := app.ReplaceSecretKey(cmd.Context(), h.c)
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
	h.flags(replace)
	replace.Flags().BoolVar(&yes, "yes", false, "yes, the key is lost for good")
	cmd.AddCommand(replace)
	return cmd
}
