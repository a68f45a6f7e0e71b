package deployment

import (
	"context"
	"strings"
	"testing"

	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/db/dbtest"
)

// A search reads the tags of the rows that the list reads, and not those of all accounts.
func TestSearchReadsFewTags(t *testing.T) {
	for _, engine := range []db.Engine{db.SQLite, db.Postgres} {
		t.Run(string(engine), func(t *testing.T) {
			d, recorder := dbtest.Recorded(t, engine, clock.NewFrozen(dbtest.Start))
			for _, fill := range []string{`INSERT INTO deployment_tag (deployment_id, position, tag, account_id)
				WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
				SELECT 'dep_' || CAST(i AS TEXT), 0, 'tag', 'acc_2' FROM n`, `ANALYZE`} {
				if _, err := d.Handle().ExecContext(t.Context(), fill); err != nil {
					t.Fatal(err)
				}
			}
			recorder.Take()
			page := db.Page{Number: 1, Limit: 20}
			if _, _, err := list(t.Context(), d, "acc_1", Filter{Search: "needle"}, page); err != nil {
				t.Fatal(err)
			}
			searches := 0
			for _, asked := range recorder.Take() {
				if !strings.Contains(asked.Text, "LOWER(t.tag)") {
					continue
				}
				searches++
				tables, aliases := []string{"deployment_tag"}, map[string]string{"t": "deployment_tag"}
				if scans, plan := dbtest.Scans(t, d, asked, tables, aliases); len(scans) > 0 {
					t.Errorf("all tags are read:\n%s\n%s", asked.Text, plan)
				}
			}
			if searches == 0 {
				t.Error("no query searches tags")
			}
		})
	}
}

// A filter of a bulk action reads the rows of its statuses only, whatever else it names.
func TestBulkFilterReadsByStatus(t *testing.T) {
	for _, engine := range []db.Engine{db.SQLite, db.Postgres} {
		t.Run(string(engine), func(t *testing.T) {
			d, recorder := dbtest.Recorded(t, engine, clock.NewFrozen(dbtest.Start))
			if err := d.InTx(t.Context(), func(ctx context.Context, tx *db.Tx) error {
				for _, f := range []Filter{
					{Search: "needle"}, {Tag: "t"}, {Project: "p"}, {Provider: "p", Region: "r"},
					{Tag: "t", Search: "n"},
				} {
					f.Statuses = Unended
					recorder.Take()
					if _, err := filtered(ctx, tx, "acc_1", f, MaxBulk+1); err != nil {
						return err
					}
					for _, asked := range recorder.Take() {
						text := asked.Text
						if strings.Contains(text, "FROM deployment") && !strings.Contains(text, "status = ") &&
							!strings.Contains(text, "status IN ") {
							t.Errorf("%+v is asked for as\n%s", f, asked.Text)
						}
						if strings.Contains(asked.Text, "FROM deployment_tag JOIN") {
							t.Errorf("%+v reads every deployment with the tag:\n%s", f, asked.Text)
						}
					}
				}
				return nil
			}); err != nil {
				t.Fatal(err)
			}
		})
	}
}
