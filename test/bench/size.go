package main

import (
	"cmp"
	"context"
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

// sizeMachines is how many machines run while the sizes of tables are measured.
const sizeMachines = 1000

// sizes returns the bytes of each table with its indexes.
func sizes(ctx context.Context, d *db.DB) (map[string]int64, error) {
	query := `SELECT COALESCE(m.tbl_name, s.name), SUM(s.pgsize) FROM dbstat AS s
		LEFT JOIN sqlite_master AS m ON m.name = s.name GROUP BY 1`
	if d.Engine() == db.Postgres {
		query = `SELECT relname, pg_total_relation_size(relid) FROM pg_stat_user_tables`
	}
	return db.CollectMap(ctx, d, db.Pair[string, int64], query)
}

// sized measures what an hour of a machine adds to the database: the sweep charges all machines
// each hour, with a clock that is moved.
func sized(ctx context.Context, s *site, o options, t *table) (err error) {
	c := clock.NewFrozen(time.Now().Truncate(time.Second))
	m, err := openMarket(ctx, filepath.Join(s.dir, string(s.engine)+"-size"), 0)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, m.world.Close()) }()
	if err := s.make(ctx, "size", c); err != nil {
		return err
	}
	pool, err := s.loose("size")
	if err != nil {
		return err
	}
	err = errors.Join(fillMeters(ctx, s.engine, pool, sizeMachines, db.Micros(c.Now())), pool.Close())
	if err != nil {
		return err
	}
	d, err := s.open(ctx, "size", c)
	if err != nil {
		return err
	}
	if err := s.hurry(ctx, d); err != nil {
		return errors.Join(err, d.Close())
	}
	h, err := build(ctx, m, d, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, h.Close()) }()
	before, err := sizes(ctx, d)
	if err != nil {
		return err
	}
	for range o.hours {
		if _, err := h.Meter().Sweep(ctx, meter.Fleet); err != nil {
			return err
		}
		if s.engine == db.Postgres { // as autovacuum does over real hours: it reuses the rows of meters
			_, err := d.Handle().ExecContext(ctx, `VACUUM meter, wallet, wallet_day_subject, wallet_subject`)
			if err != nil {
				return err
			}
		}
		c.Advance(time.Hour)
	}
	after, err := sizes(ctx, d)
	if err != nil {
		return err
	}
	var charged int64
	if err := d.QueryRow(ctx, `SELECT COUNT(*) FROM wallet_charge`).Scan(&charged); err != nil {
		return err
	}
	if charged != int64(o.hours)*sizeMachines {
		return fmt.Errorf("%d hours were charged, not %d", charged, o.hours*sizeMachines)
	}
	t.note("%s: %s", s.engine, growthOf(before, after, charged))
	return nil
}

// growthOf describes by how many bytes tables grew for each charged hour, the largest first.
func growthOf(before, after map[string]int64, hours int64) string {
	type grown struct {
		table string
		bytes int64
	}
	var all []grown
	var total int64
	for table, n := range after {
		n -= before[table]
		total += n
		if n/hours > 0 {
			all = append(all, grown{table, n / hours})
		}
	}
	slices.SortFunc(all, func(a, b grown) int {
		return cmp.Or(cmp.Compare(b.bytes, a.bytes), cmp.Compare(a.table, b.table))
	})
	var parts []string
	for _, g := range all {
		parts = append(parts, fmt.Sprintf("%s %d", g.table, g.bytes))
	}
	events := after["event"] - before["event"]
	return fmt.Sprintf("%d machine-hours added %d bytes each with indexes, and %d once their events are deleted: %s.",
		hours, total/hours, (total-events)/hours, strings.Join(parts, ", "))
}
