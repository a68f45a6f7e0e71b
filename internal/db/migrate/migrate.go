package migrate

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"github.com/billetcloud/billet/internal/db"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
)

//go:embed sql/*.sql
var files embed.FS

const (
	// lockTime limits the wait for a lock of one statement. The server's statements wait for 8 s,
	// so none of them fails that queues behind it.
	lockTime = 2 * time.Second
	// statementTime limits one statement in a transaction.
	statementTime = 5 * time.Second
	// firstPause and longestPause are between attempts. Each is twice the one before.
	firstPause, longestPause = 50 * time.Millisecond, 2 * time.Second
	// turnPause is between two attempts to become the only process that migrates.
	turnPause = 100 * time.Millisecond
)

// Defaults of Options.
const (
	DefaultWait     = time.Minute
	DefaultAttempts = 20
)

// Options are how Up migrates.
type Options struct {
	// By is the version that is recorded with each migration.
	By string
	// Contract also applies contract migrations. An empty database gets all migrations anyway.
	Contract bool
	// Wait limits the wait for another process that migrates; 0 is DefaultWait.
	Wait time.Duration
	// Attempts is how often a migration is tried that waits for a lock in vain; 0 is
	// DefaultAttempts.
	Attempts int
}

// ErrContract is returned where a contract migration comes before one that this billetd needs.
var ErrContract = errors.New("a contract migration must be applied first, which servers of earlier versions may not " +
	"work with. Run `billetd migrate --contract` when no such server runs any more")

// Up applies the migrations that the database lacks, and returns them. Those that it had are
// applied even if it returns an error. It returns a *RefusedError, and changes nothing, if the
// database is newer than this billetd works with, or is not of a known text.
func Up(ctx context.Context, d *db.DB, o Options) (done []Migration, err error) {
	dir, err := fs.Sub(files, "sql")
	if err != nil {
		return nil, err
	}
	return upTo(ctx, d, dir, o)
}

// upTo applies the migrations in dir.
func upTo(ctx context.Context, d *db.DB, dir fs.FS, o Options) (done []Migration, err error) {
	if o.Wait == 0 {
		o.Wait = DefaultWait
	}
	if o.Attempts == 0 {
		o.Attempts = DefaultAttempts
	}
	m := &migrator{d: d, dir: dir, Options: o}
	if d.Engine() != db.Postgres {
		err = m.run(ctx)
		return m.done, err
	}
	if todo, err := m.todo(ctx); err == nil && len(todo) == 0 {
		return nil, nil // without the lock, and without the right to create tables
	}
	if err = m.locked(ctx, m.run); err != nil && !errors.As(err, new(*RefusedError)) && !errors.Is(err, ErrContract) {
		err = permission(ctx, d, err)
	}
	return m.done, err
}

type migrator struct {
	Options
	d    *db.DB
	dir  fs.FS
	done []Migration
}

// todo returns the migrations to apply.
func (m *migrator) todo(ctx context.Context) ([]Migration, error) {
	s, err := statusIn(ctx, m.d, m.dir)
	if err != nil {
		return nil, err
	}
	if s.Refused != nil && (s.Refused.Reason == Newer || s.Refused.Reason == Edited) {
		return nil, s.Refused
	}
	return Plan(s, m.Contract)
}

// Plan returns the migrations that Up would apply to a database with that status.
func Plan(s Status, contract bool) (todo []Migration, err error) {
	todo = s.Pending()
	if contract || s.Schema == 0 {
		return todo, nil
	}
	for i, each := range todo {
		if each.Kind != Contract {
			continue
		}
		if each.Number < s.Needs {
			err = fmt.Errorf("migration %d_%s: %w", each.Number, each.Name, ErrContract)
		}
		return todo[:i], err
	}
	return todo, nil
}

func (m *migrator) run(ctx context.Context) error {
	todo, blocked := m.todo(ctx)
	if blocked != nil && !errors.Is(blocked, ErrContract) || len(todo) == 0 {
		return blocked
	}
	texts := map[string]string{}
	for _, each := range todo {
		texts[each.file] = each.prepare(m.d.Engine(), m.By)
	}
	dialect := goose.DialectSQLite3
	if m.d.Engine() == db.Postgres {
		dialect = goose.DialectPostgres
	}
	p, err := goose.NewProvider(dialect, m.d.Handle(), prepared{m.dir, texts}, goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return fmt.Errorf("read migrations: %w", err)
	}
	for _, each := range todo {
		if err := m.apply(ctx, p, each); err != nil {
			return fmt.Errorf("migrate the database to the schema %d: %w", each.Number, err)
		}
		m.done = append(m.done, each)
	}
	return blocked
}

// apply applies one migration. While others hold locks that it needs, it lets them and everything
// that queues behind it go on, and tries again.
func (m *migrator) apply(ctx context.Context, p *goose.Provider, each Migration) error {
	pause := firstPause
	for attempt := 1; ; attempt++ {
		_, err := p.ApplyVersion(ctx, each.Number, true)
		if err == nil {
			return nil
		}
		switch state := sqlState(err); {
		case state == "57014" && ctx.Err() == nil: // query_canceled
			return fmt.Errorf("a statement took longer than %s and was rolled back, because it would have blocked "+
				"the servers: %w", statementTime, err)
		case state != "55P03" && state != "40P01": // lock_not_available, deadlock_detected
			return err
		case attempt == m.Attempts:
			return fmt.Errorf("another transaction held a lock in each of %d attempts, which waited %s each. Nothing "+
				"of this migration is applied. Find the transaction in pg_stat_activity, let it end, and run "+
				"`billetd migrate` again: %w", attempt, lockTime, err)
		}
		if err := wait(ctx, pause); err != nil {
			return err
		}
		pause = min(2*pause, longestPause)
	}
}

// sqlState returns PostgreSQL's code of an error, or "".
func sqlState(err error) string {
	if coded, is := errors.AsType[interface {
		error
		SQLState() string
	}](err); is {
		return coded.SQLState()
	}
	return ""
}

func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// locked runs f while no other process migrates. It uses the lock of a transaction, which also
// stays on one connection behind a pooler. It asks for the lock again and again: an index build of
// the process that has the lock would wait for a statement that waits for the lock.
func (m *migrator) locked(ctx context.Context, f func(context.Context) error) error {
	tx, err := m.d.Handle().BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("migrate the database: %w", err)
	}
	defer func() { _ = tx.Rollback() }()
	const unlimited = `SET LOCAL idle_in_transaction_session_timeout = 0`
	limit, cancel := context.WithTimeout(ctx, m.Wait)
	defer cancel()
	for {
		var got bool
		err := tx.QueryRowContext(ctx, `SELECT pg_try_advisory_xact_lock($1)`, lock.DefaultLockID).Scan(&got)
		if err != nil {
			return fmt.Errorf("wait for another process that migrates: %w", err)
		}
		// A query keeps its snapshot until the connection's next statement, and an index build
		// waits for snapshots.
		if _, err := tx.ExecContext(ctx, unlimited); err != nil {
			return fmt.Errorf("migrate the database: %w", err)
		}
		if got {
			return f(ctx)
		}
		if wait(limit, turnPause) != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return fmt.Errorf("another process has been migrating the database for %s. "+
				"Run the command again when it has ended", m.Wait)
		}
	}
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
