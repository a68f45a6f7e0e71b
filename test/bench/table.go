package main

import (
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/billetcloud/billet/internal/db"
)

// table is the result of a run.
type table struct {
	rows  [][]string
	notes []string
}

func (t *table) note(format string, args ...any) {
	n := fmt.Sprintf(format, args...)
	fmt.Println(n)
	t.notes = append(t.notes, n)
}

// noteLost notes how many connections were lost, if any.
func (t *table) noteLost(what string, engine db.Engine, sides ...*side) {
	for i, s := range sides {
		if s.lost > 0 {
			t.note(
				"%s on %s: %d connections of %s were reset or closed during a call and opened again, beside %d "+
					"answers.",
				what,
				engine,
				s.lost,
				[]string{"the server", "the bare handler"}[i],
				len(s.took),
			)
		}
	}
}

func milli(d time.Duration) string { return fmt.Sprintf("%.2f ms", float64(d.Nanoseconds())/1e6) }
func micro(d time.Duration) string { return fmt.Sprintf("%.0f µs", float64(d.Nanoseconds())/1e3) }

// verdict reports whether a ratio reaches its aim; there may be none.
func verdict(ratio, aim float64) (string, string) {
	switch {
	case aim == 0:
		return "-", "-"
	case ratio >= aim:
		return fmt.Sprintf("%.2f", aim), "met"
	default:
		return fmt.Sprintf("%.2f", aim), "NOT MET"
	}
}

func (t *table) add(what string, engine db.Engine, ours, base *side, baseline string, aim float64) {
	ratio := ours.rate() / base.rate()
	wanted, met := verdict(ratio, aim)
	t.rows = append(t.rows, []string{
		what, string(engine), fmt.Sprintf("%.0f/s", ours.rate()), milli(ours.quantile(.5)),
		milli(ours.quantile(.99)), micro(ours.cpuEach()),
		baseline, fmt.Sprintf("%.0f/s", base.rate()), milli(base.quantile(.99)), micro(base.cpuEach()),
		fmt.Sprintf("%.2f", ratio), wanted, met,
	})
}

func (t *table) addSweep(engine db.Engine, n int, ours, base cost, how string, aim float64) {
	ratio := base.took.Seconds() / ours.took.Seconds()
	rate := func(c cost) string { return fmt.Sprintf("%.0f hours/s", float64(n)/c.took.Seconds()) }
	wanted, met := verdict(ratio, aim)
	t.rows = append(t.rows, []string{
		fmt.Sprintf("sweep, %d due", n), string(engine), rate(ours), "-", "-", micro(ours.cpu / time.Duration(n)),
		"bare inserts, " + how, rate(base), "-", micro(base.cpu / time.Duration(n)), fmt.Sprintf("%.2f", ratio),
		wanted, met,
	})
}

func (t *table) addVerify(engine db.Engine, n int, ours, base cost) {
	rate := func(c cost) string { return fmt.Sprintf("%.0f/s", float64(n)/c.took.Seconds()) }
	wanted, met := verdict(base.took.Seconds()/ours.took.Seconds(), 0)
	t.rows = append(t.rows, []string{
		fmt.Sprintf("ledger verify, %d transactions", n), string(engine), rate(ours), "-", "-",
		micro(ours.cpu / time.Duration(n)), "bare read and hash", rate(base), "-", micro(base.cpu / time.Duration(n)),
		fmt.Sprintf("%.2f", base.took.Seconds()/ours.took.Seconds()), wanted, met,
	})
}

func (t *table) print(w io.Writer) {
	fmt.Fprintln(w)
	out := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(out, "what\tengine\trate\tp50\tp99\tcpu\tbeside\tits rate\tits p99\tits cpu\tratio\taim\t")
	for _, r := range t.rows {
		for _, cell := range r {
			fmt.Fprintf(out, "%s\t", cell)
		}
		fmt.Fprintln(out)
	}
	_ = out.Flush()
}
