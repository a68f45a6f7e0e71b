package job

import (
	"context"
	"errors"
	"fmt"

	"github.com/billetcloud/billet/internal/db"
)

// ErrLost is returned to a run that has lost its job: its lease ended and another run claimed it,
// or it was cancelled.
var ErrLost = errors.New("job: this run has lost its job to another run")

// holdMark is the context key of the function that reports whether a run still has its job.
type holdMark struct{}

// holding returns the context of a run. It lets no transaction commit once the run has lost its
// job, and serves Holds.
func (r *Runner) holding(ctx context.Context, c claimed) context.Context {
	ctx = db.WithGuard(ctx, func(ctx context.Context, tx *db.Tx) error {
		return refused(stillHeld(ctx, tx, c))
	})
	return context.WithValue(ctx, holdMark{}, func(ctx context.Context) error {
		real, err := r.cfg.Real(ctx, r.cfg.DB)
		if err != nil {
			return err
		}
		return refused(leased(ctx, r.cfg.DB, c, real))
	})
}

func refused(has bool, err error) error {
	switch {
	case err != nil:
		return fmt.Errorf("check that the job is held: %w", err)
	case !has:
		return ErrLost
	}
	return nil
}

// Holds returns ErrLost if the context belongs to a run that has lost its job. Handlers call it
// right before everything they do outside the database; their transactions are checked anyway. For
// another context it returns nil.
func Holds(ctx context.Context) error {
	if f, is := ctx.Value(holdMark{}).(func(context.Context) error); is {
		return f(ctx)
	}
	return nil
}
