package app

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"
)

// countingRig is a count that takes a given time of a clock that stands still otherwise.
type countingRig struct {
	kept[int]
	mu    sync.Mutex
	clock time.Time
	takes time.Duration
	asked int
	wait  chan struct{} // nil to answer at once
	fails error
}

func newCounting() *countingRig {
	r := &countingRig{clock: time.Unix(1_800_000_000, 0)}
	r.now = func() time.Time {
		r.mu.Lock()
		defer r.mu.Unlock()
		return r.clock
	}
	r.ask = func(context.Context) (int, error) {
		r.mu.Lock()
		r.asked++
		n, wait, err := r.asked, r.wait, r.fails
		r.clock = r.clock.Add(r.takes)
		r.mu.Unlock()
		if wait != nil {
			<-wait
		}
		return n, err
	}
	return r
}

func (r *countingRig) pass(d time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.clock = r.clock.Add(d)
}

func TestCountIsCachedForAHundredTimesItsDuration(t *testing.T) {
	r := newCounting()
	r.takes = 10 * time.Millisecond
	for _, step := range []struct {
		pass time.Duration
		want int
	}{{0, 1}, {900 * time.Millisecond, 1}, {200 * time.Millisecond, 2}, {0, 2}, {2 * time.Second, 3}} {
		r.pass(step.pass)
		if n, _, err := r.get(t.Context()); n != step.want || err != nil {
			t.Errorf("after %s: %d, want %d, %v", step.pass, n, step.want, err)
		}
	}
}

func TestOnlyTheFirstReaderWaitsForASlowCount(t *testing.T) {
	r := newCounting()
	r.takes = 300 * time.Millisecond
	if n, _, err := r.get(t.Context()); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	r.pass(time.Minute)
	r.wait = make(chan struct{})
	for range 5 { // and all of them cause one count
		if n, age, err := r.get(t.Context()); n != 1 || age < time.Minute || err != nil {
			t.Errorf("%d, %s old, %v", n, age, err)
		}
	}
	r.kept.mu.Lock()
	done := r.done
	r.kept.mu.Unlock()
	close(r.wait)
	<-done
	if n, age, err := r.get(t.Context()); n != 2 || age != 0 || err != nil || r.asked != 2 {
		t.Errorf("%d, %s old, %v, after %d counts", n, age, err, r.asked)
	}
}

func TestFailedCountKeepsThePreviousOne(t *testing.T) {
	r := newCounting()
	r.fails = errors.New("the database is away")
	if _, _, err := r.get(t.Context()); !errors.Is(err, r.fails) {
		t.Errorf("%v", err)
	}
	r.fails = nil
	if n, _, err := r.get(t.Context()); n != 2 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	r.fails = errors.New("again")
	r.pass(time.Minute)
	if n, age, err := r.get(t.Context()); n != 2 || age != time.Minute || err != nil {
		t.Errorf("%d, %s old, %v", n, age, err)
	}
}
