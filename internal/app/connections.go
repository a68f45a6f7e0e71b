package app

import (
	"context"
	"crypto/rand"
	"encoding/hex"

	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/db/postgres"
)

// forServer is the configuration of a server, which may open more connections than a command.
func (c Config) forServer() Config {
	c.serves = true
	return c
}

// connections are the options of the connections to PostgreSQL.
func (c Config) connections() postgres.Options {
	if !c.serves {
		return postgres.Options{}
	}
	instance := make([]byte, 4)
	_, _ = rand.Read(instance) // never fails
	return postgres.Options{Connections: c.DatabasePool, Instance: hex.EncodeToString(instance)}
}

// warnOfConnections logs whether PostgreSQL would refuse connections when all servers use their
// whole pools. The server starts nevertheless: during an upgrade there is one more for a while.
func (a *App) warnOfConnections(ctx context.Context) {
	if a.DB.Engine() != db.Postgres {
		return
	}
	r, err := postgres.CountConnections(ctx, a.DB)
	if err != nil {
		a.cfg.Log.WarnContext(ctx, "cannot compare --database-pool with the connections that PostgreSQL allows",
			"err", err)
		return
	}
	if !r.Enough() {
		a.cfg.Log.WarnContext(ctx, "the servers may open more connections than PostgreSQL allows: lower "+
			"--database-pool, or raise max_connections; see docs/sizing.md",
			"servers", r.Servers, "wanted", r.Wanted, "allowed", r.Allowed, "pool", a.cfg.DatabasePool)
	}
}
