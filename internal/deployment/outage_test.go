package deployment_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/deployment"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/provider"
)

// The server starts again hours after an auto-terminate time, and the deployment is ended before
// the job that was due has run.
func TestMissedAutoTerminateIsBilledUntilThen(t *testing.T) {
	for name, end := range map[string]func(r *testKit, a, d id.ID) error{
		"the tenant": func(r *testKit, a, d id.ID) error { _, _, err := r.terminate(a, d, false); return err },
		"past due": func(r *testKit, a, _ id.ID) error {
			return r.tx(func(ctx context.Context, tx *db.Tx) error {
				_, err := r.deployments.EndForPastDue(ctx, tx, a)
				return err
			})
		},
	} {
		t.Run(name, func(t *testing.T) {
			each(t, func(t *testing.T, r *testKit) {
				a := r.account(money.Dollars(1000))
				req, at := request(t), r.clock.Now().Add(90*time.Minute)
				req.AutoTerminateAt = &at
				d, err := r.create(a, req)
				r.must(err)
				d = r.await(a, d.ID, deployment.StatusRunning)
				r.clock.Advance(5 * time.Hour)
				r.must(end(r, a, d.ID))
				r.pass(time.Minute)
				x := r.get(a, d.ID)
				if x.Status != deployment.StatusTerminated || !x.TerminatedAt.Equal(at.Truncate(time.Second)) ||
					x.CostToDate != d.HourlyPrice.Times(2) {
					t.Fatalf("planned for %s: %+v", at, x)
				}
				r.checkLedger()
			})
		})
	}
}

// A provider that does not end a machine is asked ever more seldom, and never given up.
func TestTerminationIsRetriedWithBackoff(t *testing.T) {
	for name, c := range map[string]struct {
		arrange     func(p *fakeProvider)
		least, most int
		soon        time.Duration
	}{
		"it refuses":         {terminateFails(provider.KindRejected), 60, 140, 10 * time.Minute},
		"it does not answer": {terminateFails(provider.KindUnavailable), 60, 140, 10 * time.Minute},
		"it is never done": {func(p *fakeProvider) {
			p.terminateErr = &provider.Error{Kind: provider.KindNotFound} // which the machine's state belies
			p.changeMachine = func(m provider.Machine) (provider.Machine, error) {
				m.State = provider.MachineTerminating
				return m, nil
			}
		}, 60, 200, 10 * time.Minute},
		"it says next year": {func(p *fakeProvider) {
			p.terminateErr = &provider.Error{Kind: provider.KindRejected, RetryAfter: 365 * 24 * time.Hour}
		}, 5, 6, time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			each(t, func(t *testing.T, r *testKit) {
				a := r.account(money.Dollars(1000))
				d := r.running(a)
				r.pass(26 * time.Minute)
				r.fake.set(func() { c.arrange(r.fake); r.fake.pollEvery = 10 * time.Second })
				_, _, err := r.terminate(a, d.ID, false)
				r.must(err)
				r.pass(5 * time.Hour)
				if got := r.fake.calls["terminate"]; got < c.least || got > c.most {
					t.Errorf("asked %d times in 5 hours", got)
				}
				r.fake.set(func() { r.fake.terminateErr, r.fake.changeMachine = nil, nil })
				r.pass(c.soon)
				r.pass(10 * time.Second) // the machine takes a moment itself
				if x := r.get(a, d.ID); x.Status != deployment.StatusTerminated || len(r.upstream()) != 0 {
					t.Errorf("%+v, upstream %v", x, r.upstream())
				}
			})
		})
	}
}

func TestNothingIsLaunchedAfterTheDeadline(t *testing.T) {
	each(t, func(t *testing.T, r *testKit) {
		a := r.account(money.Dollars(100))
		d := r.deploy(a)
		r.clock.Advance(3 * time.Hour) // the server was down
		r.pass(time.Minute)
		if x := r.get(a, d.ID); x.Status != deployment.StatusFailed || x.StatusCause != deployment.CauseTimedOut ||
			r.fake.calls["launch"] != 0 ||
			r.walletOf(a).Held != 0 {
			t.Fatalf("%d launches, %+v", r.fake.calls["launch"], x)
		}
	})
}

// PostgreSQL takes neither a NUL nor what is not UTF-8: such a text in a provider's answer must not
// keep the hold, or the bill, going.
func TestProviderTextCannotBlockAChange(t *testing.T) {
	each(t, func(t *testing.T, r *testKit) {
		a := r.account(money.Dollars(1000))
		r.fake.set(func() {
			r.fake.launchErr = &provider.Error{Kind: provider.KindRejected, Message: "quota\x00 \xffreached\n"}
		})
		d := r.deploy(a)
		r.pass(10 * time.Second)
		if x := r.get(a, d.ID); x.Status != deployment.StatusFailed || *x.StatusReason != "quota reached " ||
			r.walletOf(a).Held != 0 {
			t.Fatalf("%q, %s held: %+v", *x.StatusReason, r.walletOf(a).Held, x)
		}
		r.fake.set(func() { r.fake.launchErr = nil })
		d = r.running(a)
		r.fake.set(func() {
			r.fake.changeMachine = func(m provider.Machine) (provider.Machine, error) {
				m.State, m.Detail = provider.MachineLost, "disk\x00 \xff"
				return m, nil
			}
		})
		r.pass(2 * time.Minute)
		if x := r.get(a, d.ID); x.Status != deployment.StatusInterrupted {
			t.Fatalf("%+v", x)
		}
	})
}

func TestEveryCallHasATimeLimit(t *testing.T) {
	each(t, func(t *testing.T, r *testKit) {
		a := r.account(money.Dollars(1000))
		d := r.running(a)
		r.must(r.tx(func(ctx context.Context, tx *db.Tx) error {
			_, err := r.deployments.Reboot(ctx, tx, a, d.ID)
			return err
		}))
		r.pass(30 * time.Minute)
		_, _, err := r.terminate(a, d.ID, false)
		r.must(err)
		r.await(a, d.ID, deployment.StatusTerminated)
		for _, call := range []string{"launch", "machine", "machines", "reboot", "terminate"} {
			if r.fake.calls[call] == 0 || r.fake.unbounded[call] {
				t.Errorf("%s: %d calls, without a limit: %t", call, r.fake.calls[call], r.fake.unbounded[call])
			}
		}
	})
}

func TestAutoTerminateNeedsNoProvider(t *testing.T) {
	each(t, func(t *testing.T, r *testKit) {
		a := r.account(money.Dollars(1000))
		d := r.running(a)
		_, _, err := r.terminate(a, d.ID, true)
		r.must(err)
		config := r.config
		config.Providers = provider.NewRegistry()
		without := deployment.New(config)
		r.clock.Advance(30 * time.Minute)
		if _, err := without.Reconcile(t.Context(), d.ID); err != nil {
			t.Fatal(err)
		}
		if x := r.get(a, d.ID); x.Status != deployment.StatusTerminating || !x.BilledUntil.Equal(d.TerminableAt) {
			t.Fatalf("%+v", x)
		}
		if _, err := without.Reconcile(t.Context(), d.ID); err == nil {
			t.Fatal("a machine was confirmed as ended without its provider")
		}
	})
}

func TestWait_ServerStops(t *testing.T) {
	each(t, func(t *testing.T, r *testKit) {
		a := r.account(money.Dollars(1000))
		d := r.deploy(a)
		answered := make(chan error, 2)
		wait := func() {
			x, err := r.deployments.Wait(t.Context(), a, d.ID, deployment.StatusRunning, time.Hour)
			if err == nil && x.Status != deployment.StatusPending {
				t.Errorf("%+v", x)
			}
			answered <- err
		}
		go wait()
		r.events.EndWatches()
		wait() // and one that begins later
		for range 2 {
			r.must(<-answered)
		}
	})
}

func TestPastDueAndTenantsTerminateInParallel(t *testing.T) {
	each(t, func(t *testing.T, r *testKit) {
		a := r.account(money.Dollars(10_000))
		for range 3 {
			var all []id.ID
			for range 5 {
				all = append(all, r.deploy(a).ID)
			}
			for _, d := range all {
				r.await(a, d, deployment.StatusRunning)
			}
			r.clock.Advance(30 * time.Minute)
			var wg sync.WaitGroup
			for _, d := range all {
				wg.Go(func() {
					if _, _, err := r.terminate(a, d, false); err != nil {
						t.Error(err)
					}
				})
			}
			wg.Go(func() {
				err := r.tx(func(ctx context.Context, tx *db.Tx) error {
					_, err := r.deployments.EndForPastDue(ctx, tx, a)
					return err
				})
				if err != nil {
					t.Errorf("EndForPastDue: %v", err)
				}
			})
			wg.Wait()
			r.pass(time.Minute)
			if left := r.upstream(); len(left) != 0 {
				t.Fatalf("machines left upstream: %v", left)
			}
		}
		r.checkLedger()
	})
}
