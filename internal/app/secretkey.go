package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/billetcloud/billet/internal/account"
	"github.com/billetcloud/billet/internal/certificate"
	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/crashpoint"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/deployment"
	"github.com/billetcloud/billet/internal/installation"
	"github.com/billetcloud/billet/internal/mail"
	"github.com/billetcloud/billet/internal/provideraccount"
	"github.com/billetcloud/billet/internal/rack"
	"github.com/billetcloud/billet/internal/secret"
	"github.com/billetcloud/billet/internal/settings"
	"github.com/billetcloud/billet/internal/signedhead"
	"github.com/billetcloud/billet/internal/webhook"
)

const (
	// keyEvery is how often a server looks for another secret key.
	keyEvery = 3 * time.Second
	// forgetAfter is how long a key must not have been needed before it can be forgotten. A server
	// may work on what it has read before it was sealed again, and write it back: no job and no
	// request takes as long.
	forgetAfter = time.Hour
)

// SealedColumns are all columns of the database with sealed texts.
func SealedColumns() []secret.Column {
	return slices.Concat(account.Sealed, certificate.Sealed, deployment.Sealed, mail.Sealed, provideraccount.Sealed,
		rack.Sealed, settings.Sealed, signedhead.Sealed, webhook.Sealed)
}

// followSecretKey has this server seal with the key that the database names.
func (o *Operator) followSecretKey(ctx context.Context) error {
	want, err := installation.SecretKey(ctx, o.DB)
	if err != nil || want == o.secrets.Name() {
		return err
	}
	if err := o.secrets.Use(want); err != nil {
		return fmt.Errorf("the database's secrets are sealed with another secret key now; "+
			"add it to the keys of this server: %w", err)
	}
	return nil
}

// States of a secret key.
const (
	KeySeals  = "seals"  // what is written
	KeyFormer = "former" // it did
	KeyAdded  = "added"  // it is configured here, and seals nothing
	KeyLost   = "lost"   // something was sealed with it before it was replaced
)

// SecretKey is a secret key of the database, or of this server.
type SecretKey struct {
	Name  string `json:"name"`
	State string `json:"state"`
	// Configured is whether this server or command has it.
	Configured bool `json:"configured"`
	// Values is how many values are sealed with it.
	Values int64 `json:"values"`
	// ResealedAt is when none were left of a former key, and ForgetAfter when it can be forgotten;
	// nil before.
	ResealedAt  *time.Time `json:"resealedAt"`
	ForgetAfter *time.Time `json:"forgetAfter"`
}

// OpenForKeys is OpenOperator for the commands about secret keys, which also work without a former
// key.
func OpenForKeys(ctx context.Context, c Config) (*Operator, error) {
	c.formerMayLack = true
	return openOperator(ctx, c, false)
}

// SecretKeys returns the keys of the database and of this server: the one that seals, former ones,
// and the others.
func (o *Operator) SecretKeys(ctx context.Context) (keys []SecretKey, err error) {
	err = o.DB.View(ctx, func(ctx context.Context, tx *db.Tx) error {
		seals, err := installation.SecretKey(ctx, tx)
		if err != nil {
			return err
		}
		former, err := installation.FormerKeys(ctx, tx)
		if err != nil {
			return err
		}
		counts, err := secret.Count(ctx, tx, SealedColumns())
		if err != nil {
			return err
		}
		keys = []SecretKey{{Name: seals, State: KeySeals}}
		for _, f := range former {
			k := SecretKey{Name: f.Name, State: KeyFormer, ResealedAt: f.ResealedAt}
			if f.ResealedAt != nil {
				at := f.ResealedAt.Add(forgetAfter)
				k.ForgetAfter = &at
			}
			keys = append(keys, k)
		}
		others := func(names []string, state string) {
			for _, n := range names {
				if !slices.ContainsFunc(keys, func(k SecretKey) bool { return k.Name == n }) {
					keys = append(keys, SecretKey{Name: n, State: state})
				}
			}
		}
		others(o.secrets.Names(), KeyAdded)
		others(slices.Sorted(maps.Keys(counts)), KeyLost)
		for i := range keys {
			keys[i].Configured, keys[i].Values = o.secrets.Has(keys[i].Name), counts[keys[i].Name]
		}
		return nil
	})
	return keys, err
}

// inKeyFile returns an error if the keys are not in the key file of the data directory.
func (c Config) inKeyFile() error {
	if c.SecretKey == "" && c.SecretKeyCommand == "" {
		return nil
	}
	return errors.New("the secret key is not in the data directory. Where BILLET_SECRET_KEY or " +
		"--secret-key-command has it from, put the new key, a space and the present one, and restart each server; " +
		"`openssl rand -base64 32` prints a key. Then go on with `billetd secret-key use`")
}

// AddSecretKey adds a key to the key file, and returns its name. It seals nothing yet.
func (o *Operator) AddSecretKey(ctx context.Context, c Config) (name string, err error) {
	if err := c.inKeyFile(); err != nil {
		return "", err
	}
	seals, former, err := o.usedKeys(ctx, o.DB)
	if err != nil {
		return "", err
	}
	used := []string{seals}
	for _, f := range former {
		used = append(used, f.Name)
	}
	name, err = secret.Add(c.DataDir, used)
	crashpoint.Reach(crashpoint.KeyAfterAdd)
	return name, err
}

func (o *Operator) usedKeys(ctx context.Context, r db.Reader) (string, []installation.FormerKey, error) {
	seals, err := installation.SecretKey(ctx, r)
	if err != nil {
		return "", nil, err
	}
	former, err := installation.FormerKeys(ctx, r)
	return seals, former, err
}

// neededFormerKeys returns the former keys with which something is sealed.
func neededFormerKeys(ctx context.Context, r db.Reader) ([]installation.FormerKey, error) {
	former, err := installation.FormerKeys(ctx, r)
	if err != nil || len(former) == 0 {
		return nil, err
	}
	counts, err := secret.Count(ctx, r, SealedColumns())
	unneeded := func(k installation.FormerKey) bool { return counts[k.Name] == 0 }
	return slices.DeleteFunc(former, unneeded), err
}

// UseSecretKey makes a key that is configured the one that seals. It returns the name of the one
// that did before.
func (o *Operator) UseSecretKey(ctx context.Context, name string) (before string, err error) {
	if !o.secrets.Has(name) {
		return "", fmt.Errorf("there is no secret key %s here. `billetd secret-key status` lists the keys, and "+
			"`billetd secret-key add` adds one", name)
	}
	err = o.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		seals, former, err := o.usedKeys(ctx, tx)
		if err != nil {
			return err
		}
		if before = seals; seals == name {
			return nil
		}
		back := func(k installation.FormerKey) bool { return k.Name == name }
		if len(former) > 0 && !slices.ContainsFunc(former, back) {
			return fmt.Errorf("the former secret key %s is not forgotten yet: run `billetd secret-key reseal` and "+
				"`billetd secret-key forget %s` first", former[0].Name, former[0].Name)
		}
		former = append([]installation.FormerKey{{Name: seals, Until: tx.Now}}, slices.DeleteFunc(former, back)...)
		if err := installation.ChangeSecretKey(ctx, tx, name, former); err != nil {
			return err
		}
		return o.recordForOperators(ctx, tx, "useSecretKey", "", seals+" → "+name)
	})
	if err != nil {
		return before, err
	}
	crashpoint.Reach(crashpoint.KeyAfterUse)
	return before, o.secrets.Use(name)
}

// ResealSecrets seals again what former keys have sealed. When nothing is left of a key, that is
// recorded.
func (o *Operator) ResealSecrets(ctx context.Context) (done secret.Resealed, err error) {
	_, former, err := o.usedKeys(ctx, o.DB)
	if err != nil {
		return done, err
	}
	for _, k := range former {
		some, err := o.secrets.Reseal(ctx, o.DB, k.Name, SealedColumns())
		done.Values, done.Unopened = done.Values+some.Values, done.Unopened+some.Unopened
		done.Problems = append(done.Problems, some.Problems...)
		if err != nil {
			return done, err
		}
	}
	return done, o.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		counts, err := secret.Count(ctx, tx, SealedColumns())
		if err != nil {
			return err
		}
		_, former, err := o.usedKeys(ctx, tx)
		if err != nil {
			return err
		}
		for i, k := range former {
			switch {
			case counts[k.Name] > 0:
				former[i].ResealedAt = nil
			case k.ResealedAt == nil || done.Values > 0:
				former[i].ResealedAt = &tx.Now
			}
		}
		return installation.SetFormerKeys(ctx, tx, former)
	})
}

// RotateSecretKey replaces the secret key of a server with the built-in database while it runs, as
// far as that was not done before. It returns the name of the key that seals now, and whether
// something was left to do.
func (o *Operator) RotateSecretKey(
	ctx context.Context, c Config, say func(text string),
) (name string, done secret.Resealed, err error) {
	if err := c.inKeyFile(); err != nil {
		return "", done, err
	}
	if o.DB.Engine() == db.Postgres {
		return "", done, errors.New("with PostgreSQL, other servers may use the database, and each must have the new " +
			"key before it is used: see `billetd secret-key add --help`")
	}
	name, former, err := o.usedKeys(ctx, o.DB)
	if err != nil {
		return "", done, err
	}
	if len(former) == 0 {
		before := name
		if name, err = o.AddSecretKey(ctx, c); err != nil {
			return "", done, err
		}
		if _, err := o.UseSecretKey(ctx, name); err != nil {
			return name, done, err
		}
		say(fmt.Sprintf("The key %s seals from now on; it was %s. Sealing again what that has sealed.", name, before))
	}
	// What a server seals before it notices is sealed again, too.
	if err := (clock.System{}).SleepUntil(ctx, time.Now().Add(2*keyEvery)); err != nil {
		return name, done, err
	}
	done, err = o.ResealSecrets(ctx)
	return name, done, err
}

// ForgetSecretKey removes a former key that is not needed any more from the database and from the
// key file, unless the keys are kept elsewhere. backupsKept confirms that it was kept for the
// backups that need it. It reports whether it was in the key file.
func (o *Operator) ForgetSecretKey(ctx context.Context, c Config, name string, backupsKept bool) (removed bool,
	err error) {
	err = o.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		seals, former, err := o.usedKeys(ctx, tx)
		if err != nil {
			return err
		}
		if name == seals {
			return fmt.Errorf("%s is the secret key that seals", name)
		}
		counts, err := secret.Count(ctx, tx, SealedColumns())
		if err != nil {
			return err
		}
		if n := counts[name]; n > 0 {
			return fmt.Errorf("%d values are sealed with the key %s; run `billetd secret-key reseal` first", n, name)
		}
		at := slices.IndexFunc(former, func(k installation.FormerKey) bool { return k.Name == name })
		if at < 0 { // it was forgotten at another server, or was never used
			return nil
		}
		if err := forgettable(former[at], tx.Now); err != nil {
			return err
		}
		if !backupsKept {
			if err := c.newestBackup(o.DB.Engine(), former[at]); err != nil {
				return err
			}
		}
		if err := installation.SetFormerKeys(ctx, tx, slices.Delete(former, at, at+1)); err != nil {
			return err
		}
		return o.recordForOperators(ctx, tx, "forgetSecretKey", "", name)
	})
	if err != nil || c.inKeyFile() != nil {
		return false, err
	}
	crashpoint.Reach(crashpoint.KeyBeforeRemoval)
	return secret.Remove(c.DataDir, name)
}

// forgettable returns why a former key cannot be forgotten at that time.
func forgettable(k installation.FormerKey, now time.Time) error {
	if k.ResealedAt == nil {
		return fmt.Errorf("what the key %s has sealed was not sealed again; run `billetd secret-key reseal` first",
			k.Name)
	}
	if at := k.ResealedAt.Add(forgetAfter); now.Before(at) {
		return fmt.Errorf("servers may still be working on what the key %s has sealed; repeat this after %s", k.Name,
			at.UTC().Format(time.RFC3339))
	}
	return nil
}

// newestBackup returns an error if the newest backup that is known needs the key.
func (c Config) newestBackup(engine db.Engine, k installation.FormerKey) error {
	const keep = "backups from before need it: keep a copy of it with them, and repeat this with --yes"
	if engine == db.Postgres {
		return fmt.Errorf("the key %s cannot be restored, and %s", k.Name, keep)
	}
	text, err := os.ReadFile(filepath.Join(c.DataDir, backupFile))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	of, err := time.Parse(time.RFC3339, strings.TrimSpace(string(text)))
	if err != nil || !of.After(*k.ResealedAt) {
		return fmt.Errorf("no backup was made here since the key %s is not needed any more. "+
			"Make one (`billetd backup`); %s", k.Name, keep)
	}
	return nil
}

// ReplaceSecretKey makes the configured key, or the one in the data directory (which is created if
// it is missing), the database's key. It returns the names of the previous key ("" for none) and of
// the new one.
func ReplaceSecretKey(ctx context.Context, c Config) (before, after string, err error) {
	at, err := openDatabase(ctx, c)
	if err != nil {
		return "", "", err
	}
	d := at.db
	defer func() { err = errors.Join(err, d.Close()) }()
	if err := c.ready(ctx, d, false); err != nil {
		return "", "", err
	}
	b, err := findSecrets(ctx, c, true)
	if err != nil {
		return "", "", err
	}
	err = d.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		if before, err = installation.SecretKey(ctx, tx); err != nil {
			return err
		}
		former, err := installation.FormerKeys(ctx, tx)
		if err != nil {
			return err
		}
		former = append([]installation.FormerKey{{Name: before, Until: tx.Now}}, former...)
		lost := func(k installation.FormerKey) bool { return k.Name == b.Name() || !b.Has(k.Name) }
		return installation.ChangeSecretKey(ctx, tx, b.Name(), slices.DeleteFunc(former, lost))
	})
	return before, b.Name(), err
}
