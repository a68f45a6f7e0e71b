package main

import (
	"github.com/billetcloud/billet/internal/app"
	"github.com/spf13/cobra"
)

func paymentsCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "payments", Short: "Check how payments are taken"}
	check := operatorCommand("check", "Check that Stripe accepts the stored key",
		func(*cobra.Command) {},
		func(cmd *cobra.Command, o *app.Operator, out *output) error {
			live, err := o.CheckPayments(cmd.Context())
			if err != nil {
				return err
			}
			mode := "test"
			if live {
				mode = "live"
			}
			return out.print(cmd.OutOrStdout(), map[string]string{"processor": "stripe", "mode": mode},
				[]any{"PROCESSOR", "MODE"}, [][]any{{"stripe", mode}})
		})
	check.Long = `Check that Stripe accepts the stored key, and that the key may read what payments need.

It reads only. Whether the key may create pages and refunds is known after a payment in test mode.`
	cmd.AddCommand(check)
	return cmd
}
