package wallet_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/db/dbtest"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/wallet"
)

func TestParallelHoldsSpendMoneyOnce(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		r := newRig(t, d, c)
		account := r.account(money.Dollars(7*3) + 2)
		errs := inParallel(100, func(int) error {
			return r.hold(wallet.Hold{Account: account, Subject: r.ids.New(id.Deployment), Amount: money.Dollars(3)})
		})
		held := 0
		for _, err := range errs {
			if err == nil {
				held++
			} else if _, is := errors.AsType[*wallet.InsufficientError](err); !is {
				t.Fatal(err)
			}
		}
		if w := r.get(account); held != 7 || w.Available != 2 || w.Held != money.Dollars(21) {
			t.Errorf("%d held: %+v", held, w)
		}
		r.audited()
	})
}

func TestParallelRepetitionsHappenOnce(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		r := newRig(t, d, c)
		account, dep := r.account(money.Dollars(100)), r.ids.New(id.Deployment)
		charge := hour(account, dep, 0, money.Dollars(10))
		var mu sync.Mutex
		made := map[string]int{}
		count := func(what string, did bool, err error) error {
			mu.Lock()
			defer mu.Unlock()
			if did {
				made[what]++
			}
			return err
		}
		for _, err := range inParallel(50, func(int) error {
			return r.hold(wallet.Hold{Account: account, Subject: dep, Amount: money.Dollars(10)})
		}) {
			if err != nil {
				t.Fatal(err)
			}
		}
		if w := r.get(account); w.Held != money.Dollars(10) {
			t.Fatalf("held: %+v", w)
		}
		for _, err := range inParallel(150, func(i int) error {
			did := false
			err := d.InTx(t.Context(), func(ctx context.Context, tx *db.Tx) (err error) {
				switch i % 3 {
				case 0:
					did, _, err = r.ledger.Charge(ctx, tx, charge)
				case 1:
					did, err = r.ledger.Release(ctx, tx, dep)
				default:
					did, err = r.ledger.Credit(ctx, tx, wallet.Credit{Account: account, Type: wallet.TypeTopUp,
						Amount: 5, Dedupe: "payment"})
				}
				return err
			})
			return count([]string{"charge", "release", "credit"}[i%3], did, err)
		}) {
			if err != nil {
				t.Fatal(err)
			}
		}
		if made["charge"] != 1 || made["release"] > 1 || made["credit"] != 1 {
			t.Errorf("made %v", made)
		}
		for _, err := range inParallel(50, func(int) error {
			did, err := r.refund(back(charge, money.Dollars(6)))
			return count("refund", did, err)
		}) {
			if err != nil {
				t.Fatal(err)
			}
		}
		if w := r.get(account); made["refund"] != 1 || w.Available != money.Dollars(96)+5 || w.Held != 0 {
			t.Errorf("made %v: %+v", made, w)
		}
		r.audited()
	})
}

func TestParallelBatchesOverTheSameWallets(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		r := newRig(t, d, c)
		var accounts []id.ID
		for range 12 {
			accounts = append(accounts, r.account(money.Dollars(1000)))
		}
		for _, err := range inParallel(24, func(n int) error {
			var charges []wallet.Charge
			for i := range accounts { // each starts elsewhere, so that the wallets come in unlike orders
				at := (i*5 + n) % len(accounts)
				charges = append(charges, hour(accounts[at], id.ID(fmt.Sprintf("dep_%d_%d", (i+n)%7, at)),
					int64(i*24+n), money.USD))
			}
			return d.InTx(t.Context(), func(ctx context.Context, tx *db.Tx) error {
				_, err := r.ledger.ChargeAll(ctx, tx, charges)
				return err
			})
		}) {
			if err != nil {
				t.Fatal(err)
			}
		}
		for _, a := range accounts {
			if w := r.get(a); w.Available != money.Dollars(1000-24) {
				t.Errorf("%+v", w)
			}
		}
		r.audited()
	})
}

// inParallel runs f n times at once and returns what each came to.
func inParallel(n int, f func(i int) error) []error {
	errs := make([]error, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { errs[i] = f(i) })
	}
	wg.Wait()
	return errs
}

// What is described again while it is charged takes exactly what it spent along.
func TestParallelChargesAndDescriptionsAddUp(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		r := newRig(t, d, c)
		account := r.account(money.Dollars(1))
		subjects := []id.ID{r.ids.New(id.Deployment), r.ids.New(id.Deployment)}
		for _, err := range inParallel(40, func(i int) error {
			return d.InTx(t.Context(), func(ctx context.Context, tx *db.Tx) error {
				if i%2 == 0 {
					_, err := r.ledger.ChargeAll(ctx, tx, []wallet.Charge{
						hour(account, subjects[0], int64(i), 3), hour(account, subjects[1], int64(i), 5),
					})
					return err
				}
				all := []wallet.Subject{
					{ID: subjects[0], Account: account, Project: fmt.Sprint("p", i%3), Tags: []string{"a"}},
					{ID: subjects[1], Account: account, Tags: []string{fmt.Sprint("t", i%3)}},
				}
				return r.ledger.Describe(ctx, tx, all...)
			})
		}) {
			if err != nil {
				t.Fatal(err)
			}
		}
		r.audited()
		all, err := wallet.Spending(t.Context(), d, []id.ID{account}, c.Now(), c.Now(),
			wallet.Ever{Accounts: []id.ID{account}, Project: true, Tags: true})
		if err != nil {
			t.Fatal(err)
		}
		sum, kinds := money.Micros(0), 0
		for _, s := range all {
			if s.Ever && s.Amount != 0 {
				sum, kinds = sum+s.Amount, kinds+1
			}
		}
		if sum != 20*8 || kinds != 2 {
			t.Errorf("%d kinds spent %s, want 2 and %s: %+v", kinds, sum, money.Micros(20*8), all)
		}
	})
}
