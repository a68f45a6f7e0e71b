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
	"github.com/billetcloud/billet/internal/installation"
	"github.com/billetcloud/billet/internal/secret"
)

// keyTime limits the command that prints the secret key.
const keyTime = 30 * time.Second

// openSecrets uses the configured key, which replicas must share, or the one in the data directory.
// The database stores the name of its key. Another key is refused, because it could not decrypt
// what the database contains.
func openSecrets(ctx context.Context, c Config, d *db.DB) (*secret.Box, error) {
	want, err := installation.SecretKey(ctx, d)
	if err != nil {
		return nil, err
	}
	b, err := findSecrets(ctx, c, want == "")
	if errors.Is(err, secret.ErrNoKey) {
		return nil, fmt.Errorf("the database belongs to the secret key %s, but %s is not in %s. %s",
			want, secret.File, c.DataDir, wayOn(c))
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
	if err := b.Use(want); err != nil {
		return nil, fmt.Errorf("the database belongs to the secret key %s, but the configured key is %s. %s",
			want, b.Name(), wayOn(c))
	}
	if c.formerMayLack {
		return b, nil
	}
	former, err := installation.FormerKeys(ctx, d)
	if err != nil {
		return nil, err
	}
	for _, k := range former {
		if !b.Has(k.Name) {
			return nil, fmt.Errorf("secrets of the database may still be sealed with the former secret key %s, "+
				"which is not configured. Add it again beside %s, until `billetd secret-key forget %s` has said that "+
				"it is not needed", k.Name, want, k.Name)
		}
	}
	return b, nil
}

// wayOn returns what to do about a missing key.
func wayOn(c Config) string {
	return fmt.Sprintf(
		"Copy the %s that was beside the database to %s, or give that key by BILLET_SECRET_KEY or "+
			"--secret-key-command. "+
			"If it is lost for good, `billetd secret-key replace` goes on with a new one: then authenticator apps "+
			"have to be set up again, "+
			"webhooks given new secrets and providers their API keys",
		secret.File, filepath.Join(c.DataDir, secret.File))
}

// findSecrets uses the configured key, or the one in the data directory, which it creates if it
// may.
func findSecrets(ctx context.Context, c Config, mayMake bool) (*secret.Box, error) {
	key, from := c.SecretKey, "BILLET_SECRET_KEY"
	if c.SecretKeyCommand != "" {
		if key != "" {
			return nil, errors.New(
				"use either BILLET_SECRET_KEY or --secret-key-command, not both: they could be different keys")
		}
		from = "--secret-key-command"
		ctx, cancel := context.WithTimeout(ctx, keyTime)
		defer cancel()
		said, err := exec.CommandContext(ctx, "/bin/sh", "-c", c.SecretKeyCommand).Output()
		if e, is := errors.AsType[*exec.ExitError](err); is && len(e.Stderr) > 0 {
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
