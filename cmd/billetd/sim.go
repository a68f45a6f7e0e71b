package main

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/billetcloud/billet/internal/app"
	"github.com/spf13/cobra"
)

func simulator() *cobra.Command {
	cmd := &cobra.Command{Use: "sim", Short: "Control the simulator of a server that runs with --sim"}
	cmd.AddCommand(simAdvance(), simStatus(), simFault())
	return cmd
}

func simAdvance() *cobra.Command {
	common, o := &commonFlags{}, &output{}
	cmd := &cobra.Command{
		Use:   "advance DURATION",
		Short: "Move the server's clock forward",
		Long: `Move the server's clock forward. Everything due by then happens before the command
returns: hours are charged, minimum runtimes pass, machines auto-terminate. The clock
cannot move backward.`,
		Example: "  billetd sim advance 26m\n  billetd sim advance 1h30m\n  billetd sim advance 7d",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			by, err := parseDuration(args[0])
			if err != nil {
				return err
			}
			s, err := app.SimAdvance(cmd.Context(), common.cfg.DataDir, by)
			if err != nil {
				return err
			}
			return o.print(cmd.OutOrStdout(), map[string]any{"now": s.Now}, []any{"NOW"},
				[][]any{{s.Now.Format(time.RFC3339)}})
		},
	}
	cmd.SetFlagErrorFunc(func(_ *cobra.Command, err error) error {
		// A negative duration looks like a flag.
		if m := negativeNumber.FindStringSubmatch(err.Error()); m != nil {
			return fmt.Errorf("the clock cannot move backward: the duration must be positive, not %s", m[1])
		}
		return err
	})
	o.flag(cmd)
	return common.flags(cmd)
}

var negativeNumber = regexp.MustCompile(` in (-[0-9]\S*)$`)

// parseDuration parses a Go duration or a number of days.
func parseDuration(s string) (time.Duration, error) {
	if days, is := strings.CutSuffix(s, "d"); is {
		if n, err := strconv.Atoi(days); err == nil && n >= 0 && n <= 366 {
			return time.Duration(n) * 24 * time.Hour, nil
		}
	}
	d, err := time.ParseDuration(s)
	switch {
	case err != nil:
		return 0, fmt.Errorf("%q is not a duration; use for example 26m, 1h30m or 7d", s)
	case d < 0:
		return 0, fmt.Errorf("the duration must be positive, not %s", s)
	}
	return d, nil
}

func simStatus() *cobra.Command {
	common, o := &commonFlags{}, &output{}
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show the server's time and the machines at the simulated providers",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := app.AskSimStatus(cmd.Context(), common.cfg.DataDir)
			if err != nil {
				return err
			}
			var rows [][]any
			for _, m := range s.Machines {
				rows = append(rows, []any{m.ID, m.Provider, m.Reference, m.State})
			}
			if o.format == "table" {
				fmt.Fprintf(cmd.OutOrStdout(), "The server's time is %s.\n", s.Now.Format(time.RFC3339))
			}
			return o.print(cmd.OutOrStdout(), s, []any{"MACHINE", "PROVIDER", "REFERENCE", "STATE"}, rows)
		},
	}
	o.flag(cmd)
	return common.flags(cmd)
}
