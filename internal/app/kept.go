package app

import (
	"context"
	"sync"
	"time"
)

const (
	// keptTimes is how many times as long as it took to count something the count is kept: counting takes a hundredth of one processor at
	// the most, however often somebody scrapes and however much there is to be counted.
	keptTimes = 100
	// slowCount is how long a count may take for a scrape to wait for it. What takes longer is counted beside the scrapes.
	slowCount = 20 * time.Millisecond
	// countTime is how long the database may take for one of those.
	countTime = time.Minute
)

// kept is a count that is kept for a while.
type kept[T any] struct {
	// ask counts, and now is real time.
	ask func(ctx context.Context) (T, error)
	now func() time.Time

	mu    sync.Mutex
	value T
	at    time.Time // when it was counted; zero for never
	took  time.Duration
	done  chan struct{} // closed at the end of the count that is under way; nil while none is
	err   error         // of the last count
}

// get returns the newest count, and how old it is. Where it is too old it is counted anew; a caller waits for that only if it is the first one,
// or quickly done. An error is that of a count that failed, where there is none before it.
func (k *kept[T]) get(ctx context.Context) (value T, age time.Duration, err error) {
	k.mu.Lock()
	known, quick := !k.at.IsZero(), k.took <= slowCount
	if known && k.now().Sub(k.at) <= keptTimes*k.took {
		defer k.mu.Unlock()
		return k.value, k.now().Sub(k.at), nil
	}
	if k.done == nil {
		k.done = make(chan struct{})
		go k.count(k.done)
	}
	done := k.done
	k.mu.Unlock()
	if !known || quick {
		select {
		case <-done:
		case <-ctx.Done():
		}
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.at.IsZero() {
		if k.err != nil {
			return value, 0, k.err
		}
		return value, 0, ctx.Err()
	}
	return k.value, k.now().Sub(k.at), nil
}

func (k *kept[T]) count(done chan struct{}) {
	ctx, cancel := context.WithTimeout(context.Background(), countTime)
	defer cancel()
	start := k.now()
	value, err := k.ask(ctx)
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.err = err; err == nil {
		k.value, k.at, k.took = value, k.now(), k.now().Sub(start)
	}
	k.done = nil
	close(done)
}
