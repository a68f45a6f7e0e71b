package main

import (
	"github.com/billetcloud/billet/internal/app"
	"github.com/spf13/cobra"
)

func paymentsCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "payments", Short: "Check the payment processor"}
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

The check only reads. To test whether the key may create pages and refunds, make a payment in test
mode.`
	cmd.AddCommand(check)
	return cmd
}
