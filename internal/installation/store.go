package installation

import (
	"context"
	"fmt"
	"time"

	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
)

// record is one named value of the database.
type record struct{ name, value string }

var records = db.NewTable("installation", func(r *record) []db.Column {
	return []db.Column{db.Col("name", &r.name), db.Col("value", &r.value)}
})

func read(ctx context.Context, r db.Reader, name string) (string, error) {
	found, _, err := records.Find(ctx, r, `WHERE name = $1`, name)
	if err != nil {
		return "", fmt.Errorf("read the installation's %s: %w", name, err)
	}
	return found.value, nil
}

func keep(ctx context.Context, tx *db.Tx, name, value string) error {
	_, err := records.InsertNew(ctx, tx, "name", record{name, value})
	return err
}

func set(ctx context.Context, tx *db.Tx, name, value string) error {
	return records.Put(ctx, tx, []string{"name"}, record{name, value})
}

func fill(ctx context.Context, tx *db.Tx, row id.ID, text string) error {
	_, err := tx.Exec(ctx, `INSERT INTO write_try (id, filler) VALUES ($1, $2)`, row, text)
	return err
}

func clear(ctx context.Context, tx *db.Tx, row id.ID) error {
	_, err := tx.Exec(ctx, `DELETE FROM write_try WHERE id = $1`, row)
	return err
}

// now is the database's own time in microseconds. The clocks of two servers may differ.
const now = `CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000 AS BIGINT)`

func take(ctx context.Context, tx *db.Tx, name, holder string, lease time.Duration) (bool, error) {
	n, err := tx.Exec(ctx, `
		INSERT INTO server_lease (name, holder, until_at) VALUES ($1, $2, `+now+` + $3)
		ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, until_at = excluded.until_at
		WHERE server_lease.holder = excluded.holder OR server_lease.until_at <= `+now,
		name, holder, lease.Microseconds())
	return n == 1, err
}

// end returns when the lease expires; the zero time if it was released just now.
func end(ctx context.Context, tx *db.Tx, name string) (time.Time, error) {
	until, _, err := db.Find(ctx, tx, db.Value[time.Time], `SELECT until_at FROM server_lease WHERE name = $1`, name)
	return until, err
}

func give(ctx context.Context, tx *db.Tx, name, holder string) error {
	_, err := tx.Exec(ctx, `DELETE FROM server_lease WHERE name = $1 AND holder = $2`, name, holder)
	return err
}
