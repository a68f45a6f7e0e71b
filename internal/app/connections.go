package app

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"math"
	"time"

	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/db/postgres"
	"github.com/prometheus/client_golang/prometheus"
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
	return postgres.Options{
		Connections: c.DatabasePool, Instance: hex.EncodeToString(instance), Replica: c.DatabaseReplicaURL,
	}
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

// replicaEvery is the interval at which the replica is compared with the primary.
const replicaEvery = time.Second

// watchReplica compares the replica with the primary, and logs when it begins or ceases to serve
// reports. A replica that cannot be used is no failure of this server: the primary serves all.
func (a *App) watchReplica(ctx context.Context) error {
	r := a.DB.Replica()
	err := r.Watch(ctx)
	usable := r.Usable()
	if ctx.Err() != nil || a.replica.known && a.replica.usable == usable {
		return ctx.Err()
	}
	a.replica.known, a.replica.usable = true, usable
	lag, _ := r.Lag()
	switch {
	case usable:
		a.cfg.Log.InfoContext(ctx, "the database's replica is up to date, and serves reports", "lag", lag)
	case err != nil:
		a.cfg.Log.WarnContext(ctx, "the database's replica cannot be used: the primary serves reports", "error", err)
	default:
		a.cfg.Log.WarnContext(ctx, "the database's replica is too far behind: the primary serves reports", "lag", lag)
	}
	return nil
}

// replicaState is what was last logged of the replica.
type replicaState struct{ known, usable bool }

// replicaGauges are the metrics of the replica; none without one.
func replicaGauges(r *db.Replica) []prometheus.Collector {
	if r == nil {
		return nil
	}
	const counter = "billet_database_replica_reads_total"
	const help = "Reads that the replica could serve, by what served them: the replica, or the primary because the " +
		"replica was too far behind or failed."
	served := func(by string, n func() int64) prometheus.Collector {
		return prometheus.NewCounterFunc(
			prometheus.CounterOpts{Name: counter, Help: help, ConstLabels: prometheus.Labels{"by": by}},
			func() float64 { return float64(n()) },
		)
	}
	return []prometheus.Collector{
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "billet_database_replica_lag_seconds",
			Help: "How old the state of the database's replica is at most; infinite if that is not known.",
		}, func() float64 {
			lag, known := r.Lag()
			if !known {
				return math.Inf(1)
			}
			return lag.Seconds()
		}),
		served("replica", func() int64 { reads, _ := r.Reads(); return reads }),
		served("primary", func() int64 { _, missed := r.Reads(); return missed }),
	}
}
