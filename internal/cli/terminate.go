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
	var at string
	cmd := &cobra.Command{
		Use: "terminate <machine>…", Aliases: []string{"rm", "delete", "destroy"}, Short: "End machines, and show what comes back", Args: cobra.MinimumNArgs(1),
		Long: `Ends machines. The bill ends at once, the machine and everything on its own disks a little later; volumes stay.

What is ended in its first hour gets the rest of that hour back, to the second; later hours are paid when they begin. A machine that
has not run for its minimum yet is refused, or, with --when earliest, ended as soon as that is possible.`,
		Example: `  billet terminate training
  billet terminate training --when earliest --yes
  billet terminate --yes $(billet ps --tag batch -o id)`,
	}
	f := cmd.Flags()
	yesFlag(cmd, &yes)
	f.StringVar(&at, "when", "now", "now, or earliest: as soon as the minimum runtime is met")
	f.BoolVar(&wait, "wait", false, "wait until the machines are gone")
	_ = cmd.RegisterFlagCompletionFunc("when", cobra.FixedCompletions([]cobra.Completion{"now", "earliest"}, cobra.ShellCompDirectiveNoFileComp))
	t.suggestMachines(cmd)
	return t.act(cmd, func(ctx context.Context, c *client.Client, args []string) error {
		if at != "now" && at != "earliest" {
			return usage("--when %q is neither now nor earliest.", at)
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
		earliest, err := t.agreeToEnd(ctx, c, all, yes, at == "earliest")
		if err != nil {
			return err
		}
		var failed error
		for i := range all {
			d := &all[i]
			ended, err := t.end(ctx, c, d, earliest)
			if err != nil {
				if len(all) > 1 && !t.forPrograms() {
					t.note("billet: %s: %s", clean(d.Name), clean(tell(ctx, err).Message))
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
				} else if gone := (*client.DeploymentEndedError)(nil); errors.As(err, &gone) { // failed or taken back: gone, too
					all[i] = *gone.Deployment
				} else {
					return err
				}
			}
		}
		if t.forPrograms() || t.format == "id" {
			switch {
			case len(all) > 1: // those that ended have ended, whatever became of the others
				return errors.Join(failed, list(t, t.deploymentListing(), all))
			case failed == nil:
				return show(t, all[0].ID, all[0])
			}
		}
		return failed
	})
}

// agreeToEnd shows what ending the machines brings back and asks; earliest tells whether those for which it is too early are to be ended later.
func (t *tool) agreeToEnd(ctx context.Context, c *client.Client, all []client.Deployment, yes, earliest bool) (bool, error) {
	if yes || !t.asks() {
		return earliest, t.agreeToLoss(ctx, yes, "")
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
		t.note("  %s (%s, %s): %s", clean(d.Name), d.Status, hourly(d.HourlyPrice), clean(ending(can)))
	}
	if early > 0 && !earliest {
		question := "It is too early. End it as soon as that is possible?"
		if len(all) > 1 {
			question = fmt.Sprintf("For %d of %d it is too early. End each as soon as that is possible?", early, len(all))
		}
		if err := t.agree(ctx, false, question); err != nil {
			return false, err
		}
		return true, nil
	}
	return earliest, t.agree(ctx, false, fmt.Sprintf("End %s? What is on their own disks is lost.", map[bool]string{true: "it", false: fmt.Sprintf("these %d", len(all))}[len(all) == 1]))
}

// end ends one machine and tells what came of it.
func (t *tool) end(ctx context.Context, c *client.Client, d *client.Deployment, earliest bool) (*client.Deployment, error) {
	var ended *client.Deployment
	var err error
	if earliest {
		ended, err = c.Deployments.TerminateEarliest(ctx, d.ID)
	} else {
		ended, err = c.Deployments.Terminate(ctx, d.ID)
	}
	if err != nil || t.forPrograms() || t.format == "id" {
		return ended, err
	}
	switch {
	case d.Status == client.DeploymentTerminating:
		return ended, t.print(clean(fmt.Sprintf("%s is ending already.", ended.Name)))
	case d.Status.Final():
		return ended, t.print(clean(fmt.Sprintf("%s has ended already.", ended.Name)))
	case !ended.Status.Final() && ended.Status != client.DeploymentTerminating:
		return ended, t.print(clean(fmt.Sprintf("%s ends at %s.", ended.Name, whenever(ended.AutoTerminateAt))))
	}
	text := fmt.Sprintf("%s is %s; it cost %s.", ended.Name, ended.Status, total(ended.CostToDate))
	if returned, known := t.returned(ctx, c, d.ID); known {
		text = fmt.Sprintf("%s is %s; it cost %s, and %s.", ended.Name, ended.Status, total(ended.CostToDate), returned)
	}
	return ended, t.print(clean(text))
}

// returned says what the statement says came back. A key may be without the scope for it.
func (t *tool) returned(ctx context.Context, c *client.Client, id string) (string, bool) {
	p, err := c.Wallet.Transactions(ctx, client.TransactionQuery{DeploymentID: id, Types: []client.TransactionType{client.TransactionRefund, client.TransactionRelease}})
	if err != nil {
		return "", false
	}
	var refund, release client.Money
	for _, line := range p.Items {
		if line.Type == client.TransactionRefund {
			refund += line.Amount
		} else {
			release += line.Amount
		}
	}
	if refund > 0 { // a hold that became the first charge is released, too
		release = 0
	}
	return back(refund, release), true
}
