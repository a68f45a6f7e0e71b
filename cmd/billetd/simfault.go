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
		Short: "Make the simulated upstream misbehave, on command",
		Long: `Make the simulated upstream misbehave: lose answers, run out of machines, fail, lie.
Faults stay until they are spent, their time is up, or they are cleared, also when the
server is killed and started again.`,
	}
	cmd.AddCommand(simFaultAdd(), simFaultList(), simFaultClear())
	return cmd
}

func simFaultAdd() *cobra.Command {
	h, o := &house{}, &output{}
	var f sim.Fault
	var lasts, seconds string
	cmd := &cobra.Command{
		Use:   "add KIND",
		Short: "Add a fault",
		Long:  "Add a fault. Every kind takes --provider; what else it takes stands behind it.\n\n" + kindsOfFaults(),
		Example: `  billetd sim fault add lost-answer --operation launch --count 1
  billetd sim fault add scarcity --offer off_abc123 --value 0s:4,10m:0,2h:8
  billetd sim fault add slow --percent 20 --seconds 2-10 --seed 7
  billetd sim fault add refuse-terminate --for 24h`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return fmt.Errorf("give one kind of fault; the kinds are %s", strings.Join(namesOfFaults(), ", "))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			f.Kind = sim.FaultKind(args[0])
			if f.Percent == 0 && cmd.Flags().Changed("percent") {
				return errors.New("--percent 0 would never strike")
			}
			if seconds != "" {
				if f.Seconds, err = sim.ParseSpan(seconds); err != nil {
					return err
				}
			}
			if lasts != "" {
				d, err := duration(lasts)
				if err != nil {
					return err
				}
				if f.ForSeconds = int64(d / time.Second); f.ForSeconds < 1 {
					return fmt.Errorf("--for %s is shorter than a second", lasts)
				}
			}
			kept, err := app.SimAddFault(cmd.Context(), h.c.DataDir, f)
			if err != nil {
				return err
			}
			return printFaults(cmd.OutOrStdout(), o, kept, []sim.Fault{kept}, kept.Since)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.Provider, "provider", "", "the provider's slug; all of them without it")
	flags.StringVar(&f.Operation, "operation", "", "the call to the provider, one of "+strings.Join(sim.Operations(), ", ")+"; all of them without it")
	flags.StringVar(&f.Offer, "offer", "", "the key of an offer at its provider; all of them without it")
	flags.IntVar(&f.Percent, "percent", 0, "how likely it strikes where it can (default 100)")
	flags.Int64Var(&f.Count, "count", 0, "how often it strikes before it is spent; without limit where it is not given")
	flags.StringVar(&lasts, "for", "", "how long it lasts on the server's clock, such as 10m, 24h or 7d; until it is cleared without it")
	flags.StringVar(&seconds, "seconds", "", "a length of time: 5, 1-5, or the least, the median and the most: 30-240-1500")
	flags.StringVar(&f.Value, "value", "", "a stock, price, stage or reference; see the kind")
	flags.Uint64Var(&f.Seed, "seed", 0, "what decides everything that is left to chance, so that a run can be repeated")
	o.flag(cmd)
	return h.flags(cmd)
}

// kindsOfFaults is the list of kinds for --help.
func kindsOfFaults() string {
	var b strings.Builder
	t := tabwriter.NewWriter(&b, 0, 4, 2, ' ', 0)
	for _, k := range sim.FaultKinds() {
		fmt.Fprintf(t, "  %s\t%s\n\t    --%s\n\t    billetd sim fault add %s\n", k.Kind, k.Effect, strings.Join(k.Takes, " --"), k.Example)
	}
	_ = t.Flush() // a strings.Builder takes everything
	return strings.TrimRight(b.String(), "\n")
}

func namesOfFaults() []string {
	var names []string
	for _, k := range sim.FaultKinds() {
		names = append(names, string(k.Kind))
	}
	return names
}

func printFaults(w io.Writer, o *output, v any, faults []sim.Fault, now time.Time) error {
	var rows [][]any
	for _, f := range faults {
		state := "on"
		if f.Over(now) {
			state = "over"
		} else if !f.Until.IsZero() {
			state = "until " + f.Until.Format(time.RFC3339)
		}
		limit := "no limit"
		if f.Count > 0 {
			limit = fmt.Sprint(f.Count)
		}
		rows = append(rows, []any{f.ID, f.Kind, described(f), fmt.Sprintf("%d of %s", f.Injected, limit), state})
	}
	return o.print(w, v, []any{"FAULT", "KIND", "WHAT", "INJECTED", "STATE"}, rows)
}

// described is what the fault was narrowed to and given, in the words of the flags.
func described(f sim.Fault) string {
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
		return "everywhere"
	}
	return strings.Join(words, " ")
}

func simFaultList() *cobra.Command {
	h, o := &house{}, &output{}
	cmd := &cobra.Command{
		Use:   "list",
		Short: "Show the faults and how often they struck, those that are over included",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := app.AskSimFaults(cmd.Context(), h.c.DataDir)
			if err != nil {
				return err
			}
			return printFaults(cmd.OutOrStdout(), o, s, s.Faults, s.Now)
		},
	}
	o.flag(cmd)
	return h.flags(cmd)
}

func simFaultClear() *cobra.Command {
	h, o := &house{}, &output{}
	cmd := &cobra.Command{
		Use:   "clear [ID …]",
		Short: "Take faults back, all of them without an ID, and show what is left",
		Long: `Take faults back. What they did stays done: a machine that was lost stays lost. Only
orphans go with their fault.`,
		Example: "  billetd sim fault clear f1\n  billetd sim fault clear",
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := app.SimClearFaults(cmd.Context(), h.c.DataDir, args...)
			if err != nil {
				return err
			}
			return printFaults(cmd.OutOrStdout(), o, s, s.Faults, s.Now)
		},
	}
	o.flag(cmd)
	return h.flags(cmd)
}
