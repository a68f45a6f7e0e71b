package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/billetcloud/billet/client"
	"github.com/spf13/cobra"
)

func (t *tool) terminate() *cobra.Command {
	var yes, wait bool
	var when string
	var m matching
	cmd := &cobra.Command{
		Use: "terminate [machine]…", Aliases: []string{"rm", "delete", "destroy"},
		Short: "Terminate machines and show refunds",
		Long: `Terminates machines. Billing stops immediately; the machine and its local disks are
deleted shortly after. Volumes are kept.

If you terminate within the first hour, unused time is refunded to the second. Later hours are not
refunded. A machine whose minimum runtime is not met is rejected or, with --when earliest,
terminated as soon as it is met.

With --project, --tag or another filter instead of machines, all machines that match are terminated
at once, up to 500. billet lists them and what is refunded, and asks for confirmation.`,
		Example: `  billet terminate training
  billet terminate training --when earliest --yes
  billet terminate --project pretraining
  billet terminate --tag batch --yes`,
	}
	f := cmd.Flags()
	yesFlag(cmd, &yes)
	f.StringVar(&when, "when", "now", "now, or earliest: once the minimum runtime is met")
	f.BoolVar(&wait, "wait", false, "wait until the machines are deleted")
	m.addTo(cmd, "terminate")
	_ = cmd.RegisterFlagCompletionFunc("when",
		cobra.FixedCompletions([]cobra.Completion{"now", "earliest"}, cobra.ShellCompDirectiveNoFileComp))
	t.completeMachines(cmd)
	return t.mutating(cmd, func(ctx context.Context, c *client.Client, args []string) error {
		filter, err := terminateTarget(args, &m, when, wait)
		if err != nil {
			return err
		}
		if filter != nil {
			return t.terminateMatching(ctx, c, *filter, client.When(when), yes)
		}
		var all []client.Deployment
		for _, ref := range args {
			d, err := deployment(ctx, c, ref)
			if err != nil {
				return err
			}
			if !slices.ContainsFunc(all, func(other client.Deployment) bool { return other.ID == d.ID }) {
				all = append(all, *d)
			}
		}
		earliest, err := t.confirmTerminate(ctx, c, all, yes, when == "earliest")
		if err != nil {
			return err
		}
		var failed error
		for i := range all {
			d := &all[i]
			ended, err := t.terminateOne(ctx, c, d, earliest)
			if err != nil {
				if len(all) > 1 && !t.machineOutput() {
					e := describeError(ctx, err)
					t.note("billet: %s: %s", clean(d.Name), clean(e.text(cmd)))
				}
				if failed == nil || ctx.Err() != nil {
					failed = err
				}
				continue
			}
			all[i] = *ended
			if wait {
				if ended, err = c.Deployments.Wait(ctx, ended.ID, client.DeploymentTerminated, nil); err == nil {
					all[i] = *ended
				} else if gone, is := errors.AsType[*client.DeploymentEndedError](err); is { // failed or interrupted
					all[i] = *gone.Deployment
				} else {
					return err
				}
			}
		}
		if !t.humanOutput() {
			switch {
			case len(all) > 1: // machines that were terminated are listed even if others failed
				return errors.Join(failed, list(t, t.deploymentListing(), all))
			case failed == nil:
				return show(t, all[0].ID, all[0])
			}
		}
		return failed
	})
}

// terminateTarget returns the filter that the machines match; nil if they are named.
func terminateTarget(args []string, m *matching, when string, wait bool) (*client.BulkFilter, error) {
	filter, err := m.filter(args)
	switch {
	case when != "now" && when != "earliest":
		return nil, usageError("--when must be now or earliest, not %q.", when)
	case err == nil && filter != nil && wait:
		return nil, usageError("--wait is for named machines. Wait for each with 'billet wait'.")
	}
	return filter, err
}

// confirmTerminate shows the refunds and asks for confirmation. It reports whether machines whose
// minimum runtime is not met are to be terminated once it is.
func (t *tool) confirmTerminate(
	ctx context.Context,
	c *client.Client,
	all []client.Deployment,
	yes, earliest bool,
) (bool, error) {
	if yes || !t.interactive() {
		return earliest, t.confirmDestructive(ctx, yes, "")
	}
	early := 0
	for _, d := range all {
		can, err := c.Deployments.CanTerminate(ctx, d.ID)
		if err != nil {
			return false, err
		}
		if !can.CanTerminate && can.RemainingSeconds > 0 {
			early++
		}
		t.note("  %s (%s, %s): %s", clean(d.Name), d.Status, hourly(d.HourlyPrice), clean(previewText(can)))
	}
	if early > 0 && !earliest {
		question := "The minimum runtime is not met. Terminate as soon as it is?"
		if len(all) > 1 {
			question = fmt.Sprintf("The minimum runtime of %d of %d is not met. Terminate each as soon as it is?",
				early, len(all))
		}
		if err := t.confirm(ctx, false, question); err != nil {
			return false, err
		}
		return true, nil
	}
	return earliest, t.confirm(ctx, false,
		fmt.Sprintf("Terminate %s? Local disks are deleted.", plural(len(all), "machine")))
}

// terminateOne terminates one machine and prints the result.
func (t *tool) terminateOne(
	ctx context.Context,
	c *client.Client,
	d *client.Deployment,
	earliest bool,
) (*client.Deployment, error) {
	var ended *client.Deployment
	var err error
	if earliest {
		ended, err = c.Deployments.TerminateEarliest(ctx, d.ID)
	} else {
		ended, err = c.Deployments.Terminate(ctx, d.ID)
	}
	if err != nil || !t.humanOutput() {
		return ended, err
	}
	switch {
	case d.Status == client.DeploymentTerminating:
		return ended, t.print(clean(fmt.Sprintf("%s is already terminating.", ended.Name)))
	case d.Status.Final():
		return ended, t.print(clean(fmt.Sprintf("%s has already ended.", ended.Name)))
	case !ended.Status.Final() && ended.Status != client.DeploymentTerminating:
		return ended, t.print(
			clean(fmt.Sprintf("%s will terminate at %s.", ended.Name, optionalTime(ended.AutoTerminateAt))),
		)
	}
	text := fmt.Sprintf("%s is %s. Total cost: %s.", ended.Name, ended.Status, total(ended.CostToDate))
	if returned, known := t.returned(ctx, c, d.ID); known {
		text = fmt.Sprintf("%s is %s. Total cost: %s (%s).", ended.Name, ended.Status, total(ended.CostToDate),
			returned)
	}
	return ended, t.print(clean(text))
}

// returned describes the refund or release in the transactions. It is false if the key may not read
// them.
func (t *tool) returned(ctx context.Context, c *client.Client, id string) (string, bool) {
	p, err := c.Wallet.Transactions(ctx, client.TransactionQuery{
		DeploymentID: id, Types: []client.TransactionType{client.TransactionRefund, client.TransactionRelease},
	})
	if err != nil {
		return "", false
	}
	var refund, release client.Money
	for _, x := range p.Items {
		if x.Type == client.TransactionRefund {
			refund += x.Amount
		} else {
			release += x.Amount
		}
	}
	if refund > 0 { // the hold is also released when it becomes the first charge
		release = 0
	}
	return refundText(refund, release), true
}
