package cli

import (
	"context"
	"strings"

	"github.com/billetcloud/billet/client"
	"github.com/spf13/cobra"
)

// powerActions have the help of the power commands, and the texts for an action that started and
// one that is done.
var powerActions = map[string]struct{ short, long, started, done string }{
	"reboot": {"Reboot a machine", "Reboots a machine. Its disks are kept.", "is rebooting", "was rebooted"},
	"power-off": {
		"Power off a machine",
		"Powers off a machine. Its disks are kept. Billing continues; use 'billet terminate' to stop it.",
		"is powering off", "is off; billing continues",
	},
	"power-on": {"Power on a machine", "Powers on a machine.", "is powering on", "is on"},
}

func (t *tool) power(what string) *cobra.Command {
	var yes, wait bool
	action := powerActions[what]
	cmd := &cobra.Command{
		Use:     what + " <machine>",
		Short:   action.short,
		Long:    action.long,
		Args:    cobra.ExactArgs(1),
		Example: "  billet " + what + " training --wait",
	}
	if what != "power-on" {
		yesFlag(cmd, &yes)
	}
	cmd.Flags().BoolVar(&wait, "wait", false, "wait until the action is done")
	t.completeMachines(cmd)
	return t.mutating(cmd, func(ctx context.Context, c *client.Client, args []string) error {
		d, err := deployment(ctx, c, args[0])
		if err != nil {
			return err
		}
		act := c.Deployments.PowerOn
		switch what {
		case "reboot":
			act = c.Deployments.Reboot
		case "power-off":
			act = c.Deployments.PowerOff
		}
		if what != "power-on" {
			question := "Processes on " + d.Name + " will be stopped. " + strings.ToUpper(what[:1]) + what[1:] + "?"
			if err := t.confirm(ctx, yes, question); err != nil {
				return err
			}
		}
		if d, err = act(ctx, d.ID); err != nil {
			return err
		}
		return t.reportAction(ctx, d, wait, c.Deployments.WaitForAction, action.started, action.done)
	})
}

// powerAction is a call for one deployment.
type powerAction = func(context.Context, string, ...client.CallOption) (*client.Deployment, error)

// reportAction prints that an action started or, with wait, waits for it and prints that it is
// done.
func (t *tool) reportAction(
	ctx context.Context, d *client.Deployment, wait bool, until powerAction, started, done string,
) error {
	if !wait {
		return printResult(t, d.ID, d, "%s %s.", d.Name, started)
	}
	d, err := until(ctx, d.ID)
	if err != nil {
		return err
	}
	return printResult(t, d.ID, d, "%s %s (status: %s).", d.Name, done, d.Status)
}

func (t *tool) rescue() *cobra.Command {
	var yes, end, wait bool
	cmd := &cobra.Command{
		Use:   "rescue <machine>",
		Short: "Start a machine's rescue system",
		Args:  cobra.ExactArgs(1),
		Long: "Restarts a machine with a system in memory, so that you can repair one that does not start.\n" +
			"It serves SSH to the same keys at the same address, and does not change or mount the disks.\n" +
			"It ends with --end, with reboot, and after 24 hours. Billing continues.",
		Example: "  billet rescue training\n  billet ssh training\n  billet rescue training --end",
	}
	yesFlag(cmd, &yes)
	cmd.Flags().BoolVar(&end, "end", false, "start the machine from its disk again")
	cmd.Flags().BoolVar(&wait, "wait", false, "wait until the machine is restarting")
	t.completeMachines(cmd)
	return t.mutating(cmd, func(ctx context.Context, c *client.Client, args []string) error {
		d, err := deployment(ctx, c, args[0])
		if err != nil {
			return err
		}
		act, question := c.Deployments.Rescue, "Processes on "+d.Name+" will be stopped. Start its rescue system?"
		started, done := "is starting its rescue system", "is starting its rescue system"
		if end {
			act, question = c.Deployments.EndRescue, "Processes on "+d.Name+" will be stopped. Start it from its disk?"
			started, done = "is leaving its rescue system", "is starting from its disk"
		}
		if err := t.confirm(ctx, yes, question); err != nil {
			return err
		}
		if d, err = act(ctx, d.ID); err != nil {
			return err
		}
		return t.reportAction(ctx, d, wait, c.Deployments.WaitForAction, started, done)
	})
}

func (t *tool) reinstall() *cobra.Command {
	var yes, wait bool
	var system, image string
	cmd := &cobra.Command{
		Use:     "reinstall <machine>",
		Short:   "Reinstall the OS (erases local disks)",
		Args:    cobra.ExactArgs(1),
		Example: "  billet reinstall training --os \"Ubuntu 24.04\" --wait",
		Long: "Erases a machine's local disks and reinstalls the operating system with the same SSH keys.\n" +
			"Volumes are not affected. Billing continues.",
	}
	yesFlag(cmd, &yes)
	cmd.Flags().StringVar(&system, "os", "", "`name` of an operating system of the offer; default: the current one")
	cmd.Flags().StringVar(&image, "image", "", "`image` of your own to install, by name or ID")
	cmd.MarkFlagsMutuallyExclusive("os", "image")
	cmd.Flags().BoolVar(&wait, "wait", false, "wait until SSH is reachable again")
	t.completeMachines(cmd)
	return t.mutating(cmd, func(ctx context.Context, c *client.Client, args []string) error {
		d, err := deployment(ctx, c, args[0])
		if err != nil {
			return err
		}
		in := client.ReinstallDeployment{EraseLocalDisks: true, OperatingSystem: system}
		if image != "" {
			i, err := ownImage(ctx, c, image)
			if err != nil {
				return err
			}
			in.ImageID = i.ID
		}
		question := "This permanently erases the local disks of " + d.Name + ". Reinstall?"
		if err := t.confirmDestructive(ctx, yes, question); err != nil {
			return err
		}
		if d, err = c.Deployments.Reinstall(ctx, d.ID, in); err != nil {
			return err
		}
		return t.reportAction(
			ctx, d, wait, c.Deployments.WaitForReinstall, "is being reinstalled", "was reinstalled",
		)
	})
}
