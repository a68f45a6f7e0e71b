package installation

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
)

func read(ctx context.Context, r db.Reader, name string) (value string, err error) {
	err = r.QueryRow(ctx, `SELECT value FROM installation WHERE name = $1`, name).Scan(&value)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("read what the database knows of its servers: %w", err)
	}
	return value, nil
}

func keep(ctx context.Context, tx *db.Tx, name, value string) error {
	_, err := tx.Exec(ctx, `INSERT INTO installation (name, value) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING`, name, value)
	return err
}

func set(ctx context.Context, tx *db.Tx, name, value string) error {
	_, err := tx.Exec(ctx, `INSERT INTO installation (name, value) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = excluded.value`, name, value)
	return err
}

func fill(ctx context.Context, tx *db.Tx, row id.ID, text string) error {
	_, err := tx.Exec(ctx, `INSERT INTO write_try (id, filler) VALUES ($1, $2)`, row, text)
	return err
}

func clear(ctx context.Context, tx *db.Tx, row id.ID) error {
	_, err := tx.Exec(ctx, `DELETE FROM write_try WHERE id = $1`, row)
	return err
}

// now is the database's own time in microseconds. No two servers need to have the same.
const now = `CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000 AS BIGINT)`

func take(ctx context.Context, tx *db.Tx, name, holder string, lease time.Duration) (bool, error) {
	n, err := tx.Exec(ctx, `
		INSERT INTO server_lease (name, holder, until_at) VALUES ($1, $2, `+now+` + $3)
		ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, until_at = excluded.until_at
		WHERE server_lease.holder = excluded.holder OR server_lease.until_at <= `+now,
		name, holder, lease.Microseconds())
	return n == 1, err
}

func end(ctx context.Context, tx *db.Tx, name string) (time.Time, error) {
	us := int64(0)
	err := tx.QueryRow(ctx, `SELECT until_at FROM server_lease WHERE name = $1`, name).Scan(&us)
	if errors.Is(err, sql.ErrNoRows) {
		return time.Time{}, nil // given back this moment
	}
	return db.At(us), err
}

func give(ctx context.Context, tx *db.Tx, name, holder string) error {
	_, err := tx.Exec(ctx, `DELETE FROM server_lease WHERE name = $1 AND holder = $2`, name, holder)
	return err
}
