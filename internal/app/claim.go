package app

import (
	"context"
	"errors"
	"time"

	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/db/postgres"
)

const (
	// claimTime is how long PostgreSQL may take to notice that a killed server is gone.
	claimTime = 5 * time.Second
	// simKey is the lock of the one server with the simulator: "billetsi" as a number.
	simKey = 0x62696c6c65747369
)

// claimDatabase makes this the only server with the simulator on a PostgreSQL database. Simulated machines live in one
// data directory: another server would find none of them and call them all lost.
func (a *App) claimDatabase(ctx context.Context) error {
	if a.DB.Engine() != db.Postgres {
		return nil // the file is in the data directory, which is locked
	}
	within, cancel := context.WithTimeout(ctx, claimTime)
	defer cancel()
	for {
		release, taken, err := postgres.TryOnly(ctx, a.DB, simKey)
		if err != nil {
			return err
		}
		if taken {
			a.closers = append(a.closers, release)
			return nil
		}
		if (clock.System{}).SleepUntil(within, time.Now().Add(50*time.Millisecond)) != nil {
			return errors.New("another billetd serves from this database with --sim, and simulated machines cannot be shared; stop it, or leave out --sim")
		}
	}
}
