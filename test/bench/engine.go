package main

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/db/migrate"
	"github.com/billetcloud/billet/internal/db/postgres"
	"github.com/billetcloud/billet/internal/db/sqlite"
	"github.com/jackc/pgx/v5/stdlib"
	modernc "modernc.org/sqlite"
)

// site is where the databases of one engine are created.
type site struct {
	engine db.Engine
	dir    string   // SQLite
	server *url.URL // PostgreSQL
	admin  *sql.DB
	prefix string
	made   []string
}

func newSite(engine db.Engine, dir, server string) (*site, error) {
	s := &site{engine: engine, dir: dir, prefix: fmt.Sprintf("billet_bench_%d_", os.Getpid())}
	if engine == db.SQLite {
		return s, nil
	}
	var err error
	if s.server, err = url.Parse(server); err != nil || server == "" {
		return nil, errors.New(
			"set BILLET_TEST_POSTGRES to a postgres:// URL whose user may create databases, or leave postgres out " +
				"with -engines sqlite",
		)
	}
	s.admin, err = sql.Open("pgx", server)
	return s, err
}

// address returns the file or URL of a database by its name.
func (s *site) address(name string) string {
	if s.engine == db.SQLite {
		return filepath.Join(s.dir, name+".db")
	}
	u := *s.server
	u.Path = "/" + s.prefix + name
	return u.String()
}

// make creates an empty database with the schema.
func (s *site) make(ctx context.Context, name string, c clock.Clock) error {
	if s.engine == db.Postgres {
		if _, err := s.admin.ExecContext(ctx, `CREATE DATABASE `+s.prefix+name); err != nil {
			return err
		}
	}
	s.made = append(s.made, name)
	d, err := s.open(ctx, name, c)
	if err != nil {
		return err
	}
	_, err = migrate.Up(ctx, d, migrate.Options{})
	return errors.Join(err, d.Close())
}

// copy copies a database that is not open.
func (s *site) copy(ctx context.Context, from, to string) error {
	s.made = append(s.made, to)
	if s.engine == db.Postgres {
		_, err := s.admin.ExecContext(ctx, `CREATE DATABASE `+s.prefix+to+` TEMPLATE `+s.prefix+from)
		return err
	}
	b, err := os.ReadFile(s.address(from))
	if err != nil {
		return err
	}
	return os.WriteFile(s.address(to), b, 0o600)
}

// open opens a database as the server does.
func (s *site) open(ctx context.Context, name string, c clock.Clock) (*db.DB, error) {
	if s.engine == db.SQLite {
		return sqlite.Open(ctx, s.address(name), c)
	}
	return postgres.Open(ctx, s.address(name), c)
}

// listen opens a database and records its statements. Its speed is not measured.
func (s *site) listen(name string, c clock.Clock) (*db.DB, *recorder, error) {
	var base driver.Connector
	var err error
	if s.engine == db.SQLite {
		base, err = modernc.NewConnector(
			"file:" + url.PathEscape(s.address(name)) + "?_txlock=immediate&_pragma=busy_timeout(10000)",
		)
	} else {
		base, err = stdlib.GetDefaultDriver().(driver.DriverContext).OpenConnector(s.address(name))
	}
	if err != nil {
		return nil, nil, err
	}
	r := &recorder{Connector: base}
	pool := sql.OpenDB(r)
	return db.New(db.Config{
		Engine: s.engine, Write: pool, Read: pool, Clock: c,
		Trouble: func(error) db.Trouble { return db.NoTrouble },
	}), r, nil
}

// loose opens a database for filling it, without durability.
func (s *site) loose(name string) (*sql.DB, error) {
	if s.engine == db.Postgres {
		u, err := url.Parse(s.address(name))
		if err != nil {
			return nil, err
		}
		q := u.Query() // the driver passes unknown parameters on as session settings
		q.Set("synchronous_commit", "off")
		q.Set("maintenance_work_mem", "1GB")
		q.Set("work_mem", "256MB")
		u.RawQuery = q.Encode()
		return sql.Open("pgx", u.String())
	}
	pool, err := sql.Open(
		"sqlite",
		"file:"+url.PathEscape(
			s.address(name),
		)+"?_pragma=synchronous(OFF)&_pragma=journal_mode(OFF)&_pragma=cache_size(-800000)&_pragma=locking_mode(EXCLUSIVE)",
	)
	if err == nil {
		pool.SetMaxOpenConns(1)
	}
	return pool, err
}

// hurry makes commits not wait for the disk, while a database is filled through the packages.
func (s *site) hurry(ctx context.Context, d *db.DB) error {
	if s.engine == db.Postgres {
		return nil
	}
	_, err := d.Handle().ExecContext(ctx, `PRAGMA synchronous = OFF`)
	return err
}

// straight opens pools of a database with the server's settings and only database/sql and the
// driver. On PostgreSQL these are the server's own pools; on SQLite the server's pools keep
// prepared statements.
func (s *site) straight(name string, d *db.DB) (read, write *sql.DB, err error) {
	if s.engine == db.Postgres {
		read, write = d.Pools()
		return read, write, nil
	}
	dsn := "file:" + url.PathEscape(
		s.address(name),
	) + "?_pragma=busy_timeout(10000)&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_pragma=foreign_keys(1)"
	if write, err = sql.Open("sqlite", dsn+"&_txlock=immediate"); err != nil {
		return nil, nil, err
	}
	write.SetMaxOpenConns(1)
	if read, err = sql.Open("sqlite", dsn+"&_pragma=query_only(1)"); err != nil {
		return nil, nil, errors.Join(err, write.Close())
	}
	read.SetMaxOpenConns(8)
	read.SetMaxIdleConns(8)
	return read, write, nil
}

// settings returns the settings that make a commit slow or unsafe.
func (s *site) settings(ctx context.Context, d *db.DB) (string, error) {
	if s.engine == db.SQLite {
		var version, journal, sync string
		err := d.Handle().QueryRowContext(ctx, `SELECT sqlite_version()`).Scan(&version)
		err = errors.Join(
			err, d.Handle().QueryRowContext(ctx, `PRAGMA journal_mode`).Scan(&journal),
			d.Handle().QueryRowContext(ctx, `PRAGMA synchronous`).Scan(&sync),
		)
		return fmt.Sprintf("SQLite %s, journal_mode %s, synchronous %s (2 is FULL)", version, journal, sync), err
	}
	var parts []string
	for _, name := range []string{
		"server_version", "fsync", "synchronous_commit", "full_page_writes", "shared_buffers",
	} {
		var value string
		if err := s.admin.QueryRowContext(ctx, `SELECT current_setting($1)`, name).Scan(&value); err != nil {
			return "", err
		}
		parts = append(parts, name+" "+value)
	}
	return "PostgreSQL " + strings.TrimPrefix(strings.Join(parts, ", "), "server_version "), nil
}

// remove deletes every created database.
func (s *site) remove(ctx context.Context) error {
	if s.admin == nil {
		return nil
	}
	var errs []error
	for _, name := range s.made {
		_, err := s.admin.ExecContext(ctx, `DROP DATABASE IF EXISTS `+s.prefix+name+` WITH (FORCE)`)
		errs = append(errs, err)
	}
	return errors.Join(append(errs, s.admin.Close())...)
}
