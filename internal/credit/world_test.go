package credit_test

import (
	"context"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/credit"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/db/dbtest"
	"github.com/billetcloud/billet/internal/enginetest"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/wallet"
)

// world has the service with the jobs of credits.
type world struct {
	*enginetest.Kit
	svc *credit.Service
}

func newWorld(t enginetest.T, d *db.DB, c *clock.Simulated) *world {
	w := &world{Kit: enginetest.New(t, d, c)}
	w.svc = credit.New(credit.Config{DB: d, IDs: w.IDs, Wallet: w.Wallet, Events: w.Events, Jobs: w.Jobs})
	w.Runner.Handle(credit.KindExpire, w.svc.Expire)
	w.Runner.Handle(credit.KindRemind, w.svc.Remind)
	w.IgnorePastDue()
	return w
}

func onEngines(t *testing.T, f func(w *world)) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) { f(newWorld(t, d, c)) })
}

// give gives a credit that expires after a time; 0 for never.
func (w *world) give(account id.ID, amount money.Micros, after time.Duration) (out credit.Credit) {
	w.Helper()
	g := credit.Grant{
		Account: account, Amount: amount, Source: credit.ByOperator, Note: "Sorry",
		Reference: string(w.IDs.New(id.Request)),
	}
	if after > 0 {
		g.ExpiresAt = new(w.Clock.Now().Add(after))
	}
	w.MustTx(func(ctx context.Context, tx *db.Tx) (err error) {
		var made bool
		if out, made, err = w.svc.Give(ctx, tx, g); err == nil && !made {
			w.Error("the credit was not made")
		}
		return err
	})
	return out
}

// charge charges an hour of a new subject.
func (w *world) charge(account id.ID, amount money.Micros) (subject id.ID) {
	w.Helper()
	subject = w.IDs.New(id.Deployment)
	w.chargeHour(account, subject, amount)
	return subject
}

func (w *world) chargeHour(account, subject id.ID, amount money.Micros) {
	w.Helper()
	w.MustTx(func(ctx context.Context, tx *db.Tx) error {
		_, _, err := w.Wallet.Charge(ctx, tx, wallet.Charge{
			Account: account, Subject: subject, Amount: amount, HourlyPrice: amount, From: tx.Now,
			To: tx.Now.Add(time.Hour),
		})
		return err
	})
}

func (w *world) refund(account, subject id.ID, amount money.Micros) {
	w.Helper()
	w.MustTx(func(ctx context.Context, tx *db.Tx) error {
		made, err := w.Wallet.Refund(ctx, tx, wallet.Refund{
			Account: account, Subject: subject, Amount: amount, HourlyPrice: amount, From: tx.Now,
			To: tx.Now.Add(time.Hour),
		})
		if err == nil && !made {
			w.Error("nothing was refunded")
		}
		return err
	})
}

func (w *world) hold(account id.ID, amount money.Micros) (subject id.ID) {
	w.Helper()
	subject = w.IDs.New(id.Deployment)
	w.MustTx(func(ctx context.Context, tx *db.Tx) error {
		return w.Wallet.Hold(ctx, tx, wallet.Hold{Account: account, Subject: subject, Amount: amount})
	})
	return subject
}

func (w *world) release(subject id.ID) {
	w.Helper()
	w.MustTx(func(ctx context.Context, tx *db.Tx) error {
		_, err := w.Wallet.Release(ctx, tx, subject)
		return err
	})
}

// list returns an account's credits in a state, or all.
func (w *world) list(account id.ID, in credit.State) (all []credit.Credit) {
	w.Helper()
	w.Must(w.DB.View(w.Context(), func(ctx context.Context, tx *db.Tx) (err error) {
		all, _, err = w.svc.List(ctx, tx, account, in, enginetest.FirstPage)
		return err
	}))
	return all
}

// want fails the test unless the credit has that state and what is left.
func (w *world) want(account id.ID, c credit.Credit, state credit.State, left money.Micros) {
	w.Helper()
	for _, got := range w.list(account, "") {
		if got.ID != c.ID {
			continue
		}
		if got.State != state || got.Remaining == nil || *got.Remaining != left {
			w.Fatalf("the credit is %s with %v left, want %s with %s", got.State, got.Remaining, state, left)
		}
		return
	}
	w.Fatalf("the account has no credit %s", c.ID)
}

func (w *world) wantAvailable(account id.ID, want money.Micros) {
	w.Helper()
	if got := w.WalletOf(account).Available; got != want {
		w.Fatalf("%s is available, want %s", got, want)
	}
}
