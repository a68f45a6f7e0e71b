package meter_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/db/dbtest"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/job"
	"github.com/billetcloud/billet/internal/meter"
	"github.com/billetcloud/billet/internal/money"
)

// inParallel runs f n times at once and fails on the first error.
func (r *rig) inParallel(n int, f func(i int) error) {
	r.Helper()
	errs := make([]error, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { errs[i] = f(i) })
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		r.Fatal(err)
	}
}

func TestSweepCatchesUpBeyondABatchAndAfterDays(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		r := newRig(t, d, c)
		begin := c.Now().Truncate(time.Second)
		accounts := []id.ID{r.account(money.Dollars(100)), r.account(money.Dollars(100)), r.account(money.Dollars(100))}
		subjects := make([]id.ID, 610) // beyond one batch
		r.tx(func(ctx context.Context, tx *db.Tx) error {
			for i := range subjects {
				subjects[i] = r.ids.New(id.Volume)
				s := b200(accounts[i%3], subjects[i], begin.Add(time.Duration(i)*time.Second))
				s.HourlyPrice = 7
				if err := r.meter.Start(ctx, tx, s); err != nil {
					return err
				}
			}
			return nil
		})
		c.AdvanceTo(begin.Add(5*time.Hour + 304*time.Second)) // the hour 5 of the first 305 has begun
		if next := r.sweep(); next != job.At(begin.Add(5*time.Hour+305*time.Second)) {
			t.Errorf("next: %v", next)
		}
		for i, s := range subjects {
			want := money.Micros(5 * 7)
			if i <= 304 {
				want += 7
			}
			if got := r.cost(s); got != want {
				t.Fatalf("meter %d: %d, want %d", i, got, want)
			}
		}
		r.stopAll(subjects)
		far := r.ids.New(id.Deployment)
		r.start(b200(accounts[0], far, c.Now()))
		c.Advance(10 * 24 * time.Hour) // no sweep ran
		r.sweep()
		if got := r.cost(far); got != 241*rate {
			t.Errorf("ten days cost %s", got)
		}
		r.audited()
	})
}

func (r *rig) stopAll(subjects []id.ID) {
	r.Helper()
	r.tx(func(ctx context.Context, tx *db.Tx) error {
		for _, s := range subjects {
			if _, err := r.meter.Stop(ctx, tx, s, tx.Now, meter.NoRefund); err != nil {
				return err
			}
		}
		return nil
	})
}

func TestParallelSweepsChargeEachHourOnce(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		r := newRig(t, d, c)
		begin := c.Now().Truncate(time.Second)
		const accounts, each = 10, 25
		var owners, subjects []id.ID
		for range accounts {
			owners = append(owners, r.account(money.Dollars(1000)))
		}
		for i := range accounts * each {
			subjects = append(subjects, r.ids.New(id.Deployment))
			s := b200(owners[i%accounts], subjects[i], begin)
			s.HourlyPrice = money.Micros(1 + i)
			r.start(s)
		}
		c.AdvanceTo(begin.Add(3*time.Hour + 10*time.Minute))
		at := c.Now()
		// Four sweeps, and meanwhile the first forty stop and the next forty start again, from
		// twenty hands.
		r.inParallel(24, func(n int) error {
			if n < 4 {
				_, err := r.meter.Sweep(t.Context(), meter.Fleet)
				return err
			}
			for i := n - 4; i < 80; i += 20 {
				err := d.InTx(t.Context(), func(ctx context.Context, tx *db.Tx) error {
					if i >= 40 {
						return r.meter.Start(ctx, tx, b200(owners[i%accounts], subjects[i], at))
					}
					_, err := r.meter.Stop(ctx, tx, subjects[i], at, meter.NoRefund)
					return err
				})
				if err != nil {
					return err
				}
			}
			return nil
		})
		r.sweep()
		spent := map[id.ID]money.Micros{}
		for i, s := range subjects {
			want := money.Micros(1 + i).Times(4)
			if got := r.cost(s); got != want {
				t.Errorf("meter %d: %d, want %d", i, got, want)
			}
			spent[owners[i%accounts]] += want
		}
		for _, a := range owners {
			if got := r.available(a); got != money.Dollars(1000)-spent[a] {
				t.Errorf("available %s, spent %s", got, spent[a])
			}
		}
		r.audited()
	})
}

func TestParallelStartsAndStopsHappenOnce(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		r := newRig(t, d, c)
		account, subject := r.account(money.Dollars(1000)), r.ids.New(id.Deployment)
		begin := c.Now().Truncate(time.Second)
		r.inParallel(50, func(int) error {
			return d.InTx(t.Context(), func(ctx context.Context, tx *db.Tx) error {
				return r.meter.Start(ctx, tx, b200(account, subject, begin))
			})
		})
		if got := r.available(account); got != money.Dollars(1000)-rate {
			t.Fatalf("available %s", got)
		}
		c.AdvanceTo(begin.Add(90 * time.Minute))
		var mu sync.Mutex
		var refunded []money.Micros
		r.inParallel(50, func(int) error {
			var got money.Micros
			err := d.InTx(t.Context(), func(ctx context.Context, tx *db.Tx) (err error) {
				got, err = r.meter.Stop(ctx, tx, subject, begin.Add(90*time.Minute), meter.CurrentHour)
				return err
			})
			if got != 0 {
				mu.Lock()
				defer mu.Unlock()
				refunded = append(refunded, got)
			}
			return err
		})
		if len(refunded) != 1 || refunded[0] != rate/2 || r.cost(subject) != rate+rate/2 {
			t.Errorf("refunded %v, cost %s", refunded, r.cost(subject))
		}
		r.audited()
	})
}

func TestSweepEndsWithItsContext(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		r := newRig(t, d, c)
		account, subject := r.account(money.Dollars(1000)), r.ids.New(id.Deployment)
		r.start(b200(account, subject, c.Now()))
		c.Advance(time.Hour)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := r.meter.Sweep(ctx, meter.Fleet); !errors.Is(err, context.Canceled) {
			t.Errorf("%v", err)
		}
		if r.cost(subject) != rate {
			t.Error("it booked nevertheless")
		}
	})
}

func TestSweepEndsWithoutMeters(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		if got := newRig(t, d, c).sweep(); got != job.Done() {
			t.Errorf("Sweep = %+v, want the job to end", got)
		}
	})
}
