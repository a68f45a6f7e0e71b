package upstream

import (
	"context"
	"sync"
	"time"

	"github.com/billetcloud/billet/internal/id"
)

// List shares one complete list of a cloud among all who ask, so that a hundred machines are looked at with one request. It is safe for
// concurrent use.
type List[T any] struct {
	fetch func(ctx context.Context) ([]T, error)
	now   func() time.Time
	turn  chan struct{} // one fetch at a time
	begun time.Time     // when the fetch of last began; zero for none
	last  []T
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

// Forget has the next Recent ask: what was asked for changes the list.
func (l *List[T]) Forget(ctx context.Context) {
	select {
	case l.turn <- struct{}{}:
		l.begun, l.last = time.Time{}, nil
		<-l.turn
	case <-ctx.Done():
	}
}

func (l *List[T]) since(ctx context.Context, oldest time.Time) ([]T, error) {
	select {
	case l.turn <- struct{}{}:
	case <-ctx.Done():
		return nil, unavailable(ctx.Err())
	}
	defer func() { <-l.turn }()
	if !l.begun.IsZero() && l.begun.After(oldest) {
		return l.last, nil
	}
	begun := l.now()
	all, err := l.fetch(ctx)
	if err != nil {
		return nil, err
	}
	l.begun, l.last = begun, all
	return all, nil
}

// Turns lets one at a time act for a reference: look, then make. The zero value is ready, and it is safe for concurrent use.
type Turns struct {
	mu    sync.Mutex
	taken map[id.ID]chan struct{}
}

// Take waits for the reference's turn, which done gives back. It fails, as KindUnavailable, where the context ends before.
func (t *Turns) Take(ctx context.Context, reference id.ID) (done func(), err error) {
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
