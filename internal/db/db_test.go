package db_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"

	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/db/dbtest"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/money"
)

func exec(t *testing.T, d *db.DB, query string, args ...any) {
	t.Helper()
	err := d.InTx(t.Context(), func(ctx context.Context, tx *db.Tx) error {
		_, err := tx.Exec(ctx, query, args...)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestPlaceholdersBindByNumber(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, _ *clock.Simulated) {
		var text string
		if err := d.QueryRow(t.Context(), `SELECT CAST($2 AS TEXT) || '-' || CAST($1 AS TEXT)`, "x",
			"y").Scan(&text); err != nil || text != "y-x" {
			t.Fatalf("%q %v: operands are bound by order of appearance; money would be swapped", text, err)
		}
		exec(t, d, `CREATE TABLE canary (k TEXT PRIMARY KEY, amount BIGINT NOT NULL)`)
		exec(t, d, `INSERT INTO canary VALUES ($1, $2)`, id.ID("dep_1"), money.Micros(5))
		var k id.ID
		var amount money.Micros
		if err := d.QueryRow(t.Context(), `SELECT k, amount FROM canary`).Scan(&k, &amount); err != nil ||
			k != "dep_1" || amount != 5 {
			t.Fatalf("%q %d %v", k, amount, err)
		}
	})
}

func TestSearchIgnoresCaseInEveryAlphabet(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, _ *clock.Simulated) {
		exec(t, d, `CREATE TABLE canary (id TEXT PRIMARY KEY, name TEXT)`)
		for name, id := range map[string]string{"ÄRGER über Öl": "a", "Обучение МОДЕЛИ": "b", "ΣΊΣΥΦΟΣ": "c",
			"plain ASCII 100%": "d", "Straße": "e", "訓練": "f"} {
			exec(t, d, `INSERT INTO canary VALUES ($1, $2)`, id, name)
		}
		exec(t, d, `INSERT INTO canary VALUES ('g', NULL)`)
		for search, want := range map[string]string{
			"ärger": "a", "ÜBER ÖL": "a", "обучение": "b", "модели": "b", "МОДЕЛИ": "b", "σίσυφοσ": "c",
			"Ascii 100%": "d", "straße": "e", "練": "f", "arger": "", "strasse": "", "_": "",
		} {
			var got string
			err := d.QueryRow(t.Context(), `SELECT COALESCE(MIN(id), '') FROM canary
				WHERE lower(name) LIKE $1 ESCAPE '\'`, db.Like(search)).Scan(&got)
			if err != nil || got != want {
				t.Errorf("%q found %q, not %q; %v", search, got, want, err)
			}
		}
		var first string
		if err := d.QueryRow(t.Context(), `SELECT id FROM canary WHERE id IN ('a', 'd') ORDER BY lower(name), id`).Scan(
			&first); err != nil || first != "d" {
			t.Errorf("%q comes first by name: %v", first, err)
		}
	})
}

func TestInTx_RollsBackOnErrorAndPanic(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, _ *clock.Simulated) {
		exec(t, d, `CREATE TABLE canary (k TEXT PRIMARY KEY)`)
		boom, called := errors.New("boom"), false
		err := d.InTx(t.Context(), func(ctx context.Context, tx *db.Tx) error {
			tx.AfterCommit(func() { called = true })
			if _, err := tx.Exec(ctx, `INSERT INTO canary VALUES ('a')`); err != nil {
				return err
			}
			return boom
		})
		if !errors.Is(err, boom) || called {
			t.Fatalf("error %v, after-commit called %t", err, called)
		}
		func() {
			defer func() { _ = recover() }()
			_ = d.InTx(t.Context(), func(ctx context.Context, tx *db.Tx) error {
				if _, err := tx.Exec(ctx, `INSERT INTO canary VALUES ('b')`); err != nil {
					t.Error(err)
				}
				panic("boom")
			})
		}()
		var n int
		if err := d.QueryRow(t.Context(), `SELECT COUNT(*) FROM canary`).Scan(&n); err != nil || n != 0 {
			t.Fatalf("%d rows left, %v", n, err)
		}
	})
}

func TestOuterHandleIsRefusedInsideTransaction(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, _ *clock.Simulated) {
		err := d.InTx(t.Context(), func(ctx context.Context, tx *db.Tx) error {
			var n int
			if err := d.QueryRow(ctx, `SELECT 1`).Scan(&n); !errors.Is(err, db.ErrInsideTx) {
				t.Errorf("QueryRow: %v", err)
			}
			if _, err := d.Query(ctx, `SELECT 1`); !errors.Is(err, db.ErrInsideTx) {
				t.Errorf("Query: %v", err)
			}
			if err := d.InTx(ctx, func(context.Context, *db.Tx) error { return nil }); !errors.Is(err, db.ErrInsideTx) {
				t.Errorf("InTx: %v", err)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	})
}

func TestParallelGuardedUpdatesSpendOnce(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		exec(t, d, `CREATE TABLE canary (k TEXT PRIMARY KEY, amount BIGINT NOT NULL)`)
		exec(t, d, `INSERT INTO canary VALUES ('a', 10)`)
		var wg sync.WaitGroup
		won := make(chan bool, 40)
		for range 40 {
			wg.Go(func() {
				err := d.InTx(t.Context(), func(ctx context.Context, tx *db.Tx) error {
					if !tx.Now.Equal(c.Now()) {
						t.Errorf("tx.Now is %s, the clock %s", tx.Now, c.Now())
					}
					n, err := tx.Exec(ctx, `UPDATE canary SET amount = amount - 1 WHERE k = 'a' AND amount >= 1`)
					if err == nil && n == 1 {
						tx.AfterCommit(func() { won <- true })
					}
					return err
				})
				if err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if len(won) != 10 {
			t.Fatalf("%d of 40 took one of 10", len(won))
		}
	})
}

func TestViewSeesOneState(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, _ *clock.Simulated) {
		exec(t, d, `CREATE TABLE canary (k TEXT PRIMARY KEY)`)
		err := d.View(t.Context(), func(ctx context.Context, tx *db.Tx) error {
			var before, after int
			if err := tx.QueryRow(ctx, `SELECT COUNT(*) FROM canary`).Scan(&before); err != nil {
				return err
			}
			exec(t, d, `INSERT INTO canary VALUES ('a')`) // its own context: another transaction
			if err := tx.QueryRow(ctx, `SELECT COUNT(*) FROM canary`).Scan(&after); err != nil {
				return err
			}
			if before != after {
				t.Errorf("%d rows, then %d", before, after)
			}
			_, err := tx.Exec(ctx, `INSERT INTO canary VALUES ('b')`)
			return err
		})
		if err == nil {
			t.Fatal("a view could write")
		}
	})
}

func TestHoldingAsksForAllAtOnce(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, _ *clock.Simulated) {
		exec(t, d, `CREATE TABLE canary (k TEXT PRIMARY KEY, amount BIGINT NOT NULL)`)
		exec(t, d, `INSERT INTO canary VALUES ('a', 1), ('b', 2)`)
		has := func(k string, amount int64) db.Cond {
			return db.Cond{
				Text: `EXISTS (SELECT 1 FROM canary WHERE k = ? AND amount = ?)`, Args: []any{id.ID(k), amount},
			}
		}
		hold, err := db.Holding(t.Context(), d, has("a", 1), has("a", 2), has("b", 2), has("c", 1))
		if want := []bool{true, false, true, false}; err != nil || !slices.Equal(hold, want) {
			t.Errorf("%v %v, not %v", hold, err, want)
		}
	})
}
