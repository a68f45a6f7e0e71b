package cli

import (
	"context"
	"strings"

	"github.com/billetcloud/billet/client"
	"github.com/spf13/cobra"
)

var powers = map[string]struct{ short, long, doing, done string }{
	"reboot":    {"Reboot a machine", "Reboots a machine. Its files stay.", "is being rebooted", "was rebooted"},
	"power-off": {"Switch a machine off", "Switches a machine off. It is kept with its files, and paid for as before: 'billet terminate' ends the bill.", "is being switched off", "is off; it is paid for until it is terminated"},
	"power-on":  {"Switch a machine on", "Switches a machine on again.", "is being switched on", "is on"},
}

func (t *tool) power(what string) *cobra.Command {
	var yes, wait bool
	say := powers[what]
	cmd := &cobra.Command{Use: what + " <machine>", Short: say.short, Long: say.long, Args: cobra.ExactArgs(1), Example: "  billet " + what + " training --wait"}
	if what != "power-on" {
		yesFlag(cmd, &yes)
	}
	cmd.Flags().BoolVar(&wait, "wait", false, "wait until it is done")
	t.suggestMachines(cmd)
	return t.act(cmd, func(ctx context.Context, c *client.Client, args []string) error {
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
			if err := t.agree(ctx, yes, "What runs in "+d.Name+" is broken off. "+strings.ToUpper(what[:1])+what[1:]+"?"); err != nil {
				return err
			}
		}
		if d, err = act(ctx, d.ID); err != nil {
			return err
		}
		return t.doing(ctx, c, d, wait, say.doing, say.done)
	})
}

// doing waits, where that is wanted, and says what happens with a machine.
func (t *tool) doing(ctx context.Context, c *client.Client, d *client.Deployment, wait bool, doing, done string) error {
	if !wait {
		return did(t, d.ID, d, "%s %s.", d.Name, doing)
	}
	d, err := c.Deployments.WaitForAction(ctx, d.ID)
	if err != nil {
		return err
	}
	return did(t, d.ID, d, "%s %s; its status is %s.", d.Name, done, d.Status)
}

func (t *tool) reinstall() *cobra.Command {
	var yes, wait bool
	var system string
	cmd := &cobra.Command{Use: "reinstall <machine>", Short: "Wipe a machine and install it anew", Args: cobra.ExactArgs(1), Example: "  billet reinstall training --os \"Ubuntu 24.04\" --wait",
		Long: "Wipes a machine's own disks and installs it anew with its SSH keys. Volumes stay. The bill goes on as before."}
	yesFlag(cmd, &yes)
	cmd.Flags().StringVar(&system, "os", "", "another one of the offer's operating systems; the present one if left out")
	cmd.Flags().BoolVar(&wait, "wait", false, "wait until it is done")
	t.suggestMachines(cmd)
	return t.act(cmd, func(ctx context.Context, c *client.Client, args []string) error {
		d, err := deployment(ctx, c, args[0])
		if err != nil {
			return err
		}
		if err := t.agreeToLoss(ctx, yes, "Everything on the own disks of "+d.Name+" is lost. Reinstall?"); err != nil {
			return err
		}
		if d, err = c.Deployments.Reinstall(ctx, d.ID, client.ReinstallDeployment{EraseLocalDisks: true, OperatingSystem: system}); err != nil {
			return err
		}
		return t.doing(ctx, c, d, wait, "is being installed anew", "was installed anew")
	})
}
