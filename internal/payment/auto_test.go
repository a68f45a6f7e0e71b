package payment_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/creator"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/enginetest"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/issue"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/payment"
)

// switchOff switches automatic top-ups off.
func (w *world) switchOff() {
	w.Helper()
	w.MustTx(func(ctx context.Context, tx *db.Tx) error {
		_, err := w.svc.SetAutomatic(ctx, tx, w.account, creator.ByOperator, payment.AutoTopUpRequest{})
		return err
	})
}

// newest returns the account's newest top-up.
func (w *world) newest() payment.TopUp {
	w.Helper()
	all, _, err := w.svc.List(w.Context(), w.DB, w.account, "", db.Page{Number: 1, Limit: 1})
	w.Must(err)
	return all[0]
}

func (w *world) wantCharges(want int) {
	w.Helper()
	if w.bank.charges != want {
		w.Fatalf("%d charges, want %d", w.bank.charges, want)
	}
}

func (w *world) wantStopped(want string) {
	w.Helper()
	a, err := w.svc.Automatic(w.Context(), w.DB, w.account)
	w.Must(err)
	if a.StoppedReason == nil || !strings.Contains(*a.StoppedReason, want) {
		w.Fatalf("stopped: %v, want %q", a.StoppedReason, want)
	}
}

// topUpNow runs the job that creates an automatic top-up.
func (w *world) topUpNow() {
	w.Helper()
	_, err := w.svc.TopUpNow(w.Context(), w.account)
	w.Must(err)
	w.Drain()
}

func TestChargeWithoutAnswerIsNotRepeatedAfterADay(t *testing.T) {
	engines(t, func(w *world) {
		w.Pass(24 * time.Hour) // into a month
		w.paid(10 * usd)
		w.bank.lost = true
		w.automatic(50*usd, 80*usd, 80*usd)
		w.Drain()
		w.bank.lost, w.bank.down = false, true
		w.Pass(payment.PageTime + 2*time.Hour)
		w.topUpNow()
		w.bank.down = false
		w.Pass(12 * time.Hour)
		w.topUpNow()
		w.wantCharges(1)
		w.wantAvailable(90 * usd)
		w.wantStatus(w.newest().ID, payment.Succeeded)
	})
}

func TestChargeThatNeverHappenedEnds(t *testing.T) {
	engines(t, func(w *world) {
		w.Pass(24 * time.Hour)
		w.paid(10 * usd)
		w.bank.silent = true
		w.automatic(50*usd, 80*usd, 80*usd)
		w.Drain()
		first := w.newest().ID
		w.Pass(payment.PageTime + time.Hour)
		w.wantStatus(first, payment.Pending) // the bank does not say that there is no charge
		w.bank.silent = false
		w.Pass(12 * time.Hour)
		w.wantStatus(first, payment.Expired)
		w.wantCharges(0) // the month is used, whatever the bank says later
		w.topUpNow()
		w.wantCharges(0)
	})
}

func TestNothingIsChargedOnceAutomaticTopUpsAreOff(t *testing.T) {
	for name, c := range map[string]struct {
		change func(w *world)
		left   money.Micros
	}{
		"switched off": {(*world).switchOff, 10 * usd},
		"lower limit":  {func(w *world) { w.automatic(50*usd, 20*usd, 20*usd) }, 30 * usd},
		"payments are off": {func(w *world) {
			w.bank.offer = ""
		}, 10 * usd},
	} {
		t.Run(name, func(t *testing.T) {
			engines(t, func(w *world) {
				w.Pass(24 * time.Hour)
				w.paid(10 * usd)
				w.automatic(50*usd, 80*usd, 80*usd)
				_, err := w.svc.TopUpNow(w.Context(), w.account) // created, and not charged yet
				w.Must(err)
				made := w.newest()
				c.change(w)
				w.Drain()
				w.wantAvailable(c.left)
				w.wantStatus(made.ID, payment.Expired)
				if got := w.get(made.ID); got.FailureMessage == nil {
					t.Error("no reason")
				}
			})
		})
	}
}

func TestChargeThatMayHaveHappenedIsOnlyLookedForAfterwards(t *testing.T) {
	for name, happened := range map[string]bool{"charged": true, "not charged": false} {
		t.Run(name, func(t *testing.T) {
			engines(t, func(w *world) {
				w.Pass(24 * time.Hour)
				w.paid(10 * usd)
				w.bank.lost, w.bank.silent = happened, !happened
				w.automatic(50*usd, 80*usd, 80*usd)
				w.Drain()
				made := w.newest()
				w.switchOff()
				w.bank.lost, w.bank.silent = false, false
				w.Pass(payment.PageTime + 12*time.Hour)
				if happened {
					w.wantStatus(made.ID, payment.Succeeded)
					w.wantAvailable(90 * usd)
				} else {
					w.wantStatus(made.ID, payment.Expired)
					w.wantAvailable(10 * usd)
					w.wantCharges(0)
				}
			})
		})
	}
}

func TestAutomaticTopUpsStopWhereNoPaymentsAreTaken(t *testing.T) {
	for name, c := range map[string]struct {
		change func(w *world)
		reason string
	}{
		"payments are off":    {func(w *world) { w.bank.offer = "" }, "No payments"},
		"another processor":   {func(w *world) { w.bank.offer = "other" }, "Save another one"},
		"the limits are less": {func(w *world) { w.bank.maximum = 70 * usd }, "$70.00"},
		"suspended": {func(w *world) {
			w.MustTx(func(ctx context.Context, tx *db.Tx) error {
				_, err := tx.Exec(ctx, `INSERT INTO account (id, name, created_at, suspended_at, suspended_reason)
					VALUES ($1, 'a', $2, $2, 'abuse')`, w.account, tx.Now)
				return err
			})
		}, "suspended"},
	} {
		t.Run(name, func(t *testing.T) {
			engines(t, func(w *world) {
				w.Pass(24 * time.Hour)
				w.paid(60 * usd)
				w.automatic(50*usd, 80*usd, 80*usd)
				w.Drain()
				c.change(w)
				w.Must(w.spend(20 * usd))
				w.Drain()
				w.wantCharges(0)
				w.wantStopped(c.reason)
			})
		})
	}
}

func TestConfirmationIsWaitedForOnAPage(t *testing.T) {
	engines(t, func(w *world) {
		w.Pass(24 * time.Hour)
		w.paid(10 * usd)
		w.bank.decline = &payment.Failure{Code: "authentication_required", Message: "Confirm."}
		w.bank.status = payment.PaymentActionRequired
		w.automatic(50*usd, 80*usd, 1_000*usd)
		w.Drain()
		w.wantStopped("confirmed")
		made := w.newest()
		if made.Automatic || made.Amount != 80*usd || made.CheckoutURL == nil {
			t.Fatalf("%+v", made)
		}
		w.Pass(3 * time.Hour)
		w.wantCharges(1)
		w.bank.decline = nil
		w.bank.pay(made.ID, 80*usd)
		w.refresh(made.ID)
		w.wantAvailable(90 * usd)
		w.Must(w.spend(50 * usd))
		w.Drain()
		w.wantCharges(2)
		w.wantAvailable(120 * usd)
	})
}

// wantRefundable checks how much of a top-up can be refunded.
func (w *world) wantRefundable(topUp id.ID, most string) {
	w.Helper()
	err := w.Tx(func(ctx context.Context, tx *db.Tx) error {
		_, err := w.svc.Refund(ctx, tx, topUp, 1_000*usd, "asked for")
		return err
	})
	enginetest.WantError(w, err, apierr.Conflict, "At most "+most+" ")
}

func TestMoneyThatWasGivenBackCanBeRefunded(t *testing.T) {
	engines(t, func(w *world) {
		first := w.paid(50 * usd)
		w.Pass(time.Minute)
		second := w.paid(30 * usd)
		w.Pass(time.Minute)
		refund := func(topUp id.ID, amount money.Micros) {
			w.MustTx(func(ctx context.Context, tx *db.Tx) error {
				_, err := w.svc.Refund(ctx, tx, topUp, amount, "asked for")
				return err
			})
			w.Drain()
			w.Pass(time.Minute)
		}
		w.bank.refuse = true
		refund(first.ID, 50*usd)
		w.wantAvailable(80 * usd)
		w.wantRefundable(first.ID, "$50.00")
		w.bank.refuse = false

		for _, status := range []payment.DisputeStatus{payment.DisputeOpen, payment.DisputeWon} {
			w.bank.payments[first.ID].Disputes = []payment.Dispute{{
				Reference: "dp", Amount: 50 * usd, Status: status,
			}}
			w.refresh(first.ID)
			w.Pass(time.Minute)
		}
		w.wantAvailable(80 * usd)
		w.wantRefundable(first.ID, "$50.00")

		refund(second.ID, 30*usd)
		w.wantAvailable(50 * usd)
		w.wantRefundable(first.ID, "$50.00")

		w.Credit(w.account, 7*usd, "a gift")
		w.wantRefundable(first.ID, "$50.00")
		w.Credit(w.account, -10*usd, "spent")
		w.wantRefundable(first.ID, "$40.00")
	})
}

// closeTopUp closes a top-up as an operator.
func (w *world) closeTopUp(topUp id.ID) error {
	return w.Tx(func(ctx context.Context, tx *db.Tx) error {
		_, err := w.svc.Close(ctx, tx, topUp, "refunded at the bank")
		return err
	})
}

func TestClosingATopUpFreesAutomaticTopUps(t *testing.T) {
	engines(t, func(w *world) {
		w.Pass(24 * time.Hour)
		w.paid(10 * usd)
		w.bank.live = false // the charge is test money
		w.automatic(50*usd, 80*usd, 200*usd)
		w.Drain()
		made := w.newest()
		w.wantStatus(made.ID, payment.Pending)
		w.bank.live = true
		w.Pass(3 * time.Hour)
		w.topUpNow()
		w.wantCharges(1)
		enginetest.WantError(w, w.Tx(func(ctx context.Context, tx *db.Tx) error {
			_, err := w.svc.Close(ctx, tx, made.ID, "")
			return err
		}), apierr.InvalidRequest, "reason")
		enginetest.WantError(w, w.closeTopUp("top_none"), apierr.NotFound, "")
		w.Must(w.closeTopUp(made.ID))
		w.wantStatus(made.ID, payment.Failed)
		if got := w.get(made.ID); got.FailureMessage == nil || *got.FailureMessage != "refunded at the bank" {
			t.Errorf("%+v", got)
		}
		if all := w.AllIssues(); len(all) != 1 || all[0].ClosedAt == nil || all[0].Note == nil {
			t.Errorf("%+v", all)
		}
		if got := w.EventTypes(w.account, w.account); !slices.Contains(got, "top_up_failed") {
			t.Error(got)
		}
		enginetest.WantError(w, w.closeTopUp(made.ID), apierr.Conflict, "closed already")
		w.refresh(made.ID) // the same money
		w.wantAvailable(10 * usd)
		w.Pass(3 * time.Hour)
		w.wantCharges(2)
		w.wantAvailable(90 * usd)
		w.Must(w.spend(85 * usd)) // the closed one counts in its month: 160 of 200
		w.Pass(3 * time.Hour)
		w.wantCharges(2)

		w.bank.payments[made.ID].Live = true // now it fits, and may have been added as credit
		for range 2 {
			w.refresh(made.ID)
		}
		w.wantAvailable(5 * usd)
		all := w.AllIssues()
		if len(all) != 2 || !slices.ContainsFunc(all, func(i issue.Issue) bool {
			return i.ClosedAt == nil && strings.Contains(i.Detail, "had closed it")
		}) {
			t.Errorf("%+v", all)
		}
	})
}

// TestComparisonKnowsClosedTopUps: what an operator has decided about is no difference any more.
func TestComparisonKnowsClosedTopUps(t *testing.T) {
	engines(t, func(w *world) {
		made := w.create(50 * usd)
		w.bank.pay(made.ID, 49*usd)
		w.refresh(made.ID)
		w.bank.moved = append(w.bank.moved, payment.Movement{
			Kind: payment.MovementPayment, IntentReference: "intent_" + string(made.ID), Amount: 49 * usd,
			CreatedAt: w.Clock.Now(),
		})
		open := func() (n int) {
			for _, i := range w.AllIssues() {
				if i.ClosedAt == nil {
					n++
				}
			}
			return n
		}
		compare := func() {
			w.Helper()
			_, err := w.compare()
			w.Must(err)
		}
		w.Clock.Advance(3 * time.Hour)
		compare()
		if got := open(); got != 2 {
			t.Fatalf("%d issues: %+v", got, w.AllIssues())
		}
		w.Must(w.closeTopUp(made.ID))
		compare() // the intervals overlap
		if got := open(); got != 0 {
			t.Errorf("%+v", w.AllIssues())
		}
		p := w.bank.payments[made.ID] // other money for it does not bring the first back
		p.IntentReference = "intent_again"
		w.refresh(made.ID)
		compare()
		if got := open(); got != 1 {
			t.Errorf("%d issues: %+v", got, w.AllIssues())
		}
	})
}

// TestSwitchingOffAlwaysWorks: also with settings that the operator's limits no longer allow, or
// where no payments are taken.
func TestSwitchingOffAlwaysWorks(t *testing.T) {
	engines(t, func(w *world) {
		w.paid(100 * usd)
		w.automatic(50*usd, 80*usd, 80*usd)
		w.bank.maximum, w.bank.offer = 20*usd, ""
		w.MustTx(func(ctx context.Context, tx *db.Tx) error {
			a, err := w.svc.SetAutomatic(ctx, tx, w.account, creator.ByOperator, payment.AutoTopUpRequest{
				Threshold: 50 * usd, Amount: 80 * usd, MonthlyLimit: 80 * usd,
			})
			if a.Enabled {
				t.Errorf("%+v", a)
			}
			return err
		})
	})
}

func TestTopUpsWhereNoPaymentsAreTaken(t *testing.T) {
	engines(t, func(w *world) {
		w.bank.offer = ""
		enginetest.WantError(w, w.Tx(func(ctx context.Context, tx *db.Tx) error {
			_, err := w.svc.Create(ctx, tx, w.account, creator.ByOperator, payment.Request{Amount: 50 * usd})
			return err
		}), apierr.Conflict, "Ask the operator")
	})
}
