package db_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/db/dbtest"
)

// things makes a table of n rows of one account and some of another: row i has kind i%5, and a name
// that it shares with others.
func things(t *testing.T, d *db.DB, n int) {
	t.Helper()
	exec(t, d, `CREATE TABLE thing (id TEXT PRIMARY KEY, account_id TEXT NOT NULL, kind BIGINT NOT NULL,
		name_key TEXT NOT NULL, seq BIGINT NOT NULL)`)
	exec(t, d, `CREATE INDEX thing_id ON thing (account_id, id)`)
	exec(t, d, `CREATE INDEX thing_kind ON thing (account_id, kind, id)`)
	exec(t, d, fmt.Sprintf(`INSERT INTO thing (id, account_id, kind, name_key, seq)
		WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %d)
		SELECT 'thg_' || CAST(100000 + i AS TEXT), 'mine', i %% 5, 'name-' || CAST(i %% 7 AS TEXT), i FROM n`, n))
	exec(t, d, `INSERT INTO thing (id, account_id, kind, name_key, seq) SELECT id || 'x', 'theirs', kind, name_key, seq
		FROM thing WHERE seq <= 50`)
}

func thingID(row db.Row) (id string, err error) { return id, row.Scan(&id) }

func listOf(order db.Order) db.List[string] {
	l := db.List[string]{Columns: `id`, Table: `thing`, Where: []db.Cond{db.Is(`account_id`, "mine")}, Scan: thingID}
	l.Order, l.Down = order.Sorting()
	return l
}

// walk returns all entries of the list, by cursors.
func walk(t *testing.T, d *db.DB, l db.List[string], limit int, between func(page int)) (all []string,
	pages []db.Listed) {
	t.Helper()
	p := db.Page{Number: 1, Limit: limit}
	for {
		some, of, err := l.Page(t.Context(), d, p)
		if err != nil {
			t.Fatal(err)
		}
		all, pages = append(all, some...), append(pages, of)
		if of.Next == nil {
			return all, pages
		}
		p.After = of.Next
		if between != nil {
			between(len(pages))
		}
	}
}

func TestList_PagesCoverTheWholeList(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, _ *clock.Simulated) {
		things(t, d, 200)
		kinds := func(k ...int) *db.Cond { c := db.IsOneOf(`kind`, k); return &c }
		late := []db.Cond{{Text: `seq > ?`, Args: []any{120}}}
		for name, l := range map[string]db.List[string]{
			"all": listOf(db.NewestFirst), "upwards": listOf(db.OldestFirst), "by name": listOf(db.ByName),
			"by name, downwards":          listOf(db.ByNameDown),
			"by name, newest first":       listOf(db.ByNameNewestFirst),
			"name down, oldest first":     listOf(db.ByNameDownOldestFirst),
			"late, by name, newest first": with(listOf(db.ByNameNewestFirst), nil, late),
			"kinds by name, newest first": with(listOf(db.ByNameNewestFirst), kinds(1, 2), nil),
			"one kind":                    with(listOf(db.NewestFirst), kinds(3), nil),
			"three kinds":                 with(listOf(db.OldestFirst), kinds(3, 1, 4), nil),
			"late":                        with(listOf(db.ByName), nil, late),
			"late of a kind":              with(listOf(db.NewestFirst), kinds(0), late),
			"late of two kinds":           with(listOf(db.NewestFirst), kinds(0, 2), late),
			"none":                        with(listOf(db.NewestFirst), kinds(9), nil),
		} {
			whole, of, err := l.Page(t.Context(), d, db.Page{Number: 1, Limit: 1000})
			if err != nil || of.Next != nil || !of.Exact || of.Total != len(whole) ||
				name != "none" && len(whole) < 16 {
				t.Fatalf("%s: %d rows, %+v, %v", name, len(whole), of, err)
			}
			byCursor, pages := walk(t, d, l, 7, nil)
			if !slices.Equal(byCursor, whole) || pages[len(pages)-1].Total != len(whole) || !pages[len(pages)-1].Exact {
				t.Errorf("%s: by cursor %v, want %v", name, byCursor, whole)
			}
			var byNumber []string
			for n := 1; ; n++ {
				some, _, err := l.Page(t.Context(), d, db.Page{Number: n, Limit: 7})
				if err != nil {
					t.Fatal(err)
				}
				if len(some) == 0 {
					break
				}
				byNumber = append(byNumber, some...)
			}
			if !slices.Equal(byNumber, whole) {
				t.Errorf("%s: by number %v, want %v", name, byNumber, whole)
			}
		}
	})
}

func with(l db.List[string], each *db.Cond, rest []db.Cond) db.List[string] {
	l.Each, l.Rest = each, rest
	return l
}

func TestList_CursorSurvivesConcurrentChanges(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, _ *clock.Simulated) {
		things(t, d, 40)
		all, _ := walk(t, d, listOf(db.NewestFirst), 10, func(page int) {
			exec(t, d, fmt.Sprintf(`INSERT INTO thing (id, account_id, kind, name_key, seq)
				VALUES ('thg_2%05d', 'mine', 0, 'new', 1000)`, page))
			exec(t, d, fmt.Sprintf(`DELETE FROM thing WHERE id = 'thg_1%05d'`,
				41-10*page)) // the one on which the page ended
		})
		if len(all) != 40 || !slices.IsSortedFunc(all, func(a, b string) int { return -compare(a, b) }) {
			t.Errorf("%d rows: %v", len(all), all)
		}
	})
}

func compare(a, b string) int {
	if a < b {
		return -1
	}
	return 1
}

func TestList_ReadsAtMostReach(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, _ *clock.Simulated) {
		const n = db.Reach + 700
		things(t, d, n)
		l := listOf(db.NewestFirst)
		_, of, err := l.Page(t.Context(), d, db.Page{Number: 100, Limit: 100})
		if err != nil || of.Exact || of.Total != db.Reach+1 || of.Next == nil {
			t.Errorf("the last page by number: %+v, %v", of, err)
		}
		if _, _, err := l.Page(t.Context(), d, db.Page{Number: 101, Limit: 100}); !errors.Is(err, db.ErrReach) {
			t.Errorf("the page behind it: %v", err)
		}
		all, pages := walk(t, d, l, 100, nil)
		if last := pages[len(pages)-1]; len(all) != n || last.Total != n || last.Exact {
			t.Errorf("%d rows by cursor, the last page says %+v", len(all), last)
		}
		// What only the oldest rows are is found after the rows that are read at first.
		old := with(l, nil, []db.Cond{{Text: `seq <= ?`, Args: []any{3}}})
		some, of, err := old.Page(t.Context(), d, db.Page{Number: 1, Limit: 20})
		if err != nil || len(some) != 0 || of.Next == nil || of.Exact {
			t.Errorf("the first rows: %v, %+v, %v", some, of, err)
		}
		if all, _ := walk(t, d, old, 20, nil); fmt.Sprint(all) != "[thg_100003 thg_100002 thg_100001]" {
			t.Errorf("behind them: %v", all)
		}
		// A dense list is found by its numbers, however far.
		dense := l
		dense.Order, dense.Dense, dense.Known = []db.Key{{Column: `seq`, Number: true}}, true,
			&db.Cond{Text: `SELECT CAST(? AS BIGINT), 0`, Args: []any{n}}
		some, of, err = dense.Page(t.Context(), d, db.Page{Number: n/100 - 1, Limit: 100})
		if err != nil || !of.Exact || of.Total != n || len(some) != 100 || some[0] != "thg_100200" {
			t.Errorf("%v, %+v, %v", some[:1], of, err)
		}
	})
}

func TestList_RefusesForeignCursor(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, _ *clock.Simulated) {
		things(t, d, 3)
		for _, keys := range [][]any{nil, {"a", "b"}, {int64(3)}, {true}} {
			p := db.Page{Number: 1, Limit: 2, After: &db.Cursor{Keys: keys, Pages: 1}}
			if _, _, err := listOf(db.NewestFirst).Page(t.Context(), d, p); !errors.Is(err, db.ErrCursor) {
				t.Errorf("%v: %v", keys, err)
			}
		}
	})
}
