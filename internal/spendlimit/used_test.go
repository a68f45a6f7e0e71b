package spendlimit_test

import (
	"context"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/spendlimit"
)

// What is told of a key's use is what its limits count.
func TestUsedMatchesLimits(t *testing.T) {
	each(t, func(r *rig) {
		r.set(spendlimit.SpendingLimits{MaxSpendPerDay: dollars(1000)})
		used := func() spendlimit.Spent {
			t.Helper()
			s, err := spendlimit.Used(t.Context(), r.d, r.key, r.c.Now())
			if err != nil {
				t.Fatal(err)
			}
			return s
		}
		if got := used(); got != (spendlimit.Spent{}) {
			t.Errorf("%+v", got)
		}
		a, err := r.begin(10, 3*time.Hour)
		r.let(a, err)
		r.let(r.begin(1, 24*time.Hour)) // 14 of its hours may begin today
		want := spendlimit.Spent{CommittedToday: money.Dollars(30 + 14), CommittedThisMonth: money.Dollars(30 + 24),
			Deployments: 2}
		if got := used(); got != want {
			t.Errorf("%+v, want %+v", got, want)
		}
		// it never ran
		if err := r.tx(func(ctx context.Context, tx *db.Tx) error {
			return spendlimit.End(ctx, tx, a,
				nil)
		}); err != nil {
			t.Fatal(err)
		}
		r.c.Advance(16 * time.Hour) // tomorrow, 2 o'clock
		want = spendlimit.Spent{CommittedToday: money.Dollars(10), CommittedThisMonth: money.Dollars(24),
			Deployments: 1}
		if got := used(); got != want {
			t.Errorf("on the next day %+v, want %+v", got, want)
		}
	})
}

func TestUsed_HoursOfTheNextMonth(t *testing.T) {
	each(t, func(r *rig) {
		r.set(spendlimit.SpendingLimits{MaxSpendPerDay: dollars(1000)})
		r.c.Advance(24 * time.Hour) // the last of the month
		r.let(r.begin(1, 40*time.Hour))
		want := spendlimit.Spent{
			CommittedToday: money.Dollars(14), CommittedThisMonth: money.Dollars(14), Deployments: 1,
		}
		if got, err := spendlimit.Used(t.Context(), r.d, r.key, r.c.Now()); got != want || err != nil {
			t.Errorf("Used = %+v, %v, want %+v", got, err, want)
		}
	})
}
