package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"slices"
	"strings"

	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/db"
	sqlite "modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// readers is how many queries may run beside each other and beside a write.
const readers = 8

// Open opens the database file, making it where there is none. It and the files beside it can be
// read by their owner only, whatever their mode was.
func Open(ctx context.Context, path string, c clock.Clock) (*db.DB, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open database file: %w", err)
	}
	_ = f.Close()
	// SQLite makes the others with the mode of the first
	for _, name := range []string{path, path + "-wal", path + "-shm"} {
		if err := tighten(name); err != nil {
			return nil, err
		}
	}
	// A sweep writes all over its indexes: with the usual 2 MB and 1000 pages most of them would be
	// read and written several times.
	write, err := pool(path, "BEGIN IMMEDIATE", "_pragma=cache_size(-65536)&_pragma=wal_autocheckpoint(4000)", 1)
	if err != nil {
		return nil, err
	}
	read, err := pool(path, "BEGIN", "_pragma=query_only(1)", readers)
	if err != nil {
		return nil, errors.Join(err, write.Close())
	}
	d := db.New(db.Config{Engine: db.SQLite, Write: write, Read: read, Clock: c, Trouble: trouble})
	if err := d.Ping(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("open %s: %w", path, err), d.Close())
	}
	return d, nil
}

// OpenReadOnly opens an existing database file and changes neither it nor its mode. It may belong
// to a running server, or be a copy that nothing can write. A server that runs has a log beside the
// file. Where there is none, the file is read without making one; a server that starts meanwhile
// may then change what was read: unchanged returns an error if one has.
func OpenReadOnly(ctx context.Context, path string, c clock.Clock) (d *db.DB, unchanged func() error, err error) {
	before, err := os.Stat(path)
	if err != nil {
		return nil, nil, fmt.Errorf("open database file: %w", err)
	}
	if _, err := os.Stat(path + "-wal"); errors.Is(err, fs.ErrNotExist) {
		if d, err := openReadOnly(ctx, path, "mode=ro&immutable=1", c); err == nil {
			return d, func() error { return same(path, before) }, nil
		}
	}
	d, err = openBeside(ctx, path, c)
	return d, func() error { return nil }, err
}

// Copy writes a consistent copy of the database file to a file that must not exist, also while a
// server writes it. The copy has no unused pages and no log.
func Copy(ctx context.Context, path, to string) error {
	if _, err := os.Stat(path); err != nil {
		return fmt.Errorf("open database file: %w", err)
	}
	u := url.URL{Scheme: "file", Opaque: url.PathEscape(path), RawQuery: "mode=ro&_pragma=busy_timeout(10000)"}
	base, err := sqlite.NewConnector(u.String())
	if err != nil {
		return err
	}
	p := sql.OpenDB(base)
	_, err = p.ExecContext(ctx, `VACUUM INTO ?`, to)
	if err = errors.Join(err, p.Close()); err != nil {
		return fmt.Errorf("copy the database: %w", err)
	}
	return nil
}

// QuickCheck returns an error if the database is damaged.
func QuickCheck(ctx context.Context, d *db.DB) error {
	problems, err := db.Collect(ctx, d, db.Value[string], `PRAGMA quick_check(10)`)
	if err == nil && !slices.Equal(problems, []string{"ok"}) {
		err = fmt.Errorf("the database is damaged: %s", strings.Join(problems, "; "))
	}
	return err
}

// same returns an error if a server has opened the file that had no log.
func same(path string, before fs.FileInfo) error {
	_, err := os.Stat(path + "-wal")
	now, e := os.Stat(path)
	if !errors.Is(err, fs.ErrNotExist) || e != nil || now.Size() != before.Size() ||
		!now.ModTime().Equal(before.ModTime()) {
		return fmt.Errorf("a server began to use %s while it was read; run the command again", path)
	}
	return nil
}

// openBeside opens a file that a server may be writing.
func openBeside(ctx context.Context, path string, c clock.Clock) (*db.DB, error) {
	d, err := openReadOnly(ctx, path, "mode=ro", c)
	if err == nil {
		return d, nil
	}
	// Without the right to make files beside it, SQLite reads a file only when it is told that
	// nothing writes it. It then ignores a log, so there may be none.
	if log, e := os.Stat(path + "-wal"); e == nil && log.Size() > 0 {
		return nil, fmt.Errorf("open %s: %w; copy it with %s-wal to a directory that can be written", path, err, path)
	}
	if d, e := openReadOnly(ctx, path, "mode=ro&immutable=1", c); e == nil {
		return d, nil
	}
	return nil, fmt.Errorf("open %s: %w", path, err)
}

func openReadOnly(ctx context.Context, path, mode string, c clock.Clock) (*db.DB, error) {
	u := url.URL{Scheme: "file", Opaque: url.PathEscape(path)}
	u.RawQuery = mode + "&_pragma=query_only(1)&_pragma=busy_timeout(10000)&_pragma=cache_size(-65536)"
	base, err := sqlite.NewConnector(u.String())
	if err != nil {
		return nil, err
	}
	p := sql.OpenDB(connector{base, "BEGIN"})
	d := db.New(db.Config{Engine: db.SQLite, Write: p, Read: p, Clock: c, Trouble: trouble})
	var pages int64
	if err := d.QueryRow(ctx, `SELECT COUNT(*) FROM sqlite_master`).Scan(&pages); err != nil {
		return nil, errors.Join(err, d.Close())
	}
	return d, nil
}

// tighten takes the rights of others away from a file that holds everything.
func tighten(path string) error {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil && info.Mode().Perm()&0o077 != 0 {
		err = os.Chmod(path, info.Mode().Perm()&^0o077)
	}
	if err != nil {
		return fmt.Errorf("the database file can be read by others; run chmod 600 on it: %w", err)
	}
	return nil
}

func pool(path, begin, extra string, connections int) (*sql.DB, error) {
	base, err := sqlite.NewConnector(dsn(path, extra))
	if err != nil {
		return nil, err
	}
	p := sql.OpenDB(connector{base, begin})
	p.SetMaxOpenConns(connections)
	p.SetMaxIdleConns(connections)
	return p, nil
}

func dsn(path, extra string) string {
	u := url.URL{Scheme: "file", Opaque: url.PathEscape(path)}
	// FULL: a commit survives a loss of power, which a wallet must. The time-out counts for other
	// processes: within this one a write waits for the pool.
	u.RawQuery = extra +
		"&_pragma=busy_timeout(10000)&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_pragma=foreign_keys(1)&_pragma=temp_store(MEMORY)"
	return u.String()
}

func trouble(err error) db.Trouble {
	e, is := errors.AsType[*sqlite.Error](err)
	if !is {
		return db.NoTrouble
	}
	switch e.Code() & 0xff {
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED:
		return db.Conflict
	// The disk is full or fails, or the file may only be read: what failed was rolled back.
	case sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN,
		sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_PROTOCOL:
		return db.Refused
	}
	return db.NoTrouble
}
