package migrate

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/billetcloud/billet/internal/db"
)

// Reason is why a database is refused.
type Reason string

// The reasons.
const (
	Empty  Reason = "empty"  // it has no tables
	Older  Reason = "older"  // it lacks migrations that this billetd needs
	Newer  Reason = "newer"  // it has a migration that this billetd does not work with
	Edited Reason = "edited" // one of its migrations had another text
)

// RefusedError is returned for a database that this billetd does not work with.
type RefusedError struct {
	Reason Reason
	// Schema is the number of the database's last migration. Needs and Known are the smallest one
	// that this billetd works with, and the last one that it has a file of.
	Schema, Needs, Known int64
	// WorksWith is the smallest Known of a billetd that works with the database.
	WorksWith int64
	// Migration is the one that was edited, and By the version that applied it, or "".
	Migration int64
	By        string
}

// Error returns what is wrong, and what to do.
func (e *RefusedError) Error() string {
	switch e.Reason {
	case Empty:
		return "the database has no tables. Create them with `billetd migrate`, with the same --database-url"
	case Older:
		return fmt.Sprintf("the database has the schema %d, and this billetd needs the schema %d. "+
			"Run `billetd migrate` of this version; servers of the previous version may run meanwhile",
			e.Schema, e.Needs)
	case Edited:
		by := e.By
		if by == "" {
			by = "an unreleased billetd"
		}
		return fmt.Sprintf("%s created the schema %d of the database from another text than this billetd has. "+
			"Only unreleased versions differ in this way, and there is no upgrade between them: "+
			"use that version, or begin with an empty database", by, e.Migration)
	}
	return fmt.Sprintf("the database has the schema %d of a newer billetd, which works with billetd of the schema %d "+
		"and later, and this one is of the schema %d", e.Schema, e.WorksWith, e.Known)
}

// Status is what a database has, compared with what this billetd has.
type Status struct {
	// Schema is the number of the database's last migration, or 0 for an empty database.
	Schema int64 `json:"schema"`
	// Needs is the smallest schema that this billetd works with, and Known the last one that it
	// has. It works with later ones that record a WorksWith up to Known.
	Needs int64 `json:"needs"`
	Known int64 `json:"known"`
	// WorksWith is the smallest Known of a billetd that works with the database.
	WorksWith int64 `json:"worksWith"`
	// Migrations are those of the database and those of this billetd, in their order.
	Migrations []Entry `json:"migrations"`
	// Refused is why this billetd does not work with the database, or nil.
	Refused *RefusedError `json:"-"`
}

// Entry is a migration in a Status.
type Entry struct {
	Migration
	Applied bool `json:"applied"`
	// By is the version of billetd that applied it.
	By string `json:"appliedBy"`
}

// Pending returns the migrations that the database lacks.
func (s Status) Pending() (all []Migration) {
	for _, e := range s.Migrations {
		if !e.Applied {
			all = append(all, e.Migration)
		}
	}
	return all
}

// Read compares the database with the migrations that are known here. It changes nothing.
func Read(ctx context.Context, d *db.DB) (Status, error) {
	dir, err := fs.Sub(files, "sql")
	if err != nil {
		return Status{}, err
	}
	return statusIn(ctx, d, dir)
}

// Check returns a *RefusedError unless this billetd works with the database. It changes nothing.
func Check(ctx context.Context, d *db.DB) error {
	dir, err := fs.Sub(files, "sql")
	if err != nil {
		return err
	}
	err = checkIn(ctx, d, dir)
	if err != nil && d.Engine() == db.Postgres && !errors.As(err, new(*RefusedError)) {
		err = permission(ctx, d, err)
	}
	return err
}

// Applied returns the number of the last migration that the database has.
func Applied(ctx context.Context, d *db.DB) (int64, error) { return applied(ctx, d) }

func checkIn(ctx context.Context, d *db.DB, dir fs.FS) error {
	s, err := statusIn(ctx, d, dir)
	if err == nil && s.Refused != nil {
		err = s.Refused
	}
	return err
}

func statusIn(ctx context.Context, d *db.DB, dir fs.FS) (s Status, err error) {
	known, err := sources(dir)
	if err != nil {
		return s, err
	}
	var has []record
	begun, err := exists(ctx, d, "goose_db_version")
	if err == nil && begun {
		s.Schema, err = applied(ctx, d)
	}
	if err == nil && s.Schema > 0 {
		var records bool
		if records, err = exists(ctx, d, "schema_migration"); err == nil && records {
			has, err = recorded(ctx, d)
		}
	}
	if err != nil {
		return s, fmt.Errorf("read which migrations the database has: %w", err)
	}
	s.compare(known, has)
	return s, nil
}

// compare fills in all but the schema.
func (s *Status) compare(known []Migration, has []record) {
	s.Known = known[len(known)-1].Number
	s.WorksWith = 1
	rows := map[int64]*record{}
	last := int64(0)
	for i, r := range has {
		rows[r.Number], last = &has[i], r.Number
		s.WorksWith = max(s.WorksWith, r.WorksWith)
	}
	var edited *RefusedError
	for _, m := range known {
		if m.Kind != Contract {
			s.Needs = m.Number
		}
		e := Entry{Migration: m, Applied: m.Number <= s.Schema}
		r := rows[m.Number]
		if r != nil {
			e.By = r.By
		}
		if e.Applied && edited == nil && (r == nil || r.Fingerprint != m.fingerprint) {
			edited = &RefusedError{Reason: Edited, Migration: m.Number, By: e.By}
		}
		s.Migrations = append(s.Migrations, e)
	}
	for _, r := range has {
		if r.Number > s.Known {
			m := Migration{Number: r.Number, Kind: r.Kind, WorksWith: r.WorksWith}
			s.Migrations = append(s.Migrations, Entry{Migration: m, Applied: true, By: r.By})
		}
	}
	if s.Schema > max(s.Known, last) { // a migration that recorded nothing: only servers that have it work with it
		s.WorksWith = s.Schema
	}
	switch {
	case s.Schema == 0:
		s.Refused = &RefusedError{Reason: Empty}
	case s.Schema > s.Known && s.WorksWith > s.Known:
		s.Refused = &RefusedError{Reason: Newer}
	case edited != nil:
		s.Refused = edited
	case s.Schema < s.Needs:
		s.Refused = &RefusedError{Reason: Older}
	default:
		return
	}
	r := s.Refused
	r.Schema, r.Needs, r.Known, r.WorksWith = s.Schema, s.Needs, s.Known, s.WorksWith
}
