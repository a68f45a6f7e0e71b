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
	cmd := &cobra.Command{
		Use: "show <machine>", Aliases: []string{"get"}, Short: "Show a machine", Args: cobra.ExactArgs(1),
		Example: "  billet show training\n  billet show training -o json | jq -r .ipAddress",
		Long: "Shows a machine: how to connect, what it costs, how its deployment went, and the refund if you\n" +
			"terminated it now.",
	}
	t.completeMachines(cmd)
	return t.withClient(cmd, func(ctx context.Context, c *client.Client, args []string) error {
		d, err := deployment(ctx, c, args[0])
		if err != nil {
			return err
		}
		rows := []row{
			{"Machine", d.ID}, {"Name", d.Name}, {"Status", string(d.Status)}, {"Reason", valueOr(d.StatusReason, "")},
			{"Action", string(valueOr(d.PendingAction, ""))},
			{"GPUs", fmt.Sprintf("%d × %s", d.GPUCount, d.GPUType)},
			{
				"Location",
				d.Provider + ", " + d.Region,
			}, {"Offer", d.OfferID}, {"Type", string(d.InstanceType)}, {"Operating system", d.OperatingSystem},
			{"Connect", valueOr(d.SSHCommand, "")}, {"SSH keys", sshKeysText(d)},
			{"Volumes", strings.Join(d.VolumeIDs, ", ")}, {"Tags", strings.Join(d.Tags, " ")},
			{"Project", valueOr(d.Project, "")}, {"Created by", d.CreatedBy.Name},
			{"GPU health", healthText(d.Health)},
			{"Price", hourly(d.HourlyPrice)}, {"Total cost", total(d.CostToDate)},
			{"Created", localTime(d.CreatedAt)}, {"Ready", optionalTime(d.StartedAt)},
			{"Auto-terminate", optionalTime(d.AutoTerminateAt)}, {"Maximum spend", maxSpendText(d)},
			{"Maximum runtime", maxRuntimeText(d)}, {"Terminates", limitEndText(d)},
			{"Terminated", optionalTime(d.TerminatedAt)},
			{
				"Termination protection",
				map[bool]string{true: "on (turn off with 'billet set --protect=false')"}[d.TerminationProtection],
			},
		}
		rows = append(rows, nodeRows(d)...)
		rows = append(rows, row{"Host keys", hostKeySourceText(d)})
		for _, a := range d.Attempts {
			rows = append(rows,
				row{"Failed attempt", fmt.Sprintf("%s, %s (%s): %s", a.Provider, a.Region, a.OfferID, a.Reason)})
		}
		if !d.Status.Final() && d.Status != client.DeploymentTerminating && t.humanOutput() {
			preview, err := c.Deployments.CanTerminate(ctx, d.ID)
			if err != nil {
				return err
			}
			rows = append(rows, row{"If terminated now", previewText(preview)})
			if preview.CanTerminate {
				rows = append(rows, row{"Final bill then", total(preview.FinalBill)})
			}
		}
		if d.Status == client.DeploymentPending || d.Status == client.DeploymentDeploying ||
			d.Status == client.DeploymentFailed {
			for _, s := range d.Steps {
				rows = append(rows, row{"Step " + s.Name, s.Status + detail(s)})
			}
		}
		return show(t, d.ID, d, rows...)
	})
}

// healthText is the verdict on the GPUs; "" where they are not checked.
func healthText(h client.DeploymentHealth) string {
	if h.Policy == client.HealthPolicyOff {
		return ""
	}
	text := verdictText(h.Verdict)
	if h.Reason != nil {
		text += ": " + *h.Reason
	}
	return text
}

func maxSpendText(d *client.Deployment) string {
	if d.MaxSpend == nil {
		return ""
	}
	return total(*d.MaxSpend)
}

func maxRuntimeText(d *client.Deployment) string {
	if d.MaxRuntimeMinutes == nil {
		return ""
	}
	return limit(*d.MaxRuntimeMinutes)
}

// limitEndText is when a limit terminates the machine, if that is not its auto-terminate time.
func limitEndText(d *client.Deployment) string {
	if d.EndsAt == nil || d.AutoTerminateAt != nil && d.AutoTerminateAt.Equal(*d.EndsAt) {
		return ""
	}
	return localTime(*d.EndsAt)
}

func detail(s client.Step) string {
	if s.Detail == nil {
		return ""
	}
	return ": " + *s.Detail
}

func sshKeysText(d *client.Deployment) string {
	var names []string
	for _, k := range d.SSHKeys {
		names = append(names, strings.TrimSpace(k.Name+" "+k.Fingerprint))
	}
	return strings.Join(names, "\n")
}

// previewText describes what terminating a machine now would do.
func previewText(e *client.CanTerminate) string {
	if !e.CanTerminate {
		return valueOr(e.Reason, "cannot be terminated now")
	}
	return refundText(e.Refund, e.Release)
}

// refundText describes what of the money is returned.
func refundText(refund, release client.Money) string {
	switch {
	case release > 0:
		return fmt.Sprintf("hold of %s is released", total(release))
	case refund > 0:
		return fmt.Sprintf("refund: %s", total(refund))
	}
	return "no refund"
}

// optionalTime is localTime for what may not have happened.
func optionalTime(at *time.Time) string {
	if at == nil {
		return ""
	}
	return localTime(*at)
}

// suggestMachines completes the names of machines that have not ended.
func (t *tool) completeMachines(cmd *cobra.Command) {
	t.completeFirstArg(cmd, func(ctx context.Context, c *client.Client) ([]cobra.Completion, error) {
		p, err := c.Deployments.List(ctx,
			client.DeploymentQuery{Paging: client.Paging{Limit: client.PageSize}, Statuses: live})
		if err != nil {
			return nil, err
		}
		var found []cobra.Completion
		for _, d := range p.Items {
			found = append(found,
				cobra.CompletionWithDesc(d.Name, fmt.Sprintf("%s, %d × %s", d.Status, d.GPUCount, d.GPUType)))
		}
		return found, nil
	})
}

func (t *tool) wait() *cobra.Command {
	var status string
	var timeout time.Duration
	cmd := &cobra.Command{
		Use: "wait <machine>", Short: "Wait for a machine's status", Args: cobra.ExactArgs(1),
		Long: "Waits until a machine is running, or has the status of --for, and shows its progress.\n" +
			"The exit code is 9 if it can no longer reach that status.",
		Example: "  billet wait training\n  billet wait training --for terminated --timeout 10m",
	}
	cmd.Flags().StringVar(&status, "for", string(client.DeploymentRunning), "`status` to wait for")
	cmd.Flags().DurationVar(&timeout, "timeout", 0, "maximum time to wait")
	_ = cmd.RegisterFlagCompletionFunc("for", fixed(client.DeploymentStatuses()))
	t.completeMachines(cmd)
	return t.mutating(cmd, func(ctx context.Context, c *client.Client, args []string) error {
		if timeout < 0 {
			return usageError("--timeout must not be negative.")
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
			return &cliError{
				exitEnded,
				"TIMED_OUT",
				fmt.Sprintf("timed out after %s; not %s yet.", duration(timeout), status),
			}
		}
		if err != nil {
			return err
		}
		return printResult(t, d.ID, d, "%s is %s.", d.Name, d.Status)
	})
}
