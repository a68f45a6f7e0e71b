package credit_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/credit"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/db/dbtest"
	"github.com/billetcloud/billet/internal/enginetest"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/wallet"
)

const day = 24 * time.Hour

func TestSoonestExpiryIsSpentFirst(t *testing.T) {
	t.Parallel()
	onEngines(t, func(w *world) {
		account := w.NewAccount(money.Dollars(100))
		late := w.give(account, money.Dollars(10), 30*day)
		soon := w.give(account, money.Dollars(10), 10*day)
		w.charge(account, money.Dollars(4))
		w.want(account, soon, credit.Active, money.Dollars(6))
		w.want(account, late, credit.Active, money.Dollars(10))
		last := w.charge(account, money.Dollars(9))
		w.want(account, soon, credit.Used, 0)
		w.want(account, late, credit.Active, money.Dollars(7))
		w.refund(account, last, money.Dollars(5))
		w.want(account, soon, credit.Active, money.Dollars(2))
		w.want(account, late, credit.Active, money.Dollars(10))
		w.Pass(11 * day)
		w.want(account, soon, credit.Expired, 0)
		w.wantAvailable(account, money.Dollars(110))
		w.CheckLedger()
	})
}

func TestExpiryIsOnTheStatementAndToldOnce(t *testing.T) {
	t.Parallel()
	onEngines(t, func(w *world) {
		account := w.NewAccount(0)
		c := w.give(account, money.Dollars(10), 20*day)
		w.charge(account, money.Dollars(3))
		w.Pass(12 * day)
		if got := w.EventTypes(account, c.ID); len(got) != 0 {
			t.Fatalf("events %v before the last week", got)
		}
		w.Pass(2 * day)
		w.Pass(7 * day)
		if got := w.EventTypes(account, c.ID); !slices.Equal(got, []string{"credit_expiring", "credit_expired"}) {
			t.Fatalf("events %v", got)
		}
		w.wantAvailable(account, 0)
		all, _, err := w.Wallet.Transactions(w.Context(), w.DB, account, wallet.Filter{}, enginetest.FirstPage)
		w.Must(err)
		got := all[0]
		if got.Type != wallet.TypeAdjustment || got.Amount != -money.Dollars(7) ||
			got.Description != "Expired credit: Sorry" {
			t.Errorf("the newest transaction is %s of %s, %q", got.Type, got.Amount, got.Description)
		}
		w.Pass(day)
		w.wantAvailable(account, 0)
	})
}

// A credit that was given in the last week before its expiry is not told of, nor one that is used.
func TestOnlyWhatIsLeftIsToldOf(t *testing.T) {
	t.Parallel()
	onEngines(t, func(w *world) {
		account := w.NewAccount(0)
		short := w.give(account, money.Dollars(1), 3*day)
		w.Pass(4 * day)
		if got := w.EventTypes(account, short.ID); !slices.Equal(got, []string{"credit_expired"}) {
			t.Errorf("events %v of a short credit", got)
		}
		used := w.give(account, money.Dollars(1), 30*day)
		w.charge(account, money.Dollars(1))
		w.Pass(31 * day)
		if got := w.EventTypes(account, used.ID); len(got) != 0 {
			t.Errorf("events %v of a used credit", got)
		}
		w.want(account, used, credit.Used, 0)
	})
}

// Money on hold counts as spent. What is released soon after the expiry is taken then.
func TestMoneyOnHoldExpiresOnceItIsReleased(t *testing.T) {
	t.Parallel()
	onEngines(t, func(w *world) {
		account := w.NewAccount(money.Dollars(5))
		c := w.give(account, money.Dollars(10), 10*day)
		held := w.hold(account, money.Dollars(6))
		w.want(account, c, credit.Active, money.Dollars(4))
		w.Pass(11 * day)
		w.wantAvailable(account, money.Dollars(5))
		w.release(held)
		w.want(account, c, credit.Expired, money.Dollars(6))
		w.wantAvailable(account, money.Dollars(11))
		w.Pass(day)
		w.want(account, c, credit.Expired, 0)
		w.wantAvailable(account, money.Dollars(5))
		if got := w.list(account, "")[0].ExpiredAmount; got != money.Dollars(10) {
			t.Errorf("%s expired, want all", got)
		}
		want := []string{"credit_expiring", "credit_expired", "credit_expired"}
		if got := w.EventTypes(account, c.ID); !slices.Equal(got, want) {
			t.Errorf("events %v", got)
		}
		w.CheckLedger()
	})
}

// What returns to a credit long after its expiry, such as an hour that is refunded, is spent first
// and does not expire.
func TestWhatReturnsLateStays(t *testing.T) {
	t.Parallel()
	onEngines(t, func(w *world) {
		account := w.NewAccount(money.Dollars(5))
		c := w.give(account, money.Dollars(10), 10*day)
		hour := w.charge(account, money.Dollars(6))
		w.Pass(20 * day)
		w.refund(account, hour, money.Dollars(6))
		w.want(account, c, credit.Expired, money.Dollars(6))
		w.Pass(300 * day)
		w.wantAvailable(account, money.Dollars(11))
		w.charge(account, money.Dollars(7))
		w.want(account, c, credit.Expired, 0)
	})
}

// An expiry never leaves a debt: what a correction took is missing from the credit.
func TestExpiryLeavesNoDebt(t *testing.T) {
	t.Parallel()
	onEngines(t, func(w *world) {
		account := w.NewAccount(money.Dollars(20))
		c := w.give(account, money.Dollars(10), 10*day)
		w.charge(account, money.Dollars(5))
		w.Credit(account, -money.Dollars(22), "dispute") // 3 of 5 are left
		w.want(account, c, credit.Active, money.Dollars(3))
		w.Pass(11 * day)
		w.wantAvailable(account, 0)
		w.Pass(60 * day)
		w.Credit(account, money.Dollars(22), "won")
		w.want(account, c, credit.Expired, money.Dollars(2))
		w.Pass(day)
		w.want(account, c, credit.Expired, 0)
		w.wantAvailable(account, money.Dollars(20))
	})
}

func TestCreditPaysADebtFirst(t *testing.T) {
	t.Parallel()
	onEngines(t, func(w *world) {
		account := w.NewAccount(money.Dollars(5))
		hour := w.charge(account, money.Dollars(25))
		c := w.give(account, money.Dollars(30), 10*day)
		w.want(account, c, credit.Active, money.Dollars(10))
		w.Credit(account, money.Dollars(50), "paid")
		w.want(account, c, credit.Active, money.Dollars(10))
		w.refund(account, hour, money.Dollars(22)) // 20 were paid with the credit
		w.want(account, c, credit.Active, money.Dollars(30))
		w.Pass(11 * day)
		w.wantAvailable(account, money.Dollars(52))
	})
}

func TestReferenceGivesOneCredit(t *testing.T) {
	t.Parallel()
	onEngines(t, func(w *world) {
		account := w.NewAccount(0)
		at := w.Clock.Now().Add(day)
		g := credit.Grant{
			Account: account, Amount: money.Dollars(1), Source: credit.BySignUp, Note: "n", Reference: "r",
		}
		give := func(g credit.Grant) (c credit.Credit, made bool, err error) {
			err = w.Tx(func(ctx context.Context, tx *db.Tx) (err error) {
				c, made, err = w.svc.Give(ctx, tx, g)
				return err
			})
			return c, made, err
		}
		g.ExpiresAt = &at
		first, made, err := give(g)
		if err != nil || !made {
			t.Fatal(made, err)
		}
		again, made, err := give(g)
		if err != nil || made || again.ID != first.ID || *again.Remaining != money.Dollars(1) {
			t.Fatal(again, made, err)
		}
		other := g
		other.ExpiresAt = nil
		_, _, err = give(other)
		enginetest.WantError(t, err, apierr.Conflict, "another expiry")
		other = g
		other.Amount++
		_, _, err = give(other)
		enginetest.WantError(t, err, apierr.Conflict)
		other.Reference, other.ExpiresAt = "past", new(w.Clock.Now())
		_, _, err = give(other)
		enginetest.WantError(t, err, apierr.InvalidRequest)
		w.wantAvailable(account, money.Dollars(1))
	})
}

func TestCreditsThatExpireAreBounded(t *testing.T) {
	t.Parallel()
	d := dbtest.SQLite(t, clock.NewFrozen(dbtest.Start))
	w := newWorld(t, d, clock.NewFrozen(dbtest.Start))
	account := w.NewAccount(0)
	for range credit.MaxOpen {
		w.give(account, 1, day)
	}
	err := w.Tx(func(ctx context.Context, tx *db.Tx) error {
		_, _, err := w.svc.Give(ctx, tx, credit.Grant{
			Account: account, Amount: 1, Note: "n", Reference: "x", ExpiresAt: new(tx.Now.Add(day)),
		})
		return err
	})
	enginetest.WantError(t, err, apierr.LimitReached)
	w.give(account, 1, 0)
	w.wantAvailable(account, credit.MaxOpen+1)
}

// Runs at once, and runs again after a crash that lost the answer, take the money once.
func TestParallelRunsExpireOnce(t *testing.T) {
	t.Parallel()
	onEngines(t, func(w *world) {
		account := w.NewAccount(money.Dollars(50))
		c := w.give(account, money.Dollars(10), day)
		w.Clock.Advance(day)
		errLost := errors.New("the process was killed")
		killed := db.WithGuard(t.Context(), func(context.Context, *db.Tx) error { return errLost })
		if _, err := w.svc.Expire(killed, c.ID); !errors.Is(err, errLost) {
			t.Fatalf("the killed run returned %v", err)
		}
		w.wantAvailable(account, money.Dollars(60))
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() {
				if _, err := w.svc.Expire(t.Context(), c.ID); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		w.wantAvailable(account, money.Dollars(50))
		if got := w.EventTypes(account, c.ID); !slices.Equal(got, []string{"credit_expired"}) {
			t.Errorf("events %v", got)
		}
	})
}

// A charge at the same time as the expiry is paid with one of both: the credit or other money.
func TestParallelChargesAndExpiryAddUp(t *testing.T) {
	t.Parallel()
	onEngines(t, func(w *world) {
		account := w.NewAccount(money.Dollars(50))
		c := w.give(account, money.Dollars(10), day)
		w.Clock.Advance(day)
		var all sync.WaitGroup
		for range 6 {
			all.Go(func() { w.charge(account, money.Dollars(1)) })
		}
		all.Go(func() {
			if _, err := w.svc.Expire(t.Context(), c.ID); err != nil {
				t.Error(err)
			}
		})
		all.Wait()
		got := w.list(account, "")[0]
		w.wantAvailable(account, money.Dollars(54)-got.ExpiredAmount)
		if got.ExpiredAmount < money.Dollars(4) || got.ExpiredAmount > money.Dollars(10) {
			t.Errorf("%s expired", got.ExpiredAmount)
		}
		w.CheckLedger()
	})
}

func TestNoFailedStatementIsIgnored(t *testing.T) {
	t.Parallel()
	c := clock.NewFrozen(dbtest.Start)
	d, faults := dbtest.Recorded(t, db.SQLite, c)
	w := newWorld(t, d, c)
	account := w.NewAccount(0)
	w.give(account, money.Dollars(2), 30*day)
	faults.FailEachTx(t, "Give", d, func(ctx context.Context, tx *db.Tx) error {
		_, _, err := w.svc.Give(ctx, tx, credit.Grant{
			Account: account, Amount: 1, Note: "n", Reference: string(w.IDs.New(id.Request)),
			ExpiresAt: new(tx.Now.Add(20 * day)),
		})
		return err
	})
	one := w.give(account, money.Dollars(2), 30*day)
	faults.FailEach(t, "Remind", func() error { _, err := w.svc.Remind(t.Context(), one.ID); return err })
	faults.FailEach(t, "List", func() error {
		_, _, err := w.svc.List(t.Context(), d, account, credit.Active, enginetest.FirstPage)
		return err
	})
	faults.FailEach(t, "Sum", func() error { _, err := w.svc.Sum(t.Context(), d, account); return err })
	faults.FailEach(t, "Reserved", func() error {
		_, _, err := w.svc.Reserved(t.Context(), d, account, c.Now())
		return err
	})
	c.Advance(30 * day)
	faults.FailEach(t, "Expire", func() error { _, err := w.svc.Expire(t.Context(), one.ID); return err })
	w.want(account, one, credit.Expired, 0)
}
