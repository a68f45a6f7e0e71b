package cli

import (
	"context"
	"fmt"
	"time"

	"charm.land/lipgloss/v2"
	"github.com/billetcloud/billet/client"
	"github.com/spf13/cobra"
)

// healthWait is how long the verdict of a check is waited for, beyond what the server's may take.
const healthWait = 45 * time.Minute

// healthPoll is how often the result of a check is asked for.
const healthPoll = 2 * time.Second

func (t *tool) health() *cobra.Command {
	var s healthBySSH
	var check, history bool
	cmd := &cobra.Command{
		Use: "health <machine>", Short: "Show or check the health of a machine's GPUs", Args: cobra.ExactArgs(1),
		Long: `Shows the server's newest check of a machine's GPUs: its verdict, and each single check.

With --history, shows the server's newest 20 checks, newest first, with those of machines that failed
before this one.

With --check, the server checks the GPUs now. That needs a machine that was deployed with
--health-access keep.

With --ssh, this computer checks them over your own SSH connection: whether all are there and of
the offer's type, whether CUDA or ROCm programs start, memory errors, links, clocks and the kernel's
log. The check changes nothing on the machine. The server does not learn the result.

Level 1 takes seconds. Levels 2 and 3 put load on the GPUs for minutes or up to an hour, with DCGM,
nvbandwidth and all_reduce_perf where the machine has them: stop your programs first. Level 3 needs
--ssh. "not_checked" never means that the GPUs passed.

The exit code is 9 if a check failed.`,
		Example: "  billet health training\n  billet health training --history\n" +
			"  billet health training --check --level 2\n" +
			"  billet health training --ssh --level 2 -o json",
	}
	cmd.Flags().BoolVar(&check, "check", false, "have the server check the GPUs now, and wait for the verdict")
	cmd.Flags().BoolVar(&history, "history", false, "list the server's newest checks")
	s.add(cmd)
	t.completeMachines(cmd)
	return t.withClient(cmd, func(ctx context.Context, c *client.Client, args []string) error {
		switch {
		case s.enabled && check:
			return usageError("--check and --ssh are two ways to check. Use one of them.")
		case s.enabled && history:
			return usageError("--history lists the server's checks, and it does not learn of those with --ssh.")
		case s.enabled:
			return t.healthBySSH(ctx, c, args[0], &s)
		}
		d, err := deployment(ctx, c, args[0])
		if err != nil {
			return err
		}
		if check {
			if err := t.checkHealth(ctx, c, d, s.level); err != nil {
				return err
			}
		}
		h, err := c.Deployments.Health(ctx, d.ID)
		if err != nil {
			return err
		}
		if history {
			return list(t, checkListing, h.Checks)
		}
		if err := t.showHealth(d, h); err != nil {
			return err
		}
		if h.Verdict != nil && *h.Verdict == client.HealthFailed {
			return &cliError{exitEnded, "GPUS_FAILED", "the GPUs of " + d.Name + " failed the check."}
		}
		return nil
	})
}

// checkHealth requests a check and waits for its verdict.
func (t *tool) checkHealth(ctx context.Context, c *client.Client, d *client.Deployment, level int) error {
	asked, err := c.Deployments.CheckHealth(ctx, d.ID, client.CheckDeploymentHealth{Level: level})
	if err != nil {
		return err
	}
	t.note("Checking the GPUs of %s…", d.Name)
	for begun := time.Now(); ; {
		h, err := c.Deployments.Health(ctx, d.ID)
		if err != nil {
			return err
		}
		for _, k := range h.Checks {
			if k.ID == asked.ID && k.FinishedAt != nil {
				return nil
			}
		}
		if time.Since(begun) > healthWait {
			return &cliError{exitUnavailable, "NOT_CHECKED", fmt.Sprintf("the check has no verdict after %s. "+
				"Try billet health %s later.", duration(healthWait), d.Name)}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(healthPoll):
		}
	}
}

var checkCol columnsOf[client.HealthCheck]

var checkListing = listing[client.HealthCheck]{
	id: func(c client.HealthCheck) string { return c.ID },
	columns: []column[client.HealthCheck]{
		{
			name: "createdAt", head: "TIME",
			text: func(c client.HealthCheck) string { return localTime(c.CreatedAt) },
			raw:  func(c client.HealthCheck) string { return rfc3339(c.CreatedAt) },
		},
		checkCol.number("level", "LEVEL", "", func(c client.HealthCheck) int { return c.Level }),
		checkCol.text("trigger", "TRIGGER", func(c client.HealthCheck) string { return string(c.Trigger) }),
		{
			name: "verdict", head: "VERDICT",
			text: func(c client.HealthCheck) string {
				if c.FinishedAt == nil {
					return "in progress"
				}
				return verdictText(c.Verdict)
			},
			raw: func(c client.HealthCheck) string {
				if c.Verdict == nil {
					return ""
				}
				return string(*c.Verdict)
			},
		},
		checkCol.text("reason", "REASON", func(c client.HealthCheck) string { return c.Reason }),
		checkCol.text("offerId", "OFFER", func(c client.HealthCheck) string { return c.OfferID }).onlyWide(),
		checkCol.text("id", "ID", func(c client.HealthCheck) string { return c.ID }).onlyWide(),
	},
	none: "The server has made no check of this machine.",
}

// showHealth prints the state of the GPUs and, for users, the newest check.
func (t *tool) showHealth(d *client.Deployment, h *client.HealthReport) error {
	checked := ""
	if h.CheckedAt != nil {
		checked = localTime(*h.CheckedAt)
	}
	err := show(t, d.ID, h,
		row{"Machine", d.Name}, row{"GPUs", fmt.Sprintf("%d × %s", d.GPUCount, d.GPUType)},
		row{"Verdict", verdictText(h.Verdict)}, row{"Reason", valueOr(h.Reason, "")}, row{"Checked", checked},
		row{"Policy", string(h.Policy)}, row{"Billet's key", healthKeyText(h)})
	if err != nil || !t.humanOutput() || h.Latest == nil {
		return err
	}
	var rows [][]string
	for _, n := range h.Latest.Nodes {
		for _, k := range n.Checks {
			line := []string{clean(k.Name), verdictText(&k.Verdict), clean(k.Detail)}
			if len(h.Latest.Nodes) > 1 {
				line[0] = fmt.Sprintf("node %d: %s", n.Index, line[0])
			}
			rows = append(rows, line)
		}
	}
	if len(rows) == 0 {
		return nil
	}
	return t.table([]string{"CHECK", "VERDICT", "DETAIL"}, rows, func(int, int) lipgloss.Style {
		return lipgloss.NewStyle()
	})
}

// verdictText is a verdict for users. None and not_checked are the same to them: nothing is known.
func verdictText(v *client.HealthVerdict) string {
	if v == nil || *v == client.HealthNotChecked {
		return "not checked"
	}
	return string(*v)
}

func healthKeyText(h *client.HealthReport) string {
	if h.KeyInstalled {
		return "installed; root on the machine can remove it"
	}
	return "none"
}
