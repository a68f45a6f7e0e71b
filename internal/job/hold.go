package job

import (
	"context"
	"errors"
	"fmt"

	"github.com/billetcloud/billet/internal/db"
)

// ErrLost is returned to a run that has lost its job: its lease ended and another has it, or it was cancelled.
var ErrLost = errors.New("job: this run has lost its job, which another may have by now")

// holdMark is the context key of what tells whether a run still has its job.
type holdMark struct{}

// holding is the context of a run. With it no transaction is committed once the run has lost its job, and Holds tells.
func (r *Runner) holding(ctx context.Context, c claimed) context.Context {
	ctx = db.WithGuard(ctx, func(ctx context.Context, tx *db.Tx) error {
		return refused(stillHeld(ctx, tx, c))
	})
	return context.WithValue(ctx, holdMark{}, func(ctx context.Context) error {
		real, err := r.c.Real(ctx, r.c.DB)
		if err != nil {
			return err
		}
		return refused(leased(ctx, r.c.DB, c, real))
	})
}

func refused(has bool, err error) error {
	switch {
	case err != nil:
		return fmt.Errorf("look whether the job is held: %w", err)
	case !has:
		return ErrLost
	}
	return nil
}

// Holds is ErrLost where the context is that of a run which has not its job any more. Handlers ask right before each thing
// that they do outside the database; what they write in it is refused by itself. For a context of no run it is nil.
func Holds(ctx context.Context) error {
	if f, is := ctx.Value(holdMark{}).(func(context.Context) error); is {
		return f(ctx)
	}
	return nil
}
