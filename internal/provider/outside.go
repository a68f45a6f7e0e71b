package provider

import (
	"context"
	"errors"

	"github.com/billetcloud/billet/internal/db"
)

// ErrInsideTx says that a provider was called with the context of a running database transaction: a slow upstream
// would keep the database locked, and an effect upstream is not undone when the transaction is. It is a fault of the
// caller, so it has no Kind of its own.
var ErrInsideTx = errors.New("provider: called inside a database transaction; commit first, then ask the provider")

// CheckOutsideTx returns ErrInsideTx where the context belongs to a running transaction. Every method of an
// implementation that takes a context calls it first, before anything happens; providertest checks that.
func CheckOutsideTx(ctx context.Context) error {
	if db.InsideTx(ctx) {
		return ErrInsideTx
	}
	return nil
}
