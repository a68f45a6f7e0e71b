package spendlimit_test

import (
	"context"
	"crypto/rand"
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/db/dbtest"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/spendlimit"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

type rig struct {
	t   testing.TB
	d   *db.DB
	c   *clock.Simulated
	ids *id.Maker
	key id.ID
}

func each(t *testing.T, f func(r *rig)) {
	t.Helper()
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		r := &rig{t: t, d: d, c: c, ids: id.NewMaker(c, rand.Reader)}
		c.AdvanceTo(time.Date(2031, 1, 30, 10, 0, 0, 0, time.UTC)) // a Thursday in winter, with a short month ahead
		r.key = r.ids.New(id.APIKey)
		f(r)
	})
}

func (r *rig) tx(f func(ctx context.Context, tx *db.Tx) error) error {
	return r.d.InTx(r.t.Context(), f)
}

func (r *rig) set(l spendlimit.SpendingLimits) {
	r.t.Helper()
	if err := r.tx(func(ctx context.Context, tx *db.Tx) error {
		return spendlimit.Set(ctx, tx, r.key,
			l)
	}); err != nil {
		r.t.Fatal(err)
	}
}

// begin begins a deployment of that price that ends after so long; 0 for never.
func (r *rig) begin(price int64, length time.Duration, types ...string) (id.ID, error) {
	u := spendlimit.Use{Subject: r.ids.New(id.Deployment), HourlyPrice: money.Dollars(price), From: r.c.Now()}
	if length > 0 {
		end := r.c.Now().Add(length)
		u.Until = &end
	}
	return u.Subject, r.tx(func(ctx context.Context, tx *db.Tx) error {
		_, err := spendlimit.Begin(ctx, tx, r.key, u, types...)
		return err
	})
}

func (r *rig) refused(limit string, err error) {
	r.t.Helper()
	if e, is := errors.AsType[*apierr.Error](err); !is || e.Code != apierr.KeyLimitReached ||
		e.Details["limit"] != limit {
		r.t.Errorf("%v, want the limit %s", err, limit)
	}
}

func (r *rig) let(_ id.ID, err error) {
	r.t.Helper()
	if err != nil {
		r.t.Error(err)
	}
}

func dollars(n int64) *money.Micros { m := money.Dollars(n); return &m }

func TestKeyWithoutLimitsIsNotStored(t *testing.T) {
	each(t, func(r *rig) {
		err := r.tx(func(ctx context.Context, tx *db.Tx) error {
			kept, err := spendlimit.Begin(ctx, tx, r.key,
				spendlimit.Use{Subject: "dep_1", HourlyPrice: money.Dollars(1_000_000), From: tx.Now})
			if kept {
				t.Error("kept")
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
		r.set(spendlimit.SpendingLimits{MaxHourlyPrice: dollars(1)})
		r.set(spendlimit.SpendingLimits{})
		r.let(r.begin(2, 0))
	})
}

func TestEachLimitIsEnforced(t *testing.T) {
	each(t, func(r *rig) {
		r.set(spendlimit.SpendingLimits{MaxHourlyPrice: dollars(10)})
		_, err := r.begin(11, time.Hour)
		r.refused("maxHourlyPrice", err)
		r.let(r.begin(10, time.Hour))

		two := int64(2)
		r.set(spendlimit.SpendingLimits{MaxDeployments: &two})
		r.let(r.begin(1, time.Hour))
		_, err = r.begin(1, time.Hour)
		r.refused("maxDeployments", err)
		e, _ := errors.AsType[*apierr.Error](err)
		want := map[string]any{"limit": "maxDeployments", "maximum": int64(2), "deployments": int64(2)}
		if diff := cmp.Diff(want, e.Details); diff != "" || !strings.Contains(e.Message, "and has 2.") {
			t.Errorf("%s (-want +got):\n%s", e.Message, diff)
		}

		r.set(spendlimit.SpendingLimits{GPUTypes: []string{"NVIDIA H100"}})
		_, err = r.begin(1, time.Hour, "NVIDIA H100", "NVIDIA B200")
		r.refused("gpuTypes", err)
		r.let(r.begin(1, time.Hour, "nvidia h100"))
	})
}

func TestUseCountsUntilItsEndOrIndefinitely(t *testing.T) {
	each(t, func(r *rig) {
		r.set(spendlimit.SpendingLimits{MaxSpendPerDay: dollars(100)})
		_, err := r.begin(5, 0) // 24 hours tomorrow
		r.refused("maxSpendPerDay", err)
		d, err := r.begin(4, 0) // 96 tomorrow, 56 today
		r.let(d, err)
		_, err = r.begin(5, time.Hour) // fits today, whatever tomorrow is
		r.let("", err)
		_, err = r.begin(20, 2*time.Hour) // 56 + 5 + 40
		r.refused("maxSpendPerDay", err)
	})
}

func TestDailyLimitIsExact(t *testing.T) {
	each(t, func(r *rig) {
		r.set(spendlimit.SpendingLimits{MaxSpendPerDay: dollars(100)})
		r.let(r.begin(60, time.Hour))
		_, err := r.begin(41, time.Hour)
		r.refused("maxSpendPerDay", err)
		d, err := r.begin(40, time.Hour)
		r.let(d, err)
		_, err = r.begin(1, time.Hour)
		r.refused("maxSpendPerDay", err)
		// never ran
		if err := r.tx(func(ctx context.Context, tx *db.Tx) error {
			return spendlimit.End(ctx, tx, d,
				nil)
		}); err != nil {
			t.Fatal(err)
		}
		r.let(r.begin(40, time.Hour))
		r.c.Advance(14 * time.Hour) // another day
		r.let(r.begin(100, time.Hour))
	})
}

func TestWhatIsFreeFitsIntoEachLimit(t *testing.T) {
	each(t, func(r *rig) {
		r.set(spendlimit.SpendingLimits{MaxSpendPerDay: dollars(60)})
		r.let(r.begin(60, time.Hour))
		r.set(spendlimit.SpendingLimits{MaxSpendPerDay: dollars(50)})
		r.let(r.begin(0, time.Hour))
	})
}

func TestMonthlyLimitChecksTheNextTwoMonths(t *testing.T) {
	each(t, func(r *rig) {
		r.set(spendlimit.SpendingLimits{MaxSpendPerMonth: dollars(31*24 - 1)}) // February would fit
		_, err := r.begin(1, 0)
		r.refused("maxSpendPerMonth", err)
		r.set(spendlimit.SpendingLimits{MaxSpendPerMonth: dollars(31 * 24)})
		r.let(r.begin(1, 0))
	})
}

func TestParallelUsesStayWithinLimit(t *testing.T) {
	each(t, func(r *rig) {
		most := int64(7)
		r.set(spendlimit.SpendingLimits{MaxSpendPerDay: dollars(100), MaxDeployments: &most})
		var let atomic.Int64
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() {
				if _, err := r.begin(15, time.Hour); err == nil {
					let.Add(1)
				}
			})
		}
		wg.Wait()
		if n := let.Load(); n != 6 {
			t.Errorf("%d of 50 were let begin, want 6 for 90 of 100 dollars", n)
		}
	})
}

// Whatever is begun, started late, ended early or left running, no day and no month of hours that
// really begin goes above its limit.
func TestNoDayExceedsItsLimit(t *testing.T) {
	each(t, func(r *rig) {
		rapid.Check(t, func(t *rapid.T) {
			r.key = r.ids.New(id.APIKey)
			day, month := rapid.Int64Range(1, 400).Draw(t, "a day"), rapid.Int64Range(1, 4000).Draw(t, "a month")
			if err := r.tx(func(ctx context.Context, tx *db.Tx) error {
				return spendlimit.Set(ctx, tx, r.key, spendlimit.SpendingLimits{MaxSpendPerDay: dollars(day),
					MaxSpendPerMonth: dollars(month)})
			}); err != nil {
				t.Fatal(err)
			}
			type life struct {
				spendlimit.Use
				begun bool
			}
			var all []*life
			for range rapid.IntRange(1, 15).Draw(t, "steps") {
				r.c.Advance(time.Duration(rapid.Int64Range(0, 20*3600).Draw(t, "pause")) * time.Second)
				u := spendlimit.Use{Subject: r.ids.New(id.Deployment),
					HourlyPrice: money.Dollars(rapid.Int64Range(1, 20).Draw(t, "price")), From: r.c.Now()}
				if hours := rapid.Int64Range(0, 60).Draw(t, "quarters"); hours > 0 {
					end := u.From.Add(time.Duration(hours) * 15 * time.Minute)
					u.Until = &end
				}
				err := r.tx(func(ctx context.Context, tx *db.Tx) error {
					_, err := spendlimit.Begin(ctx, tx, r.key,
						u)
					return err
				})
				if err == nil {
					l := &life{Use: u}
					all = append(all, l)
					late := u.From.Add(time.Duration(rapid.Int64Range(0, 900).Draw(t, "late")) * time.Second)
					if u.Until == nil || late.Before(*u.Until) {
						l.From, l.Started, l.begun = late, true, true
						if err := r.tx(func(ctx context.Context,
							tx *db.Tx) error {
							return spendlimit.Change(ctx, tx, "", l.Use)
						}); err != nil {
							t.Fatal(err)
						}
					}
				}
			}
			horizon := r.c.Now().AddDate(0, 2, 0)
			days, months := map[string]money.Micros{}, map[string]money.Micros{}
			for _, l := range all {
				for at := l.From; l.begun && at.Before(horizon) &&
					(l.Until == nil || at.Before(*l.Until)); at = at.Add(time.Hour) {
					days[at.UTC().Format(time.DateOnly)] += l.HourlyPrice
					months[at.UTC().Format("2006-01")] += l.HourlyPrice
				}
			}
			for which, spent := range days {
				if spent > money.Dollars(day) {
					t.Fatalf("%s on %s, of %d dollars", spent, which, day)
				}
			}
			for which, spent := range months {
				if spent > money.Dollars(month) {
					t.Fatalf("%s in %s, of %d dollars", spent, which, month)
				}
			}
		})
	})
}

func TestLimitedKeyRaisesOnlyItsOwnCost(t *testing.T) {
	each(t, func(r *rig) {
		r.set(spendlimit.SpendingLimits{MaxSpendPerDay: dollars(100)})
		mine, err := r.begin(1, 0)
		r.let(mine, err)
		reprice := func(key, subject id.ID, price int64) error {
			return r.tx(func(ctx context.Context, tx *db.Tx) error {
				return spendlimit.Reprice(ctx, tx, key, subject, money.Dollars(price))
			})
		}
		r.let("", reprice(r.key, mine, 4))
		r.refused("maxSpendPerDay", reprice(r.key, mine, 5))
		r.refused("", reprice(r.key, "vol_somebodyelse", 1))
		other := rig{t: r.t, d: r.d, c: r.c, ids: r.ids, key: r.ids.New(id.APIKey)}
		other.set(spendlimit.SpendingLimits{MaxSpendPerDay: dollars(100)})
		r.refused("", reprice(other.key, mine, 1))
		r.let("", reprice("", mine, 50)) // a user may
		if all, err := spendlimit.Of(t.Context(), r.d, []id.ID{r.key, "key_other"}); err != nil || len(all) != 1 ||
			*all[r.key].MaxSpendPerDay != money.Dollars(100) {
			t.Errorf("%v, %v", all, err)
		}
	})
}

func TestLeastAndLargestLimitsAreValid(t *testing.T) {
	for _, n := range []int64{0, 1_000_000} {
		amount := money.Dollars(1000 * n)
		l := spendlimit.SpendingLimits{
			MaxHourlyPrice: &amount, MaxSpendPerDay: &amount, MaxSpendPerMonth: &amount, MaxDeployments: &n,
		}
		if faults := l.Check("spendingLimits"); len(faults) > 0 {
			t.Errorf("Check of %d: %v", n, faults)
		}
	}
}

func TestInvalidLimitsAreRefused(t *testing.T) {
	minus, none := money.Micros(-1), int64(-1)
	faults := spendlimit.SpendingLimits{MaxHourlyPrice: &minus, MaxSpendPerDay: &minus, MaxDeployments: &none,
		GPUTypes: []string{"", " a"}}.Check("spendingLimits")
	var fields []string
	for _, f := range faults {
		fields = append(fields, f.Field)
	}
	slices.Sort(fields)
	if want := []string{"spendingLimits.gpuTypes[0]", "spendingLimits.gpuTypes[1]", "spendingLimits.maxDeployments",
		"spendingLimits.maxHourlyPrice", "spendingLimits.maxSpendPerDay"}; !slices.Equal(fields, want) {
		t.Errorf("%v, want %v", fields, want)
	}
}
