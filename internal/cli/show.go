package cli

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/billetcloud/billet/client"
	"github.com/spf13/cobra"
)

func (t *tool) show() *cobra.Command {
	cmd := &cobra.Command{Use: "show <machine>", Aliases: []string{"get"}, Short: "Everything about one machine", Args: cobra.ExactArgs(1), Example: "  billet show training\n  billet show training -o json | jq -r .ipAddress",
		Long: "Shows everything about one of your machines: how to log in, what it costs, how its deploy went, and what ending it would bring back."}
	t.suggestMachines(cmd)
	return t.verb(cmd, func(ctx context.Context, c *client.Client, args []string) error {
		d, err := deployment(ctx, c, args[0])
		if err != nil {
			return err
		}
		rows := []row{
			{"Machine", d.ID}, {"Name", d.Name}, {"Status", string(d.Status)}, {"Reason", or(d.StatusReason, "")}, {"Doing", string(or(d.PendingAction, ""))},
			{"GPUs", fmt.Sprintf("%d × %s", d.GPUCount, d.GPUType)}, {"Where", d.Provider + ", " + d.Region}, {"Offer", d.OfferID}, {"Type", string(d.InstanceType)}, {"System", d.OperatingSystem},
			{"Log in", or(d.SSHCommand, "")}, {"SSH keys", keysOf(d)}, {"Volumes", strings.Join(d.VolumeIDs, ", ")}, {"Tags", strings.Join(d.Tags, " ")},
			{"Price", hourly(d.HourlyPrice)}, {"Cost so far", total(d.CostToDate)}, {"Created", when(d.CreatedAt)}, {"Started", whenever(d.StartedAt)},
			{"Ends by itself", whenever(d.AutoTerminateAt)}, {"Ended", whenever(d.TerminatedAt)}, {"Protected", map[bool]string{true: "yes: 'billet set --protect=false' lets it end"}[d.TerminationProtection]},
		}
		rows = append(rows, nodeRows(d)...)
		rows = append(rows, row{"Host keys", hostKeysOf(d)})
		for _, a := range d.Attempts {
			rows = append(rows, row{"Tried before", fmt.Sprintf("%s, %s (%s): %s", a.Provider, a.Region, a.OfferID, a.Reason)})
		}
		if !d.Status.Final() && d.Status != client.DeploymentTerminating && !t.forPrograms() && t.format != "id" {
			end, err := c.Deployments.CanTerminate(ctx, d.ID)
			if err != nil {
				return err
			}
			rows = append(rows, row{"If ended now", ending(end)})
		}
		if d.Status == client.DeploymentPending || d.Status == client.DeploymentDeploying || d.Status == client.DeploymentFailed {
			for _, s := range d.Steps {
				rows = append(rows, row{"Step " + s.Name, s.Status + detail(s)})
			}
		}
		return show(t, d.ID, d, rows...)
	})
}

func detail(s client.Step) string {
	if s.Detail == nil {
		return ""
	}
	return ": " + *s.Detail
}

func keysOf(d *client.Deployment) string {
	var names []string
	for _, k := range d.SSHKeys {
		names = append(names, strings.TrimSpace(k.Name+" "+k.Fingerprint))
	}
	return strings.Join(names, "\n")
}

// ending says what ending a machine now would do.
func ending(e *client.CanTerminate) string {
	if !e.CanTerminate {
		return or(e.Reason, "it cannot be ended now")
	}
	return back(e.Refund, e.Release)
}

// back says what comes back of the money.
func back(refund, release client.Money) string {
	switch {
	case release > 0:
		return fmt.Sprintf("all %s that are set aside come back", total(release))
	case refund > 0:
		return fmt.Sprintf("%s of the first hour come back", total(refund))
	}
	return "nothing comes back: the hour that has begun is paid"
}

// whenever is when, for what may not have happened.
func whenever(at *time.Time) string {
	if at == nil {
		return ""
	}
	return when(*at)
}

// suggestMachines completes the names of machines that have not ended.
func (t *tool) suggestMachines(cmd *cobra.Command) {
	t.suggest(cmd, func(ctx context.Context, c *client.Client) ([]cobra.Completion, error) {
		p, err := c.Deployments.List(ctx, client.DeploymentQuery{Paging: client.Paging{Limit: client.PageSize}, Statuses: live})
		if err != nil {
			return nil, err
		}
		var found []cobra.Completion
		for _, d := range p.Items {
			found = append(found, cobra.CompletionWithDesc(d.Name, fmt.Sprintf("%s, %d × %s", d.Status, d.GPUCount, d.GPUType)))
		}
		return found, nil
	})
}

func (t *tool) wait() *cobra.Command {
	var status string
	var timeout time.Duration
	cmd := &cobra.Command{Use: "wait <machine>", Short: "Wait until SSH of a machine answers", Args: cobra.ExactArgs(1),
		Long:    "Waits until a machine has a status, running if none is named, and shows how far it is. Where it cannot have it any more the exit code is 9.",
		Example: "  billet wait training\n  billet wait training --for terminated --timeout 10m"}
	cmd.Flags().StringVar(&status, "for", string(client.DeploymentRunning), "the status to wait for")
	cmd.Flags().DurationVar(&timeout, "timeout", 0, "how long to wait at most")
	_ = cmd.RegisterFlagCompletionFunc("for", cobra.FixedCompletions([]cobra.Completion{"running", "stopped", "terminated"}, cobra.ShellCompDirectiveNoFileComp))
	t.suggestMachines(cmd)
	return t.act(cmd, func(ctx context.Context, c *client.Client, args []string) error {
		if timeout < 0 {
			return usage("--timeout must not be negative.")
		}
		d, err := deployment(ctx, c, args[0])
		if err != nil {
			return err
		}
		if timeout > 0 {
			var cancel context.CancelFunc
			ctx, cancel = context.WithTimeout(ctx, timeout)
			defer cancel()
		}
		if status == string(client.DeploymentRunning) {
			d, err = t.waitForRunning(ctx, c, d, nil)
		} else {
			d, err = c.Deployments.Wait(ctx, d.ID, client.DeploymentStatus(status), nil)
		}
		if timeout > 0 && ctx.Err() == context.DeadlineExceeded {
			return &fault{exitEnded, "TIMED_OUT", fmt.Sprintf("it was not %s within %s.", status, timeout)}
		}
		if err != nil {
			return err
		}
		return did(t, d.ID, d, "%s is %s.", d.Name, d.Status)
	})
}
