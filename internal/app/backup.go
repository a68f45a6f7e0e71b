package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"filippo.io/age"
	"github.com/billetcloud/billet/internal/backup"
	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/db/migrate"
	"github.com/billetcloud/billet/internal/db/sqlite"
	"github.com/billetcloud/billet/internal/deployment"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/installation"
	"github.com/billetcloud/billet/internal/recovery"
	"github.com/billetcloud/billet/internal/secret"
	"github.com/billetcloud/billet/internal/volume"
)

const (
	// copies begins the names of the directories of copies that are being written. A command that
	// was killed leaves its own, and the next one removes it after staleCopy.
	copies    = "copy-"
	staleCopy = 24 * time.Hour
)

// RecordBackup records in the data directory that a backup was made now, for the metrics, and of
// when it is.
func RecordBackup(dir string, of time.Time) error {
	return os.WriteFile(filepath.Join(dir, backupFile), []byte(of.UTC().Format(time.RFC3339)+"\n"), 0o600)
}

// usePostgres is returned where a command is for SQLite only.
func usePostgres(what string) error {
	return fmt.Errorf("this command is for the built-in database. With PostgreSQL, %s", what)
}

// Backup writes a backup of the SQLite database to w, encrypted to the recipients if there are any,
// with the secret key if withKey. It only reads the database, also while a server writes it.
func Backup(ctx context.Context, c Config, w io.Writer, withKey bool, to ...age.Recipient) (backup.Manifest, error) {
	m := backup.Manifest{Version: c.Version}
	if c.DatabaseURL != "" {
		return m, usePostgres("use pg_dump --format=custom, or your provider's backups, and keep secret.key with them.")
	}
	var key []byte
	if withKey {
		if c.SecretKey != "" || c.SecretKeyCommand != "" {
			return m, errors.New("the secret key is not in the data directory, so it is not in the backup: " +
				"keep it where BILLET_SECRET_KEY or --secret-key-command has it from")
		}
		var err error
		if key, err = os.ReadFile(filepath.Join(c.DataDir, secret.File)); err != nil {
			return m, fmt.Errorf("read the secret key: %w", err)
		}
	}
	dir, remove, err := copyDir(c.DataDir)
	if err != nil {
		return m, err
	}
	defer remove()
	path := filepath.Join(dir, "billet.db")
	now, _, err := loadClock(c.DataDir, false, clock.System{})
	if err != nil {
		return m, err
	}
	m.CreatedAt = now.Now().UTC().Truncate(time.Second)
	if err := sqlite.Copy(ctx, filepath.Join(c.DataDir, "billet.db"), path); err != nil {
		return m, err
	}
	if err := describe(ctx, path, &m); err != nil {
		return m, err
	}
	if key != nil {
		b, err := secret.Parse(string(key))
		if err != nil {
			return m, fmt.Errorf("%s: %w", secret.File, err)
		}
		if lacks := lacking(b, m); lacks != "" {
			return m, fmt.Errorf("%s in the data directory is not the key %s that the server uses, so it is not "+
				"written to a backup", secret.File, lacks)
		}
	}
	f, err := os.Open(path)
	if err != nil {
		return m, err
	}
	defer func() { _ = f.Close() }()
	remove() // the file has no name any more: a command that is killed from here on leaves nothing
	return backup.Write(w, f, m, key, to...)
}

// copyDir returns a new directory in the data directory, which only its owner can read, and how to
// remove it.
func copyDir(dataDir string) (dir string, remove func(), err error) {
	left, err := filepath.Glob(filepath.Join(dataDir, copies+"*"))
	if err != nil {
		return "", nil, err
	}
	for _, old := range left {
		if info, err := os.Stat(old); err == nil && time.Since(info.ModTime()) > staleCopy {
			_ = os.RemoveAll(old)
		}
	}
	dir, err = os.MkdirTemp(dataDir, copies)
	return dir, func() { _ = os.RemoveAll(dir) }, err
}

// describe verifies a copy of the database, and fills in what the manifest says about it.
func describe(ctx context.Context, path string, m *backup.Manifest) (err error) {
	d, _, err := sqlite.OpenReadOnly(ctx, path, clock.System{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	if err := sqlite.QuickCheck(ctx, d); err != nil {
		return err
	}
	if m.SecretKey, err = installation.SecretKey(ctx, d); err != nil {
		return err
	}
	former, err := neededFormerKeys(ctx, d)
	if err != nil {
		return err
	}
	for _, k := range former {
		m.FormerSecretKeys = append(m.FormerSecretKeys, k.Name)
	}
	m.Migration, err = migrate.Applied(ctx, d)
	return err
}

// lacking returns the name of a key that the database of a backup needs and b does not have, or "".
func lacking(b *secret.Box, m backup.Manifest) string {
	for _, name := range append([]string{m.SecretKey}, m.FormerSecretKeys...) {
		if !b.Has(name) {
			return name
		}
	}
	return ""
}

// Restored is what Restore has done.
type Restored struct {
	backup.Manifest
	// MissingKey is whether the data directory lacks the secret key of the database.
	MissingKey bool
}

// Restore writes the database of a backup into a data directory that has none, in recovery. Nothing
// is in place before all of the backup was verified.
func Restore(ctx context.Context, c Config, r io.Reader, identities ...age.Identity) (done Restored, err error) {
	if c.DatabaseURL != "" {
		return done, usePostgres("use pg_restore into an empty database and then `billetd recovery begin`.")
	}
	if err := os.MkdirAll(c.DataDir, 0o700); err != nil {
		return done, fmt.Errorf("create the data directory: %w", err)
	}
	release, err := lockDir(c.DataDir)
	if err != nil {
		return done, err
	}
	defer func() { err = errors.Join(err, release()) }()
	place := filepath.Join(c.DataDir, "billet.db")
	for _, name := range []string{place, place + "-wal"} {
		if _, err := os.Lstat(name); !errors.Is(err, fs.ErrNotExist) {
			return done, fmt.Errorf("%s exists already. Move billet.db, billet.db-wal and billet.db-shm elsewhere, "+
				"or choose another --data-dir: a restore replaces nothing", name)
		}
	}
	b, err := backup.Open(r, identities...)
	if err != nil {
		return done, err
	}
	dir, remove, err := copyDir(c.DataDir)
	if err != nil {
		return done, err
	}
	defer remove()
	path := filepath.Join(dir, "billet.db")
	if err := receive(b, path); err != nil {
		return done, err
	}
	key, err := b.SecretKey()
	if err != nil {
		return done, err
	}
	done.Manifest = b.Manifest
	if err := beginRecovery(ctx, c, path, b.Manifest.CreatedAt); err != nil {
		return done, err
	}
	if done.MissingKey, err = keepKey(ctx, c, key, b.Manifest); err != nil {
		return done, err
	}
	if err := os.Rename(path, place); err != nil {
		return done, err
	}
	return done, syncDir(c.DataDir)
}

// receive writes the database of a backup to a new file.
func receive(b *backup.Reader, path string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	return errors.Join(b.Database(f), f.Sync(), f.Close())
}

// keepKey puts the backup's key into a data directory without one. It returns whether the server
// will have no key, and an error if it would have another one.
func keepKey(ctx context.Context, c Config, key []byte, m backup.Manifest) (missing bool, err error) {
	if m.SecretKey == "" {
		return false, nil
	}
	has, err := findSecrets(ctx, c, false)
	if errors.Is(err, secret.ErrNoKey) {
		if key == nil {
			return true, nil
		}
		b, err := secret.Parse(string(key))
		if err != nil {
			return false, fmt.Errorf("the backup's secret key: %w", err)
		}
		if lacks := lacking(b, m); lacks != "" {
			return false, fmt.Errorf("the backup's database belongs to the secret key %s, but %s is in the backup",
				lacks, strings.Join(b.Names(), ", "))
		}
		f, err := os.OpenFile(filepath.Join(c.DataDir, secret.File), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
		if err != nil {
			return false, err
		}
		_, err = f.Write(key)
		return false, errors.Join(err, f.Sync(), f.Close())
	}
	if err != nil {
		return false, err
	}
	if lacks := lacking(has, m); lacks != "" {
		return false, fmt.Errorf("the backup's database belongs to the secret key %s, but the configured key is %s: "+
			"put the %s that belongs to it in place first", lacks, strings.Join(has.Names(), ", "), secret.File)
	}
	return false, nil
}

// beginRecovery verifies a database that was restored, and has it in recovery. It migrates one of
// an earlier version first, as the server would when it starts.
func beginRecovery(ctx context.Context, c Config, path string, at time.Time) (err error) {
	now, _, err := loadClock(c.DataDir, false, clock.System{})
	if err != nil {
		return err
	}
	d, err := sqlite.Open(ctx, path, now)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	if err := sqlite.QuickCheck(ctx, d); err != nil {
		return err
	}
	err = checkSchema(ctx, d, c.Version)
	if refused, is := errors.AsType[*migrate.RefusedError](err); is && refused.Reason == migrate.Older {
		err = c.ready(ctx, d, true)
	}
	if err != nil {
		return fmt.Errorf("the backup is not restored: %w", err)
	}
	return d.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		former, err := neededFormerKeys(ctx, tx)
		if err != nil {
			return err
		}
		// No server works on what was read before: what nothing is sealed with is not needed.
		if err := installation.SetFormerKeys(ctx, tx, former); err != nil {
			return err
		}
		_, err = recovery.Begin(ctx, tx, at)
		return err
	})
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// readRecovery reads whether the database is in recovery.
func (o *Operator) readRecovery(ctx context.Context) error {
	v, on, err := recovery.Find(ctx, o.DB)
	if err != nil {
		return err
	}
	if v.EndedAt != nil {
		o.settled.Store(v.EndedAt.Add(recovery.Settling).UnixNano())
	}
	o.restored.Store(on)
	return nil
}

// settles reports whether a recovery lasts, or ended a short time ago.
func (o *Operator) settles() bool {
	return o.restored.Load() || o.Clock.Now().UnixNano() < o.settled.Load()
}

// compare has the machines and volumes of a provider compared with the database.
func (o *Operator) compare(ctx context.Context, subject id.ID) error {
	if _, err := o.services.deployments.Watch(ctx, subject); err != nil {
		return err
	}
	_, err := o.services.volumes.Watch(ctx, subject)
	return err
}

// unasked returns the providers that cannot be asked: they are not open here, and have an account
// or resources.
func (o *Operator) unasked(ctx context.Context) (slugs []string, err error) {
	machines, err := deployment.CountByProvider(ctx, o.DB)
	if err != nil {
		return nil, err
	}
	volumes, err := volume.CountByProvider(ctx, o.DB)
	if err != nil {
		return nil, err
	}
	stored, err := o.ProviderAccounts.List(ctx, o.DB)
	if err != nil {
		return nil, err
	}
	all := slices.Concat(slices.Collect(maps.Keys(machines)), slices.Collect(maps.Keys(volumes)))
	for _, p := range stored {
		all = append(all, p.Slug)
	}
	slices.Sort(all)
	return slices.DeleteFunc(slices.Compact(all), func(slug string) bool {
		_, open := o.services.providers.Get(slug)
		return open
	}), nil
}

// Recipients are those of the texts, one for each line: recipients of age, or files with them.
func Recipients(texts []string) (all []age.Recipient, err error) {
	for _, text := range texts {
		if !strings.HasPrefix(text, "age1") {
			content, err := os.ReadFile(text)
			if err != nil {
				return nil, fmt.Errorf("%q is neither a recipient of age (age1…) nor a file with some: %w", text, err)
			}
			text = string(content)
		}
		some, err := backup.ParseRecipients(text)
		if err != nil {
			return nil, err
		}
		all = append(all, some...)
	}
	return all, nil
}
