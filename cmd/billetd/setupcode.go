package main

import (
	"time"

	"github.com/billetcloud/billet/internal/app"
	"github.com/spf13/cobra"
)

func setupCode() *cobra.Command {
	cmd := operatorCommand("setup-code", "Create a code for the setup page of a server without a user",
		func(*cobra.Command) {},
		func(cmd *cobra.Command, o *app.Operator, out *output) error {
			code, err := o.NewSetupCode(cmd.Context())
			if err != nil {
				return err
			}
			return out.print(cmd.OutOrStdout(), code, []any{"CODE (shown only now)", "EXPIRES"},
				[][]any{{code.Text, code.ExpiresAt.UTC().Format(time.RFC3339)}})
		})
	cmd.Long = `Create a code for the setup page of a server without a user, and end earlier codes.

A server that starts without a user logs such a code. Open /setup in a browser, enter the code, and
create the first operator. The code works once, for 24 hours.`
	return cmd
}
