package installation

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
)

// Names of records and leases.
const (
	secretKey = "secret-key"
	version   = "version"
	simulator = "simulator"
	name      = "name"
	recovery  = "recovery"
	former    = "former-secret-keys"
)

// filler is larger than a page of either engine, so that a write check fails on a full disk.
var filler = strings.Repeat("billet ", 4<<10)

// SecretKey returns the name of the key that seals the database's secrets; "" if there is none yet.
func SecretKey(ctx context.Context, r db.Reader) (string, error) { return read(ctx, r, secretKey) }

// KeepSecretKey records the name of the database's key unless one is recorded, and returns the
// recorded one.
func KeepSecretKey(ctx context.Context, tx *db.Tx, name string) (string, error) {
	if err := keep(ctx, tx, secretKey, name); err != nil {
		return "", err
	}
	return read(ctx, tx, secretKey)
}

// ChangeSecretKey replaces the database's key. The former keys are those with which secrets may be
// sealed that are still needed; secrets sealed with any other are lost.
func ChangeSecretKey(ctx context.Context, tx *db.Tx, name string, former []FormerKey) error {
	if err := set(ctx, tx, secretKey, name); err != nil {
		return err
	}
	return SetFormerKeys(ctx, tx, former)
}

// FormerKey is a key that sealed the database's secrets before, and with which some may be sealed
// still.
type FormerKey struct {
	Name string `json:"name"`
	// Until is when another key took its place.
	Until time.Time `json:"until"`
	// ResealedAt is when nothing was left that it had sealed; nil before.
	ResealedAt *time.Time `json:"resealedAt"`
}

// FormerKeys returns the former keys that were not forgotten, the newest first.
func FormerKeys(ctx context.Context, r db.Reader) (keys []FormerKey, err error) {
	text, err := read(ctx, r, former)
	if err != nil || text == "" {
		return nil, err
	}
	if err := json.Unmarshal([]byte(text), &keys); err != nil {
		return nil, fmt.Errorf("read the installation's %s: %w", former, err)
	}
	return keys, nil
}

// SetFormerKeys records them.
func SetFormerKeys(ctx context.Context, tx *db.Tx, keys []FormerKey) error {
	text, err := json.Marshal(keys)
	if err != nil {
		return err
	}
	return set(ctx, tx, former, string(text))
}

// Version returns the version of billetd that last migrated the database; "" if none is recorded.
func Version(ctx context.Context, r db.Reader) (string, error) { return read(ctx, r, version) }

// SetVersion records the version of billetd that migrated the database.
func SetVersion(ctx context.Context, tx *db.Tx, v string) error { return set(ctx, tx, version, v) }

// Recovery returns what package recovery has recorded; "" for nothing.
func Recovery(ctx context.Context, r db.Reader) (string, error) { return read(ctx, r, recovery) }

// SetRecovery records it.
func SetRecovery(ctx context.Context, tx *db.Tx, v string) error { return set(ctx, tx, recovery, v) }

// Name returns the name that tells this database from others at services which they share, such as
// one account at a payment processor. It is made up at the first call.
func Name(ctx context.Context, tx *db.Tx, ids *id.Maker) (string, error) {
	if err := keep(ctx, tx, name, string(ids.New(id.Installation))); err != nil {
		return "", err
	}
	return read(ctx, tx, name)
}

// TryWrite returns an error if the database cannot be written.
func TryWrite(ctx context.Context, d *db.DB, ids *id.Maker) error {
	return d.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		row := ids.New(id.Request)
		if err := fill(ctx, tx, row, filler); err != nil {
			return fmt.Errorf("write check: %w", err)
		}
		return clear(ctx, tx, row)
	})
}

// TakeSimulator takes or renews the simulator's lease for that long. It returns whether the holder
// has it now, and when the current lease expires by the database's clock. It is for PostgreSQL: an
// SQLite file has one server.
func TakeSimulator(ctx context.Context, tx *db.Tx, holder string, lease time.Duration) (taken bool, until time.Time,
	err error) {
	if taken, err = take(ctx, tx, simulator, holder, lease); err == nil {
		until, err = end(ctx, tx, simulator)
	}
	return taken, until, err
}

// GiveSimulator ends the holder's lease.
func GiveSimulator(ctx context.Context, tx *db.Tx, holder string) error {
	return give(ctx, tx, simulator, holder)
}
