package upstream

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/billetcloud/billet/internal/provider"
)

// List shares one complete list of a cloud among all callers, so that a hundred machines are read
// with one request. It refuses to answer inside a transaction, and is safe for concurrent use.
type List[T any] struct {
	fetch func(ctx context.Context) ([]T, error)
	now   func() time.Time
	turn  chan struct{} // one fetch at a time
	begun time.Time     // when the fetch of last began; zero for none
	took  time.Duration // how long that fetch took
	last  []T
	// forgotten counts the calls of Forget, and known is its value when the fetch of last began.
	forgotten atomic.Int64
	known     int64
}

// NewList returns a List of what fetch returns, which must be everything or an error. now is
// Account.Now.
func NewList[T any](now func() time.Time, fetch func(ctx context.Context) ([]T, error)) *List[T] {
	if now == nil {
		now = time.Now
	}
	return &List[T]{fetch: fetch, now: now, turn: make(chan struct{}, 1)}
}

// Recent returns a list that is at most that old; 0 fetches it now. The slice is shared: read only.
//
// A long list takes long within the request budget. Unless age is 0, a list may therefore be twice
// as old as its fetch took: reading it never takes more than half of the budget, however many
// machines the account has.
func (l *List[T]) Recent(ctx context.Context, age time.Duration) ([]T, error) {
	asked := l.now()
	// Also where memory has the answer, so that a misuse always shows.
	if err := provider.CheckOutsideTx(ctx); err != nil {
		return nil, err
	}
	select {
	case l.turn <- struct{}{}:
	case <-ctx.Done():
		return nil, Unavailable("%w", ctx.Err())
	}
	defer func() { <-l.turn }()
	if age > 0 {
		age = max(age, 2*l.took)
	}
	oldest, known := asked.Add(-age), l.forgotten.Load()
	if !l.begun.IsZero() && l.known == known && l.begun.After(oldest) {
		return l.last, nil
	}
	begun := l.now()
	all, err := l.fetch(ctx)
	if err != nil {
		return nil, err
	}
	l.begun, l.took, l.known, l.last = begun, l.now().Sub(begun), known, all
	return all, nil
}

// Fresh returns a list that was fetched after the call.
func (l *List[T]) Fresh(ctx context.Context) ([]T, error) { return l.Recent(ctx, 0) }

// Forget makes the next Recent fetch the list, because something was changed. It does not wait: a
// fetch that is in progress answers its callers and is not kept.
func (l *List[T]) Forget() { l.forgotten.Add(1) }
