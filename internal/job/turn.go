package job

import (
	"context"
	"sync"
	"time"

	"github.com/billetcloud/billet/internal/id"
)

// turnList is the order of turns as Run last read it, and how many runs of each owner are under way. Reading the order
// costs as much as there is due, so it is not read for each claim; what is on it may have been taken meanwhile.
type turnList struct {
	next  []turn
	until time.Time // until then it counts

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

// choose takes up to limit jobs off the list. The last of the workers are kept for owners that have none at work: one whose
// work hangs does not hold up all others.
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
		some := r.queue.choose(limit-len(jobs), r.c.Workers)
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
		if fresh || len(r.queue.next) > 0 { // what there is must wait for its owner's other runs
			return jobs, nil
		}
		began := time.Now()
		if r.queue.next, err = r.turns(ctx, batch, nil); err != nil || len(r.queue.next) == 0 {
			return jobs, err
		}
		// What took long to read counts longer: most of the time is for the work.
		now := time.Now()
		fresh, r.queue.until = true, now.Add(min(max(turnsFor, 10*now.Sub(began)), poll))
	}
	return jobs, nil
}
