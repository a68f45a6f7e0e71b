package main

import (
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/billetcloud/billet/internal/app"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/operator"
	"github.com/billetcloud/billet/internal/quota"
	"github.com/spf13/cobra"
)

func suspendAccount() *cobra.Command {
	var reason, terminate string
	return operatorCommandOn("suspend ACCOUNT", "Suspend an account: it can start nothing new",
		func(cmd *cobra.Command) {
			cmd.Flags().StringVar(&reason, "reason", "", "`text` that the account reads")
			cmd.Flags().StringVar(&terminate, "terminate", string(operator.TerminateNever),
				"`when` its deployments end: never, earliest (when the minimum runtime of each is met) or now")
			requireFlags(cmd, "reason")
		},
		func(cmd *cobra.Command, on string, o *app.Operator, out *output) error {
			when := operator.Termination(terminate)
			if !slices.Contains(when.Enum(), when) {
				return errors.New("--terminate must be never, earliest or now")
			}
			a, err := o.Suspend(cmd.Context(), id.ID(on), reason, when)
			if err != nil {
				return err
			}
			return printSuspension(cmd, out, a)
		})
}

func resumeAccount() *cobra.Command {
	return operatorCommandOn("resume ACCOUNT", "End the suspension of an account", func(*cobra.Command) {},
		func(cmd *cobra.Command, on string, o *app.Operator, out *output) error {
			a, err := o.Resume(cmd.Context(), id.ID(on))
			if err != nil {
				return err
			}
			return printSuspension(cmd, out, a)
		})
}

func printSuspension(cmd *cobra.Command, out *output, a operator.Account) error {
	shown := map[string]any{"account": a.ID, "name": a.Name, "suspension": a.Suspension()}
	return out.print(cmd.OutOrStdout(), shown, []any{"ID", "NAME", "SUSPENDED", "REASON"},
		[][]any{{a.ID, a.Name, when(a.SuspendedAt, "no"), a.SuspendedReason}})
}

// quotaFlags are the flags of new limits. An empty text leaves its limit as it is.
type quotaFlags struct{ machines, gpus, spend, volumes, volumeGB string }

func (q *quotaFlags) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&q.machines, "machines", "", "`number` of deployments at once, or default")
	f.StringVar(&q.gpus, "gpus", "", "`number` of GPUs at once, or default")
	f.StringVar(&q.spend, "hourly-spend", "", "`USD` per hour, or default")
	f.StringVar(&q.volumes, "volumes", "", "`number` of volumes, or default")
	f.StringVar(&q.volumeGB, "volume-gb", "", "`GB` of all volumes together, or default")
}

// change returns a function that applies the flags, and whether there are any.
func (q *quotaFlags) change() (apply func(*quota.Limits), any bool, err error) {
	var changes []func(*quota.Limits)
	var errs []error
	count := func(flag, text string, of func(*quota.Limits) **int64) {
		n, err := strconv.ParseInt(text, 10, 64)
		switch {
		case text == "":
		case text == "default":
			changes = append(changes, func(l *quota.Limits) { *of(l) = nil })
		case err != nil:
			errs = append(errs, fmt.Errorf("--%s must be a whole number or default, not %q", flag, text))
		default:
			changes = append(changes, func(l *quota.Limits) { *of(l) = &n })
		}
	}
	count("machines", q.machines, func(l *quota.Limits) **int64 { return &l.Machines })
	count("gpus", q.gpus, func(l *quota.Limits) **int64 { return &l.GPUs })
	count("volumes", q.volumes, func(l *quota.Limits) **int64 { return &l.Volumes })
	count("volume-gb", q.volumeGB, func(l *quota.Limits) **int64 { return &l.VolumeGB })
	switch m, err := money.Parse(q.spend); {
	case q.spend == "":
	case q.spend == "default":
		changes = append(changes, func(l *quota.Limits) { l.HourlySpend = nil })
	case err != nil:
		errs = append(errs, fmt.Errorf("--hourly-spend must be an amount in US dollars or default, not %q", q.spend))
	default:
		changes = append(changes, func(l *quota.Limits) { l.HourlySpend = &m })
	}
	return func(l *quota.Limits) {
		for _, c := range changes {
			c(l)
		}
	}, len(changes) > 0, errors.Join(errs...)
}

func accountQuotas() *cobra.Command {
	var q quotaFlags
	cmd := operatorCommandOn("quotas ACCOUNT|default",
		"Show or set the quotas of an account, or the default for all accounts", q.flags,
		func(cmd *cobra.Command, on string, o *app.Operator, out *output) error {
			apply, any, err := q.change()
			if err != nil {
				return err
			}
			of := id.ID(on)
			if on == "default" {
				of = ""
			}
			var now operator.Quotas
			switch {
			case any:
				now, err = o.SetQuotas(cmd.Context(), of, apply)
			case of == "":
				now.Defaults, err = quota.Defaults(cmd.Context(), o.DB)
			default:
				now, err = o.Console.Quotas(cmd.Context(), o.DB, of)
			}
			if err != nil {
				return err
			}
			if of == "" {
				return printLimits(cmd, out, now.Defaults, now.Defaults, quota.Limits{}, "no limit", nil)
			}
			return printLimits(cmd, out, now, now.Limits, now.Defaults, "default", &now.Used)
		})
	return cmd
}

func printLimits(
	cmd *cobra.Command, out *output, v any, own, defaults quota.Limits, unset string, used *quota.Usage,
) error {
	text := func(n *int64) string {
		if n == nil {
			return "-"
		}
		return fmt.Sprint(*n)
	}
	spend := func(m *money.Micros) string {
		if m == nil {
			return "-"
		}
		return m.String()
	}
	row := func(name, own, standard string, use any) []any {
		if own == "-" {
			own = unset
		}
		if used == nil {
			return []any{name, own}
		}
		return []any{name, own, standard, use}
	}
	u, heads := quota.Usage{}, []any{"QUOTA", "LIMIT"}
	if used != nil {
		u, heads = *used, []any{"QUOTA", "OWN LIMIT", "DEFAULT", "USED"}
	}
	return out.print(cmd.OutOrStdout(), v, heads, [][]any{
		row("machines", text(own.Machines), text(defaults.Machines), u.Machines),
		row("GPUs", text(own.GPUs), text(defaults.GPUs), u.GPUs),
		row("hourly spend", spend(own.HourlySpend), spend(defaults.HourlySpend), u.HourlySpend),
		row("volumes", text(own.Volumes), text(defaults.Volumes), u.Volumes),
		row("volume GB", text(own.VolumeGB), text(defaults.VolumeGB), u.VolumeGB),
	})
}
