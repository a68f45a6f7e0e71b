package postgres

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"testing"

	"github.com/billetcloud/billet/internal/db"
	"github.com/jackc/pgx/v5/pgconn"
)

func TestTroubleOfErrors(t *testing.T) {
	said := func(code, severity string) error {
		return fmt.Errorf("list: %w", &pgconn.PgError{Code: code, Severity: severity, SeverityUnlocalized: severity})
	}
	for name, c := range map[string]struct {
		err  error
		want db.Trouble
	}{
		"nothing": {nil, db.NoTrouble}, "no row": {sql.ErrNoRows, db.NoTrouble},
		"a unique key":  {said("23505", "ERROR"), db.NoTrouble},
		"no such table": {said("42P01", "ERROR"), db.NoTrouble},
		"serialization": {said("40001", "ERROR"), db.Conflict}, "deadlock": {said("40P01", "ERROR"), db.Conflict},
		"administrator": {said("57P01", "FATAL"), db.Lost}, "crash": {said("57P02", "FATAL"), db.Lost},
		"it starts":           {said("57P03", "FATAL"), db.Lost},
		"a standby":           {said("25006", "ERROR"), db.ReadOnly},
		"broken":              {said("08006", "FATAL"), db.Lost},
		"a pooler's":          {said("08P01", "FATAL"), db.Lost},
		"too many":            {said("53300", "FATAL"), db.Down},
		"disk full":           {said("53100", "ERROR"), db.Refused},
		"took too long":       {said("57014", "ERROR"), db.Refused},
		"a lock":              {said("55P03", "ERROR"), db.Refused},
		"input and output":    {said("58030", "ERROR"), db.Refused},
		"idle in transaction": {said("25P03", "FATAL"), db.Lost},
		"closed":              {fmt.Errorf("x: %w", io.ErrUnexpectedEOF), db.Lost},
		"pool":                {driver.ErrBadConn, db.Lost},
		"silent":              {errSilent, db.Lost},
		"reset":               {&net.OpError{Op: "read", Err: errors.New("connection reset by peer")}, db.Lost},
		"no connection":       {&pgconn.ConnectError{}, db.Down},
		"given up":            {context.DeadlineExceeded, db.NoTrouble},
		"called off":          {fmt.Errorf("x: %w", context.Canceled), db.NoTrouble},
	} {
		if got := trouble(c.err); got != c.want {
			t.Errorf("%s is %d, want %d", name, got, c.want)
		}
	}
}
