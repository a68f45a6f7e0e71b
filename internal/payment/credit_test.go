package payment_test

import (
	"context"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/credit"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/payment"
	"github.com/billetcloud/billet/internal/wallet"
)

const day = 24 * time.Hour

// give gives a credit, which expires after a time unless that is 0.
func (w *world) give(amount money.Micros, after time.Duration) {
	w.Helper()
	w.MustTx(func(ctx context.Context, tx *db.Tx) error {
		g := credit.Grant{
			Account: w.account, Amount: amount, Source: credit.ByOperator, Note: "n",
			Reference: string(w.IDs.New(id.Request)),
		}
		if after > 0 {
			g.ExpiresAt = new(tx.Now.Add(after))
		}
		_, _, err := w.credits.Give(ctx, tx, g)
		return err
	})
	w.Clock.Advance(time.Second)
}

func (w *world) useHour(amount money.Micros) (subject id.ID) {
	w.Helper()
	subject = w.IDs.New(id.Deployment)
	w.MustTx(func(ctx context.Context, tx *db.Tx) error {
		_, _, err := w.Wallet.Charge(ctx, tx, wallet.Charge{
			Account: w.account, Subject: subject, Amount: amount, HourlyPrice: amount, From: tx.Now,
			To: tx.Now.Add(time.Hour),
		})
		return err
	})
	return subject
}

func (w *world) refundHour(subject id.ID, amount money.Micros) {
	w.Helper()
	w.MustTx(func(ctx context.Context, tx *db.Tx) error {
		_, err := w.Wallet.Refund(ctx, tx, wallet.Refund{
			Account: w.account, Subject: subject, Amount: amount, From: tx.Now, To: tx.Now.Add(time.Hour),
		})
		return err
	})
}

func (w *world) topUpLater(amount money.Micros) id.ID {
	w.Helper()
	made := w.paid(amount)
	w.Clock.Advance(time.Second)
	return made.ID
}

// Credits that expire are spent before a top-up, whether they came before or after it, and what is
// left of them is never refunded to a card.
func TestCreditsThatExpireAreNotRefunded(t *testing.T) {
	for name, run := range map[string]func(w *world){
		"a credit after the top-up is spent first": func(w *world) {
			paid := w.topUpLater(100 * usd)
			w.give(50*usd, 30*day)
			w.wantRefundable(paid, "$100.00")
			w.useHour(30 * usd)
			w.wantRefundable(paid, "$100.00")
			w.useHour(30 * usd)
			w.wantRefundable(paid, "$90.00")
		},
		"a credit before the top-up is spent first": func(w *world) {
			w.give(50*usd, 30*day)
			paid := w.topUpLater(100 * usd)
			w.useHour(60 * usd)
			w.wantRefundable(paid, "$90.00")
		},
		"a credit that does not expire is spent later": func(w *world) {
			paid := w.topUpLater(100 * usd)
			w.give(50*usd, 0)
			w.useHour(60 * usd)
			w.wantRefundable(paid, "$40.00")
		},
		"an hour that a credit paid returns to the credit": func(w *world) {
			paid := w.topUpLater(100 * usd)
			w.useHour(60 * usd)
			w.give(50*usd, 30*day)
			hour := w.useHour(50 * usd)
			w.refundHour(hour, 30*usd)
			w.wantRefundable(paid, "$40.00")
		},
		"also after the credit expired": func(w *world) {
			paid := w.topUpLater(100 * usd)
			w.useHour(60 * usd)
			w.give(50*usd, 3*day)
			hour := w.useHour(50 * usd)
			w.Pass(4 * day)
			w.refundHour(hour, 30*usd)
			w.wantRefundable(paid, "$40.00")
			w.wantAvailable(70 * usd)
			w.useHour(30 * usd)
			w.wantRefundable(paid, "$40.00")
		},
		"what expired leaves the top-up whole": func(w *world) {
			paid := w.topUpLater(100 * usd)
			w.give(50*usd, 3*day)
			w.useHour(20 * usd)
			w.Pass(4 * day)
			w.wantAvailable(100 * usd)
			w.wantRefundable(paid, "$100.00")
		},
		"an expiry during a dispute that is won": func(w *world) {
			paid := w.topUpLater(100 * usd)
			w.useHour(100 * usd)
			w.give(50*usd, 3*day)
			p := w.bank.payments[paid]
			p.Disputes = append(p.Disputes, payment.Dispute{
				Reference: "dp", Amount: 100 * usd, Status: payment.DisputeOpen,
			})
			w.refresh(paid)
			w.Pass(4 * day)
			w.wantAvailable(-50 * usd)
			p.Disputes[0].Status = payment.DisputeWon
			w.refresh(paid)
			w.wantAvailable(50 * usd)
			w.wantRefundable(paid, "$0.00")
			w.Pass(2 * day)
			w.wantAvailable(0)
			w.wantRefundable(paid, "$0.00")
		},
		"a hold over the expiry": func(w *world) {
			paid := w.topUpLater(100 * usd)
			w.useHour(100 * usd)
			w.give(50*usd, 3*day)
			w.Pass(3*day - time.Minute)
			subject := w.IDs.New(id.Deployment)
			w.MustTx(func(ctx context.Context, tx *db.Tx) error {
				return w.Wallet.Hold(ctx, tx, wallet.Hold{Account: w.account, Subject: subject, Amount: 50 * usd})
			})
			w.Pass(10 * time.Minute)
			w.MustTx(func(ctx context.Context, tx *db.Tx) error {
				_, err := w.Wallet.Release(ctx, tx, subject)
				return err
			})
			w.wantRefundable(paid, "$0.00")
			w.Pass(time.Hour)
			w.wantAvailable(0)
			w.wantRefundable(paid, "$0.00")
		},
		"a credit that paid a debt": func(w *world) {
			paid := w.topUpLater(100 * usd)
			hour := w.useHour(120 * usd)
			w.give(30*usd, 30*day)
			w.refundHour(hour, 15*usd)
			w.wantAvailable(25 * usd)
			w.wantRefundable(paid, "$0.00")
		},
	} {
		t.Run(name, func(t *testing.T) { engines(t, run) })
	}
}
