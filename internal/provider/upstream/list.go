package upstream

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/provider"
)

// List shares one complete list of a cloud among all who ask, so that a hundred machines are looked at with one request. It refuses
// to answer inside a transaction, and is safe for concurrent use.
type List[T any] struct {
	fetch func(ctx context.Context) ([]T, error)
	now   func() time.Time
	turn  chan struct{} // one fetch at a time
	begun time.Time     // when the fetch of last began; zero for none
	last  []T
	// forgotten counts the calls of Forget; known is how many of them there had been when the fetch of last began.
	forgotten atomic.Int64
	known     int64
}

// NewList returns a List of what fetch returns, which must be everything or an error. now is Account.Now.
func NewList[T any](now func() time.Time, fetch func(ctx context.Context) ([]T, error)) *List[T] {
	if now == nil {
		now = time.Now
	}
	return &List[T]{fetch: fetch, now: now, turn: make(chan struct{}, 1)}
}

// Recent returns a list that is at most so old. The slice is shared: read only.
func (l *List[T]) Recent(ctx context.Context, age time.Duration) ([]T, error) {
	return l.since(ctx, l.now().Add(-age))
}

// Fresh returns a list that was asked for after the call.
func (l *List[T]) Fresh(ctx context.Context) ([]T, error) {
	return l.since(ctx, l.now())
}

// Forget has the next Recent ask: what was asked for changes the list. It does not wait, whatever the context: a fetch that is under way
// answers who waits for it, and is not kept.
func (l *List[T]) Forget(context.Context) { l.forgotten.Add(1) }

func (l *List[T]) since(ctx context.Context, oldest time.Time) ([]T, error) {
	if err := provider.CheckOutsideTx(ctx); err != nil { // also where memory has the answer, so that it is always found out
		return nil, err
	}
	select {
	case l.turn <- struct{}{}:
	case <-ctx.Done():
		return nil, unavailable(ctx.Err())
	}
	defer func() { <-l.turn }()
	known := l.forgotten.Load()
	if !l.begun.IsZero() && l.known == known && l.begun.After(oldest) {
		return l.last, nil
	}
	begun := l.now()
	all, err := l.fetch(ctx)
	if err != nil {
		return nil, err
	}
	l.begun, l.known, l.last = begun, known, all
	return all, nil
}

// Turns lets one at a time act for a reference: look, then make. The zero value is ready, and it is safe for concurrent use.
type Turns struct {
	mu    sync.Mutex
	taken map[id.ID]chan struct{}
}

// Take waits for the reference's turn, which done gives back. It fails, as KindUnavailable, where the context ends before, and inside a transaction.
func (t *Turns) Take(ctx context.Context, reference id.ID) (done func(), err error) {
	if err := provider.CheckOutsideTx(ctx); err != nil {
		return nil, err
	}
	for {
		t.mu.Lock()
		before, busy := t.taken[reference]
		if !busy {
			if t.taken == nil {
				t.taken = map[id.ID]chan struct{}{}
			}
			mine := make(chan struct{})
			t.taken[reference] = mine
			t.mu.Unlock()
			return func() {
				t.mu.Lock()
				delete(t.taken, reference)
				t.mu.Unlock()
				close(mine)
			}, nil
		}
		t.mu.Unlock()
		select {
		case <-before:
		case <-ctx.Done():
			return nil, unavailable(ctx.Err())
		}
	}
}
