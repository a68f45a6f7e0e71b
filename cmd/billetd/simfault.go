package main

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/billetcloud/billet/internal/app"
	"github.com/billetcloud/billet/internal/provider/sim"
	"github.com/spf13/cobra"
)

func simFault() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "fault",
		Short: "Inject faults into the simulated providers",
		Long: `Inject faults into the simulated providers: lost responses, no capacity, errors, wrong
data. A fault stays active until its count is used up, its time is over or it is cleared,
even across restarts of the server.`,
	}
	cmd.AddCommand(simFaultAdd(), simFaultList(), simFaultClear())
	return cmd
}

func simFaultAdd() *cobra.Command {
	common, o := &commonFlags{}, &output{}
	var f sim.Fault
	var active, seconds string
	cmd := &cobra.Command{
		Use:   "add KIND",
		Short: "Add a fault",
		Long:  "Add a fault. Every kind takes --provider and the flags listed with it.\n\n" + faultKindsHelp(),
		Example: `  billetd sim fault add lost-answer --operation launch --count 1
  billetd sim fault add scarcity --offer off_abc123 --value 0s:4,10m:0,2h:8
  billetd sim fault add slow --percent 20 --seconds 2-10 --seed 7
  billetd sim fault add refuse-terminate --for 24h`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return fmt.Errorf("expected one kind of fault: %s", strings.Join(faultKindNames(), ", "))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			f.Kind = sim.FaultKind(args[0])
			if f.Percent == 0 && cmd.Flags().Changed("percent") {
				return errors.New("--percent must be 1 to 100")
			}
			if seconds != "" {
				if f.Seconds, err = sim.ParseSpan(seconds); err != nil {
					return err
				}
			}
			if active != "" {
				d, err := parseDuration(active)
				if err != nil {
					return err
				}
				if f.ForSeconds = int64(d / time.Second); f.ForSeconds < 1 {
					return fmt.Errorf("--for must be at least one second, not %s", active)
				}
			}
			kept, err := app.SimAddFault(cmd.Context(), common.cfg.DataDir, f)
			if err != nil {
				return err
			}
			return printFaults(cmd.OutOrStdout(), o, kept, []sim.Fault{kept}, kept.Since)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.Provider, "provider", "", "provider `slug`; default: all")
	flags.StringVar(
		&f.Operation,
		"operation",
		"",
		"provider `operation`: "+strings.Join(sim.Operations(), ", ")+"; default: all",
	)
	flags.StringVar(&f.Offer, "offer", "", "`key` of an offer at its provider; default: all")
	flags.IntVar(&f.Percent, "percent", 0, "probability in `percent` (default 100)")
	flags.Int64Var(&f.Count, "count", 0, "`number` of times the fault is injected; default: unlimited")
	flags.StringVar(
		&active,
		"for",
		"",
		"`duration` on the server's clock, such as 10m, 24h or 7d; default: until cleared",
	)
	flags.StringVar(&seconds, "seconds", "", "`seconds`: 5, a range 1-5, or minimum, median and maximum: 30-240-1500")
	flags.StringVar(&f.Value, "value", "", "stock, price, stage or reference; see the kind")
	flags.Uint64Var(&f.Seed, "seed", 0, "random `seed`, to make a run repeatable")
	o.flag(cmd)
	return common.flags(cmd)
}

// faultKindsHelp lists the kinds of faults for --help.
func faultKindsHelp() string {
	var b strings.Builder
	t := tabwriter.NewWriter(&b, 0, 4, 2, ' ', 0)
	for _, k := range sim.FaultKinds() {
		fmt.Fprintf(t, "  %s\t%s\n\t    --%s\n\t    billetd sim fault add %s\n", k.Kind, k.Effect,
			strings.Join(k.Takes, " --"), k.Example)
	}
	_ = t.Flush() // a strings.Builder does not fail
	return strings.TrimRight(b.String(), "\n")
}

func faultKindNames() []string {
	var names []string
	for _, k := range sim.FaultKinds() {
		names = append(names, string(k.Kind))
	}
	return names
}

func printFaults(w io.Writer, o *output, v any, faults []sim.Fault, now time.Time) error {
	var rows [][]any
	for _, f := range faults {
		state := "active"
		if f.Over(now) {
			state = "over"
		} else if !f.Until.IsZero() {
			state = "until " + f.Until.Format(time.RFC3339)
		}
		limit := "no limit"
		if f.Count > 0 {
			limit = fmt.Sprint(f.Count)
		}
		rows = append(rows, []any{f.ID, f.Kind, faultScope(f), fmt.Sprintf("%d of %s", f.Injected, limit), state})
	}
	return o.print(w, v, []any{"FAULT", "KIND", "SCOPE", "INJECTED", "STATE"}, rows)
}

// faultScope describes what a fault is limited to, with the names of the flags.
func faultScope(f sim.Fault) string {
	var words []string
	for _, p := range []struct{ name, value string }{
		{"provider", f.Provider}, {"operation", f.Operation}, {"offer", f.Offer}, {"value", f.Value},
	} {
		if p.value != "" {
			words = append(words, p.name+"="+p.value)
		}
	}
	if f.Percent > 0 && f.Percent < 100 {
		words = append(words, fmt.Sprintf("percent=%d", f.Percent))
	}
	if f.Seconds != (sim.Span{}) {
		words = append(words, "seconds="+f.Seconds.String())
	}
	if f.Seed != 0 {
		words = append(words, fmt.Sprintf("seed=%d", f.Seed))
	}
	if len(words) == 0 {
		return "all"
	}
	return strings.Join(words, " ")
}

func simFaultList() *cobra.Command {
	common, o := &commonFlags{}, &output{}
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List faults, including those that are over",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := app.AskSimFaults(cmd.Context(), common.cfg.DataDir)
			if err != nil {
				return err
			}
			return printFaults(cmd.OutOrStdout(), o, s, s.Faults, s.Now)
		},
	}
	o.flag(cmd)
	return common.flags(cmd)
}

func simFaultClear() *cobra.Command {
	common, o := &commonFlags{}, &output{}
	cmd := &cobra.Command{
		Use:   "clear [ID …]",
		Short: "Clear faults, or all faults without an ID",
		Long: `Clear faults. Their effects stay: a machine that was lost stays lost. Only orphaned
machines disappear with their fault.`,
		Example: "  billetd sim fault clear f1\n  billetd sim fault clear",
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := app.SimClearFaults(cmd.Context(), common.cfg.DataDir, args...)
			if err != nil {
				return err
			}
			return printFaults(cmd.OutOrStdout(), o, s, s.Faults, s.Now)
		},
	}
	o.flag(cmd)
	return common.flags(cmd)
}
