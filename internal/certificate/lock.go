package certificate

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"time"

	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/db"
)

const (
	// lease is how long a lock is kept without an extension, and extendEvery how often its holder
	// extends it.
	lease, extendEvery = time.Minute, 15 * time.Second
	// lockEvery is how often a lock that another replica has is tried.
	lockEvery = 250 * time.Millisecond
	// lockTime limits one statement about a lock.
	lockTime = 10 * time.Second
)

// errLost means that another replica has taken the lock over, because its lease was over.
var errLost = errors.New("another server has taken over the lock")

// locks are leases in the database. Their clock is the database's own, real one.
type locks struct {
	db   *db.DB
	time func(ctx context.Context, r db.Reader) (time.Time, error)
	log  *slog.Logger
}

// held is a lock that this process has.
type held struct {
	locks
	name, holder string
	// ctx ends when the lock is released or lost. Transactions with it are committed only while the
	// lock is held.
	ctx   context.Context
	stop  context.CancelCauseFunc
	ended chan struct{}
}

// try takes the lock if it is free.
func (l locks) try(ctx context.Context, name string) (*held, bool, error) {
	h := &held{locks: l, name: name, holder: rand.Text(), ended: make(chan struct{})}
	var got bool
	err := l.db.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		now, err := l.time(ctx, tx)
		if err == nil {
			got, err = take(ctx, tx, name, h.holder, now)
		}
		return err
	})
	if err != nil || !got {
		return nil, false, err
	}
	h.ctx, h.stop = context.WithCancelCause(db.WithGuard(ctx, h.extend))
	go h.keep(context.WithoutCancel(ctx))
	return h, true, nil
}

// wait takes the lock, as soon as it is free.
func (l locks) wait(ctx context.Context, name string) (*held, error) {
	for {
		h, got, err := l.try(ctx, name)
		if err != nil || got {
			return h, err
		}
		if err := (clock.System{}).SleepUntil(ctx, time.Now().Add(lockEvery)); err != nil {
			return nil, err
		}
	}
}

// extend is the guard of transactions that need the lock.
func (h *held) extend(ctx context.Context, tx *db.Tx) error {
	now, err := h.time(ctx, tx)
	if err != nil {
		return err
	}
	return extend(ctx, tx, h.name, h.holder, now)
}

// keep extends the lease until the lock is released. If it is lost, the holder's context ends.
func (h *held) keep(ctx context.Context) {
	defer close(h.ended)
	for (clock.System{}).SleepUntil(h.ctx, time.Now().Add(extendEvery)) == nil {
		within, cancel := context.WithTimeout(ctx, lockTime)
		err := h.db.InTx(within, h.extend)
		cancel()
		switch {
		case errors.Is(err, errLost):
			h.stop(err)
		case err != nil:
			h.log.WarnContext(ctx, "cannot extend the lease of a lock", "lock", h.name, "error", err)
		}
	}
}

// release gives the lock back.
func (h *held) release(ctx context.Context) error {
	h.stop(context.Canceled)
	<-h.ended
	within, cancel := context.WithTimeout(context.WithoutCancel(ctx), lockTime)
	defer cancel()
	return h.db.InTx(within, func(ctx context.Context, tx *db.Tx) error {
		return release(ctx, tx, h.name, h.holder)
	})
}
