package cli

import (
	"context"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/billetcloud/billet/client"
	"github.com/billetcloud/billet/internal/clock"
	"github.com/spf13/cobra"
)

var transactionCol columnsOf[client.Transaction]

// transactionListing has no names for CSV, which comes from the server.
var transactionListing = listing[client.Transaction]{
	id: func(x client.Transaction) string { return x.ID },
	columns: []column[client.Transaction]{
		transactionCol.time("", "DATE", func(x client.Transaction) time.Time { return x.CreatedAt }),
		transactionCol.text("", "TYPE", func(x client.Transaction) string { return string(x.Type) }),
		transactionCol.money("", "AMOUNT", total, func(x client.Transaction) client.Money { return x.Amount }),
		transactionCol.money("", "AVAILABLE", total,
			func(x client.Transaction) client.Money { return x.AvailableAfter }),
		transactionCol.money("", "BALANCE", total, func(x client.Transaction) client.Money { return x.BalanceAfter }),
		transactionCol.text("", "DESCRIPTION", func(x client.Transaction) string { return x.Description }),
		transactionCol.text("", "RESOURCE",
			func(x client.Transaction) string { return valueOr(x.DeploymentID, valueOr(x.VolumeID, "")) }).onlyWide(),
		transactionCol.text("", "TRANSACTION", func(x client.Transaction) string { return x.ID }).onlyWide(),
	},
	none: "No transactions match.",
}

func (t *tool) statement() *cobra.Command {
	var from, to, machine, volumeRef string
	var types []string
	limit := 50
	cmd := &cobra.Command{
		Use: "statement", Aliases: []string{"transactions"}, Short: "List transactions", Args: cobra.NoArgs,
		Long: `Lists the transactions of your account, newest first, with the balance after each. A
hold reserves money and a release returns it. A charge is for an hour that started; a refund is for
its unused part.

A table shows the newest 50 unless --limit is set; json, yaml, csv and id have all.

` + timesHelp,
		Example: `  billet wallet statement --from 7d
  billet wallet statement --type charge,refund --deployment my-machine
  billet wallet statement --from 2026-11-01 --to 2026-12-01 -o csv > november.csv`,
	}
	f := cmd.Flags()
	timeFlags(cmd, &from, &to)
	f.StringSliceVar(&types, "type", nil, "only these `type`s: "+joined(client.TransactionTypes()))
	f.StringVar(&machine, "deployment", "", "only transactions of this `machine`, by ID or name")
	f.StringVar(&volumeRef, "volume", "", "only transactions of this `volume`, by ID or name")
	f.IntVar(&limit, "limit", limit, "maximum `number` of transactions; 0 for all")
	_ = cmd.RegisterFlagCompletionFunc("type", fixed(client.TransactionTypes()))
	return t.withClient(cmd, func(ctx context.Context, c *client.Client, _ []string) error {
		if limit < 0 {
			return usageError("--limit must be at least 0.")
		}
		q := client.TransactionQuery{}
		var err error
		if q.From, q.To, err = t.interval(ctx, c, from, to); err != nil {
			return err
		}
		for _, x := range types {
			q.Types = append(q.Types, client.TransactionType(x))
		}
		if q.DeploymentID, q.VolumeID = machine, volumeRef; machine != "" && !strings.HasPrefix(machine, "dep_") {
			d, err := deployment(ctx, c, machine)
			if err != nil {
				return err
			}
			q.DeploymentID = d.ID
		}
		if volumeRef != "" && !strings.HasPrefix(volumeRef, "vol_") {
			v, err := volume(ctx, c, volumeRef)
			if err != nil {
				return err
			}
			q.VolumeID = v.ID
		}
		limited := limit > 0 && (t.humanOutput() || cmd.Flags().Changed("limit"))
		if t.format == "csv" && !limited {
			return t.statementCSV(ctx, c, q)
		}
		if t.format == "csv" {
			return usageError("-o csv has all transactions. Remove --limit; use --from to narrow the list.")
		}
		if !limited {
			limit = 0
		}
		return listLimited(t, transactionListing, c.Wallet.AllTransactions(ctx, q), limit)
	})
}

// statementCSV streams the server's CSV.
func (t *tool) statementCSV(ctx context.Context, c *client.Client, q client.TransactionQuery) error {
	body, err := c.Wallet.TransactionsCSV(ctx, q)
	if err != nil {
		return err
	}
	defer func() { _ = body.Close() }()
	_, err = io.Copy(t.Out, body)
	return err
}

const timesHelp = "Times can be durations before now, such as 12h, 7d or 4w, days in UTC, such as 2026-11-01, or\n" +
	"times, such as 2026-11-01T18:00:00Z."

// timeFlags adds --from and --to.
func timeFlags(cmd *cobra.Command, from, to *string) {
	cmd.Flags().StringVar(from, "from", "", "start `time`, such as 7d or 2026-11-01")
	cmd.Flags().StringVar(to, "to", "", "end `time`, exclusive")
}

// interval parses --from and --to. Empty values are zero.
func (t *tool) interval(ctx context.Context, c *client.Client, from, to string) (a, b time.Time, err error) {
	now, err := t.nowFor(ctx, c, from, to)
	if err != nil {
		return a, b, err
	}
	if a, err = instant("--from", from, now); err != nil {
		return a, b, err
	}
	if b, err = instant("--to", to, now); err == nil && !a.IsZero() && !b.IsZero() && !a.Before(b) {
		err = usageError("--from must be before --to.")
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
	return time.Time{}, usageError("%s must be a time such as 12h, 7d, 2026-11-01 or 2026-11-01T18:00:00Z, not %q.",
		flag, text)
}

// nowFor returns the time that a duration among the texts counts from: the server's, because this
// machine's clock may be wrong. Without a duration it asks nothing.
func (t *tool) nowFor(ctx context.Context, c *client.Client, texts ...string) (time.Time, error) {
	if !slices.ContainsFunc(texts, func(text string) bool { _, is := ago(text); return is }) {
		return t.Now(), nil
	}
	a, err := c.Raw(ctx, client.RawRequest{Path: "/"})
	if err != nil {
		return time.Time{}, err
	}
	if at, err := http.ParseTime(a.Header.Get("Date")); err == nil {
		return at, nil
	}
	return t.Now(), nil
}

// ago parses a duration, which can be in days or weeks.
func ago(text string) (time.Duration, bool) {
	for unit, size := range map[string]time.Duration{"d": 24 * time.Hour, "w": 7 * 24 * time.Hour} {
		if number, is := strings.CutSuffix(text, unit); is {
			n, err := strconv.Atoi(number)
			return time.Duration(n) * size, err == nil && n > 0 && n <= 10_000
		}
	}
	d, err := time.ParseDuration(text)
	return d, err == nil && d > 0
}
