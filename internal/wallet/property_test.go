package wallet_test

import (
	"context"
	"errors"
	"flag"
	"slices"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/db/dbtest"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/wallet"
	"pgregory.net/rapid"
)

// checks limits how many cases rapid tries: each is dozens of commits on a disk. A number given on
// the command line wins.
func checks(t *testing.T, n string) {
	f := flag.Lookup("rapid.checks")
	if f.Value.String() != f.DefValue {
		return
	}
	if err := flag.Set("rapid.checks", n); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = flag.Set("rapid.checks", f.DefValue) })
}

// reference is what the ledger must say, kept in maps.
type reference struct {
	available, held money.Micros
	credits         map[string]money.Micros
	holds           map[id.ID]money.Micros // open ones
	everHeld        map[id.ID]bool
	charges         map[[2]any]money.Micros
	refunds         map[[2]any]money.Micros
	transactions    int
	since           time.Time // when the available money fell below zero
}

func newReference() *reference {
	return &reference{
		credits: map[string]money.Micros{}, holds: map[id.ID]money.Micros{}, everHeld: map[id.ID]bool{},
		charges: map[[2]any]money.Micros{}, refunds: map[[2]any]money.Micros{},
	}
}

func (m *reference) release(subject id.ID) {
	if amount, open := m.holds[subject]; open {
		m.held -= amount
		m.post(amount)
		delete(m.holds, subject)
	}
}

// post adds a transaction.
func (m *reference) post(amount money.Micros) {
	m.available += amount
	m.transactions++
}

// charge charges an hour, and reports whether it was not charged before.
func (m *reference) charge(c wallet.Charge) bool {
	key := [2]any{c.Subject, c.Hour}
	if _, before := m.charges[key]; before {
		return false
	}
	m.release(c.Subject)
	m.charges[key] = c.Amount
	m.post(-c.Amount)
	return true
}

// TestLedgerMatchesSimpleModel runs random operations, each any number of times,
// some of them rolled back and run again, against maps and additions.
func TestLedgerMatchesSimpleModel(t *testing.T) {
	checks(t, "60")
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		shared := newRig(t, d, c)
		rapid.Check(t, func(t *rapid.T) {
			r := *shared
			r.fataler = t
			x := &modelRun{r: &r, m: newReference(), account: r.account(0), subjects: rapid.SampledFrom([]id.ID{
				r.ids.New(id.Deployment), r.ids.New(id.Deployment), r.ids.New(id.Volume),
			})}
			t.Repeat(map[string]func(*rapid.T){
				"credit": x.credit, "hold": x.hold, "release": x.release, "charge": x.charge,
				"charge many": x.chargeMany, "refund": x.refund, "time passes": x.timePasses, "": x.check,
			})
			x.checkTransactions(t)
		})
		shared.audited()
		var sum money.Micros
		if err := d.QueryRow(t.Context(), `SELECT CAST(COALESCE(SUM(amount), 0) AS BIGINT) FROM wallet_entry`).Scan(
			&sum); err != nil || sum != 0 {
			t.Errorf("all entries sum to %s, %v; want 0", sum, err)
		}
	})
}

// modelRun runs operations on one account, on the ledger and on the reference.
type modelRun struct {
	r        *rig
	m        *reference
	account  id.ID
	subjects *rapid.Generator[id.ID]
}

var (
	amounts = rapid.Custom(func(t *rapid.T) money.Micros {
		return money.Micros(rapid.OneOf(rapid.Int64Range(0, 20),
			rapid.Int64Range(0, int64(wallet.MaxAmount))).Draw(t, "micros"))
	})
	hours = rapid.Int64Range(0, 2)
)

// often runs f in transactions of its own: first some that are lost, then at least one that is
// kept.
func (x *modelRun) often(t *rapid.T, f func(ctx context.Context, tx *db.Tx) error) {
	crashed := errors.New("crashed before the commit")
	for range rapid.IntRange(0, 1).Draw(t, "crashes") {
		err := x.r.db.InTx(x.r.Context(), func(ctx context.Context, tx *db.Tx) error {
			if err := f(ctx, tx); err != nil {
				return err
			}
			return crashed
		})
		if !errors.Is(err, crashed) {
			t.Fatal(err)
		}
	}
	for range rapid.IntRange(1, 3).Draw(t, "times") {
		x.r.tx(f)
	}
}

func (x *modelRun) credit(t *rapid.T) {
	key := rapid.StringMatching(`[a-d]`).Draw(t, "dedupe") + string(x.account)
	k := wallet.Credit{Account: x.account, Type: wallet.TypeAdjustment,
		Amount: amounts.Draw(t, "amount") + 1, Dedupe: key}
	if k.Amount > wallet.MaxAmount {
		k.Amount = -5
	}
	first, before := x.m.credits[key]
	if before && rapid.Bool().Draw(t, "repeats") {
		k.Amount = first
	}
	x.often(t, func(ctx context.Context, tx *db.Tx) error {
		_, err := x.r.ledger.Credit(ctx, tx, k)
		conflict := err != nil && apierr.CodeOf(err) == apierr.Conflict
		if differs := before && first != k.Amount; differs != conflict {
			t.Fatalf("a credit of %s under the key of one of %s: %v", k.Amount, first, err)
		} else if differs {
			return nil
		}
		return err
	})
	if !before {
		x.m.credits[key] = k.Amount
		x.m.post(k.Amount)
	}
}

func (x *modelRun) hold(t *rapid.T) {
	h := wallet.Hold{Account: x.account, Subject: x.subjects.Draw(t, "subject"),
		Amount: amounts.Draw(t, "amount"), Minimum: amounts.Draw(t, "minimum")}
	required, refused := max(h.Amount, h.Minimum), false
	x.often(t, func(ctx context.Context, tx *db.Tx) error {
		err := x.r.ledger.Hold(ctx, tx, h)
		if short, is := errors.AsType[*wallet.InsufficientError](err); is {
			if short.Available != x.m.available || short.Required != required {
				t.Fatalf("%+v with %s available", short, x.m.available)
			}
			refused, err = true, nil
		}
		return err
	})
	repeated := x.m.everHeld[h.Subject]
	if want := !repeated && required > x.m.available; refused != want {
		t.Fatalf("a hold of %s with %s available was refused: %t, want %t", h.Amount, x.m.available, refused, want)
	}
	if !refused && !repeated {
		x.m.everHeld[h.Subject], x.m.holds[h.Subject] = true, h.Amount
		x.m.held += h.Amount
		x.m.post(-h.Amount)
	}
}

func (x *modelRun) release(t *rapid.T) {
	s := x.subjects.Draw(t, "subject")
	x.often(t, func(ctx context.Context, tx *db.Tx) error {
		_, err := x.r.ledger.Release(ctx, tx, s)
		return err
	})
	x.m.release(s)
}

func (x *modelRun) charge(t *rapid.T) {
	k := hour(x.account, x.subjects.Draw(t, "subject"), hours.Draw(t, "hour"), amounts.Draw(t, "amount"))
	var w wallet.Wallet
	x.often(t, func(ctx context.Context, tx *db.Tx) (err error) {
		_, w, err = x.r.ledger.Charge(ctx, tx, k)
		return err
	})
	x.m.charge(k)
	if w.Available != x.m.available {
		t.Fatalf("Charge returns %s available, want %s", w.Available, x.m.available)
	}
}

// chargeMany charges hours at once, some of which were charged before, and some twice.
func (x *modelRun) chargeMany(t *rapid.T) {
	var all []wallet.Charge
	for range rapid.IntRange(1, 5).Draw(t, "charges") {
		all = append(all, hour(x.account, x.subjects.Draw(t, "subject"), rapid.Int64Range(0, 6).Draw(t, "hour"),
			money.Micros(rapid.Int64Range(0, 20).Draw(t, "amount"))))
	}
	var made []wallet.Charged
	x.often(t, func(ctx context.Context, tx *db.Tx) error {
		some, err := x.r.ledger.ChargeAll(ctx, tx, all)
		made = append(made, some...)
		return err
	})
	fresh := map[[2]any]bool{}
	for _, k := range all {
		if x.m.charge(k) {
			fresh[[2]any{k.Subject, k.Hour}] = true
		}
	}
	for _, c := range made {
		if !fresh[[2]any{c.Subject, c.Hour}] {
			t.Fatalf("ChargeAll returns %+v, which was charged before", c)
		}
	}
}

func (x *modelRun) refund(t *rapid.T) {
	k := hour(x.account, x.subjects.Draw(t, "subject"), hours.Draw(t, "hour"), 0)
	key := [2]any{k.Subject, k.Hour}
	amount := amounts.Draw(t, "amount")
	charged, was := x.m.charges[key]
	_, again := x.m.refunds[key]
	if was && rapid.Bool().Draw(t, "fits") {
		amount = money.Micros(rapid.Int64Range(0, int64(charged)).Draw(t, "part"))
	}
	if amount > 0 && !again && (!was || amount > charged) {
		if _, err := x.r.refund(back(k, amount)); err == nil {
			t.Fatalf("%s was refunded of %s (charged: %t)", amount, charged, was)
		}
		return
	}
	x.often(t, func(ctx context.Context, tx *db.Tx) error {
		_, err := x.r.ledger.Refund(ctx, tx, back(k, amount))
		return err
	})
	if amount > 0 && !again {
		x.m.refunds[key] = amount
		x.m.post(amount)
	}
}

func (x *modelRun) timePasses(t *rapid.T) {
	span := time.Duration(rapid.Int64Range(1, int64(48*time.Hour)).Draw(t, "span"))
	x.r.clock.Advance(span.Truncate(time.Microsecond))
}

// check compares the wallet with the reference, after each operation.
func (x *modelRun) check(t *rapid.T) {
	w, m := x.r.get(x.account), x.m
	switch {
	case m.available >= 0:
		m.since = time.Time{}
	case m.since.IsZero():
		m.since = x.r.clock.Now()
	}
	since := time.Time{}
	if w.NegativeSince != nil {
		since = *w.NegativeSince
	}
	if w.Available != m.available || w.Held != m.held || w.Balance != m.available+m.held || !since.Equal(m.since) {
		t.Fatalf("the wallet is %+v; want %s available, %s held, below zero since %s", w, m.available, m.held, m.since)
	}
}

// checkTransactions checks that the transactions add up, and that there are no others.
func (x *modelRun) checkTransactions(t *rapid.T) {
	sum, balance := money.Micros(0), money.Micros(0)
	all := x.r.lines(x.account, wallet.Filter{})
	for i, l := range slices.Backward(all) {
		sum += l.Amount
		if l.Type != wallet.TypeHold && l.Type != wallet.TypeRelease {
			balance += l.Amount
		}
		if l.AvailableAfter != sum || l.BalanceAfter != balance {
			t.Fatalf("transaction %d is %+v; want %s available of %s", i, l, sum, balance)
		}
	}
	if len(all) != x.m.transactions {
		t.Fatalf("%d transactions, want %d", len(all), x.m.transactions)
	}
}

// TestOrderNeverChangesBalance runs the same charges, credits and releases in two orders.
func TestOrderNeverChangesBalance(t *testing.T) {
	checks(t, "40")
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		shared := newRig(t, d, c)
		rapid.Check(t, func(t *rapid.T) {
			r := *shared
			r.fataler = t
			var order []int
			n := rapid.IntRange(1, 8).Draw(t, "hours")
			for i := range 3 * n {
				order = append(order, i)
			}
			run := func(order []int) wallet.Wallet {
				account := r.account(money.Dollars(10))
				dep := r.ids.New(id.Deployment)
				if err := r.hold(wallet.Hold{Account: account, Subject: dep, Amount: money.USD}); err != nil {
					t.Fatal(err)
				}
				for _, i := range order {
					switch i % 3 {
					case 0:
						r.charge(hour(account, dep, int64(i), money.Micros(i)*money.USD))
					case 1:
						r.release(dep)
					default:
						r.credit(wallet.Credit{Account: account, Type: wallet.TypeCredit, Amount: money.Micros(i),
							Dedupe: string(account) + string(rune('a'+i%5))})
					}
				}
				w := r.get(account)
				w.Account, w.NegativeSince = "", nil
				return w
			}
			// Credits that share a key must bring the same amount, or the order would rightly
			// count.
			for i := range order {
				if i%3 == 2 && i >= 15 {
					order[i] = i - 15
				}
			}
			one := run(order)
			if other := run(rapid.Permutation(order).Draw(t, "order")); other != one {
				t.Fatalf("%+v in order, %+v in %v", one, other, order)
			}
		})
		shared.audited()
	})
}
