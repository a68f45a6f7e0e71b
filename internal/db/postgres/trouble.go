package postgres

import (
	"context"
	"database/sql/driver"
	"errors"
	"io"
	"net"
	"strings"

	"github.com/billetcloud/billet/internal/db"
	"github.com/jackc/pgx/v5/pgconn"
)

// trouble classifies an error. Codes:
// https://www.postgresql.org/docs/current/errcodes-appendix.html
func trouble(err error) db.Trouble {
	if said, is := errors.AsType[*pgconn.PgError](err); is {
		return saidTrouble(said)
	}
	if errors.As(err, new(*pgconn.ConnectError)) {
		return db.Down
	}
	switch {
	case errors.Is(err, errSilent), errors.Is(err, driver.ErrBadConn), errors.Is(err, io.EOF),
		errors.Is(err, io.ErrUnexpectedEOF),
		errors.Is(err, net.ErrClosed), pgconn.SafeToRetry(err):
		return db.Lost
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return db.NoTrouble // it was asked to give up
	case errors.As(err, new(net.Error)):
		return db.Lost
	}
	return db.NoTrouble
}

func saidTrouble(e *pgconn.PgError) db.Trouble {
	switch e.Code {
	case "40001", "40P01": // serialization failure, deadlock
		return db.Conflict
	case "25006": // a standby, or a primary that was one when we connected
		return db.ReadOnly
	case "53300": // too many connections
		return db.Down
	case "57014", "55P03": // statement_timeout, lock_timeout
		return db.Refused
	}
	switch {
	case e.SeverityUnlocalized == "FATAL", e.SeverityUnlocalized == "PANIC", e.Severity == "FATAL",
		strings.HasPrefix(e.Code, "08"), strings.HasPrefix(e.Code, "57P"): // the connection ends with it
		return db.Lost
	// disk full, out of memory; the system's errors
	case strings.HasPrefix(e.Code, "53"), strings.HasPrefix(e.Code, "58"):
		return db.Refused
	}
	return db.NoTrouble
}
