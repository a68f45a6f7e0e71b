package app

import (
	"context"
	"errors"
	"path/filepath"

	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/db/migrate"
	"github.com/billetcloud/billet/internal/db/postgres"
	"github.com/billetcloud/billet/internal/db/sqlite"
	"github.com/billetcloud/billet/internal/wallet"
)

// VerifyLedger verifies the ledger of the database, which it opens for reading only. It may belong
// to a running server, or be a copy.
func VerifyLedger(ctx context.Context, c Config, o wallet.VerifyOptions) (v wallet.Verified, err error) {
	var d *db.DB
	if c.DatabaseURL == "" {
		d, err = sqlite.OpenReadOnly(ctx, filepath.Join(c.DataDir, "billet.db"), clock.System{})
	} else {
		d, err = postgres.Open(ctx, c.DatabaseURL, clock.System{})
	}
	if err != nil {
		return v, err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	if err := migrate.Check(ctx, d); err != nil {
		return v, err
	}
	return wallet.Verify(ctx, d, o)
}
