package app

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/db/migrate"
	"github.com/billetcloud/billet/internal/db/postgres"
	"github.com/billetcloud/billet/internal/installation"
)

// DatabaseName names the database for a message, without the password.
func (c Config) DatabaseName() string {
	if c.DatabaseURL == "" {
		return "SQLite in " + c.DataDir
	}
	return "PostgreSQL " + postgres.Name(c.DatabaseURL)
}

// MigrateOptions are what `billetd migrate` may be told.
type MigrateOptions struct {
	// DryRun changes nothing.
	DryRun bool
	// Contract also applies contract migrations.
	Contract bool
	// Wait limits the wait for another process that migrates.
	Wait time.Duration
}

// Migrated is what Migrate did, or would do.
type Migrated struct {
	migrate.Status
	// Done are the migrations that were applied, or with DryRun would be.
	Done []migrate.Migration
	// Left are the contract migrations that wait for Contract.
	Left []migrate.Migration
}

// Migrate migrates the database. With SQLite, no server may run.
func Migrate(ctx context.Context, c Config, o MigrateOptions) (m Migrated, err error) {
	if o.DryRun {
		return planned(ctx, c, o)
	}
	at, err := openDatabase(ctx, c)
	if err != nil {
		return m, err
	}
	d := at.db
	defer func() { err = errors.Join(err, d.Close()) }()
	if d.Engine() == db.SQLite {
		release, err := lockDir(c.DataDir)
		if err != nil {
			return m, err
		}
		defer func() { _ = release() }()
	}
	m.Done, err = migrateDatabase(ctx, d, migrate.Options{By: c.Version, Contract: o.Contract, Wait: o.Wait})
	if err != nil {
		return m, err
	}
	m.Status, err = migrate.Read(ctx, d)
	m.Left = m.Pending()
	return m, err
}

// planned returns what Migrate would do.
func planned(ctx context.Context, c Config, o MigrateOptions) (m Migrated, err error) {
	d, _, err := openReadOnly(ctx, c)
	if err != nil {
		return m, err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	if m.Status, err = migrate.Read(ctx, d); err != nil {
		return m, err
	}
	if r := m.Refused; r != nil && (r.Reason == migrate.Newer || r.Reason == migrate.Edited) {
		return m, explain(ctx, d, c.Version, r)
	}
	m.Done, err = migrate.Plan(m.Status, o.Contract)
	m.Left = m.Pending()[len(m.Done):]
	return m, err
}

// SchemaStatus returns what the database has, and changes nothing.
func SchemaStatus(ctx context.Context, c Config) (s migrate.Status, err error) {
	d, _, err := openReadOnly(ctx, c)
	if err != nil {
		return s, err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	return migrate.Read(ctx, d)
}

// ready returns nil if the database has a schema that this billetd works with. The server migrates
// SQLite, which no other process uses, and PostgreSQL if it is told to. A command only creates
// SQLite's file, so that a provider can be added before the first start.
func (c Config) ready(ctx context.Context, d *db.DB, serving bool) error {
	embedded := d.Engine() == db.SQLite
	if serving && (embedded || c.Migrate) {
		_, err := migrateDatabase(ctx, d, migrate.Options{By: c.Version, Contract: embedded})
		return err
	}
	err := checkSchema(ctx, d, c.Version)
	refused, is := errors.AsType[*migrate.RefusedError](err)
	if !embedded || !is || refused.Reason != migrate.Empty {
		return err
	}
	release, err := lockDir(c.DataDir)
	if err != nil {
		return err
	}
	_, err = migrateDatabase(ctx, d, migrate.Options{By: c.Version})
	return errors.Join(err, release())
}

// migrateDatabase migrates the database, and records the version that did.
func migrateDatabase(ctx context.Context, d *db.DB, o migrate.Options) ([]migrate.Migration, error) {
	done, err := migrate.Up(ctx, d, o)
	if refused, is := errors.AsType[*migrate.RefusedError](err); is {
		return done, explain(ctx, d, o.By, refused)
	}
	if len(done) > 0 && o.By != "" {
		err = errors.Join(err, d.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
			return installation.SetVersion(ctx, tx, o.By)
		}))
	}
	return done, err
}

// checkSchema returns an error unless this billetd works with the database's schema.
func checkSchema(ctx context.Context, d *db.DB, version string) error {
	err := migrate.Check(ctx, d)
	if refused, is := errors.AsType[*migrate.RefusedError](err); is {
		return explain(ctx, d, version, refused)
	}
	return err
}

// explain adds the versions to a refusal.
func explain(ctx context.Context, d *db.DB, version string, refused *migrate.RefusedError) error {
	if version == "" {
		version = "of an unknown version"
	}
	if refused.Reason != migrate.Newer {
		return fmt.Errorf("this is billetd %s: %w", version, refused)
	}
	by, err := installation.Version(ctx, d)
	if err != nil || by == "" {
		by = "of a newer version"
	}
	return fmt.Errorf("this is billetd %s, but the database was last migrated by billetd %s: %w. "+
		"Start that version or a later one; to go back, restore a backup from before the upgrade", version, by, refused)
}
