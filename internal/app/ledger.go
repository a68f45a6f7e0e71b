package app

import (
	"context"
	"errors"
	"io/fs"
	"path/filepath"

	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/db/postgres"
	"github.com/billetcloud/billet/internal/db/sqlite"
	"github.com/billetcloud/billet/internal/secret"
	"github.com/billetcloud/billet/internal/signedhead"
	"github.com/billetcloud/billet/internal/wallet"
)

// VerifiedLedger is what VerifyLedger has read and found.
type VerifiedLedger struct {
	wallet.Verified
	// Days is the number of signed days, Keys are those that signed them.
	Days int64                    `json:"days"`
	Keys []signedhead.VerifiedKey `json:"keys"`
}

// VerifyLedger verifies the ledger of the database, which it opens for reading only, and its
// signatures. It may belong to a running server, or be a copy. The keys that signed are those of
// the public keys, in base64, or proven by the server's secret key, where that is at hand.
func VerifyLedger(
	ctx context.Context, c Config, publicKeys []string, o wallet.VerifyOptions,
) (v VerifiedLedger, err error) {
	box, err := findSecrets(ctx, c, false)
	if errors.Is(err, secret.ErrNoKey) || errors.Is(err, fs.ErrPermission) {
		box = nil
	} else if err != nil {
		return v, err
	}
	d, unchanged, err := openReadOnly(ctx, c)
	if err != nil {
		return v, err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	if err := checkSchema(ctx, d, c.Version); err != nil {
		return v, err
	}
	// The heads first: what is signed meanwhile is in the ledger.
	heads, err := signedhead.Verify(ctx, d, signedhead.VerifyOptions{Secrets: box, PublicKeys: publicKeys})
	if err != nil {
		return v, err
	}
	v.Days, v.Keys = heads.Days, heads.Keys
	if v.Verified, err = wallet.Verify(ctx, d, o); err != nil {
		return v, err
	}
	v.Verified.Add(heads.Problems...)
	return v, unchanged()
}

// openReadOnly opens the database for a command that only reads, also beside a server. See
// sqlite.OpenReadOnly.
func openReadOnly(ctx context.Context, c Config) (d *db.DB, unchanged func() error, err error) {
	if c.DatabaseURL == "" {
		return sqlite.OpenReadOnly(ctx, filepath.Join(c.DataDir, "billet.db"), clock.System{})
	}
	d, err = postgres.Open(ctx, c.DatabaseURL, clock.System{})
	return d, func() error { return nil }, err
}
