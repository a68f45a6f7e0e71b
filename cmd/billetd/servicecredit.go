package main

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/billetcloud/billet/internal/app"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/servicecredit"
	"github.com/spf13/cobra"
)

func serviceCredits() *cobra.Command {
	cmd := &cobra.Command{
		Use: "service-credits", Aliases: []string{"service-credit"},
		Short: "Give money back for machines that did not work",
		Long: `Lists service credits, approves or rejects proposed ones, and proposes one for failed GPUs. Those that
are entered by hand and above wallet.approvalAbove are entered and approved by signed-in operators.`,
	}
	cmd.AddCommand(serviceCreditList(), serviceCreditApprove(), serviceCreditReject(), serviceCreditCreate())
	return cmd
}

func serviceCreditList() *cobra.Command {
	var p db.Page
	var of, deployment, state string
	return operatorCommand("list", "List service credits, newest first", func(cmd *cobra.Command) {
		cmd.Flags().StringVar(&of, "account", "", "only those of this `account`")
		cmd.Flags().StringVar(&deployment, "deployment", "", "only those for this `deployment`")
		cmd.Flags().StringVar(&state, "state", "", "only those in this `state`: proposed, approved or rejected")
		page(cmd, &p)
	}, func(cmd *cobra.Command, o *app.Operator, out *output) error {
		if err := checkPage(p); err != nil {
			return err
		}
		in := servicecredit.State(state)
		if state != "" && !slices.Contains(in.Enum(), in) {
			return errors.New("--state must be proposed, approved or rejected")
		}
		all, err := o.ListServiceCredits(cmd.Context(), servicecredit.Filter{
			State: in, Account: id.ID(of), Deployment: id.ID(deployment),
		}, p)
		if err != nil {
			return err
		}
		return printServiceCredits(cmd, out, all, all)
	})
}

func serviceCreditApprove() *cobra.Command {
	return operatorCommandOn("approve SERVICE-CREDIT", "Add a proposed service credit to the balance of its account",
		func(*cobra.Command) {},
		func(cmd *cobra.Command, on string, o *app.Operator, out *output) error {
			c, err := o.ApproveServiceCredit(cmd.Context(), id.ID(on))
			if err != nil {
				return err
			}
			return printServiceCredits(cmd, out, c, []servicecredit.OperatorServiceCredit{c})
		})
}

func serviceCreditReject() *cobra.Command {
	var reason string
	return operatorCommandOn("reject SERVICE-CREDIT", "Reject a proposed service credit",
		func(cmd *cobra.Command) {
			cmd.Flags().StringVar(&reason, "reason", "", "`reason`, which operators read")
			requireFlags(cmd, "reason")
		},
		func(cmd *cobra.Command, on string, o *app.Operator, out *output) error {
			c, err := o.RejectServiceCredit(cmd.Context(), id.ID(on), reason)
			if err != nil {
				return err
			}
			return printServiceCredits(cmd, out, c, []servicecredit.OperatorServiceCredit{c})
		})
}

func serviceCreditCreate() *cobra.Command {
	var n servicecredit.ServiceCreditDraft
	var deployment, from, to string
	return operatorCommand("create", "Propose a service credit for GPUs that failed", func(cmd *cobra.Command) {
		cmd.Flags().StringVar(&deployment, "deployment", "", "`id` of the deployment")
		cmd.Flags().StringVar(&from, "from", "", "`time` when the GPUs stopped working, such as 2028-03-01T10:20:00Z")
		cmd.Flags().StringVar(&to, "to", "", "`time` when they worked again, or the bill ended")
		cmd.Flags().Int64Var(&n.FailedGPUs, "failed-gpus", 0, "`number` of GPUs that did not work")
		cmd.Flags().StringVar(&n.Note, "note", "", "`note`, which the account reads")
		requireFlags(cmd, "deployment", "from", "to", "failed-gpus")
	}, func(cmd *cobra.Command, o *app.Operator, out *output) (err error) {
		n.DeploymentID = id.ID(deployment)
		if n.From, err = timeFlag("from", from); err != nil {
			return err
		}
		if n.To, err = timeFlag("to", to); err != nil {
			return err
		}
		c, err := o.CreateServiceCredit(cmd.Context(), n)
		if err != nil {
			return err
		}
		return printServiceCredits(cmd, out, c, []servicecredit.OperatorServiceCredit{c.OperatorServiceCredit})
	})
}

func timeFlag(name, value string) (time.Time, error) {
	at, err := time.Parse(time.RFC3339, value)
	if err != nil {
		return at, fmt.Errorf("--%s must be a time such as 2028-03-01T10:20:00Z, not %q", name, value)
	}
	return at, nil
}

func printServiceCredits(
	cmd *cobra.Command, out *output, v any, all []servicecredit.OperatorServiceCredit,
) error {
	var rows [][]any
	for _, c := range all {
		rows = append(rows, []any{
			c.ID, c.State, c.AccountID, c.DeploymentID, c.Cause, c.Amount, when(&c.From, ""), when(&c.To, ""),
		})
	}
	return out.print(cmd.OutOrStdout(), v,
		[]any{"SERVICE CREDIT", "STATE", "ACCOUNT", "DEPLOYMENT", "CAUSE", "AMOUNT", "FROM", "TO"}, rows)
}
