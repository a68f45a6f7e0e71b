package app

import (
	"context"
	"sync"
	"time"
)

const (
	// keptTimes is the validity of a count as a multiple of its duration: counting uses at most a
	// hundredth of one processor, however often the metrics are scraped and however much there is
	// to count.
	keptTimes = 100
	// slowCount is the longest duration of a count that a scrape waits for. A slower count runs
	// beside the scrapes.
	slowCount = 20 * time.Millisecond
	// countTime limits such a count.
	countTime = time.Minute
)

// kept is a cached count.
type kept[T any] struct {
	// ask counts. now returns real time.
	ask func(ctx context.Context) (T, error)
	now func() time.Time

	mu    sync.Mutex
	value T
	at    time.Time // time of the count; zero for never
	took  time.Duration
	done  chan struct{} // closed when the current count ends; nil without one
	err   error         // of the last count
}

// get returns the newest count and its age. If it has expired, it is counted again. A caller only
// waits for the first count, and for a fast one. get returns the error of a failed count if there
// is no earlier one.
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
