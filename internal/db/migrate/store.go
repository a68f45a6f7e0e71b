package migrate

import (
	"context"

	"github.com/billetcloud/billet/internal/db"
)

// applied returns the number of the last migration that the database has.
func applied(ctx context.Context, d *db.DB) (has int64, err error) {
	err = d.QueryRow(ctx, `SELECT CAST(COALESCE(MAX(version_id), 0) AS BIGINT) FROM goose_db_version`).Scan(&has)
	return has, err
}
