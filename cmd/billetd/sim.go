package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/billetcloud/billet/internal/app"
	"github.com/spf13/cobra"
)

func simulator() *cobra.Command {
	cmd := &cobra.Command{Use: "sim", Short: "Move the clock of a server that runs with --sim, see what its simulated upstream has, and make it misbehave"}
	cmd.AddCommand(simAdvance(), simStatus(), simFault())
	return cmd
}

func simAdvance() *cobra.Command {
	h, o := &house{}, &output{}
	cmd := &cobra.Command{
		Use:   "advance DURATION",
		Short: "Move the server's clock forward; everything due by then has happened when this returns",
		Long: `Move the one clock of the whole server forward. Hours are charged, minimum runtimes
pass and planned ends come as if the time had gone by; all of it has happened when
this returns. Time never moves back.`,
		Example: "  billetd sim advance 26m\n  billetd sim advance 1h30m\n  billetd sim advance 7d",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			by, err := duration(args[0])
			if err != nil {
				return err
			}
			s, err := app.SimAdvance(cmd.Context(), h.c.DataDir, by)
			if err != nil {
				return err
			}
			return o.print(cmd.OutOrStdout(), map[string]any{"now": s.Now}, []any{"NOW"}, [][]any{{s.Now.Format(time.RFC3339)}})
		},
	}
	o.flag(cmd)
	return h.flags(cmd)
}

// duration reads what Go writes, and days.
func duration(s string) (time.Duration, error) {
	if days, is := strings.CutSuffix(s, "d"); is {
		if n, err := strconv.Atoi(days); err == nil && n >= 0 && n <= 366 {
			return time.Duration(n) * 24 * time.Hour, nil
		}
	}
	d, err := time.ParseDuration(s)
	if err != nil || d < 0 {
		return 0, fmt.Errorf("%q is not a duration; write for example 26m, 1h30m or 7d", s)
	}
	return d, nil
}

func simStatus() *cobra.Command {
	h, o := &house{}, &output{}
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show the server's time and every machine that the simulated upstream really has",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := app.AskSimStatus(cmd.Context(), h.c.DataDir)
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
	return h.flags(cmd)
}
