package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/billetcloud/billet/internal/app"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/payment"
	"github.com/spf13/cobra"
)

func topUps() *cobra.Command {
	cmd := &cobra.Command{
		Use: "top-ups", Aliases: []string{"top-up"}, Short: "List, confirm, refund and close top-ups",
	}
	cmd.AddCommand(topUpList(), topUpConfirm(), topUpRefund(), topUpClose())
	return cmd
}

func topUpList() *cobra.Command {
	var p db.Page
	var f payment.Filter
	var of, status string
	return operatorCommand("list", "List top-ups of all accounts, newest first",
		func(cmd *cobra.Command) {
			page(cmd, &p)
			flags := cmd.Flags()
			flags.StringVar(&of, "account", "", "only top-ups of this `account`")
			flags.StringVar(&status, "status", "", "only top-ups with this `status`, such as pending")
			flags.StringVar(&f.Processor, "processor", "", "only top-ups of this `processor`, such as transfer")
			flags.StringVar(&f.Reference, "reference", "", "only the top-up with this `reference`")
			flags.BoolVar(&f.Problem, "problem", false, "only those whose money is not credited")
		},
		func(cmd *cobra.Command, o *app.Operator, out *output) error {
			f.Account, f.Status = id.ID(of), payment.Status(status)
			if err := checkPage(p); err != nil {
				return err
			}
			if f.Status != "" && !slices.Contains(f.Status.Enum(), f.Status) {
				return fmt.Errorf("--status must be one of %v", f.Status.Enum())
			}
			all, _, err := o.Payments.ListAll(cmd.Context(), o.DB, f, p)
			if err != nil {
				return err
			}
			return printTopUps(cmd, out, all, all)
		})
}

func printTopUps(cmd *cobra.Command, out *output, v any, all []payment.OperatorTopUp) error {
	var rows [][]any
	for _, t := range all {
		reference := t.Reference
		if reference == "" {
			reference = "-"
		}
		rows = append(rows, []any{
			t.ID, t.AccountID, t.Status, t.Processor, reference, t.Amount, t.Received, t.Refunded,
			t.CreatedAt.Format(time.RFC3339), t.Problem,
		})
	}
	return out.print(cmd.OutOrStdout(), v, []any{
		"ID", "ACCOUNT", "STATUS", "PROCESSOR", "REFERENCE", "AMOUNT", "RECEIVED", "REFUNDED", "CREATED", "PROBLEM",
	}, rows)
}

// changeTopUp runs a change of a top-up in a transaction and prints the top-up.
func changeTopUp(
	cmd *cobra.Command, o *app.Operator, out *output, action, of string,
	change func(ctx context.Context, tx *db.Tx) (payment.OperatorTopUp, error),
) error {
	var t payment.OperatorTopUp
	err := o.ChangeTopUp(cmd.Context(), action, id.ID(of), func(ctx context.Context, tx *db.Tx) (id.ID, error) {
		var err error
		t, err = change(ctx, tx)
		return t.AccountID, err
	})
	if err != nil {
		return err
	}
	return printTopUps(cmd, out, t, []payment.OperatorTopUp{t})
}

func topUpAmount(text string) (money.Micros, error) {
	m, err := money.Parse(text)
	if err != nil || m <= 0 {
		return 0, errors.New("--amount must be an amount in US dollars of more than 0, such as 100 or 49.99")
	}
	return m, nil
}

func topUpConfirm() *cobra.Command {
	var amount, reference string
	cmd := operatorCommandOn("confirm TOP-UP", "Credit a bank transfer with the amount that has arrived",
		func(cmd *cobra.Command) {
			cmd.Flags().StringVar(&amount, "amount", "", "amount that has arrived, in `USD`")
			cmd.Flags().StringVar(&reference, "reference", "", "bank's own `reference` of the transfer")
			requireFlags(cmd, "amount", "reference")
		},
		func(cmd *cobra.Command, on string, o *app.Operator, out *output) error {
			m, err := topUpAmount(amount)
			if err != nil {
				return err
			}
			change := func(ctx context.Context, tx *db.Tx) (payment.OperatorTopUp, error) {
				return o.Payments.ConfirmTransfer(ctx, tx, id.ID(on), m, reference)
			}
			return changeTopUp(cmd, o, out, "confirmTopUp", on, change)
		})
	cmd.Long = `Credit a bank transfer with the amount that has arrived, also if it is not the one that was asked for.

The same confirmation again changes nothing. The bank's reference confirms one top-up only.`
	return cmd
}

func topUpRefund() *cobra.Command {
	var amount, reason string
	cmd := operatorCommandOn("refund TOP-UP", "Refund a part of a top-up that is not spent",
		func(cmd *cobra.Command) {
			cmd.Flags().StringVar(&amount, "amount", "", "amount in `USD`")
			cmd.Flags().StringVar(&reason, "reason", "", "`text` that the tenant reads")
			requireFlags(cmd, "amount", "reason")
		},
		func(cmd *cobra.Command, on string, o *app.Operator, out *output) error {
			m, err := topUpAmount(amount)
			if err != nil {
				return err
			}
			var f payment.RefundView
			refund := func(ctx context.Context, tx *db.Tx) (account id.ID, err error) {
				f, err = o.Payments.Refund(ctx, tx, id.ID(on), m, reason)
				return f.AccountID, err
			}
			err = o.ChangeTopUp(cmd.Context(), "refundTopUp", id.ID(on), refund)
			if err != nil {
				return err
			}
			return out.print(cmd.OutOrStdout(), f, []any{"REFUND", "TOP-UP", "AMOUNT", "STATUS"},
				[][]any{{f.ID, f.TopUpID, f.Amount, f.Status}})
		})
	cmd.Long = `Refund a part of a top-up that is not spent. The amount leaves the wallet at once, and the server
has the processor return it. A refund of a bank transfer is only recorded: transfer the money at your bank.

Each call is another refund.`
	return cmd
}

func topUpClose() *cobra.Command {
	var reason string
	return operatorCommandOn("close TOP-UP", "Close a top-up whose money was paid and is not credited",
		func(cmd *cobra.Command) {
			cmd.Flags().StringVar(&reason, "reason", "", "`text` that the tenant reads")
			requireFlags(cmd, "reason")
		},
		func(cmd *cobra.Command, on string, o *app.Operator, out *output) error {
			change := func(ctx context.Context, tx *db.Tx) (payment.OperatorTopUp, error) {
				return o.Payments.Close(ctx, tx, id.ID(on), reason)
			}
			return changeTopUp(cmd, o, out, "closeTopUp", on, change)
		})
}
