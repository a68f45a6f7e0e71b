package adjustment_test

import (
	"cmp"
	"context"
	"crypto/rand"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/account"
	"github.com/billetcloud/billet/internal/adjustment"
	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/audit"
	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/creator"
	"github.com/billetcloud/billet/internal/credit"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/db/dbtest"
	"github.com/billetcloud/billet/internal/deployment"
	"github.com/billetcloud/billet/internal/enginetest"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/mail"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/operator"
	"github.com/billetcloud/billet/internal/secret"
	"github.com/billetcloud/billet/internal/settings"
	"github.com/billetcloud/billet/internal/volume"
)

const usd = money.USD

type world struct {
	*enginetest.Kit
	svc     *adjustment.Service
	op      *operator.Service
	set     *settings.Service
	account id.ID
}

var (
	ann = adjustment.By{Creator: creator.Creator{Type: creator.Member, ID: "usr_ann", Name: "Ann"}, User: "usr_ann"}
	ben = adjustment.By{Creator: creator.Creator{Type: creator.Member, ID: "usr_ben", Name: "Ben"}, User: "usr_ben"}
	// annsKey was made by Ann, bare on the server's host.
	annsKey = adjustment.By{Creator: creator.Creator{Type: creator.APIKey, ID: "key_1", Name: "k"}, User: "usr_ann"}
	bare    = adjustment.By{Creator: creator.Creator{Type: creator.APIKey, ID: "key_2", Name: "host"}}
)

// engines runs a test with an account that has $1,000, and an approval above $100.
func engines(t *testing.T, f func(w *world)) {
	t.Helper()
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		w := &world{Kit: enginetest.New(t, d, c)}
		w.IgnorePastDue()
		secrets, err := secret.Open(t.TempDir(), true)
		w.Must(err)
		w.set = settings.New(settings.Config{DB: d, Real: time.Now, Secrets: secrets})
		w.op = operator.New(operator.Config{
			Credits: credit.New(credit.Config{DB: d, IDs: w.IDs, Wallet: w.Wallet, Events: w.Events, Jobs: w.Jobs}),
			IDs:     w.IDs, Wallet: w.Wallet, Jobs: w.Jobs, Deployments: deployment.New(deployment.Config{DB: d}),
			Volumes: volume.New(volume.Config{DB: d}), Events: w.Events, Mail: &mail.Service{}, Audit: audit.New(w.IDs),
			Accounts: account.New(account.Config{DB: d, IDs: w.IDs, Rand: rand.Reader, Clock: c, Real: time.Now,
				Secrets: secrets}),
		})
		w.svc = adjustment.New(adjustment.Config{DB: d, IDs: w.IDs, Jobs: w.Jobs, Operator: w.op, Settings: w.set})
		w.Runner.Handle(adjustment.KindExpire, w.svc.Expire)
		w.above(100 * usd)
		w.MustTx(func(ctx context.Context, tx *db.Tx) error {
			a, err := w.op.CreateAccount(ctx, tx, "Ada", 1_000*usd)
			w.account = a.ID
			return err
		})
		f(w)
		w.CheckLedger()
	})
}

func (w *world) above(amount money.Micros) {
	w.Helper()
	w.MustTx(func(ctx context.Context, tx *db.Tx) error {
		change := settings.Change{Wallet: settings.WalletRulesChange{ApprovalAbove: &amount}}
		_, err := w.set.UpdateOnHost(ctx, tx, change)
		return err
	})
}

func (w *world) adjust(amount money.Micros, reference string, by adjustment.By) (did adjustment.Result, err error) {
	err = w.Tx(func(ctx context.Context, tx *db.Tx) error {
		did, err = w.svc.Adjust(ctx, tx, adjustment.Request{
			Account: w.account, Amount: amount, Reference: reference, Reason: "an outage",
		}, by)
		return err
	})
	return did, err
}

// ask asks for an adjustment that needs an approval.
func (w *world) ask(amount money.Micros, by adjustment.By) id.ID {
	w.Helper()
	did, err := w.adjust(amount, "", by)
	w.Must(err)
	if did.Made || !did.Asked || did.Adjustment.State != adjustment.Pending {
		w.Fatalf("%+v", did)
	}
	return did.Adjustment.ID
}

func (w *world) decide(
	f func(ctx context.Context, tx *db.Tx, of id.ID, comment string, by adjustment.By) (adjustment.Adjustment, error),
	of id.ID, by adjustment.By,
) error {
	return w.Tx(func(ctx context.Context, tx *db.Tx) error {
		_, err := f(ctx, tx, of, "seen", by)
		return err
	})
}

func (w *world) withdraw(of id.ID, by adjustment.By) error {
	return w.Tx(func(ctx context.Context, tx *db.Tx) error {
		_, err := w.svc.Withdraw(ctx, tx, of, by)
		return err
	})
}

func (w *world) wantAvailable(want money.Micros) {
	w.Helper()
	if got := w.WalletOf(w.account).Available; got != want {
		w.Fatalf("available: %s, want %s", got, want)
	}
}

func (w *world) wantState(of id.ID, want adjustment.State) {
	w.Helper()
	all, _, err := w.svc.List(w.Context(), w.DB, w.account, want, db.Page{Number: 1, Limit: 100})
	w.Must(err)
	for _, a := range all {
		if a.ID == of {
			return
		}
	}
	w.Fatalf("%s is not %s: %+v", of, want, all)
}

func TestLargeAmountsWaitForASecondOperator(t *testing.T) {
	for _, amount := range []money.Micros{500 * usd, -500 * usd, 100*usd + 1} {
		engines(t, func(w *world) {
			err := w.Tx(func(ctx context.Context, tx *db.Tx) error {
				_, err := w.svc.Adjust(ctx, tx, adjustment.Request{Account: w.account, Amount: amount}, ann)
				return err
			})
			enginetest.WantError(w, err, apierr.InvalidRequest, "reason")
			of := w.ask(amount, ann)
			w.wantAvailable(1_000 * usd)
			for _, by := range []adjustment.By{ann, annsKey, bare, adjustment.Host} {
				enginetest.WantError(w, w.decide(w.svc.Approve, of, by), apierr.Conflict, "")
				enginetest.WantError(w, w.decide(w.svc.Reject, of, by), apierr.Conflict, "")
			}
			w.wantAvailable(1_000 * usd)
			w.Must(w.decide(w.svc.Approve, of, ben))
			w.wantAvailable(1_000*usd + amount)
			w.wantState(of, adjustment.Approved)
			enginetest.WantError(w, w.decide(w.svc.Approve, of, ben), apierr.Conflict, "approved")
			enginetest.WantError(w, w.decide(w.svc.Reject, of, ben), apierr.Conflict, "approved")
			w.wantAvailable(1_000*usd + amount)
		})
	}
}

// TestParallelApprovalsBookOnce also rejects and withdraws it at the same time.
func TestParallelApprovalsBookOnce(t *testing.T) {
	engines(t, func(w *world) {
		for range 3 {
			before := w.WalletOf(w.account).Available
			of := w.ask(500*usd, ann)
			var wg sync.WaitGroup
			var approved, others atomic.Int32
			for range 4 {
				wg.Go(func() {
					if w.decide(w.svc.Approve, of, ben) == nil {
						approved.Add(1)
					}
				})
			}
			wg.Go(func() {
				if w.decide(w.svc.Reject, of, ben) == nil {
					others.Add(1)
				}
			})
			wg.Go(func() {
				if w.withdraw(of, ann) == nil {
					others.Add(1)
				}
			})
			wg.Wait()
			if approved.Load()+others.Load() != 1 {
				t.Fatalf("%d approvals, %d other ends", approved.Load(), others.Load())
			}
			w.wantAvailable(before + money.Micros(approved.Load())*500*usd)
		}
	})
}

func TestSmallAmountsCountTogetherForADay(t *testing.T) {
	engines(t, func(w *world) {
		book := func(amount money.Micros, by adjustment.By) {
			w.Helper()
			did, err := w.adjust(amount, "", by)
			w.Must(err)
			if !did.Made || did.Adjustment.State != adjustment.Booked {
				w.Fatalf("%+v", did)
			}
		}
		book(60*usd, ann)
		w.Clock.Advance(time.Hour)
		book(-40*usd, ben) // a removal does not allow more
		w.wantAvailable(1_020 * usd)
		for _, by := range []adjustment.By{ann, ben, annsKey, adjustment.Host} {
			w.Must(w.withdraw(w.ask(1, by), by))
		}
		_, err := w.adjust(1, "", bare) // its user could approve it, signed in
		enginetest.WantError(w, err, apierr.Conflict, "API key")
		w.Clock.Advance(23 * time.Hour) // the first no longer counts
		book(60*usd, adjustment.Host)
		w.ask(usd, ann)
		w.wantAvailable(1_080 * usd)
	})
}

func TestParallelSmallAmountsStayWithinTheLimit(t *testing.T) {
	engines(t, func(w *world) {
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() { _, _ = w.adjust(40*usd, "", ann) })
		}
		wg.Wait()
		w.wantAvailable(1_080 * usd)
	})
}

func TestWithoutTheSettingEverythingIsBooked(t *testing.T) {
	engines(t, func(w *world) {
		w.above(0)
		did, err := w.adjust(5_000*usd, "x", bare)
		w.Must(err)
		if !did.Made {
			t.Errorf("%+v", did)
		}
		w.wantAvailable(6_000 * usd)
		w.above(100 * usd) // what was booked before counts
		did, err = w.adjust(5_000*usd, "x", bare)
		w.Must(err)
		if did.Made || did.Asked || did.Adjustment.State != adjustment.Booked {
			t.Errorf("%+v", did)
		}
		w.ask(1, ann)
	})
}

func TestReferencesAreUsedOnce(t *testing.T) {
	engines(t, func(w *world) {
		first, err := w.adjust(500*usd, "wire-1", ann)
		w.Must(err)
		for range 2 {
			again, err := w.adjust(500*usd, "wire-1", ann)
			w.Must(err)
			if again.Asked || again.Made || again.Adjustment.ID != first.Adjustment.ID {
				t.Errorf("%+v", again)
			}
		}
		_, err = w.adjust(501*usd, "wire-1", ann)
		enginetest.WantError(w, err, apierr.Conflict, "wire-1")
		w.Must(w.decide(w.svc.Reject, first.Adjustment.ID, ben)) // the reference is free again
		second, err := w.adjust(501*usd, "wire-1", ann)
		w.Must(err)
		w.Must(w.decide(w.svc.Approve, second.Adjustment.ID, ben))
		w.wantAvailable(1_501 * usd)
		again, err := w.adjust(501*usd, "wire-1", ann)
		w.Must(err)
		if again.Asked || again.Made || again.Adjustment.State != adjustment.Approved {
			t.Errorf("%+v", again)
		}
		_, err = w.adjust(2*usd, "wire-1", ann)
		enginetest.WantError(w, err, apierr.Conflict, "wire-1")
		w.wantAvailable(1_501 * usd)
	})
}

// Two accounts ask with one reference at the same moment: the locks of neither account keep the
// calls apart.
func TestParallelCallsUseAReferenceOnce(t *testing.T) {
	engines(t, func(w *world) {
		var other id.ID
		w.MustTx(func(ctx context.Context, tx *db.Tx) error {
			a, err := w.op.CreateAccount(ctx, tx, "Ben", 1_000*usd)
			other = a.ID
			return err
		})
		for i, amount := range []money.Micros{500 * usd, 500 * usd, 40 * usd, usd} { // pending, and booked
			var wg sync.WaitGroup
			errs := make([]error, 2)
			for n, of := range []id.ID{w.account, other} {
				wg.Go(func() {
					errs[n] = w.Tx(func(ctx context.Context, tx *db.Tx) error {
						_, err := w.svc.Adjust(ctx, tx, adjustment.Request{
							Account: of, Amount: amount, Reference: fmt.Sprint("wire-", i), Reason: "an outage",
						}, ann)
						return err
					})
				})
			}
			wg.Wait()
			if (errs[0] == nil) == (errs[1] == nil) {
				t.Fatalf("%s: %v", amount, errs)
			}
			enginetest.WantError(w, cmp.Or(errs[0], errs[1]), apierr.Conflict, "reference")
		}
	})
}

func TestPendingAdjustmentsExpire(t *testing.T) {
	engines(t, func(w *world) {
		of := w.ask(500*usd, ann)
		w.Clock.Advance(adjustment.PendingFor) // and the job has not run yet
		enginetest.WantError(w, w.decide(w.svc.Approve, of, ben), apierr.Conflict, "expired")
		w.Drain()
		w.wantState(of, adjustment.Expired)
		w.wantAvailable(1_000 * usd)
	})
}

func TestOnlyWhoAskedWithdraws(t *testing.T) {
	engines(t, func(w *world) {
		for _, c := range []struct{ asker, other, same adjustment.By }{
			{ann, ben, annsKey}, {annsKey, bare, ann}, {ben, adjustment.Host, ben},
			{adjustment.Host, ann, adjustment.Host},
		} {
			of := w.ask(500*usd, c.asker)
			enginetest.WantError(w, w.withdraw(of, c.other), apierr.Conflict, "Only who asked")
			w.Must(w.withdraw(of, c.same))
			w.wantState(of, adjustment.Withdrawn)
		}
		enginetest.WantError(w, w.withdraw("adj_none", ann), apierr.NotFound, "")
	})
}

func TestPendingAdjustmentsOfAnAccountAreBounded(t *testing.T) {
	engines(t, func(w *world) {
		for range 20 {
			w.ask(500*usd, ann)
		}
		_, err := w.adjust(500*usd, "", ann)
		enginetest.WantError(w, err, apierr.LimitReached, "20")
	})
}

func TestOpeningCreditCounts(t *testing.T) {
	engines(t, func(w *world) {
		open := func(credit money.Micros) error {
			return w.Tx(func(ctx context.Context, tx *db.Tx) error {
				a, err := w.svc.Open(ctx, tx, "New", credit, ann)
				w.account = a.ID
				return err
			})
		}
		enginetest.WantError(w, open(101*usd), apierr.InvalidRequest, "without credit")
		w.Must(open(100 * usd))
		w.ask(1, ann)
	})
}
