package app

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/installation"
)

const (
	// claimLease is how long the database is kept for a server with the simulator that does not say any more that it is there; claimEvery
	// is how often it says so.
	claimLease, claimEvery = 10 * time.Second, 3 * time.Second
	// claimTime is how long a server waits for the lease of one that was killed.
	claimTime = claimLease + 2*time.Second
	// holderFile names the data directory to the database.
	holderFile = "billetd.id"
)

// errClaimLost ends the server.
var errClaimLost = errors.New("another billetd serves from this database with --sim now, since this one did not reach the database for a while")

// claimDatabase makes this the only server with the simulator on a PostgreSQL database. Simulated machines live in one
// data directory: another server would find none of them and call them all lost. The claim is a row, not a lock of a
// session: a pooler would give that to whoever comes next. A server that starts again in its data directory has it at once.
func (a *App) claimDatabase(ctx context.Context) error {
	if a.DB.Engine() != db.Postgres {
		return nil // the file is in the data directory, which is locked
	}
	holder, err := dataDirID(a.c.DataDir)
	if err != nil {
		return err
	}
	if err := a.awaitClaim(ctx, holder); err != nil {
		return err
	}
	const loop = "keep the simulator's lease"
	a.rounds.begin(loop, claimEvery, nil)
	keeping, stop := context.WithCancel(context.WithoutCancel(ctx))
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		a.rounds.every(keeping, claimEvery, a.c.Log, loop, func(ctx context.Context) error { return a.keepClaim(ctx, holder) })
	}()
	a.closers = append(a.closers, func() error {
		stop()
		<-ended
		within, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = a.DB.InTx(within, func(ctx context.Context, tx *db.Tx) error { return installation.GiveSimulator(ctx, tx, holder) }) // or it ends by itself
		return nil
	})
	return nil
}

// awaitClaim takes the claim. It waits for one that a server has left behind, but not while that server keeps it.
func (a *App) awaitClaim(ctx context.Context, holder string) error {
	within, cancel := context.WithTimeout(ctx, claimTime)
	defer cancel()
	first := time.Time{}
	for {
		taken, until, err := a.takeClaim(ctx, holder)
		if err != nil || taken {
			return err
		}
		if first.IsZero() {
			first = until
		}
		if until.After(first) || (clock.System{}).SleepUntil(within, time.Now().Add(250*time.Millisecond)) != nil {
			return errors.New("another billetd serves from this database with --sim, and simulated machines cannot be shared; stop it, or leave out --sim")
		}
	}
}

func (a *App) takeClaim(ctx context.Context, holder string) (taken bool, until time.Time, err error) {
	err = a.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		taken, until, err = installation.TakeSimulator(ctx, tx, holder, claimLease)
		return err
	})
	return taken, until, err
}

// keepClaim keeps the claim. Where another has it the server ends: the simulated machines are the other's business now.
func (a *App) keepClaim(ctx context.Context, holder string) error {
	taken, _, err := a.takeClaim(ctx, holder)
	if err == nil && !taken {
		select {
		case a.claimLost <- errClaimLost:
		default: // it is known
		}
	}
	return err
}

// dataDirID is a name that no other data directory has, nor a copy of this one on another machine.
func dataDirID(dir string) (string, error) {
	path := filepath.Join(dir, holderFile)
	text, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		text = []byte(rand.Text() + "\n")
		err = os.WriteFile(path, text, 0o600)
	}
	if err != nil {
		return "", fmt.Errorf("name the data directory: %w", err)
	}
	host, _ := os.Hostname()
	return strings.TrimSpace(string(text)) + "@" + host, nil
}
