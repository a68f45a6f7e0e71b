package wallet_test

import (
	"context"
	"errors"
	"flag"
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

// reference is what the books must say, told in maps.
type reference struct {
	available, held money.Micros
	credits         map[string]money.Micros
	holds           map[id.ID]money.Micros // open ones
	everHeld        map[id.ID]bool
	charges         map[[2]any]money.Micros
	refunds         map[[2]any]money.Micros
	lines           int
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
		m.available, m.held, m.lines = m.available+amount, m.held-amount, m.lines+1
		delete(m.holds, subject)
	}
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
			m := newReference()
			account := r.account(0)
			subjects := []id.ID{r.ids.New(id.Deployment), r.ids.New(id.Deployment), r.ids.New(id.Volume)}
			crashed := errors.New("crashed before the commit")
			// often runs f in transactions of its own: first some that are lost, then at least one
			// that is kept.
			often := func(f func(ctx context.Context, tx *db.Tx) error) {
				for range rapid.IntRange(0, 1).Draw(t, "crashes") {
					err := d.InTx(r.Context(), func(ctx context.Context, tx *db.Tx) error {
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
					r.tx(f)
				}
			}
			amounts := rapid.Custom(func(t *rapid.T) money.Micros {
				return money.Micros(rapid.OneOf(rapid.Int64Range(0, 20),
					rapid.Int64Range(0, int64(wallet.MaxAmount))).Draw(t, "micros"))
			})
			subject := rapid.SampledFrom(subjects)
			hours := rapid.Int64Range(0, 2)
			t.Repeat(map[string]func(*rapid.T){
				"credit": func(t *rapid.T) {
					key := rapid.StringMatching(`[a-d]`).Draw(t, "dedupe") + string(account)
					k := wallet.Credit{Account: account, Type: wallet.TypeAdjustment,
						Amount: amounts.Draw(t, "amount") + 1, Dedupe: key}
					if k.Amount > wallet.MaxAmount {
						k.Amount = -5
					}
					first, before := m.credits[key]
					if before && rapid.Bool().Draw(t, "repeats") {
						k.Amount = first
					}
					often(func(ctx context.Context, tx *db.Tx) error {
						_, err := r.ledger.Credit(ctx, tx, k)
						if differs := before && first != k.Amount; differs != (apierr.CodeOf(err) == apierr.Conflict &&
							err != nil) {
							t.Fatalf("a credit of %s under the key of one of %s: %v", k.Amount, first, err)
						} else if differs {
							return nil
						}
						return err
					})
					if !before {
						m.credits[key], m.available, m.lines = k.Amount, m.available+k.Amount, m.lines+1
					}
				},
				"hold": func(t *rapid.T) {
					h := wallet.Hold{Account: account, Subject: subject.Draw(t, "subject"),
						Amount: amounts.Draw(t, "amount"), Minimum: amounts.Draw(t, "minimum")}
					refused := false
					often(func(ctx context.Context, tx *db.Tx) error {
						err := r.ledger.Hold(ctx, tx, h)
						var short *wallet.InsufficientError
						if errors.As(err, &short) {
							if short.Available != m.available || short.Required != max(h.Amount, h.Minimum) {
								t.Fatalf("%+v with %s available", short, m.available)
							}
							refused, err = true, nil
						}
						return err
					})
					switch {
					case m.everHeld[h.Subject]:
						if refused {
							t.Fatal("a repetition was refused")
						}
					case max(h.Amount, h.Minimum) > m.available:
						if !refused {
							t.Fatalf("held %s with %s available", h.Amount, m.available)
						}
					case refused:
						t.Fatalf("refused %s with %s available", h.Amount, m.available)
					default:
						m.everHeld[h.Subject], m.holds[h.Subject] = true, h.Amount
						m.available, m.held, m.lines = m.available-h.Amount, m.held+h.Amount, m.lines+1
					}
				},
				"release": func(t *rapid.T) {
					s := subject.Draw(t, "subject")
					often(func(ctx context.Context, tx *db.Tx) error {
						_, err := r.ledger.Release(ctx, tx,
							s)
						return err
					})
					m.release(s)
				},
				"charge": func(t *rapid.T) {
					k := hour(account, subject.Draw(t, "subject"), hours.Draw(t, "hour"), amounts.Draw(t, "amount"))
					var w wallet.Wallet
					often(func(ctx context.Context, tx *db.Tx) (
						err error) {
						_, w, err = r.ledger.Charge(ctx, tx, k)
						return err
					})
					if _, before := m.charges[[2]any{k.Subject, k.Hour}]; !before {
						m.release(k.Subject)
						m.charges[[2]any{k.Subject, k.Hour}] = k.Amount
						m.available, m.lines = m.available-k.Amount, m.lines+1
					}
					if w.Available != m.available {
						t.Fatalf("told %s, is %s", w.Available, m.available)
					}
				},
				"charge many": func(t *rapid.T) { // some before, some twice
					var all []wallet.Charge
					for range rapid.IntRange(1, 5).Draw(t, "charges") {
						all = append(all, hour(account, subject.Draw(t, "subject"),
							rapid.Int64Range(0, 6).Draw(t, "hour"),
							money.Micros(rapid.Int64Range(0, 20).Draw(t, "amount"))))
					}
					var made []wallet.Charged
					often(func(ctx context.Context, tx *db.Tx) error {
						some, err := r.ledger.ChargeAll(ctx, tx, all)
						made = append(made, some...)
						return err
					})
					fresh := map[[2]any]bool{}
					for _, k := range all {
						key := [2]any{k.Subject, k.Hour}
						if _, before := m.charges[key]; !before {
							m.release(k.Subject)
							m.charges[key], fresh[key] = k.Amount, true
							m.available, m.lines = m.available-k.Amount, m.lines+1
						}
					}
					for _, c := range made {
						if !fresh[[2]any{c.Subject, c.Hour}] {
							t.Fatalf("told that %+v was made", c)
						}
					}
				},
				"refund": func(t *rapid.T) {
					k := hour(account, subject.Draw(t, "subject"), hours.Draw(t, "hour"), 0)
					key := [2]any{k.Subject, k.Hour}
					amount := amounts.Draw(t, "amount")
					charged, was := m.charges[key]
					_, again := m.refunds[key]
					if was && rapid.Bool().Draw(t, "fits") {
						amount = money.Micros(rapid.Int64Range(0, int64(charged)).Draw(t, "part"))
					}
					if amount == 0 || again || (was && amount <= charged) {
						often(func(ctx context.Context, tx *db.Tx) error {
							_, err := r.ledger.Refund(ctx, tx, back(k, amount))
							return err
						})
						if amount > 0 && !again {
							m.refunds[key], m.available, m.lines = amount, m.available+amount, m.lines+1
						}
					} else if _, err := r.refund(back(k, amount)); err == nil {
						t.Fatalf("%s refunded of %s (charged: %t)", amount, charged, was)
					}
				},
				"time passes": func(t *rapid.T) {
					c.Advance(time.Duration(rapid.Int64Range(1, int64(48*time.Hour)).Draw(t, "span")).Truncate(
						time.Microsecond))
				},
				"": func(t *rapid.T) {
					w := r.get(account)
					switch {
					case m.available >= 0:
						m.since = time.Time{}
					case m.since.IsZero():
						m.since = c.Now()
					}
					since := time.Time{}
					if w.NegativeSince != nil {
						since = *w.NegativeSince
					}
					if w.Available != m.available || w.Held != m.held || w.Balance != m.available+m.held ||
						!since.Equal(m.since) {
						t.Fatalf("the wallet is %+v, reckoned %s and %s, below zero since %s", w, m.available, m.held,
							m.since)
					}
				},
			})
			sum, balance := money.Micros(0), money.Micros(0)
			lines := r.lines(account, wallet.Filter{})
			for i := len(lines) - 1; i >= 0; i-- {
				l := lines[i]
				sum += l.Amount
				if l.Type != wallet.TypeHold && l.Type != wallet.TypeRelease {
					balance += l.Amount
				}
				if l.AvailableAfter != sum || l.BalanceAfter != balance {
					t.Fatalf("line %d: %+v, reckoned %s and %s", i, l, sum, balance)
				}
			}
			if len(lines) != m.lines {
				t.Fatalf("%d lines, reckoned %d", len(lines), m.lines)
			}
		})
		shared.audited()
		var sum money.Micros
		if err := d.QueryRow(t.Context(), `SELECT CAST(COALESCE(SUM(amount), 0) AS BIGINT) FROM wallet_entry`).Scan(
			&sum); err != nil || sum != 0 {
			t.Errorf("all entries sum to %s, %v", sum, err)
		}
	})
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
