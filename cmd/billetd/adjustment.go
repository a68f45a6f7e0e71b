package main

import (
	"errors"
	"slices"

	"github.com/billetcloud/billet/internal/adjustment"
	"github.com/billetcloud/billet/internal/app"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
	"github.com/spf13/cobra"
)

func adjustments() *cobra.Command {
	cmd := &cobra.Command{
		Use: "adjustments", Aliases: []string{"adjustment"}, Short: "Manage credit that waits for approval",
		Long: `Lists the credit that operators have added, removed or requested, and withdraws what was requested on
this host. Only a signed-in operator can approve or reject a request, in the dashboard.`,
	}
	cmd.AddCommand(adjustmentList(), adjustmentWithdraw())
	return cmd
}

func adjustmentList() *cobra.Command {
	var p db.Page
	var of, state string
	return operatorCommand("list", "List adjustments, newest first", func(cmd *cobra.Command) {
		cmd.Flags().StringVar(&of, "account", "", "`id` of the account")
		cmd.Flags().StringVar(&state, "state", "",
			"only those in this `state`: booked, pending, approved, rejected, withdrawn or expired")
		page(cmd, &p)
	}, func(cmd *cobra.Command, o *app.Operator, out *output) error {
		if err := checkPage(p); err != nil {
			return err
		}
		if s := adjustment.State(state); state != "" && !slices.Contains(s.Enum(), s) {
			return errors.New("--state must be booked, pending, approved, rejected, withdrawn or expired")
		}
		all, _, err := o.Adjustments.List(cmd.Context(), o.DB, id.ID(of), adjustment.State(state), p)
		if err != nil {
			return err
		}
		return printAdjustments(cmd, out, all, all)
	})
}

func adjustmentWithdraw() *cobra.Command {
	return operatorCommandOn("withdraw ADJUSTMENT", "Withdraw an adjustment that was asked for on this host",
		func(*cobra.Command) {},
		func(cmd *cobra.Command, on string, o *app.Operator, out *output) error {
			a, err := o.WithdrawAdjustment(cmd.Context(), id.ID(on))
			if err != nil {
				return err
			}
			return printAdjustments(cmd, out, a, []adjustment.Adjustment{a})
		})
}

func printAdjustments(cmd *cobra.Command, out *output, v any, all []adjustment.Adjustment) error {
	var rows [][]any
	for _, a := range all {
		rows = append(rows, []any{
			a.ID, a.State, a.Account, a.Amount, a.CreatedBy.Name, when(&a.CreatedAt, ""), a.Reason,
		})
	}
	return out.print(cmd.OutOrStdout(), v,
		[]any{"ADJUSTMENT", "STATE", "ACCOUNT", "AMOUNT", "BY", "ASKED", "REASON"}, rows)
}
