package cli

import (
	"context"

	"github.com/billetcloud/billet/client"
	"github.com/spf13/cobra"
)

func (t *tool) health() *cobra.Command {
	var s healthBySSH
	cmd := &cobra.Command{
		Use: "health <machine> --ssh", Short: "Check the health of a machine's GPUs", Args: cobra.ExactArgs(1),
		Long: `Checks the GPUs of a machine over your own SSH connection: whether all are there and of
the offer's type, whether CUDA or ROCm programs start, memory errors, links, clocks and the kernel's
log. The check changes nothing on the machine. The server does not learn the result.

Level 1 takes seconds. Levels 2 and 3 put load on the GPUs for minutes or up to an hour, with DCGM,
nvbandwidth and all_reduce_perf where the machine has them: stop your programs first. "not_checked"
never means that the GPUs passed.

The exit code is 9 if a check failed.`,
		Example: "  billet health training --ssh\n  billet health training --ssh --level 2 -o json",
	}
	s.add(cmd)
	t.completeMachines(cmd)
	return t.withClient(cmd, func(ctx context.Context, c *client.Client, args []string) error {
		if !s.enabled {
			return usageError("add --ssh, which checks the GPUs over your own SSH connection.")
		}
		return t.healthBySSH(ctx, c, args[0], &s)
	})
}
