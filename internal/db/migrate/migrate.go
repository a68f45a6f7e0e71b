package migrate

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/billetcloud/billet/internal/db"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
)

//go:embed sql/*.sql
var files embed.FS

// NewerError is returned for a database that a newer billetd has migrated.
type NewerError struct {
	// Database and Known are the numbers of the database's last migration and of the last one known
	// here.
	Database, Known int64
}

// Error returns both numbers.
func (e *NewerError) Error() string {
	return fmt.Sprintf("the database has the migration %d of a newer billetd, and this one knows them up to %d",
		e.Database, e.Known)
}

// Up applies every migration that the database lacks. It returns a *NewerError, and changes
// nothing, if the database has one that is not known here.
func Up(ctx context.Context, d *db.DB) error {
	dir, err := fs.Sub(files, "sql")
	if err != nil {
		return err
	}
	return upTo(ctx, d, dir)
}

// Check returns nil if the database has exactly the migrations that are known here, and changes
// nothing.
func Check(ctx context.Context, d *db.DB) error {
	dir, err := fs.Sub(files, "sql")
	if err != nil {
		return err
	}
	sources, err := fs.Glob(dir, "*.sql")
	if err != nil {
		return err
	}
	has, err := applied(ctx, d)
	if err != nil {
		return fmt.Errorf("read which migrations the database has: %w", err)
	}
	switch known := int64(len(sources)); {
	case has > known:
		return &NewerError{Database: has, Known: known}
	case has < known:
		return fmt.Errorf("the database has the migrations up to %d, and this billetd needs %d; "+
			"start this version once, or use the version that the database is of", has, known)
	}
	return nil
}

// Applied returns the number of the last migration that the database has.
func Applied(ctx context.Context, d *db.DB) (int64, error) { return applied(ctx, d) }

// upTo applies the migrations in dir.
func upTo(ctx context.Context, d *db.DB, dir fs.FS) error {
	if d.Engine() != db.Postgres {
		return up(ctx, d, goose.DialectSQLite3, dir)
	}
	err := locked(ctx, d, func() error { return up(ctx, d, goose.DialectPostgres, dir) })
	if err == nil || errors.As(err, new(*NewerError)) {
		return err
	}
	return permission(ctx, d, err)
}

func up(ctx context.Context, d *db.DB, dialect goose.Dialect, dir fs.FS) error {
	p, err := goose.NewProvider(dialect, d.Handle(), dir, goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return fmt.Errorf("read migrations: %w", err)
	}
	has, known, err := p.GetVersions(ctx)
	if err == nil && has > known {
		return &NewerError{Database: has, Known: known}
	}
	if err == nil {
		_, err = p.Up(ctx)
	}
	if err != nil {
		return fmt.Errorf("migrate the database: %w", err)
	}
	return nil
}

// locked runs f while no other server migrates. It uses the lock of a transaction, which also stays
// on one connection behind a pooler.
func locked(ctx context.Context, d *db.DB, f func() error) error {
	tx, err := d.Handle().BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("migrate the database: %w", err)
	}
	defer func() { _ = tx.Rollback() }()
	for _, text := range []string{`SET LOCAL statement_timeout = 0`, `SET LOCAL lock_timeout = 0`,
		`SET LOCAL idle_in_transaction_session_timeout = 0`} {
		if _, err := tx.ExecContext(ctx, text); err != nil {
			return fmt.Errorf("migrate the database: %w", err)
		}
	}
	if _, err := tx.ExecContext(ctx, `SELECT pg_advisory_xact_lock($1)`, lock.DefaultLockID); err != nil {
		return fmt.Errorf("wait for another server's migrations: %w", err)
	}
	return f()
}

// permission explains an error that is caused by missing privileges.
func permission(ctx context.Context, d *db.DB, err error) error {
	var role, base string
	var schema sql.NullString
	var creates sql.NullBool
	asked := d.Handle().QueryRowContext(ctx, `SELECT current_user, current_database(), current_schema(),
		has_schema_privilege(current_schema(), 'CREATE')`).
		Scan(&role, &base, &schema, &creates)
	switch {
	case asked != nil:
		return err
	case !schema.Valid:
		return fmt.Errorf("permission denied: the role %s may use no schema of the database %s. Let the owner of the "+
			"schema run: GRANT USAGE, CREATE ON SCHEMA public TO %s; (%w)",
			role, base, quoted(role), err)
	case creates.Valid && !creates.Bool && !strings.Contains(err.Error(), "permission denied for table"):
		return fmt.Errorf("permission denied: the role %s may not make tables in the schema %s of the database %s. "+
			"Let the owner of the schema run: GRANT USAGE, CREATE ON SCHEMA %s TO %s; (%w)",
			role, schema.String, base, quoted(schema.String), quoted(role), err)
	case strings.Contains(err.Error(), "permission denied") || strings.Contains(err.Error(), "must be owner"):
		return fmt.Errorf("permission denied: the tables in the schema %s belong to another role than %s. Connect as "+
			"the role that owns them. (%w)",
			schema.String, role, err)
	}
	return err
}

func quoted(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }
