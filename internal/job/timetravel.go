package job

import (
	"context"
	"errors"
	"time"

	"github.com/billetcloud/billet/internal/clock"
)

// Others may enqueue jobs while Travel runs. From maxEnqueued such jobs on it stops waiting for
// them: it makes at most maxStops stops, and at most maxPasses passes at each over what has become
// due there.
const maxEnqueued, maxStops, maxPasses = 100, 500, 3

// Travel moves a simulated clock to target as if the time had passed. It stops at each instant at
// which a job that is not periodic is due and runs all such jobs, so that what happens at an hour
// happens at that hour. Periodic jobs run once, at the end. Travel returns when every job due at
// target has run, except those of that instant that keep failing.
//
// Others may enqueue meanwhile, faster than their jobs can be done. From a hundred such jobs on,
// Travel advances by at least a five-hundredth of the way at each stop, and leaves their last jobs
// to Run.
func (r *Runner) Travel(ctx context.Context, c *clock.Simulated, target time.Time) error {
	r.travel.Lock()
	defer r.travel.Unlock()
	r.pause()
	defer r.resume()
	before, step := r.cfg.Queue.enqueued.Load(), target.Sub(c.Now())/maxStops
	flooded := func() bool { return r.cfg.Queue.enqueued.Load()-before > maxEnqueued }
	for {
		if err := r.runDue(ctx, r.periodic, flooded); err != nil {
			return err
		}
		now := c.Now()
		next, found, err := r.nextDue(ctx, r.periodic)
		if err != nil {
			return err
		}
		if found && flooded() && next.Before(now.Add(step)) {
			next = now.Add(step)
		}
		if !found || next.After(target) || flooded() && !now.Before(target) {
			if !now.Before(target) {
				return r.runDue(ctx, nil, flooded)
			}
			next = target
		}
		c.AdvanceTo(next)
	}
}

// pause keeps Run from claiming jobs, and waits until those that run have ended.
func (r *Runner) pause() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.paused = true
	for r.running > 0 {
		r.changed.Wait()
	}
}

func (r *Runner) resume() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.paused = false
	r.changed.Broadcast()
}

// runDue runs what is due, and what becomes due by that, until nothing is. If others enqueue all
// the time, that may never be: it then makes a few passes, each over what was due at its start, and
// leaves the rest to the next stop.
func (r *Runner) runDue(ctx context.Context, except map[Kind]bool, flooded func() bool) error {
	for passes := 0; ; {
		due, err := r.countDue(ctx, except)
		if err != nil || due == 0 {
			return errors.Join(err, ctx.Err())
		}
		if flooded() {
			if passes++; passes > maxPasses {
				return nil
			}
		}
		for due > 0 {
			n, err := r.runSome(ctx, min(batch, due), except)
			if err != nil {
				return err
			}
			if n == 0 {
				break
			}
			due -= n
		}
	}
}
