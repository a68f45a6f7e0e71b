package wallet_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/db/dbtest"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/wallet"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// fataler is what rig needs of a test: a *testing.T or a *rapid.T.
type fataler interface {
	Helper()
	Fatal(args ...any)
	Fatalf(format string, args ...any)
	Context() context.Context
}

type rig struct {
	fataler
	db     *db.DB
	clock  *clock.Simulated
	ids    *id.Maker
	ledger *wallet.Ledger
}

func newRig(t testing.TB, d *db.DB, c *clock.Simulated) *rig {
	ids := id.NewMaker(c, rand.Reader)
	return &rig{fataler: t, db: d, clock: c, ids: ids, ledger: wallet.New(wallet.Config{DB: d, IDs: ids})}
}

func (r *rig) tx(f func(ctx context.Context, tx *db.Tx) error) {
	r.Helper()
	if err := r.db.InTx(r.Context(), f); err != nil {
		r.Fatal(err)
	}
}

// account opens a wallet with that much money.
func (r *rig) account(amount money.Micros) id.ID {
	r.Helper()
	account := r.ids.New(id.Account)
	r.tx(func(ctx context.Context, tx *db.Tx) error { return r.ledger.Open(ctx, tx, account) })
	if amount != 0 {
		r.credit(wallet.Credit{Account: account, Type: wallet.TypeTopUp, Amount: amount,
			Dedupe: "first/" + string(account)})
	}
	return account
}

func (r *rig) credit(c wallet.Credit) (made bool) {
	r.Helper()
	r.tx(func(ctx context.Context, tx *db.Tx) (err error) {
		made, err = r.ledger.Credit(ctx, tx, c)
		return err
	})
	return made
}

func (r *rig) hold(h wallet.Hold) error {
	return r.db.InTx(r.Context(), func(ctx context.Context, tx *db.Tx) error { return r.ledger.Hold(ctx, tx, h) })
}

func (r *rig) release(subject id.ID) (released bool) {
	r.Helper()
	r.tx(func(ctx context.Context, tx *db.Tx) (err error) {
		released, err = r.ledger.Release(ctx, tx, subject)
		return err
	})
	return released
}

func (r *rig) charge(c wallet.Charge) (made bool, w wallet.Wallet) {
	r.Helper()
	r.tx(func(ctx context.Context, tx *db.Tx) (err error) {
		made, w, err = r.ledger.Charge(ctx, tx, c)
		return err
	})
	return made, w
}

func (r *rig) refund(f wallet.Refund) (made bool, err error) {
	err = r.db.InTx(r.Context(), func(ctx context.Context, tx *db.Tx) (err error) {
		made, err = r.ledger.Refund(ctx, tx, f)
		return err
	})
	return made, err
}

func (r *rig) get(account id.ID) wallet.Wallet {
	r.Helper()
	w, err := r.ledger.Get(r.Context(), r.db, account)
	if err != nil {
		r.Fatal(err)
	}
	return w
}

func (r *rig) lines(account id.ID, f wallet.Filter) []wallet.Transaction {
	r.Helper()
	var found []wallet.Transaction
	err := r.ledger.Export(r.Context(), r.db, account, f, func(t wallet.Transaction) error {
		found = append(found, t)
		return nil
	})
	if err != nil {
		r.Fatal(err)
	}
	return found
}

// audited fails when the books disagree.
func (r *rig) audited() {
	r.Helper()
	faults, err := r.ledger.Audit(r.Context())
	if err != nil {
		r.Fatal(err)
	}
	if len(faults) > 0 {
		r.Fatal(strings.Join(faults, "\n"))
	}
}

// hour is a charge for the n-th hour of a subject that started with the tests' clock.
func hour(account, subject id.ID, n int64, amount money.Micros) wallet.Charge {
	from := dbtest.Start.Add(time.Duration(n) * time.Hour)
	return wallet.Charge{
		Account: account, Subject: subject, Hour: n, Amount: amount, HourlyPrice: amount, From: from,
		To: from.Add(time.Hour), Description: fmt.Sprintf("hour %d", n+1),
		Labels: wallet.Labels{Provider: "voltage-park", Region: "dallas-usa-5", GPUType: "NVIDIA B200", Name: "run"},
	}
}

// back is the refund of a part of a charge.
func back(c wallet.Charge, amount money.Micros) wallet.Refund {
	return wallet.Refund{
		Account: c.Account, Subject: c.Subject, Hour: c.Hour, Amount: amount, HourlyPrice: c.HourlyPrice,
		From: c.From.Add(time.Minute), To: c.To, Description: "unused", Labels: c.Labels,
	}
}

func TestWalletFollowsItsTransactions(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		r := newRig(t, d, c)
		account, dep := r.account(money.Dollars(100)), r.ids.New(id.Deployment)
		if err := r.hold(wallet.Hold{Account: account, Subject: dep, Amount: money.Dollars(30),
			Minimum: money.Dollars(50), Description: "the first hour"}); err != nil {
			t.Fatal(err)
		}
		want := wallet.Wallet{Account: account, Balance: money.Dollars(100), Held: money.Dollars(30),
			Available: money.Dollars(70)}
		if diff := cmp.Diff(want, r.get(account)); diff != "" {
			t.Fatalf("wallet after the hold (-want +got):\n%s", diff)
		}
		first := hour(account, dep, 0, money.Dollars(29))
		made, got := r.charge(first)
		want = wallet.Wallet{Account: account, Balance: money.Dollars(71), Available: money.Dollars(71)}
		if diff := cmp.Diff(want, got); diff != "" || !made {
			t.Fatalf("wallet after the charge, made: %t (-want +got):\n%s", made, diff)
		}
		if made, err := r.refund(back(first, money.Dollars(9))); !made || err != nil {
			t.Fatalf("Refund = %t, %v", made, err)
		}
		if made := r.credit(wallet.Credit{Account: account, Type: wallet.TypeAdjustment, Amount: -money.Dollars(5),
			Description: "Correction", Dedupe: "fix"}); !made {
			t.Fatal("Credit = false")
		}
		r.checkTransactions(account, dep, first)
		r.audited()
	})
}

// checkTransactions checks the transactions of TestWalletFollowsItsTransactions.
func (r *rig) checkTransactions(account, dep id.ID, first wallet.Charge) {
	r.Helper()
	posted := func(kind wallet.Type, amount, balance, available int64) wallet.Transaction {
		return wallet.Transaction{Type: kind, Amount: money.Dollars(amount), BalanceAfter: money.Dollars(balance),
			AvailableAfter: money.Dollars(available), CreatedAt: dbtest.Start}
	}
	billed := func(t wallet.Transaction, description string, from time.Time) wallet.Transaction {
		t.Description, t.DeploymentID, t.HourlyPrice = description, &dep, &first.HourlyPrice
		t.From, t.To, t.Provider, t.Region, t.GPUType = &from, &first.To, &first.Provider, &first.Region, &first.GPUType
		return t
	}
	named := func(t wallet.Transaction, description string, deployment *id.ID) wallet.Transaction {
		t.Description, t.DeploymentID = description, deployment
		return t
	}
	want := []wallet.Transaction{
		named(posted(wallet.TypeAdjustment, -5, 75, 75), "Correction", nil),
		billed(posted(wallet.TypeRefund, 9, 80, 80), "unused", first.From.Add(time.Minute)),
		billed(posted(wallet.TypeCharge, -29, 71, 71), "hour 1", first.From),
		named(posted(wallet.TypeRelease, 30, 100, 100), "Released: the first hour", &dep),
		named(posted(wallet.TypeHold, -30, 100, 70), "the first hour", &dep),
		posted(wallet.TypeTopUp, 100, 100, 100),
	}
	got := r.lines(account, wallet.Filter{})
	if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(wallet.Transaction{}, "ID")); diff != "" {
		r.Fatalf("transactions (-want +got):\n%s", diff)
	}
}

func TestEverythingHappensOnce(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		r := newRig(t, d, c)
		account, dep := r.account(money.Dollars(100)), r.ids.New(id.Deployment)
		other := r.account(0)
		charge := hour(account, dep, 0, money.Dollars(10))
		type step struct {
			name string
			do   func() bool
		}
		for _, s := range []step{
			{"credit", func() bool {
				return r.credit(wallet.Credit{Account: account, Type: wallet.TypeCredit, Amount: 7, Dedupe: "gift"})
			}},
			{"open", func() bool {
				r.tx(func(ctx context.Context, tx *db.Tx) error { return r.ledger.Open(ctx, tx, other) })
				return true
			}},
			{"hold", func() bool {
				return r.hold(wallet.Hold{Account: account, Subject: dep, Amount: money.Dollars(10)}) == nil
			}},
			{"charge", func() bool { made, _ := r.charge(charge); return made }},
			{"refund", func() bool { made, _ := r.refund(back(charge, money.Dollars(4))); return made }},
		} {
			if !s.do() {
				t.Fatalf("%s was refused", s.name)
			}
			before := r.get(account)
			again := s.do()
			if after := r.get(account); after != before || (again && s.name != "hold" && s.name != "open") {
				t.Errorf("%s again: told %t, %+v became %+v", s.name, again, before, after)
			}
		}
		for _, c := range []wallet.Credit{
			{Account: other, Type: wallet.TypeCredit, Amount: 7, Dedupe: "gift"},
			{Account: account, Type: wallet.TypeCredit, Amount: 8, Dedupe: "gift"},
		} {
			before := [2]wallet.Wallet{r.get(account), r.get(other)}
			err := r.db.InTx(r.Context(), func(ctx context.Context,
				tx *db.Tx) error {
				_, err := r.ledger.Credit(ctx, tx, c)
				return err
			})
			if apierr.CodeOf(err) != apierr.Conflict || [2]wallet.Wallet{r.get(account), r.get(other)} != before {
				t.Errorf("a reference was used for two credits: %v", err)
			}
		}
		if r.release(dep) {
			t.Error("a captured hold was released")
		}
		if err := r.hold(wallet.Hold{Account: account, Subject: dep, Amount: money.Dollars(1000)}); err != nil {
			t.Errorf("holding for a settled subject again: %v, want nothing", err)
		}
		if n := len(r.lines(account, wallet.Filter{})); n != 6 {
			t.Errorf("%d lines", n)
		}
		r.audited()
	})
}

func TestHoldNeedsAvailableMoney(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		r := newRig(t, d, c)
		for _, k := range []struct {
			has, amount, minimum money.Micros
			required             money.Micros // 0: it is enough
		}{
			{50, 50, 0, 0}, {49, 50, 0, 50}, {50, 1, 50, 0}, {49, 1, 50, 50}, {-1, 0, 0, 0}, {0, 0, 0, 0},
			{60, 61, 50, 61},
		} {
			account, subject := r.account(0), r.ids.New(id.Volume)
			if k.has != 0 {
				r.credit(wallet.Credit{Account: account, Type: wallet.TypeAdjustment, Amount: k.has,
					Dedupe: string(account)})
			}
			short := k.required > 0 || k.has < 0
			var told *wallet.InsufficientError
			// The refusal is swallowed: nothing of it may be committed.
			r.tx(func(ctx context.Context, tx *db.Tx) error {
				if err := r.ledger.Hold(ctx, tx, wallet.Hold{Account: account, Subject: subject, Amount: k.amount,
					Minimum: k.minimum}); err != nil && !errors.As(err, &told) {
					return err
				}
				return nil
			})
			if (told != nil) != short || (short && (told.Available != k.has || told.Required != k.required)) {
				t.Errorf("%+v: refused %+v", k, told)
			}
			if short && r.release(subject) {
				t.Errorf("%+v: a refused hold was released", k)
			}
			if short {
				r.credit(wallet.Credit{Account: account, Type: wallet.TypeTopUp, Amount: 1000,
					Dedupe: "more/" + string(account)})
				if err := r.hold(wallet.Hold{Account: account, Subject: subject, Amount: k.amount,
					Minimum: k.minimum}); err != nil {
					t.Errorf("%+v: with the money there: %v", k, err)
				}
			}
			if !r.release(subject) || r.release(subject) {
				t.Errorf("%+v: released other than once", k)
			}
		}
		if err := r.hold(wallet.Hold{Account: "acc_none", Subject: "dep_1", Amount: 1}); !errors.Is(err,
			wallet.ErrNoWallet) {
			t.Errorf("without a wallet: %v", err)
		}
		r.audited()
	})
}

func TestDebtIsRecordedWithItsTime(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		r := newRig(t, d, c)
		account, dep := r.account(10), r.ids.New(id.Deployment)
		if made, w := r.charge(hour(account, dep, 0, 10)); !made || w.NegativeSince != nil {
			t.Fatalf("at exactly zero: %+v", w)
		}
		since := c.Now()
		if made, w := r.charge(hour(account, dep, 1, 15)); !made || w.Available != -15 || w.NegativeSince == nil ||
			!w.NegativeSince.Equal(since) {
			t.Fatalf("below zero: %+v", w)
		}
		c.Advance(time.Hour)
		if _, w := r.charge(hour(account, dep, 2, 15)); w.NegativeSince == nil || !w.NegativeSince.Equal(since) {
			t.Fatalf("further below zero: %+v", w)
		}
		r.credit(wallet.Credit{Account: account, Type: wallet.TypeTopUp, Amount: 30, Dedupe: "paid"})
		if w := r.get(account); w.Available != 0 || w.NegativeSince != nil {
			t.Fatalf("at zero again: %+v", w)
		}
		r.audited()
	})
}

func TestRefundNeverExceedsCharge(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		r := newRig(t, d, c)
		account, other, dep := r.account(100), r.account(100), r.ids.New(id.Deployment)
		charge := hour(account, dep, 3, 50)
		r.charge(charge)
		if _, err := r.refund(back(charge, 51)); err == nil {
			t.Error("more than the charge was refunded")
		}
		if _, err := r.refund(back(hour(account, dep, 4, 50), 1)); err == nil {
			t.Error("an hour without a charge was refunded")
		}
		if _, err := r.refund(back(hour(other, dep, 3, 50), 1)); err == nil {
			t.Error("another account got the refund")
		}
		if made, err := r.refund(back(charge, 0)); made || err != nil {
			t.Errorf("nothing to refund: %t %v", made, err)
		}
		if made, err := r.refund(back(charge, 50)); !made || err != nil {
			t.Errorf("the whole charge: %t %v", made, err)
		}
		if made, err := r.refund(back(charge, 1)); made || err != nil || r.get(account).Available != 100 {
			t.Errorf("twice: %t %v", made, err)
		}
		r.audited()
	})
}

func TestAmountsOutOfBoundsAreRefused(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		r := newRig(t, d, c)
		account := r.account(0)
		for _, k := range []wallet.Credit{
			{Account: account, Type: wallet.TypeTopUp, Amount: 0, Dedupe: "a"},
			{Account: account, Type: wallet.TypeTopUp, Amount: -1, Dedupe: "a"},
			{Account: account, Type: wallet.TypeCredit, Amount: -1, Dedupe: "a"},
			{Account: account, Type: wallet.TypeCredit, Amount: wallet.MaxAmount + 1, Dedupe: "a"},
			{Account: account, Type: wallet.TypeAdjustment, Amount: -wallet.MaxAmount - 1, Dedupe: "a"},
			{Account: account, Type: wallet.TypeCharge, Amount: 1, Dedupe: "a"},
			{Account: account, Type: wallet.TypeTopUp, Amount: 1},
			{Account: "acc_none", Type: wallet.TypeTopUp, Amount: 1, Dedupe: "a"},
		} {
			if err := d.InTx(t.Context(), func(ctx context.Context,
				tx *db.Tx) error {
				_, err := r.ledger.Credit(ctx, tx, k)
				return err
			}); err == nil {
				t.Errorf("%+v was taken", k)
			}
		}
		backwards := hour(account, "dep_1", 0, 1)
		backwards.To = backwards.From
		for _, k := range []wallet.Charge{hour(account, "dep_1", 0, -1), hour(account, "dep_1", -1, 1),
			hour(account, "", 0, 1), hour("acc_none", "dep_1", 0, 1), hour(account, "dep_1", 0, wallet.MaxAmount+1),
			backwards} {
			if err := d.InTx(t.Context(), func(ctx context.Context,
				tx *db.Tx) error {
				_, _, err := r.ledger.Charge(ctx, tx, k)
				return err
			}); err == nil {
				t.Errorf("%+v was taken", k)
			}
		}
		// An int64 of micro-dollars ends at 9,223 times the largest credit: the database refuses
		// instead of wrapping or rounding.
		r.tx(func(ctx context.Context, tx *db.Tx) error {
			_, err := tx.Exec(ctx, `UPDATE wallet SET available = 9223372036854775807 WHERE account_id = $1`, account)
			return err
		})
		if err := d.InTx(t.Context(), func(ctx context.Context, tx *db.Tx) error {
			_, err := r.ledger.Credit(ctx, tx, wallet.Credit{Account: account, Type: wallet.TypeTopUp, Amount: 1,
				Dedupe: "a"})
			return err
		}); err == nil || r.get(account).Available != 9223372036854775807 {
			t.Errorf("an overflow gave %v and %+v", err, r.get(account))
		}
	})
}

func TestLedger_ChargeAll(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		r := newRig(t, d, c)
		var charges []wallet.Charge
		accounts := []id.ID{r.account(1_000_000), r.account(1_000_000), r.account(100)}
		for i := range 450 { // beyond one chunk
			dep := r.ids.New(id.Deployment)
			charge := hour(accounts[i%3], dep, int64(i%7), money.Micros(i))
			if i%5 == 0 {
				if err := r.hold(wallet.Hold{Account: charge.Account, Subject: dep, Amount: 3}); err != nil &&
					i%3 != 2 {
					t.Fatal(err)
				}
			}
			charges = append(charges, charge)
		}
		r.charge(charges[7])
		charges = append(charges, charges[8])
		var made, again []wallet.Charged
		r.tx(func(ctx context.Context, tx *db.Tx) (err error) {
			if made, err = r.ledger.ChargeAll(ctx, tx, charges); err != nil {
				return err
			}
			again, err = r.ledger.ChargeAll(ctx, tx, charges)
			return err
		})
		if len(made) != 449 || len(again) != 0 {
			t.Fatalf("%d made, %d again", len(made), len(again))
		}
		for _, m := range made {
			if m.Wallet != r.get(m.Account) && m.Wallet.NegativeSince == nil {
				t.Fatalf("told %+v, has %+v", m.Wallet, r.get(m.Account))
			}
			if !m.Transaction.Valid(id.Transaction) {
				t.Fatalf("the line's id is %q", m.Transaction)
			}
		}
		if w := r.get(accounts[2]); w.Available >= 0 || w.NegativeSince == nil || w.Held != 0 {
			t.Errorf("%+v", w)
		}
		r.audited()
	})
}

func TestLedger_AuditFindsDamage(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		r := newRig(t, d, c)
		account, dep := r.account(100), r.ids.New(id.Deployment)
		charge := hour(account, dep, 0, 50)
		r.charge(charge)
		if err := r.hold(wallet.Hold{Account: account, Subject: "vol_1", Amount: 1}); err != nil {
			t.Fatal(err)
		}
		r.audited()
		for _, damage := range []string{
			`UPDATE wallet SET available = available + 1`,
			`UPDATE wallet SET held = held + 1`,
			`UPDATE wallet SET negative_since = 1`,
			`UPDATE wallet_entry SET amount = amount + 1 WHERE book = 'revenue'`,
			`DELETE FROM wallet_entry WHERE book = 'revenue'`,
			`DELETE FROM wallet_transaction WHERE seq = 2`,
			`UPDATE wallet_transaction SET amount = amount + 1 WHERE seq = 2`,
			`UPDATE wallet_transaction SET available_after = available_after + 1 WHERE seq = 1`,
			`UPDATE wallet_transaction SET balance_after = balance_after + 1 WHERE seq = 3`,
			`UPDATE wallet_charge SET refunded = 1`,
			`UPDATE wallet_charge SET amount = 51`,
			`UPDATE wallet_hold SET settled_at = 1`,
			`UPDATE wallet_day SET cost = cost - 1`,
			`DELETE FROM wallet_day`,
			`UPDATE wallet_day_subject SET day = day + 1`,
			`UPDATE wallet_subject SET spent = spent + 1`,
			`UPDATE wallet_spent SET cost = cost + 1`,
			`UPDATE wallet_spent SET project = 'other'`,
		} {
			undone := errors.New("undo")
			err := d.InTx(t.Context(), func(ctx context.Context, tx *db.Tx) error {
				if n, err := tx.Exec(ctx, damage); err != nil || n == 0 {
					return fmt.Errorf("%s changed %d: %w", damage, n, err)
				}
				faults, err := wallet.AuditIn(ctx, tx)
				if err != nil {
					return err
				}
				if len(faults) == 0 {
					t.Errorf("%s was not seen", damage)
				}
				return undone
			})
			if !errors.Is(err, undone) {
				t.Fatal(err)
			}
		}
		r.audited()
	})
}

// CrossedZero is called in the same change, for every type of transaction.
func TestCrossedZeroIsCalledOnEveryCrossing(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		r := newRig(t, d, c)
		var told []id.ID
		r.ledger = wallet.New(wallet.Config{DB: d, IDs: r.ids,
			CrossedZero: func(_ context.Context, tx *db.Tx, account id.ID) error {
				tx.AfterCommit(func() { told = append(told, account) })
				return nil
			}})
		account, run, waits := r.account(money.Dollars(10)), r.ids.New(id.Deployment), r.ids.New(id.Deployment)
		charge := hour(account, run, 0, money.Dollars(15))
		for _, step := range []struct {
			what string
			do   func()
			told bool
		}{
			{"a hold", func() {
				if err := r.hold(wallet.Hold{Account: account, Subject: waits, Amount: money.Dollars(4)}); err != nil {
					t.Fatal(err)
				}
			}, false},
			{"a charge that nothing covers", func() { r.charge(charge) }, true},
			{"another", func() { r.charge(hour(account, run, 1, money.Dollars(1))) }, false},
			{"a release that is not enough", func() { r.release(waits) }, false},
			{"a refund that is", func() {
				if made, err := r.refund(back(charge, money.Dollars(6))); !made || err != nil {
					t.Fatal(made, err)
				}
			}, true},
			{"a micro-dollar of debt", func() { r.charge(hour(account, run, 2, 1)) }, true},
			{"a credit", func() {
				r.credit(wallet.Credit{Account: account, Type: wallet.TypeCredit, Amount: 1, Dedupe: "help"})
			}, true},
		} {
			told = nil
			step.do()
			if got := len(told) == 1 && told[0] == account; got != step.told || len(told) > 1 {
				t.Errorf("%s: told %v, leaving %s", step.what, told, r.get(account).Available)
			}
		}
	})
}
