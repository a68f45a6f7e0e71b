package postgres

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/billetcloud/billet/internal/db"
)

// nameParam is the parameter of a session that names its program.
const nameParam = "application_name"

// beside is what a server opens beside its pool: the connection of migrations and of long reads.
const beside = 1

// program is the application_name of what is no server, or has its connections from a pooler.
const program = "billetd"

// name is the application_name of these connections. A server's has the size of its pool, except
// behind a pooler, which opens as many as it is configured to.
func (o Options) name(pooled bool) string {
	if o.Instance == "" || pooled {
		return program
	}
	return fmt.Sprintf("%s %s pool=%d", program, o.Instance, o.Connections)
}

// poolOf returns how many connections the server with that application_name may open.
func poolOf(name string) (connections int64, is bool) {
	_, pool, is := strings.Cut(name, " pool=")
	if !is || !strings.HasPrefix(name, program+" ") {
		return 0, false
	}
	n, err := strconv.ParseInt(pool, 10, 32)
	return n, err == nil && n > 0
}

// Connections is how many connections there can be.
type Connections struct {
	// Servers is how many servers use this PostgreSQL. Wanted is how many connections they may
	// open, and what other programs have open now.
	Servers, Wanted int64
	// Allowed is how many PostgreSQL accepts from a role without special rights.
	Allowed int64
}

// Enough reports whether every connection that is wanted will be accepted.
func (r Connections) Enough() bool { return r.Wanted <= r.Allowed }

// CountConnections counts the servers that are connected to PostgreSQL now. It does not know those
// whose URL has an application_name, nor those behind a pooler: of these it counts the open
// connections.
func CountConnections(ctx context.Context, d db.Reader) (r Connections, err error) {
	err = d.QueryRow(ctx, `SELECT current_setting('max_connections')::BIGINT
		- current_setting('superuser_reserved_connections')::BIGINT
		- COALESCE(current_setting('reserved_connections', true), '0')::BIGINT`).Scan(&r.Allowed)
	if err != nil {
		return r, err
	}
	rows, err := d.Query(ctx, `SELECT COALESCE(application_name, ''), COUNT(*) FROM pg_stat_activity
		WHERE backend_type = 'client backend' GROUP BY application_name`)
	if err != nil {
		return r, err
	}
	for rows.Next() {
		var name string
		var open int64
		if err := rows.Scan(&name, &open); err != nil {
			return r, errors.Join(err, rows.Close())
		}
		r.add(name, open)
	}
	return r, errors.Join(rows.Err(), rows.Close())
}

// add counts the open connections with one application_name.
func (r *Connections) add(name string, open int64) {
	if pool, is := poolOf(name); is {
		r.Servers++
		open = max(open, pool+beside)
	}
	r.Wanted += open
}
