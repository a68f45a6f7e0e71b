package upstream

import (
	"context"
	"sync"

	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/provider"
)

// KeyedLock is a mutex for each reference. The zero value is ready.
type KeyedLock struct {
	mu   sync.Mutex
	held map[id.ID]chan struct{}
}

// Lock waits for the reference's lock, which unlock releases. It fails as KindUnavailable where the
// context ends first, and fails inside a transaction.
func (l *KeyedLock) Lock(ctx context.Context, reference id.ID) (unlock func(), err error) {
	if err := provider.CheckOutsideTx(ctx); err != nil {
		return nil, err
	}
	for {
		l.mu.Lock()
		released, locked := l.held[reference]
		if !locked {
			if l.held == nil {
				l.held = map[id.ID]chan struct{}{}
			}
			mine := make(chan struct{})
			l.held[reference] = mine
			l.mu.Unlock()
			return func() {
				l.mu.Lock()
				delete(l.held, reference)
				l.mu.Unlock()
				close(mine)
			}, nil
		}
		l.mu.Unlock()
		select {
		case <-released:
		case <-ctx.Done():
			return nil, Unavailable("%w", ctx.Err())
		}
	}
}

// Do calls f with the reference's lock held.
func (l *KeyedLock) Do(ctx context.Context, reference id.ID, f func() error) error {
	unlock, err := l.Lock(ctx, reference)
	if err != nil {
		return err
	}
	defer unlock()
	return f()
}

// CreateOnce returns what find finds under the reference, or calls create where find returns
// KindNotFound. It holds the reference's lock meanwhile, and find must read fresh state: that is
// what makes a launch repeatable at clouds without idempotency keys.
func CreateOnce[T any](
	ctx context.Context, locks *KeyedLock, reference id.ID, find, create func(ctx context.Context) (T, error),
) (T, error) {
	unlock, err := locks.Lock(ctx, reference)
	if err != nil {
		var none T
		return none, err
	}
	defer unlock()
	if found, err := find(ctx); !provider.IsKind(err, provider.KindNotFound) {
		return found, err
	}
	return create(ctx)
}

// Memory is what an adapter remembers of each machine, by reference. An adapter must work without
// it after a restart. The zero value is ready.
type Memory[T any] struct {
	mu   sync.Mutex
	byID map[id.ID]T
}

// Get returns what is remembered; the zero value where nothing is.
func (m *Memory[T]) Get(reference id.ID) T {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.byID[reference]
}

// Update changes what is remembered, beginning with the zero value where nothing is.
func (m *Memory[T]) Update(reference id.ID, change func(t *T)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.byID == nil {
		m.byID = map[id.ID]T{}
	}
	t := m.byID[reference]
	change(&t)
	m.byID[reference] = t
}

// Forget drops what is remembered of one machine.
func (m *Memory[T]) Forget(reference id.ID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.byID, reference)
}

// ForgetFunc drops everything for which drop returns true.
func (m *Memory[T]) ForgetFunc(drop func(reference id.ID, t T) bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for reference, t := range m.byID {
		if drop(reference, t) {
			delete(m.byID, reference)
		}
	}
}
