package chaos_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// perFleet is the number of rounds after which a long run begins again with a new database.
const perFleet = 50

// TestChaos disturbs three servers and everything that they need, and then compares what tenants
// were told with what there is.
func TestChaos(t *testing.T) {
	base := *seed
	if base == 0 {
		base = uint64(time.Now().UnixMicro())
	}
	all := *rounds
	if all == 0 {
		all = len(faults)
	}
	for done, n := 0, uint64(0); done < all && !t.Failed(); done, n = done+perFleet, n+1 {
		some := min(perFleet, all-done)
		t.Run(fmt.Sprintf("seed-%d", base+n), func(t *testing.T) {
			defer func() {
				if t.Failed() {
					t.Logf("to make the same decisions again: go test ./test/chaos -run TestChaos -seed %d -rounds %d",
						base+n, *rounds)
				}
			}()
			f := newFleet(t, base+n, true)
			f.endure(some)
			f.rest()
			f.check()
			t.Log(f.summary())
		})
	}
}

// TestLostWrites fails over while the standby is behind. If it is asynchronous, the checker must
// find that acknowledged writes are lost. If it is synchronous, no such write is acknowledged.
func TestLostWrites(t *testing.T) {
	forms := map[string]bool{"asynchronous": false}
	if *rounds > 0 { // writes that wait take time, and TestChaos has such, too
		forms["synchronous"] = true
	}
	for name, synchronous := range forms {
		t.Run(name, func(t *testing.T) {
			f := newFleet(t, 1, synchronous)
			w := &worker{f: f, tn: f.tenants[0], who: "lost", rng: f.rng}
			f.recover(-1, "the start")
			f.pair.line.stall(true)
			for range 3 {
				w.attempt(w.sshKey())
			}
			f.pair.line.set(func() { f.pair.line.cut, f.pair.line.stalled = true, false })
			f.pair.failOver()
			f.pair.line.doCut(false)
			f.pair.rebuild()
			f.recover(0, "a failover to a standby that was behind")
			acknowledged, lost := len(w.tn.sshKeys), f.lost(w.tn, nil)
			if synchronous && (acknowledged > 0 || len(lost) > 0) {
				t.Errorf("%d writes were acknowledged without the standby: %v", acknowledged, lost)
			}
			if !synchronous && (acknowledged != 3 || len(lost) != 3) {
				t.Errorf("%d writes were acknowledged, and the checker found %v", acknowledged, lost)
			}
		})
	}
}

// endure has the tenants work through the rounds.
func (f *fleet) endure(rounds int) {
	f.t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	var group sync.WaitGroup
	defer group.Wait()
	defer stop()
	watch, end := context.WithCancel(context.Background())
	var watchers sync.WaitGroup
	for _, tn := range f.tenants {
		watchers.Go(func() { f.follow(watch, tn) })
	}
	f.t.Cleanup(func() {
		end()
		watchers.Wait()
	})
	f.unwatch = func() {
		end()
		watchers.Wait()
	}
	f.work(ctx, &group)
	for n, kind := range f.order(rounds) {
		f.wait(time.Second + f.some(time.Second)) // with work between the faults
		f.round(n, kind)
		if f.t.Failed() {
			return
		}
	}
	f.wait(time.Second)
}

// summary says what happened.
func (f *fleet) summary() string {
	f.tally.mu.Lock()
	defer f.tally.mu.Unlock()
	var b strings.Builder
	for _, kind := range slices.Sorted(maps.Keys(f.Faults)) {
		fmt.Fprintf(&b, "%4d × %-56s recovery within %s\n", f.Faults[kind], kind,
			f.Slowest[kind].Round(10*time.Millisecond))
	}
	for _, kind := range slices.Sorted(maps.Keys(f.Answers)) {
		fmt.Fprintf(&b, "%6d %s\n", f.Answers[kind], kind)
	}
	return b.String() + f.found
}
