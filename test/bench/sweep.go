package main

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/event"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/job"
	"github.com/billetcloud/billet/internal/meter"
	"github.com/billetcloud/billet/internal/wallet"
)

// hoursATurn is how many hours one transaction of the bare loop books; the sweep's are as long.
const hoursATurn = 500

// sweepTables are what a sweep inserts into, with how many rows for an hour, and what finds those of the sweep.
var sweepTables = []struct {
	name, columns, where string
	rows                 int
}{
	{"wallet_charge", "subject, hour, account_id, amount, hourly_price, from_at, refunded, provider, region, gpu_type, name", "", 1},
	{"wallet_transaction", `id, account_id, seq, type, amount, balance_after, available_after, description, subject, hour, from_at, to_at, hourly_price,
		provider, region, gpu_type, created_at`, "WHERE type = 'charge' ORDER BY id", 1},
	{"wallet_entry", "transaction_id, book, amount", "WHERE transaction_id IN (SELECT id FROM wallet_transaction WHERE type = 'charge') ORDER BY transaction_id, book", 2},
	{"event", "id, account_id, subject, type, data, created_at, seq", "ORDER BY id", 1},
}

// sweep runs Sweep over a database full of meters that are due, and returns how long it took.
func sweep(ctx context.Context, d *db.DB, c clock.Clock, want int) (time.Duration, error) {
	ids := id.NewMaker(c, rand.Reader)
	ledger := wallet.New(wallet.Config{DB: d, IDs: ids})
	m := meter.New(meter.Config{DB: d, Wallet: ledger, Events: event.New(ids), Jobs: job.NewQueue(ids)})
	start := time.Now()
	if _, err := m.Sweep(ctx, meter.Fleet); err != nil {
		return 0, err
	}
	took := time.Since(start)
	var booked int
	if err := d.QueryRow(ctx, `SELECT COUNT(*) FROM wallet_charge`).Scan(&booked); err != nil || booked != want {
		return 0, errors.Join(err, fmt.Errorf("the sweep booked %d hours of %d", booked, want))
	}
	return took, nil
}

// written reads back what a sweep inserted, table by table.
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

// bareLoop inserts those rows with prepared statements of so many rows, in transactions of as many hours as the sweep's.
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

// sweeps measures the sweep over a quarter of the meters and over all of them, and the bare loop over the quarter.
func sweeps(ctx context.Context, s *site, o options, t *table) error {
	frozen := clock.NewFrozen(time.Now().Truncate(time.Second))
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
	run := func(name string, n int) (took time.Duration, rows [][][]any, err error) {
		d, err := s.open(ctx, name, frozen)
		if err != nil {
			return 0, nil, err
		}
		defer func() { err = errors.Join(err, d.Close()) }()
		if took, err = sweep(ctx, d, frozen, n); err != nil || n == o.running {
			return took, nil, err
		}
		rows, err = written(ctx, d)
		return took, rows, err
	}
	quarter := o.running / 4
	if err := errors.Join(fill("quarter", quarter), fill("all", o.running)); err != nil {
		return err
	}
	loop := func(name string, rows [][][]any, perStatement int) (took time.Duration, err error) {
		d, err := s.open(ctx, name, frozen)
		if err != nil {
			return 0, err
		}
		defer func() { err = errors.Join(err, d.Close()) }()
		return bareLoop(ctx, d.Handle(), rows, perStatement)
	}
	for _, name := range []string{"bare_a", "bare_b", "bare_c", "bare_d"} {
		if err := s.copy(ctx, "quarter", name); err != nil {
			return err
		}
	}
	// The bare loops run before and after the long sweep, so that what the machine does meanwhile falls on both.
	small, rows, err := run("quarter", quarter)
	if err != nil {
		return err
	}
	var single, batched, large time.Duration
	for _, f := range []func() error{
		func() (err error) { single, err = loop("bare_a", rows, 1); return err },
		func() (err error) { batched, err = loop("bare_b", rows, 20); return err },
		func() (err error) { large, _, err = run("all", o.running); return err },
		func() error { took, err := loop("bare_c", rows, 1); single = (single + took) / 2; return err },
		func() error { took, err := loop("bare_d", rows, 20); batched = (batched + took) / 2; return err },
	} {
		if err := f(); err != nil {
			return err
		}
	}
	perHour := func(d time.Duration, n int) time.Duration { return d / time.Duration(n) }
	best, how := single, "one row a statement"
	if batched < single {
		best, how = batched, "20 rows a statement"
	}
	t.addSweep(s.engine, o.running, large, float64(quarter)/best.Seconds(), how, 0.5)
	t.note("%s sweep: %d due took %s (%s an hour), %d due took %s (%s an hour): %.2f of the cost an hour at a quarter. Bare loop: %s an hour with one row a statement, %s with 20.",
		s.engine, quarter, small.Round(time.Millisecond), perHour(small, quarter), o.running, large.Round(time.Millisecond), perHour(large, o.running),
		float64(perHour(large, o.running))/float64(perHour(small, quarter)), perHour(single, quarter), perHour(batched, quarter))
	return nil
}
