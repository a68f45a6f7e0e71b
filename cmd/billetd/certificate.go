package main

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/billetcloud/billet/internal/app"
	"github.com/billetcloud/billet/internal/certificate"
	"github.com/spf13/cobra"
)

func certificates() *cobra.Command {
	cmd := &cobra.Command{
		Use: "certificate", Short: "List and retry the certificates of serve --tls-domain",
	}
	var domains []string
	cmd.AddCommand(operatorCommand("list", "List certificates, with the reason if one could not be obtained",
		func(*cobra.Command) {},
		func(cmd *cobra.Command, o *app.Operator, out *output) error {
			all, err := certificate.List(cmd.Context(), o.DB)
			if err != nil {
				return err
			}
			var rows [][]any
			for _, c := range all {
				end := "none yet"
				if c.NotAfter != nil {
					end = c.NotAfter.Format(time.RFC3339)
				}
				rows = append(rows, []any{c.Domain, end, c.Failures, c.NextAttemptAt.Format(time.RFC3339), c.Fault})
			}
			return out.print(cmd.OutOrStdout(), all,
				[]any{"DOMAIN", "VALID UNTIL", "FAILED ATTEMPTS", "NEXT ATTEMPT AT", "REASON"}, rows)
		}))
	cmd.AddCommand(operatorCommand("retry", "Retry at once, for example after correcting DNS records",
		func(cmd *cobra.Command) {
			cmd.Flags().StringSliceVar(&domains, "domain", nil, "`domain`; default: all")
		},
		func(cmd *cobra.Command, o *app.Operator, _ *output) error {
			n, err := certificate.Retry(cmd.Context(), o.DB, domains)
			if err != nil {
				return err
			}
			if n == 0 && len(domains) == 0 {
				return errors.New("no certificate has been ordered yet; start the server with --tls-domain")
			}
			if n == 0 {
				return fmt.Errorf(
					"--domain: no server has ordered a certificate for %s; see `billetd certificate list`",
					strings.Join(domains, ", "),
				)
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), "The server tries again within seconds.")
			return err
		}))
	return cmd
}
