package db_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/db/dbtest"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/money"
	"github.com/google/go-cmp/cmp"
)

// item has a column of each kind.
type item struct {
	ID      id.ID
	Name    string
	Count   int
	Price   money.Micros
	Limit   *money.Micros
	Reason  *string
	Parent  id.ID
	Enabled bool
	Runtime time.Duration
	Scopes  []string
	Labels  map[string]string
	Made    time.Time
	Ended   *time.Time
}

func (i *item) columns() []db.Column {
	return []db.Column{
		db.Col("id", &i.ID),
		db.Col("name", &i.Name),
		db.Derived("name_key", strings.ToLower(i.Name)),
		db.Col("count", &i.Count),
		db.Col("price", &i.Price),
		db.Col("max_price", &i.Limit),
		db.Col("reason", &i.Reason),
		db.Col("parent", db.ZeroAsNull(&i.Parent)),
		db.Col("enabled", &i.Enabled),
		db.Col("runtime", db.Seconds(&i.Runtime)),
		db.Col("scopes", db.SharedJSON(&i.Scopes)),
		db.Col("labels", db.JSON(&i.Labels)),
		db.Col("made_at", &i.Made),
		db.Col("ended_at", &i.Ended),
	}
}

var items = db.NewTable("item", (*item).columns)

// withItems runs f on each engine, in a transaction of a database that has the table.
func withItems(t *testing.T, f func(t *testing.T, ctx context.Context, d *db.DB, tx *db.Tx)) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, _ *clock.Simulated) {
		exec(
			t,
			d,
			`CREATE TABLE item (id TEXT PRIMARY KEY, name TEXT NOT NULL, name_key TEXT NOT NULL, count BIGINT NOT NULL,
			price BIGINT NOT NULL, max_price BIGINT, reason TEXT, parent TEXT, enabled BIGINT NOT NULL,
				runtime BIGINT NOT NULL,
			scopes TEXT NOT NULL, labels TEXT NOT NULL, made_at BIGINT NOT NULL, ended_at BIGINT)`,
		)
		err := d.InTx(t.Context(), func(ctx context.Context, tx *db.Tx) error {
			f(t, ctx, d, tx)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	})
}

func full(of id.ID) item {
	limit, reason, ended := money.USD, "none", dbtest.Start.Add(time.Hour)
	return item{
		ID: of, Name: "Ärger", Count: -3, Price: 2_490_001, Limit: &limit, Reason: &reason, Parent: "dep_1",
		Enabled: true,
		Runtime: 25 * time.Minute, Scopes: []string{"read"}, Labels: map[string]string{"a": "b"}, Made: dbtest.Start,
		Ended: &ended,
	}
}

func empty(of id.ID) item {
	return item{ID: of, Scopes: []string{}, Labels: map[string]string{}, Made: time.UnixMicro(0).UTC()}
}

func TestTable_RowsRoundTrip(t *testing.T) {
	withItems(t, func(t *testing.T, ctx context.Context, _ *db.DB, tx *db.Tx) {
		blank := item{ID: "b", Made: time.UnixMicro(0)} // a nil slice and a nil map are kept as empty ones
		if err := items.Insert(ctx, tx, full("a"), blank); err != nil {
			t.Fatal(err)
		}
		got, err := items.Select(ctx, tx, `WHERE made_at >= $1 ORDER BY id`, time.UnixMicro(0))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]item{full("a"), empty("b")}, got); diff != "" {
			t.Errorf("Select (-want +got):\n%s", diff)
		}
		list := items.List(db.Is("enabled", true))
		list.Order, list.Down = db.NewestFirst.Sorting()
		listed, of, err := list.Page(ctx, tx, db.Page{Number: 1, Limit: 10})
		if err != nil || of.Total != 1 {
			t.Fatalf("List: %+v, %v; want one row", of, err)
		}
		if diff := cmp.Diff([]item{full("a")}, listed); diff != "" {
			t.Errorf("List (-want +got):\n%s", diff)
		}
		key, err := db.Collect(ctx, tx, db.Value[string], `SELECT name_key FROM item ORDER BY id`)
		if err != nil || !cmp.Equal(key, []string{"ärger", ""}) {
			t.Errorf("got the derived column %q, %v", key, err)
		}
	})
}

func TestTable_Find(t *testing.T) {
	withItems(t, func(t *testing.T, ctx context.Context, _ *db.DB, tx *db.Tx) {
		if err := items.Insert(ctx, tx, full("a")); err != nil {
			t.Fatal(err)
		}
		got, found, err := items.Find(ctx, tx, `WHERE id = $1`, "a")
		if diff := cmp.Diff(full("a"), got); diff != "" || !found || err != nil {
			t.Errorf("found = %t, err = %v (-want +got):\n%s", found, err, diff)
		}
		got, found, err = items.Find(ctx, tx, `WHERE id = $1`, "b")
		if diff := cmp.Diff(item{}, got); diff != "" || found || err != nil {
			t.Errorf("a missing row: found = %t, err = %v (-want +got):\n%s", found, err, diff)
		}
	})
}

func TestTable_Update(t *testing.T) {
	withItems(t, func(t *testing.T, ctx context.Context, _ *db.DB, tx *db.Tx) {
		if err := items.Insert(ctx, tx, full("a"), empty("b")); err != nil {
			t.Fatal(err)
		}
		change := empty("")
		change.Name, change.Enabled = "new", true
		n, err := items.Update(ctx, tx, &change, []string{"name", "enabled", "ended_at"}, db.Is("id", "a"),
			db.Is("enabled", true))
		if n != 1 || err != nil {
			t.Errorf("updated %d rows, %v; want 1", n, err)
		}
		n, err = items.Update(ctx, tx, &change, []string{"name"}, db.Is("id", "b"), db.Is("enabled", true))
		if n != 0 || err != nil {
			t.Errorf("updated %d rows that do not meet the condition, %v", n, err)
		}
		want := full("a")
		want.Name, want.Ended = "new", nil
		got, err := items.Select(ctx, tx, `ORDER BY id`)
		if diff := cmp.Diff([]item{want, empty("b")}, got); diff != "" || err != nil {
			t.Errorf("%v (-want +got):\n%s", err, diff)
		}
		if n, err := items.Delete(ctx, tx, db.Is("id", "a")); n != 1 || err != nil {
			t.Errorf("deleted %d rows, %v; want 1", n, err)
		}
	})
}

func TestTable_Conflicts(t *testing.T) {
	withItems(t, func(t *testing.T, ctx context.Context, _ *db.DB, tx *db.Tx) {
		var many []item
		for i := range 50 {
			many = append(many, empty(id.ID("i"+string(rune('A'+i)))))
		}
		if n, err := items.InsertNew(ctx, tx, "id", many[:30]...); n != 30 || err != nil {
			t.Errorf("inserted %d rows, %v; want 30", n, err)
		}
		if n, err := items.InsertNew(ctx, tx, "id", many...); n != 20 || err != nil {
			t.Errorf("inserted %d new rows, %v; want 20", n, err)
		}
		other := full("iA")
		if err := items.Put(ctx, tx, []string{"id"}, other); err != nil {
			t.Fatal(err)
		}
		got, _, err := items.Find(ctx, tx, `WHERE id = 'iA'`)
		if diff := cmp.Diff(other, got); diff != "" || err != nil {
			t.Errorf("Put: %v (-want +got):\n%s", err, diff)
		}
		n, err := items.PutWhere(ctx, tx, []string{"id"}, `item.count > excluded.count`, empty("iA"))
		if n != 0 || err != nil {
			t.Errorf("overwrote %d rows that do not meet the condition, %v", n, err)
		}
	})
}

func TestCollect(t *testing.T) {
	withItems(t, func(t *testing.T, ctx context.Context, d *db.DB, tx *db.Tx) {
		none, err := db.Collect(ctx, tx, db.Value[id.ID], `SELECT id FROM item`)
		if none == nil || len(none) != 0 || err != nil {
			t.Errorf("no rows: got %#v, %v; want an empty slice", none, err)
		}
		if err := items.Insert(ctx, tx, full("a"), empty("b")); err != nil {
			t.Fatal(err)
		}
		prices, err := db.CollectMap(ctx, tx, db.Pair[id.ID, money.Micros], `SELECT id, price FROM item
			WHERE id IN `+db.In(1, 2),
			db.Args([]id.ID{"a", "b"})...)
		if diff := cmp.Diff(map[id.ID]money.Micros{"a": 2_490_001, "b": 0}, prices); diff != "" || err != nil {
			t.Errorf("%v (-want +got):\n%s", err, diff)
		}
		if _, err := db.Collect(ctx, tx, db.Value[money.Micros], `SELECT name FROM item`); err == nil {
			t.Error("a text was read as an amount")
		}
		given, found, err := db.Find(ctx, tx, db.Value[bool], `SELECT ended_at IS NOT NULL FROM item WHERE id = 'a'`)
		if !given || !found || err != nil {
			t.Errorf("a condition: got %t, found = %t, %v; want true", given, found, err)
		}
		if _, err := db.Collect(ctx, d, db.Value[string], `SELECT 'x'`); err == nil {
			t.Error("the outer handle was used inside a transaction")
		}
	})
}

func BenchmarkTable(b *testing.B) {
	d := dbtest.SQLite(b, clock.NewFrozen(dbtest.Start))
	err := d.InTx(b.Context(), func(ctx context.Context, tx *db.Tx) error {
		_, err := tx.Exec(ctx,
			`CREATE TABLE item (id TEXT PRIMARY KEY, name TEXT NOT NULL, name_key TEXT NOT NULL, count BIGINT,
			price BIGINT, max_price BIGINT, reason TEXT, parent TEXT, enabled BIGINT, runtime BIGINT, scopes TEXT,
				labels TEXT,
			made_at BIGINT, ended_at BIGINT)`)
		if err != nil {
			return err
		}
		for i := range 100 {
			if err := items.Insert(ctx, tx, full(id.ID("i"+string(rune('A'+i))))); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if all, err := items.Select(b.Context(), d, `ORDER BY id`); err != nil || len(all) != 100 {
			b.Fatal(len(all), err)
		}
	}
}
