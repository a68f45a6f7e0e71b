package main

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/meter"
)

// hoursATurn is how many hours one transaction of the bare loop inserts, as in the sweep.
const hoursATurn = 500

// sweepTables are the tables of a sweep, with the number of rows per hour, and the condition for
// the sweep's rows.
var sweepTables = []struct {
	name, columns, where string
	rows                 int
}{
	{
		"wallet_charge",
		"subject, hour, account_id, amount, hourly_price, from_at, refunded, provider, region, gpu_type, name",
		"",
		1,
	},
	{
		"wallet_transaction",
		`id, account_id, seq, type, amount, balance_after, available_after, description, subject, hour, from_at,
		to_at, hourly_price, provider, region, gpu_type, name, created_at, hash`,
		"WHERE type = 'charge' ORDER BY id",
		1,
	},
	{
		"wallet_entry",
		"transaction_id, book, amount",
		"WHERE transaction_id IN (SELECT id FROM wallet_transaction WHERE type = 'charge') ORDER BY " +
			"transaction_id, book",
		2,
	},
	{"event", "id, account_id, subject, type, data, created_at, seq", "ORDER BY id", 1},
}

// sweep runs Sweep over a database full of due meters, and returns its duration.
func sweep(ctx context.Context, h *server, want int) (time.Duration, error) {
	start := time.Now()
	if _, err := h.Meter().Sweep(ctx, meter.Fleet); err != nil {
		return 0, err
	}
	took := time.Since(start)
	var booked int
	if err := h.d.QueryRow(ctx, `SELECT COUNT(*) FROM wallet_charge`).Scan(&booked); err != nil || booked != want {
		return 0, errors.Join(err, fmt.Errorf("the sweep booked %d hours of %d", booked, want))
	}
	return took, nil
}

// written reads the rows that a sweep inserted, by table.
func written(ctx context.Context, d *db.DB) ([][][]any, error) {
	out := make([][][]any, len(sweepTables))
	for i, t := range sweepTables {
		rows, err := d.Query(ctx, `SELECT `+t.columns+` FROM `+t.name+` `+t.where)
		if err != nil {
			return nil, err
		}
		n := strings.Count(t.columns, ",") + 1
		for rows.Next() {
			row, into := make([]any, n), make([]any, n)
			for j := range row {
				into[j] = &row[j]
			}
			if err := rows.Scan(into...); err != nil {
				return nil, errors.Join(err, rows.Close())
			}
			out[i] = append(out[i], row)
		}
		if err := rows.Err(); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// bareLoop inserts those rows with prepared statements of perStatement rows, in transactions of
// the sweep's size.
func bareLoop(ctx context.Context, pool *sql.DB, tables [][][]any, perStatement int) (time.Duration, error) {
	start := time.Now()
	hours := len(tables[0])
	statements := make([]*sql.Stmt, len(sweepTables))
	for i, t := range sweepTables {
		n := strings.Count(t.columns, ",") + 1
		tuples := make([]string, perStatement)
		for j := range tuples {
			tuples[j] = db.In(1+j*n, n)
		}
		s, err := pool.PrepareContext(ctx, `INSERT INTO `+t.name+` (`+t.columns+`) VALUES `+strings.Join(tuples, ", "))
		if err != nil {
			return 0, err
		}
		defer func() { _ = s.Close() }()
		statements[i] = s
	}
	for at := 0; at < hours; at += hoursATurn {
		tx, err := pool.BeginTx(ctx, nil)
		if err != nil {
			return 0, err
		}
		for i, t := range sweepTables {
			s := tx.StmtContext(ctx, statements[i])
			part := tables[i][at*t.rows : min(at+hoursATurn, hours)*t.rows]
			for len(part) > 0 {
				var args []any
				for _, row := range part[:perStatement] {
					args = append(args, row...)
				}
				part = part[perStatement:]
				if _, err := s.ExecContext(ctx, args...); err != nil {
					return 0, errors.Join(err, tx.Rollback())
				}
			}
		}
		if err := tx.Commit(); err != nil {
			return 0, err
		}
	}
	return time.Since(start), nil
}

// cost is the cost of one sweep or loop.
type cost struct{ took, cpu time.Duration }

// median returns the median of each measure, so that an interruption counts on neither side.
func median(of []cost) (m cost) {
	slices.SortFunc(of, func(a, b cost) int { return cmp.Compare(a.cpu, b.cpu) })
	m.cpu = of[len(of)/2].cpu
	slices.SortFunc(of, func(a, b cost) int { return cmp.Compare(a.took, b.took) })
	m.took = of[len(of)/2].took
	return m
}

// repeats is how often the sweep and the loop run over all meters.
const repeats = 3

// sweeps measures the sweep over all meters beside the bare loop of the same rows over a copy of
// the same database, in turns. Over a quarter of the meters it measures whether the sweep is
// linear, and which of two bare loops is faster.
func sweeps(ctx context.Context, s *site, o options, t *table) (err error) {
	frozen := clock.NewFrozen(time.Now().Truncate(time.Second))
	m, err := openMarket(ctx, filepath.Join(s.dir, string(s.engine)+"-sweep"), 0)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, m.world.Close()) }()
	fill := func(name string, n int) error {
		if err := s.make(ctx, name, frozen); err != nil {
			return err
		}
		pool, err := s.loose(name)
		if err != nil {
			return err
		}
		return errors.Join(fillMeters(ctx, s.engine, pool, n, db.Micros(frozen.Now())), pool.Close())
	}
	// with runs f on a copy of a database.
	copies := 0
	with := func(of string, f func(d *db.DB) error) error {
		copies++
		name := fmt.Sprintf("%s_%d", of, copies)
		if err := s.copy(ctx, of, name); err != nil {
			return err
		}
		d, err := s.open(ctx, name, frozen)
		if err != nil {
			return err
		}
		return errors.Join(f(d), d.Close())
	}
	swept := func(of string, n int) (c cost, rows [][][]any, err error) {
		err = with(of, func(d *db.DB) (err error) {
			h, err := build(ctx, m, d, slog.New(slog.DiscardHandler))
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, h.Close()) }()
			cpu := processorTime()
			if c.took, err = sweep(ctx, h, n); err != nil {
				return err
			}
			c.cpu = processorTime() - cpu
			rows, err = written(ctx, d)
			return err
		})
		return c, rows, err
	}
	looped := func(of string, rows [][][]any, perStatement int) (c cost, err error) {
		err = with(of, func(d *db.DB) (err error) {
			cpu := processorTime()
			c.took, err = bareLoop(ctx, d.Handle(), rows, perStatement)
			c.cpu = processorTime() - cpu
			return err
		})
		return c, err
	}
	quarter := o.running / 4
	if err := errors.Join(fill("quarter", quarter), fill("all", o.running)); err != nil {
		return err
	}
	small, rows, err := swept("quarter", quarter)
	if err != nil {
		return err
	}
	single, err := looped("quarter", rows, 1)
	if err != nil {
		return err
	}
	batched, err := looped("quarter", rows, 20)
	if err != nil {
		return err
	}
	perStatement, how := 1, "one row a statement"
	if batched.took < single.took {
		perStatement, how = 20, "20 rows a statement"
	}
	var ours, theirs []cost
	for range repeats {
		c, rows, err := swept("all", o.running)
		if err != nil {
			return err
		}
		ours = append(ours, c)
		if c, err = looped("all", rows, perStatement); err != nil {
			return err
		}
		theirs = append(theirs, c)
	}
	perHour := func(d time.Duration, n int) time.Duration { return d / time.Duration(n) }
	all := median(ours)
	t.addSweep(s.engine, o.running, all, median(theirs), how, 0.5)
	t.note(
		"%s sweep: %d due took %s (%s an hour), %d due took %s (median %s an hour): %.2f of the cost an hour at a "+
			"quarter, %.2f by CPU. The bare loop took %s; over a quarter %s an hour with one row a statement, %s "+
			"with 20.",
		s.engine,
		quarter,
		small.took.Round(time.Millisecond),
		perHour(small.took, quarter),
		o.running,
		list(ours),
		perHour(all.took, o.running),
		float64(
			perHour(all.took, o.running),
		)/float64(
			perHour(small.took, quarter),
		),
		float64(perHour(all.cpu, o.running))/float64(perHour(small.cpu, quarter)),
		list(theirs),
		perHour(single.took, quarter),
		perHour(batched.took, quarter),
	)
	return nil
}

func list(costs []cost) string {
	var out []string
	for _, c := range costs {
		out = append(out, c.took.Round(time.Millisecond).String())
	}
	return strings.Join(out, ", ")
}
