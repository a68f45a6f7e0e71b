package spendlimit_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/spendlimit"
)

func TestLargestLimit(t *testing.T) {
	most := 1_000_000_000 * money.USD
	if f := (spendlimit.SpendingLimits{MaxSpendPerDay: &most}).Check("spendingLimits"); len(f) != 0 {
		t.Errorf("%v", f)
	}
	more := most + 1
	if f := (spendlimit.SpendingLimits{MaxSpendPerDay: &more}).Check("spendingLimits"); len(f) != 1 {
		t.Errorf("%v", f)
	}
}

// The refusal says what would help: an end where there is none, and something cheaper where there
// is one.
func TestRefusalSuggestsAFix(t *testing.T) {
	each(t, func(r *rig) {
		r.set(spendlimit.SpendingLimits{MaxSpendPerDay: dollars(10)})
		for length, want := range map[time.Duration]string{0: "set one", 5 * time.Hour: "Choose something cheaper"} {
			_, err := r.begin(5, length)
			if e, is := errors.AsType[*apierr.Error](err); !is || !strings.Contains(e.Message, want) {
				r.t.Errorf("%v, want %q", err, want)
			}
		}
	})
}

// What has started shortly before midnight, and ends shortly after it, costs nothing tomorrow, also
// when its price changes: its next hour never begins.
func TestStartedUseCountsFromItsFirstHour(t *testing.T) {
	each(t, func(r *rig) {
		r.set(spendlimit.SpendingLimits{MaxSpendPerDay: dollars(10)})
		r.c.AdvanceTo(time.Date(2031, 1, 30, 23, 45, 0, 0, time.UTC))
		start := func(price int64, length time.Duration) id.ID {
			subject, err := r.begin(price, length)
			r.let(subject, err)
			end := r.c.Now().Add(length)
			u := spendlimit.Use{Subject: subject, HourlyPrice: money.Dollars(price), From: r.c.Now(), Until: &end,
				Started: true}
			r.let(subject, r.tx(func(ctx context.Context,
				tx *db.Tx) error {
				return spendlimit.Change(ctx, tx, r.key, u)
			}))
			return subject
		}
		short := start(5, 35*time.Minute)
		start(4, 135*time.Minute) // two of its hours begin tomorrow
		r.let(short, r.tx(func(ctx context.Context, tx *db.Tx) error {
			return spendlimit.Reprice(ctx, tx, r.key, short, money.Dollars(6))
		}))
	})
}
