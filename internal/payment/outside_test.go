package payment_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/payment"
)

// The processor refuses a refund without making one: it has no reference, and never gets one.
func TestRefusedRefundHidesNoOutsideRefund(t *testing.T) {
	for _, refused := range []bool{false, true} {
		engines(t, func(w *world) {
			made := w.paid(50 * usd)
			if refused {
				var of payment.RefundView
				w.MustTx(func(ctx context.Context, tx *db.Tx) (err error) {
					of, err = w.svc.Refund(ctx, tx, made.ID, 20*usd, "test")
					w.bank.refunds[of.ID] = payment.Refund{
						Refund: of.ID, Amount: 20 * usd, Status: payment.RefundFailed, Message: "refused",
					}
					return err
				})
				w.Must(w.Runner.Drain(w.Context()))
			}
			intent := "intent_" + string(made.ID)
			w.bank.moved = []payment.Movement{
				{Kind: payment.MovementPayment, IntentReference: intent, Amount: 50 * usd, CreatedAt: w.Clock.Now()},
				{
					Kind: payment.MovementRefund, IntentReference: intent, Amount: -20 * usd,
					RefundReference: "re_outside", CreatedAt: w.Clock.Now(),
				},
			}
			w.Clock.Advance(24 * time.Hour)
			_, err := w.compare()
			w.Must(err)
			found := []string{}
			for _, i := range w.AllIssues() {
				found = append(found, i.Detail)
			}
			if !strings.Contains(strings.Join(found, "\n"), "by re_outside, which is not known") {
				t.Errorf("refused: %t, issues %q; want the refund that was made outside", refused, found)
			}
		})
	}
}
