package postgres

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/db"
	"github.com/jackc/pgx/v5/pgconn"
	_ "github.com/jackc/pgx/v5/stdlib" // the "pgx" driver
)

// connections is the most that one replica holds open; PostgreSQL's default allows 100 in all.
const connections = 20

// Open connects to the database at a postgres:// URL.
func Open(ctx context.Context, url string, c clock.Clock) (*db.DB, error) {
	pool, err := sql.Open("pgx", url)
	if err != nil {
		return nil, errors.New("the database URL is not a valid postgres:// URL") // the driver's text may hold the password
	}
	pool.SetMaxOpenConns(connections)
	pool.SetMaxIdleConns(connections)
	pool.SetConnMaxIdleTime(5 * time.Minute)
	d := db.New(db.Config{Engine: db.Postgres, Write: pool, Read: pool, Clock: c, TryAgain: tryAgain})
	if err := d.Ping(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("connect to PostgreSQL: %w", err), d.Close())
	}
	return d, nil
}

func tryAgain(err error) bool {
	var e *pgconn.PgError
	// Serialization failure and deadlock.
	return errors.As(err, &e) && (e.Code == "40001" || e.Code == "40P01")
}
