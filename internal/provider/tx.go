package provider

import (
	"context"
	"errors"

	"github.com/billetcloud/billet/internal/db"
)

// ErrInsideTx is the error of calling a provider with the context of a database transaction. A slow
// upstream would keep the database locked, and a rollback would not undo an effect upstream. It is
// a mistake of the caller, so it has no Kind.
var ErrInsideTx = errors.New("provider: called inside a database transaction; commit first, then call the provider")

// CheckOutsideTx returns ErrInsideTx where the context belongs to a transaction. Every method of an
// implementation that takes a context calls it first; providertest checks that.
func CheckOutsideTx(ctx context.Context) error {
	if db.InsideTx(ctx) {
		return ErrInsideTx
	}
	return nil
}
