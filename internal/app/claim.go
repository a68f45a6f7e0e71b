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
	// claimLease is how long a server with the simulator keeps the database without renewing its
	// claim; claimEvery is how often it renews it.
	claimLease, claimEvery = 10 * time.Second, 3 * time.Second
	// claimTime is how long a server waits for the claim of one that was killed.
	claimTime = claimLease + 2*time.Second
	// holderFile has the ID of the data directory for the database.
	holderFile = "billetd.id"
)

// errClaimLost ends the server.
var errClaimLost = errors.New("another billetd with --sim has taken over this database, " +
	"because this one could not reach the database for a while")

// claimDatabase makes this the only server with the simulator on a PostgreSQL database. Simulated
// machines live in one data directory: another server would find none of them and report all as
// lost. The claim is a row and not a lock of a session, which a pooler would pass on. A server that
// restarts in its data directory has the claim at once.
func (a *App) claimDatabase(ctx context.Context) error {
	if a.DB.Engine() != db.Postgres {
		return nil // the file is in the data directory, which is locked
	}
	holder, err := dataDirID(a.cfg.DataDir)
	if err != nil {
		return err
	}
	if err := a.awaitClaim(ctx, holder); err != nil {
		return err
	}
	const loop = "keep the simulator's lease"
	a.loops.begin(loop, claimEvery, nil)
	keeping, stop := context.WithCancel(context.WithoutCancel(ctx))
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		a.loops.every(keeping, claimEvery, a.cfg.Log, loop,
			func(ctx context.Context) error { return a.keepClaim(ctx, holder) })
	}()
	a.closers = append(a.closers, func() error {
		stop()
		<-ended
		within, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		// or its claim expires
		_ = a.DB.InTx(within, func(ctx context.Context,
			tx *db.Tx) error {
			return installation.GiveSimulator(ctx, tx, holder)
		})
		return nil
	})
	return nil
}

// awaitClaim takes the claim. It waits for the claim of a killed server to expire, but not for one
// that is renewed.
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
			return errors.New("another billetd with --sim uses this database, and simulated machines cannot be " +
				"shared; " +
				"stop it, or omit --sim")
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

// keepClaim renews the claim. If another server has it, this server ends: the simulated machines
// belong to the other one.
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

// dataDirID returns an ID that no other data directory has, nor a copy of this one on another
// machine.
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
