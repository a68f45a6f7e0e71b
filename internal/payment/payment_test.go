package payment_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/creator"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/enginetest"
	"github.com/billetcloud/billet/internal/event"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/issue"
	"github.com/billetcloud/billet/internal/job"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/payment"
	"github.com/billetcloud/billet/internal/wallet"
)

const usd = money.USD

func TestMoneyIsCreditedOnce(t *testing.T) {
	engines(t, func(w *world) {
		made := w.create(50 * usd)
		if made.CheckoutURL == nil || !strings.HasPrefix(*made.CheckoutURL, "https://bank.example/") {
			t.Fatalf("%+v", made)
		}
		w.bank.pay(made.ID, 50*usd)
		var wg sync.WaitGroup
		for range 6 { // events and the page at once
			wg.Go(func() { w.Must(w.svc.Refresh(w.Context(), "bank", "intent_"+string(made.ID))) })
		}
		wg.Wait()
		w.wantAvailable(50 * usd)
		w.wantStatus(made.ID, payment.Succeeded)
		if got := w.EventTypes(w.account, w.account); !slices.Contains(got, "topped_up") {
			t.Error(got)
		}
	})
}

func TestLostAnswersAreAskedForAgain(t *testing.T) {
	engines(t, func(w *world) {
		w.bank.lost = true
		made := w.create(50 * usd)
		if made.CheckoutURL != nil {
			t.Fatal("a page without an answer")
		}
		w.bank.lost = false
		w.Pass(time.Minute)
		if made = w.get(made.ID); made.CheckoutURL == nil || w.bank.pages != 1 {
			t.Fatalf("%+v after %d pages", made, w.bank.pages)
		}
		w.bank.pay(made.ID, 50*usd) // and no event comes
		w.Pass(5 * time.Minute)
		w.wantAvailable(50 * usd)
	})
}

func TestProcessorThatIsDownExpiresTheTopUp(t *testing.T) {
	engines(t, func(w *world) {
		w.bank.down = true
		made := w.create(50 * usd)
		w.Pass(26 * time.Hour)
		w.wantStatus(made.ID, payment.Expired)
		w.wantAvailable(0)
	})
}

func TestMoneyThatArrivesLateCounts(t *testing.T) {
	engines(t, func(w *world) {
		made := w.create(50 * usd)
		w.bank.payments[made.ID].Status = payment.PaymentExpired
		w.refresh(made.ID)
		w.wantStatus(made.ID, payment.Expired)
		w.bank.pay(made.ID, 50*usd)
		w.refresh(made.ID)
		w.wantStatus(made.ID, payment.Succeeded)
		w.wantAvailable(50 * usd)
	})
}

func TestOtherMoneyIsNotCredited(t *testing.T) {
	for name, change := range map[string]func(*payment.Payment){
		"another amount":   func(p *payment.Payment) { p.Received = 49 * usd },
		"another currency": func(p *payment.Payment) { p.Currency = "eur" },
		"test money":       func(p *payment.Payment) { p.Live = false },
		"no reference":     func(p *payment.Payment) { p.IntentReference = "" },
	} {
		t.Run(name, func(t *testing.T) {
			engines(t, func(w *world) {
				made := w.create(50 * usd)
				w.bank.pay(made.ID, 50*usd)
				change(w.bank.payments[made.ID])
				w.refresh(made.ID)
				w.refresh(made.ID)
				w.wantAvailable(0)
				w.wantStatus(made.ID, payment.Pending)
				all := w.AllIssues()
				if len(all) != 1 || all[0].Kind != issue.PaymentMismatch {
					t.Errorf("%+v", all)
				}
			})
		})
	}
}

func TestSecondPaymentOfATopUpIsNotCredited(t *testing.T) {
	engines(t, func(w *world) {
		made := w.paid(50 * usd)
		w.bank.payments[made.ID].IntentReference = "intent_2"
		w.refresh(made.ID)
		w.wantAvailable(50 * usd)
		if all := w.AllIssues(); len(all) != 1 || !strings.Contains(all[0].Detail, "second time") {
			t.Errorf("%+v", all)
		}
	})
}

func TestRefund(t *testing.T) {
	refund := func(w *world, topUp id.ID, amount money.Micros) error {
		return w.Tx(func(ctx context.Context, tx *db.Tx) error {
			_, err := w.svc.Refund(ctx, tx, topUp, amount, "asked for")
			return err
		})
	}
	engines(t, func(w *world) {
		made := w.paid(50 * usd)
		enginetest.WantError(w, refund(w, made.ID, 51*usd), apierr.Conflict, "$50.00")
		w.Must(refund(w, made.ID, 20*usd))
		w.wantAvailable(30 * usd) // before the bank is asked
		w.Drain()
		w.wantStatus(made.ID, payment.Succeeded)
		w.Credit(w.account, -10*usd, "spent")
		enginetest.WantError(w, refund(w, made.ID, 21*usd), apierr.Conflict, "$20.00")

		w.bank.refuse = true
		w.Must(refund(w, made.ID, 20*usd))
		w.wantAvailable(0)
		w.Drain()
		w.wantAvailable(20 * usd)
		w.refresh(made.ID)
		w.wantAvailable(20 * usd)

		w.bank.refuse, w.bank.lost = false, true
		w.Must(refund(w, made.ID, 20*usd))
		w.Drain()
		w.bank.lost = false
		w.Pass(time.Hour)
		w.wantAvailable(0)
		if n := len(w.bank.refunds); n != 3 {
			t.Errorf("%d refunds", n)
		}
	})
}

// A refund that does not end is a matter for the operator, who may have replaced the key.
func TestARefundThatDoesNotEndIsAnIssue(t *testing.T) {
	refund := func(w *world, topUp id.ID) {
		w.Must(w.Tx(func(ctx context.Context, tx *db.Tx) error {
			_, err := w.svc.Refund(ctx, tx, topUp, 20*usd, "asked for")
			return err
		}))
		w.Drain()
	}
	wantIssue := func(t *testing.T, w *world, text string) {
		t.Helper()
		all := w.AllIssues()
		if len(all) != 1 || all[0].Kind != issue.PaymentMismatch || !strings.Contains(all[0].Detail, text) {
			t.Fatalf("the issues are %+v", all)
		}
	}
	t.Run("unknown", func(t *testing.T) {
		engines(t, func(w *world) {
			made := w.paid(50 * usd)
			before := w.bank.payments[made.ID]
			delete(w.bank.payments, made.ID)
			refund(w, made.ID)
			wantIssue(t, w, "Was the key replaced")
			w.wantAvailable(30 * usd)
			w.bank.payments[made.ID] = before
			w.Pass(7 * time.Hour)
			w.wantAvailable(30 * usd)
			if n := len(w.bank.refunds); n != 1 {
				t.Errorf("%d refunds, after the key was put back", n)
			}
		})
	})
	t.Run("down", func(t *testing.T) {
		engines(t, func(w *world) {
			made := w.paid(50 * usd)
			w.bank.down = true
			refund(w, made.ID)
			w.Pass(71 * time.Hour)
			if all := w.AllIssues(); len(all) != 0 {
				t.Fatalf("before the third day: %+v", all)
			}
			w.Pass(9 * time.Hour)
			wantIssue(t, w, "has not ended")
		})
	})
	t.Run("pending", func(t *testing.T) {
		engines(t, func(w *world) {
			made := w.paid(50 * usd)
			w.bank.pends = true
			refund(w, made.ID)
			w.Pass(14 * 24 * time.Hour)
			if all := w.AllIssues(); len(all) != 0 {
				t.Fatalf("a bank may take two weeks: %+v", all)
			}
			w.Pass(24 * time.Hour)
			wantIssue(t, w, "has not ended")
		})
	})
}

// Money is spent in the order in which it came in: what came after a top-up is not refunded with
// it.
func TestLaterMoneyIsNotRefunded(t *testing.T) {
	engines(t, func(w *world) {
		first := w.paid(50 * usd)
		w.Clock.Advance(time.Second)
		second := w.paid(30 * usd)
		w.Credit(w.account, -45*usd, "spent")
		for topUp, most := range map[id.ID]string{first.ID: "$5.00", second.ID: "$30.00"} {
			err := w.Tx(func(ctx context.Context, tx *db.Tx) error {
				_, err := w.svc.Refund(ctx, tx, topUp, 1_000*usd, "asked for")
				return err
			})
			enginetest.WantError(w, err, apierr.Conflict, most)
		}
	})
}

func TestDispute(t *testing.T) {
	engines(t, func(w *world) {
		made := w.paid(50 * usd)
		w.Credit(w.account, -30*usd, "spent")
		dispute := []payment.Dispute{{
			Reference: "dp_1", Amount: 50 * usd, Status: payment.DisputeOpen, Reason: "fraudulent",
		}}
		w.bank.payments[made.ID].Disputes = dispute
		for range 2 {
			w.refresh(made.ID)
		}
		w.wantAvailable(-30 * usd)
		w.wantStatus(made.ID, payment.Disputed)
		if all := w.AllIssues(); len(all) != 1 || all[0].Kind != issue.PaymentDispute {
			t.Errorf("%+v", all)
		}
		enginetest.WantError(w, w.Tx(func(ctx context.Context, tx *db.Tx) error {
			_, err := w.svc.Refund(ctx, tx, made.ID, usd, "double loss")
			return err
		}), apierr.Conflict)
		stale := *w.bank.payments[made.ID]
		stale.Disputes = slices.Clone(dispute)
		w.bank.payments[made.ID].Disputes[0].Status = payment.DisputeWon
		w.refresh(made.ID)
		w.wantAvailable(20 * usd)
		w.wantStatus(made.ID, payment.Succeeded)
		*w.bank.payments[made.ID] = stale // an old answer changes nothing
		w.refresh(made.ID)
		w.wantAvailable(20 * usd)
	})
}

func TestEvents(t *testing.T) {
	engines(t, func(w *world) {
		made := w.create(50 * usd)
		w.bank.pay(made.ID, 50*usd)
		send := func(event, reference, signature string) error {
			header := func(name string) string { return map[string]string{"Id": event, "Signature": signature}[name] }
			return w.svc.Receive(w.Context(), "bank", header, []byte(reference))
		}
		if err := send("evt_0", "intent_"+string(made.ID), "bad"); !errors.Is(err, payment.ErrForged) {
			t.Error(err)
		}
		w.Must(send("evt_1", "foreign", "good"))
		if err := send("evt_2", "unknown", "good"); err == nil {
			t.Error("an unknown payment is not sent again")
		}
		w.wantAvailable(0)
		for range 2 {
			w.Must(send("evt_3", "intent_"+string(made.ID), "good"))
		}
		w.wantAvailable(50 * usd)
	})
}

func TestLostEventsAreCaughtUpWith(t *testing.T) {
	engines(t, func(w *world) {
		made := w.paid(50 * usd)
		catchUp := func() {
			_, err := w.svc.CatchUp(w.Context(), payment.Fleet)
			w.Must(err)
		}
		catchUp()
		// A dispute of a top-up that is no longer asked about.
		w.bank.payments[made.ID].Disputes = []payment.Dispute{{
			Reference: "dp", Amount: 50 * usd, Status: payment.DisputeOpen,
		}}
		w.bank.events = []payment.Event{
			{ID: "evt_0", Reference: "unknown", Live: true},
			{ID: "evt_1", Reference: "intent_" + string(made.ID), Live: true},
			{ID: "evt_2", Reference: "intent_" + string(made.ID)},
		}
		for range 2 {
			catchUp()
		}
		w.wantAvailable(0)
	})
}

// TestAnEventThatFailsDoesNotStopLaterOnes: nor is it forgotten, and the operator learns of it.
func TestAnEventThatFailsDoesNotStopLaterOnes(t *testing.T) {
	engines(t, func(w *world) {
		first, second := w.create(50*usd), w.create(20*usd)
		catchUp := func() {
			w.Helper()
			_, err := w.svc.CatchUp(w.Context(), payment.Fleet)
			w.Must(err)
		}
		catchUp()
		for i, made := range []payment.TopUp{first, second} {
			w.bank.pay(made.ID, made.Amount)
			w.bank.events = append(w.bank.events, payment.Event{
				ID: "evt_" + string(rune('1'+i)), Reference: "intent_" + string(made.ID), Live: true,
				CreatedAt: w.Clock.Now(),
			})
		}
		w.bank.broken = "intent_" + string(first.ID)
		catchUp()
		w.wantAvailable(20 * usd)
		if got := w.AllIssues(); len(got) != 0 {
			t.Errorf("an issue at once: %+v", got)
		}
		w.Clock.Advance(90 * time.Minute)
		for range 2 {
			catchUp()
		}
		if got := w.AllIssues(); len(got) != 1 || !strings.Contains(got[0].Detail, "evt_1") {
			t.Errorf("%+v", got)
		}
		w.Clock.Advance(40 * time.Hour)
		catchUp()
		w.bank.broken = ""
		w.bank.offer = "" // the events of earlier payments still count
		catchUp()
		w.wantAvailable(70 * usd)
	})
}

// TestPaymentThatTheProcessorForgotIsAnIssue: the key may be one of another account now.
func TestPaymentThatTheProcessorForgotIsAnIssue(t *testing.T) {
	engines(t, func(w *world) {
		made := w.create(50 * usd)
		delete(w.bank.payments, made.ID)
		w.Pass(26 * time.Hour)
		w.wantStatus(made.ID, payment.Expired)
		if got := w.AllIssues(); len(got) != 1 || !strings.Contains(got[0].Detail, string(made.ID)) {
			t.Errorf("%+v", got)
		}
	})
}

// TestComparisonAfterAnOutage: what moved while this server was down is credited late, and what a
// failed refund returned moves later. Neither is a difference.
func TestComparisonAfterAnOutage(t *testing.T) {
	engines(t, func(w *world) {
		jobs := func() {
			w.Helper()
			_, err := w.svc.CatchUp(w.Context(), payment.Fleet)
			w.Must(err)
			_, err = w.compare()
			w.Must(err)
		}
		jobs()
		made := w.create(50 * usd)
		w.bank.pay(made.ID, 50*usd)
		intent := "intent_" + string(made.ID)
		w.bank.moved = []payment.Movement{{
			Kind: payment.MovementPayment, IntentReference: intent, Amount: 50 * usd,
			CreatedAt: w.Clock.Now().Add(-time.Second), // Stripe rounds down, and its events come a little later
		}}
		w.Clock.Advance(30 * time.Hour)
		_, err := w.svc.Compare(w.Context(), payment.Fleet) // before the events of the outage are read
		w.Must(err)
		if got := w.AllIssues(); len(got) != 0 {
			t.Errorf("before the events are read: %+v", got)
		}
		w.refresh(made.ID)
		for range 3 {
			jobs()
			w.Clock.Advance(24 * time.Hour)
		}
		// A refund fails after the end of the interval in which it was made.
		p := w.bank.payments[made.ID]
		w.bank.moved = append(w.bank.moved, payment.Movement{
			Kind: payment.MovementRefund, IntentReference: intent, Amount: -10 * usd, CreatedAt: w.Clock.Now(),
		})
		p.Refunds = []payment.Refund{{Reference: "re_1", Amount: 10 * usd, Status: payment.RefundSucceeded}}
		w.refresh(made.ID)
		w.Clock.Advance(3 * time.Hour)
		p.Refunds = []payment.Refund{{Reference: "re_1", Amount: 10 * usd, Status: payment.RefundFailed}}
		w.refresh(made.ID)
		jobs()
		w.wantAvailable(50 * usd)
		if got := w.AllIssues(); len(got) != 1 || !strings.Contains(got[0].Detail, "A refund of $10.00 failed") {
			t.Errorf("%+v", got)
		}
	})
}

// TestCreditsAtTheEndsOfComparedIntervals: each is compared once.
func TestCreditsAtTheEndsOfComparedIntervals(t *testing.T) {
	engines(t, func(w *world) {
		compare := func() {
			w.Helper()
			_, err := w.compare()
			w.Must(err)
		}
		compare()
		w.Clock.Advance(21 * time.Hour)
		w.paid(20 * usd) // three hours before the next comparison, and the processor has no movement
		w.bank.offer = ""
		for range 3 {
			w.Clock.Advance(3 * time.Hour)
			compare()
			w.Clock.Advance(21 * time.Hour)
		}
		if got := w.AllIssues(); len(got) != 1 {
			t.Errorf("%+v", got)
		}
	})
}

// A refund that was made outside is a difference also where it is less than what was refunded here,
// whenever that was. What is known, made here or outside, is none.
func TestComparisonFindsSmallOutsideRefunds(t *testing.T) {
	engines(t, func(w *world) {
		made := w.create(50 * usd)
		w.bank.pay(made.ID, 50*usd)
		w.refresh(made.ID)
		intent := "intent_" + string(made.ID)
		moved := func(reference string, amount money.Micros) {
			kind := payment.MovementRefund
			if reference == "" {
				kind = payment.MovementPayment
			}
			w.bank.moved = append(w.bank.moved, payment.Movement{
				Kind: kind, IntentReference: intent, Amount: amount, RefundReference: reference,
				CreatedAt: w.Clock.Now(),
			})
		}
		compare := func(want ...string) {
			w.Helper()
			w.Clock.Advance(24 * time.Hour)
			_, err := w.compare()
			w.Must(err)
			var found []string
			for _, i := range w.AllIssues() {
				found = append(found, i.Detail)
			}
			slices.Sort(found)
			if !slices.Equal(found, want) {
				w.Fatalf("%q, want %q", found, want)
			}
		}
		moved("", 50*usd)
		p := w.bank.payments[made.ID]
		p.Refunds = []payment.Refund{{Reference: "re_1", Amount: 20 * usd, Status: payment.RefundSucceeded}}
		w.refresh(made.ID)
		moved("re_1", -20*usd)
		compare()
		moved("re_2", -4*usd)
		second := "Payment " + intent + ": The processor refunded $4.00 by re_2, which is not known."
		compare(second)
		moved("re_3", -3*usd)
		moved("re_4", -2*usd)
		p.Refunds = append(p.Refunds, payment.Refund{
			Reference: "re_4", Amount: 2 * usd, Status: payment.RefundSucceeded,
		})
		w.refresh(made.ID)
		compare("Payment "+intent+": The processor refunded $3.00 by re_3, which is not known.", second)
	})
}

// The answer to a refund that was made here may be lost: until it is known, its reference is not.
func TestComparisonWaitsForReferencesOfRefunds(t *testing.T) {
	engines(t, func(w *world) {
		made := w.paid(50 * usd)
		w.bank.lost = true
		w.MustTx(func(ctx context.Context, tx *db.Tx) error {
			_, err := w.svc.Refund(ctx, tx, made.ID, 20*usd, "test")
			return err
		})
		intent := "intent_" + string(made.ID)
		w.bank.moved = []payment.Movement{
			{Kind: payment.MovementPayment, IntentReference: intent, Amount: 50 * usd, CreatedAt: w.Clock.Now()},
			{Kind: payment.MovementRefund, IntentReference: intent, Amount: -20 * usd, RefundReference: "re_1",
				CreatedAt: w.Clock.Now()},
		}
		w.Clock.Advance(24 * time.Hour)
		_, err := w.compare()
		w.Must(err)
		if got := w.AllIssues(); len(got) != 0 {
			t.Errorf("%+v", got)
		}
	})
}

func TestComparisonFindsDifferences(t *testing.T) {
	engines(t, func(w *world) {
		right, missing := w.paid(50*usd), w.paid(20*usd)
		moved := func(kind payment.MovementKind, intent string, amount money.Micros) {
			w.bank.moved = append(w.bank.moved, payment.Movement{
				Kind: kind, IntentReference: intent, Amount: amount, CreatedAt: w.Clock.Now(),
			})
		}
		moved(payment.MovementPayment, "intent_"+string(right.ID), 50*usd)
		moved(payment.MovementPayment, "intent_x", 7*usd)
		moved(payment.MovementRefund, "intent_"+string(right.ID), -5*usd)
		moved(payment.MovementOther, "", -60*usd)
		w.Clock.Advance(24 * time.Hour)
		_, err := w.compare()
		w.Must(err)
		var found []string
		for _, i := range w.AllIssues() {
			found = append(found, i.Detail)
		}
		slices.Sort(found)
		want := []string{
			"Payment intent_" + string(missing.ID) + ": $20.00 is credited, and the processor has no movement of it.",
			"Payment intent_" + string(right.ID) + ": The processor refunded $5.00, and refunds of $0.00 are known.",
			"Payment intent_x: No top-up is credited for it.",
		}
		slices.Sort(want)
		if !slices.Equal(found, want) {
			t.Errorf("%q, want %q", found, want)
		}
	})
}

func (w *world) automatic(threshold, amount, limit money.Micros) {
	w.Helper()
	w.MustTx(func(ctx context.Context, tx *db.Tx) error {
		_, err := w.svc.SetAutomatic(ctx, tx, w.account, creator.ByOperator, payment.AutoTopUpRequest{
			Enabled: true, Threshold: threshold, Amount: amount, MonthlyLimit: limit,
		})
		return err
	})
}

// spend charges money as the meter does.
func (w *world) spend(amount money.Micros) error {
	return w.Tx(func(ctx context.Context, tx *db.Tx) error {
		_, _, err := w.Wallet.Charge(ctx, tx, wallet.Charge{
			Account: w.account, Subject: w.IDs.New(id.Deployment), Amount: amount, HourlyPrice: amount,
			From: tx.Now, To: tx.Now.Add(time.Hour), Description: "an hour",
		})
		return err
	})
}

func TestOneAutomaticTopUpForEachCrossing(t *testing.T) {
	engines(t, func(w *world) {
		w.Pass(24 * time.Hour) // into a month
		w.paid(100 * usd)
		w.automatic(50*usd, 80*usd, 200*usd)
		w.Drain()
		if w.bank.charges != 0 {
			t.Fatal("charged above the threshold")
		}
		var wg sync.WaitGroup
		for range 6 {
			wg.Go(func() { w.Must(w.spend(10 * usd)) })
		}
		wg.Wait()
		w.wantAvailable(40 * usd)
		for range 3 {
			wg.Go(func() { _, _ = w.svc.TopUpNow(w.Context(), w.account) })
		}
		wg.Wait()
		w.bank.lost = true // charged, and the answer is lost
		w.Drain()
		w.bank.lost = false
		w.Pass(time.Hour)
		w.wantAvailable(120 * usd)
		if w.bank.charges != 1 {
			t.Errorf("%d charges", w.bank.charges)
		}
		w.Must(w.spend(110 * usd))
		w.Drain()
		w.wantAvailable(90 * usd)
		w.Must(w.spend(80 * usd)) // the month has brought 160 of 200
		w.Drain()
		w.wantAvailable(10 * usd)
	})
}

func TestAutomaticTopUpsStop(t *testing.T) {
	for name, c := range map[string]struct {
		failure payment.Failure
		status  payment.PaymentStatus
		charges int
		event   string
	}{
		"after three declines": {payment.Failure{Code: "card_declined", Message: "Declined."}, payment.PaymentFailed, 3,
			"top_up_failed"},
		"at once for a stolen card": {payment.Failure{Code: "stolen_card", Message: "Stolen.", Final: true},
			payment.PaymentFailed, 1, "top_up_failed"},
		"after a missing confirmation": {payment.Failure{Code: "authentication_required",
			Message: "Confirm."}, payment.PaymentActionRequired, 1, "payment_authentication_required"},
	} {
		t.Run(name, func(t *testing.T) {
			engines(t, func(w *world) {
				w.paid(10 * usd)
				w.bank.decline, w.bank.status = &c.failure, c.status
				w.automatic(50*usd, 80*usd, 1_000*usd)
				w.Pass(12 * time.Hour)
				w.Must(w.spend(usd))
				w.Pass(12 * time.Hour)
				if w.bank.charges != c.charges {
					t.Errorf("%d charges, want %d", w.bank.charges, c.charges)
				}
				a, err := w.svc.Automatic(w.Context(), w.DB, w.account)
				w.Must(err)
				if a.StoppedReason == nil {
					t.Error("not stopped")
				}
				if got := w.EventTypes(w.account, w.account); !slices.Contains(got, c.event) {
					t.Error(got)
				}
				if c.status == payment.PaymentActionRequired {
					w.wantPageToConfirm()
				}
				w.bank.decline = nil
				w.automatic(50*usd, 80*usd, 1_000*usd)
				w.Drain()
				w.wantAvailable(89 * usd)
			})
		})
	}
}

// wantPageToConfirm checks that the event names the top-up on whose page the payer confirms.
func (w *world) wantPageToConfirm() {
	w.Helper()
	events, _, err := w.Events.List(w.Context(), w.DB, w.account, w.account, enginetest.FirstPage)
	w.Must(err)
	i := slices.IndexFunc(events, func(e event.Event) bool {
		return e.Type == "account.payment_authentication_required"
	})
	if i < 0 {
		w.Fatal("no event")
	}
	named, _ := events[i].Data["confirmTopUpId"].(string)
	page, err := w.svc.Get(w.Context(), w.DB, w.account, id.ID(named))
	w.Must(err)
	if page.Status != payment.Pending && page.Status != payment.Expired || page.Automatic || page.Amount != 80*usd {
		w.Fatalf("the event names %+v", page)
	}
}

func TestStatusesFollowTheDrawing(t *testing.T) {
	want := map[payment.Status]string{
		payment.Pending: "succeeded failed expired refunded disputed", payment.Failed: "succeeded refunded disputed",
		payment.Expired: "succeeded refunded disputed", payment.Succeeded: "refunded disputed",
		payment.Refunded: "succeeded disputed", payment.Disputed: "succeeded refunded",
	}
	for _, from := range payment.Pending.Enum() {
		for _, to := range payment.Pending.Enum() {
			if from.May(to) != slices.Contains(strings.Fields(want[from]), string(to)) {
				t.Errorf("%s to %s: %t", from, to, from.May(to))
			}
		}
	}
}

// compare reads what events there are, which comes first in a server, too, and compares.
func (w *world) compare() (job.Outcome, error) {
	if _, err := w.svc.CatchUp(w.Context(), payment.Fleet); err != nil {
		return job.Outcome{}, err
	}
	return w.svc.Compare(w.Context(), payment.Fleet)
}
