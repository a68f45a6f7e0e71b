package installation

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
)

// The names of what is known.
const (
	secretKey = "secret-key"
	version   = "version"
	simulator = "simulator"
)

// filler is larger than a page of either engine, so that a disk without a free page is noticed.
var filler = strings.Repeat("billet ", 4<<10)

// SecretKey returns the name of the key that the database's secrets are sealed with, "" where it has none yet.
func SecretKey(ctx context.Context, r db.Reader) (string, error) { return read(ctx, r, secretKey) }

// KeepSecretKey writes down the name of the database's key unless it has one, and returns the one that it has then.
func KeepSecretKey(ctx context.Context, tx *db.Tx, name string) (string, error) {
	if err := keep(ctx, tx, secretKey, name); err != nil {
		return "", err
	}
	return read(ctx, tx, secretKey)
}

// ChangeSecretKey makes another key the database's. What was sealed with the one before is lost.
func ChangeSecretKey(ctx context.Context, tx *db.Tx, name string) error {
	return set(ctx, tx, secretKey, name)
}

// Version returns which billetd last brought the database up to date, "" where none has said so.
func Version(ctx context.Context, r db.Reader) (string, error) { return read(ctx, r, version) }

// SetVersion writes down which billetd brought the database up to date.
func SetVersion(ctx context.Context, tx *db.Tx, v string) error { return set(ctx, tx, version, v) }

// TryWrite tells whether something can be written.
func TryWrite(ctx context.Context, d *db.DB, ids *id.Maker) error {
	return d.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		row := ids.New(id.Request)
		if err := fill(ctx, tx, row, filler); err != nil {
			return fmt.Errorf("try to write: %w", err)
		}
		return clear(ctx, tx, row)
	})
}

// TakeSimulator takes or keeps the simulator's lease for that long, and tells whether holder has it, and until when, by the database's clock,
// it is somebody's. PostgreSQL only: a file has one server.
func TakeSimulator(ctx context.Context, tx *db.Tx, holder string, lease time.Duration) (taken bool, until time.Time, err error) {
	if taken, err = take(ctx, tx, simulator, holder, lease); err == nil {
		until, err = end(ctx, tx, simulator)
	}
	return taken, until, err
}

// GiveSimulator ends the lease.
func GiveSimulator(ctx context.Context, tx *db.Tx, holder string) error {
	return give(ctx, tx, simulator, holder)
}
