package cli

import (
	"context"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/billetcloud/billet/client"
	"github.com/billetcloud/billet/internal/clock"
	"github.com/spf13/cobra"
)

var statementListing = listing[client.Transaction]{
	id: func(x client.Transaction) string { return x.ID },
	columns: []column[client.Transaction]{
		{head: "WHEN", text: func(x client.Transaction) string { return when(x.CreatedAt) }},
		{head: "TYPE", text: func(x client.Transaction) string { return string(x.Type) }},
		{head: "AMOUNT", right: true, text: func(x client.Transaction) string { return total(x.Amount) }},
		{head: "AVAILABLE", right: true, text: func(x client.Transaction) string { return total(x.AvailableAfter) }},
		{head: "BALANCE", right: true, text: func(x client.Transaction) string { return total(x.BalanceAfter) }},
		{head: "WHAT", text: func(x client.Transaction) string { return x.Description }},
		{head: "OF", wide: true, text: func(x client.Transaction) string { return or(x.DeploymentID, or(x.VolumeID, "")) }},
		{head: "TRANSACTION", wide: true, text: func(x client.Transaction) string { return x.ID }},
	},
	none: "No lines. Without --from and --type there are those of all times and types.",
}

func (t *tool) statement() *cobra.Command {
	var from, to, machine, of string
	var types []string
	most := 50
	cmd := &cobra.Command{
		Use: "statement", Aliases: []string{"transactions"}, Short: "Every line of your account, newest first", Args: cobra.NoArgs,
		Long: `Shows the lines of your account, newest first, with what was there after each. A hold sets money aside, a release gives it back; a charge
is an hour that began, a refund the part of it that was not used.

A table has the newest 50 lines unless --limit says otherwise; json, yaml, csv and id have all.

` + timesHelp,
		Example: `  billet wallet statement --from 7d
  billet wallet statement --type charge,refund --deployment my-machine
  billet wallet statement --from 2026-11-01 --to 2026-12-01 -o csv > november.csv`,
	}
	f := cmd.Flags()
	timeFlags(cmd, &from, &to)
	f.StringSliceVar(&types, "type", nil, "only these: top_up, credit, hold, release, charge, refund, adjustment")
	f.StringVar(&machine, "deployment", "", "only those of this machine, by its id or name")
	f.StringVar(&of, "volume", "", "only those of this volume, by its id or name")
	f.IntVar(&most, "limit", most, "at most so many lines; 0 for all")
	_ = cmd.RegisterFlagCompletionFunc("type", cobra.FixedCompletions([]cobra.Completion{"top_up", "credit", "hold", "release", "charge", "refund", "adjustment"}, cobra.ShellCompDirectiveNoFileComp))
	return t.verb(cmd, func(ctx context.Context, c *client.Client, _ []string) error {
		if most < 0 {
			return usage("--limit must be at least 0.")
		}
		q := client.TransactionQuery{}
		var err error
		if q.From, q.To, err = interval(from, to, t.Now()); err != nil {
			return err
		}
		for _, x := range types {
			q.Types = append(q.Types, client.TransactionType(x))
		}
		if q.DeploymentID, q.VolumeID = machine, of; machine != "" && !strings.HasPrefix(machine, "dep_") {
			d, err := deployment(ctx, c, machine)
			if err != nil {
				return err
			}
			q.DeploymentID = d.ID
		}
		if of != "" && !strings.HasPrefix(of, "vol_") {
			v, err := volume(ctx, c, of)
			if err != nil {
				return err
			}
			q.VolumeID = v.ID
		}
		limited := most > 0 && (t.forPeople() || cmd.Flags().Changed("limit"))
		if t.format == "csv" && !limited {
			return t.statementCSV(ctx, c, q)
		}
		if t.format == "csv" {
			return usage("-o csv has all lines; narrow it with --from, and leave --limit out.")
		}
		if !limited {
			most = 0
		}
		return listUpTo(t, statementListing, c.Wallet.AllTransactions(ctx, q), most)
	})
}

// statementCSV hands the server's own table on while it arrives.
func (t *tool) statementCSV(ctx context.Context, c *client.Client, q client.TransactionQuery) error {
	body, err := c.Wallet.TransactionsCSV(ctx, q)
	if err != nil {
		return err
	}
	defer func() { _ = body.Close() }()
	_, err = io.Copy(t.Out, body)
	return err
}

const timesHelp = "Times are lengths of time until now, such as 12h, 7d or 4w, or days in UTC, such as 2026-11-01, or instants, such as\n2026-11-01T18:00:00Z."

// timeFlags adds --from and --to.
func timeFlags(cmd *cobra.Command, from, to *string) {
	cmd.Flags().StringVar(from, "from", "", "from when on, such as 7d or 2026-11-01")
	cmd.Flags().StringVar(to, "to", "", "until when, without the day or instant itself")
}

// interval reads --from and --to; what is empty is zero.
func interval(from, to string, now time.Time) (a, b time.Time, err error) {
	if a, err = instant("--from", from, now); err != nil {
		return a, b, err
	}
	if b, err = instant("--to", to, now); err == nil && !a.IsZero() && !b.IsZero() && !a.Before(b) {
		err = usage("--from must be before --to.")
	}
	return a, b, err
}

func instant(flag, text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if d, is := ago(text); is {
		return now.Add(-d), nil
	}
	if at, is := clock.ParseRFC3339(text); is {
		return at, nil
	}
	if at, err := time.Parse(time.DateOnly, text); err == nil {
		return at, nil
	}
	return time.Time{}, usage("%s %q is no time such as 12h, 7d, 2026-11-01 or 2026-11-01T18:00:00Z.", flag, text)
}

// ago reads a length of time, in which there may be days or weeks.
func ago(text string) (time.Duration, bool) {
	for unit, length := range map[string]time.Duration{"d": 24 * time.Hour, "w": 7 * 24 * time.Hour} {
		if number, is := strings.CutSuffix(text, unit); is {
			n, err := strconv.Atoi(number)
			return time.Duration(n) * length, err == nil && n > 0 && n <= 10_000
		}
	}
	d, err := time.ParseDuration(text)
	return d, err == nil && d > 0
}
