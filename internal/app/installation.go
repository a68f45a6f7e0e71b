package app

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/db/migrate"
	"github.com/billetcloud/billet/internal/installation"
	"github.com/billetcloud/billet/internal/secret"
)

// keyTime is how long the command that prints the secret key may take.
const keyTime = 30 * time.Second

// upToDate brings the database up to date. It refuses one that a newer billetd has been at.
func upToDate(ctx context.Context, d *db.DB, version string) error {
	err := migrate.Up(ctx, d)
	if newer := (*migrate.NewerError)(nil); errors.As(err, &newer) {
		by, e := installation.Version(ctx, d)
		if e != nil || by == "" {
			by = "a newer version"
		}
		return fmt.Errorf("this is billetd %s, and the database was last brought up to date by billetd %s: %w. Start that version or a later one; "+
			"to go back, restore a backup from before the upgrade", version, by, newer)
	}
	if err != nil {
		return err
	}
	if by, err := installation.Version(ctx, d); err != nil || by == version || version == "" {
		return err
	}
	return d.InTx(ctx, func(ctx context.Context, tx *db.Tx) error { return installation.SetVersion(ctx, tx, version) })
}

// openSecrets takes the key that was given, which replicas must share, or else the one in the data directory. The database names its
// key, and another is refused: what is sealed with the database's could not be read.
func openSecrets(ctx context.Context, c Config, d *db.DB) (*secret.Box, error) {
	want, err := installation.SecretKey(ctx, d)
	if err != nil {
		return nil, err
	}
	b, err := findSecrets(ctx, c, want == "")
	if errors.Is(err, secret.ErrNoKey) {
		return nil, fmt.Errorf("the database belongs to the secret key %s, and there is no %s in %s. %s", want, secret.File, c.DataDir, wayOn(c))
	}
	if err != nil {
		return nil, err
	}
	if want == "" {
		err = d.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
			want, err = installation.KeepSecretKey(ctx, tx, b.Name())
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	if b.Name() != want {
		return nil, fmt.Errorf("the database belongs to the secret key %s, and the key given here is %s. %s", want, b.Name(), wayOn(c))
	}
	return b, nil
}

// wayOn says what to do about a key that is not there.
func wayOn(c Config) string {
	return fmt.Sprintf("Copy the %s that was beside the database to %s, or give that key by BILLET_SECRET_KEY or --secret-key-command. "+
		"If it is lost for good, `billetd secret-key replace` goes on with a new one: then authenticator apps have to be set up again, "+
		"webhooks given new secrets and providers their API keys", secret.File, filepath.Join(c.DataDir, secret.File))
}

// findSecrets takes the key that was given, or else the one in the data directory, which it makes where it may.
func findSecrets(ctx context.Context, c Config, mayMake bool) (*secret.Box, error) {
	key, from := c.SecretKey, "BILLET_SECRET_KEY"
	if c.SecretKeyCommand != "" {
		if key != "" {
			return nil, errors.New("BILLET_SECRET_KEY and --secret-key-command are both given, and may be two keys; leave out one")
		}
		from = "--secret-key-command"
		ctx, cancel := context.WithTimeout(ctx, keyTime)
		defer cancel()
		said, err := exec.CommandContext(ctx, "/bin/sh", "-c", c.SecretKeyCommand).Output()
		if e := (*exec.ExitError)(nil); errors.As(err, &e) && len(e.Stderr) > 0 {
			err = fmt.Errorf("%w: %s", err, strings.TrimSpace(string(e.Stderr)))
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", from, err)
		}
		key = string(said)
	}
	if key == "" {
		return secret.Open(c.DataDir, mayMake)
	}
	b, err := secret.Parse(key)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", from, err)
	}
	return b, nil
}

// ReplaceSecretKey makes the key that is given, or the one in the data directory, which is made where there is none, the database's. It
// returns the names of the key before, "" for none, and of the new one.
func ReplaceSecretKey(ctx context.Context, c Config) (before, after string, err error) {
	at, err := openDatabase(ctx, c)
	if err != nil {
		return "", "", err
	}
	d := at.db
	defer func() { err = errors.Join(err, d.Close()) }()
	if err := upToDate(ctx, d, c.Version); err != nil {
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
		return installation.ChangeSecretKey(ctx, tx, b.Name())
	})
	return before, b.Name(), err
}
