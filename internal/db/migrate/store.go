package migrate

import (
	"context"
	"fmt"
	"strings"

	"github.com/billetcloud/billet/internal/db"
)

// record is a row of schema_migration.
type record struct {
	Number      int64
	Kind        Kind
	WorksWith   int64
	Fingerprint string
	By          string
}

func (r *record) columns() []db.Column {
	return []db.Column{
		db.Col("migration", &r.Number),
		db.Col("kind", &r.Kind),
		db.Col("works_with", &r.WorksWith),
		db.Col("fingerprint", &r.Fingerprint),
		db.Col("applied_by", &r.By),
	}
}

var records = db.NewTable("schema_migration", (*record).columns)

// recording returns the statement that records the migration. It is a part of the migration's text,
// so that it is in its transaction.
func recording(m Migration, by string) string {
	return fmt.Sprintf(`INSERT INTO schema_migration (migration, kind, works_with, fingerprint, applied_by)
VALUES (%d, '%s', %d, '%s', '%s')
ON CONFLICT (migration) DO UPDATE SET kind = excluded.kind, works_with = excluded.works_with,
    fingerprint = excluded.fingerprint, applied_by = excluded.applied_by;`,
		m.Number, m.Kind, m.WorksWith, m.fingerprint, strings.NewReplacer(`'`, `''`, ";", "", "\n", " ").Replace(by))
}

// applied returns the number of the last migration that the database has.
func applied(ctx context.Context, d *db.DB) (has int64, err error) {
	err = d.QueryRow(ctx, `SELECT CAST(COALESCE(MAX(version_id), 0) AS BIGINT) FROM goose_db_version`).Scan(&has)
	return has, err
}

// recorded returns the rows of all migrations that the database has.
func recorded(ctx context.Context, d *db.DB) ([]record, error) {
	return records.Select(ctx, d, `ORDER BY migration`)
}

// exists reports whether the database has the table.
func exists(ctx context.Context, d *db.DB, table string) (is bool, err error) {
	query := `SELECT COUNT(*) FROM sqlite_master WHERE type = 'table' AND name = $1`
	if d.Engine() == db.Postgres {
		query = `SELECT CASE WHEN to_regclass($1) IS NULL THEN 0 ELSE 1 END`
	}
	var n int64
	err = d.QueryRow(ctx, query, table).Scan(&n)
	return n > 0, err
}
