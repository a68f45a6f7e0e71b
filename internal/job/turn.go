package job

import (
	"context"
	"sync"
	"time"

	"github.com/billetcloud/billet/internal/id"
)

// turnList is the order of turns as Run last read it, and the number of runs of each owner. Reading
// the order costs as much as there is due, so it is not read for each claim. Jobs on the list may
// have been claimed by others meanwhile.
type turnList struct {
	next  []turn
	until time.Time // when the list expires

	mu   sync.Mutex
	busy map[id.ID]int
	n    int
}

func (l *turnList) add(owner id.ID, n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.busy == nil {
		l.busy = map[id.ID]int{}
	}
	l.n += n
	if l.busy[owner] += n; l.busy[owner] == 0 {
		delete(l.busy, owner)
	}
}

// choose takes up to limit jobs off the list. The last workers are reserved for owners that have no
// job running, so that an owner whose jobs hang does not block all others.
func (l *turnList) choose(limit, workers int) (chosen []turn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	more := map[id.ID]int{}
	var left []turn
	for i, t := range l.next {
		if len(chosen) == limit {
			left = append(left, l.next[i:]...)
			break
		}
		if l.n+len(chosen) >= workers-workers/keptPart && l.busy[t.owner]+more[t.owner] > 0 {
			left = append(left, t)
			continue
		}
		more[t.owner]++
		chosen = append(chosen, t)
	}
	l.next = left
	return chosen
}

// claimInTurn claims up to limit jobs that are due, and counts them as runs of their owners.
func (r *Runner) claimInTurn(ctx context.Context, limit int) (jobs []claimed, err error) {
	for fresh := false; len(jobs) < limit; {
		if !fresh && time.Now().After(r.queue.until) {
			r.queue.next = nil
		}
		some := r.queue.choose(limit-len(jobs), r.cfg.Workers)
		if len(some) > 0 {
			taken, err := r.take(ctx, some)
			for _, c := range taken {
				r.queue.add(c.owner, 1)
			}
			if jobs = append(jobs, taken...); err != nil {
				return jobs, err
			}
			continue
		}
		if fresh || len(r.queue.next) > 0 { // the rest must wait for other runs of their owners
			return jobs, nil
		}
		began := time.Now()
		if r.queue.next, err = r.turns(ctx, batch, nil); err != nil || len(r.queue.next) == 0 {
			return jobs, err
		}
		// A list that took long to read is valid longer, so that most of the time is left for the
		// work.
		now := time.Now()
		fresh, r.queue.until = true, now.Add(min(max(turnsFor, 10*now.Sub(began)), poll))
	}
	return jobs, nil
}
