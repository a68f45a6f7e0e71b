package deployment_test

import (
	"context"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/deployment"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/job"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/provider"
	"github.com/billetcloud/billet/internal/quote"
)

// The server comes back hours after a planned end, and somebody ends the deployment before the look
// that was due.
func TestMissedPlannedEndIsBilledUntilThen(t *testing.T) {
	for name, end := range map[string]func(r *rig, a, d id.ID) error{
		"the tenant": func(r *rig, a, d id.ID) error { _, _, err := r.terminate(a, d, false); return err },
		"arrears": func(r *rig, a, _ id.ID) error {
			return r.tx(func(ctx context.Context, tx *db.Tx) error {
				_, err := r.deployments.EndForPastDue(ctx, tx, a)
				return err
			})
		},
	} {
		t.Run(name, func(t *testing.T) {
			each(t, func(t *testing.T, r *rig) {
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
				r.audit()
			})
		})
	}
}

// A provider that does not end a machine is asked ever more seldom, and never given up.
func TestTerminationIsRetriedWithBackoff(t *testing.T) {
	for name, c := range map[string]struct {
		arrange     func(p *trouble)
		least, most int
		soon        time.Duration
	}{
		"it refuses":         {func(p *trouble) { p.terminate = &provider.Error{Kind: provider.KindRejected} }, 60, 140, 10 * time.Minute},
		"it does not answer": {func(p *trouble) { p.terminate = &provider.Error{Kind: provider.KindUnavailable} }, 60, 140, 10 * time.Minute},
		"it is never done": {func(p *trouble) {
			p.terminate = &provider.Error{Kind: provider.KindNotFound} // which the machine's state belies
			p.machine = func(m provider.Machine) (provider.Machine, error) {
				m.State = provider.MachineTerminating
				return m, nil
			}
		}, 60, 200, 10 * time.Minute},
		"it says next year": {func(p *trouble) {
			p.terminate = &provider.Error{Kind: provider.KindRejected, RetryAfter: 365 * 24 * time.Hour}
		}, 5, 6, time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			each(t, func(t *testing.T, r *rig) {
				a := r.account(money.Dollars(1000))
				d := r.running(a)
				r.pass(26 * time.Minute)
				r.park.set(func() { c.arrange(r.park); r.park.poll = 10 * time.Second })
				_, _, err := r.terminate(a, d.ID, false)
				r.must(err)
				r.pass(5 * time.Hour)
				if got := r.park.calls["terminate"]; got < c.least || got > c.most {
					t.Errorf("asked %d times in 5 hours", got)
				}
				r.park.set(func() { r.park.terminate, r.park.machine = nil, nil })
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
	each(t, func(t *testing.T, r *rig) {
		a := r.account(money.Dollars(100))
		d := r.deploy(a)
		r.clock.Advance(3 * time.Hour) // the server was down
		r.pass(time.Minute)
		if x := r.get(a, d.ID); x.Status != deployment.StatusFailed || x.StatusCause != deployment.CauseTimedOut ||
			r.park.calls["launch"] != 0 ||
			r.money(a).Held != 0 {
			t.Fatalf("%d launches, %+v", r.park.calls["launch"], x)
		}
	})
}

// PostgreSQL takes neither a NUL nor what is not UTF-8: such a text in a provider's answer must not
// keep the hold, or the bill, going.
func TestProviderTextCannotBlockAChange(t *testing.T) {
	each(t, func(t *testing.T, r *rig) {
		a := r.account(money.Dollars(1000))
		r.park.set(func() {
			r.park.launch = &provider.Error{Kind: provider.KindRejected, Message: "quota\x00 \xffreached\n"}
		})
		d := r.deploy(a)
		r.pass(10 * time.Second)
		if x := r.get(a, d.ID); x.Status != deployment.StatusFailed || *x.StatusReason != "quota reached " ||
			r.money(a).Held != 0 {
			t.Fatalf("%q, %s held: %+v", *x.StatusReason, r.money(a).Held, x)
		}
		r.park.set(func() { r.park.launch = nil })
		d = r.running(a)
		r.park.set(func() {
			r.park.machine = func(m provider.Machine) (provider.Machine, error) {
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
	each(t, func(t *testing.T, r *rig) {
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
			if r.park.calls[call] == 0 || r.park.unbounded[call] {
				t.Errorf("%s: %d calls, without a limit: %t", call, r.park.calls[call], r.park.unbounded[call])
			}
		}
	})
}

func TestPlannedEndNeedsNoProvider(t *testing.T) {
	each(t, func(t *testing.T, r *rig) {
		a := r.account(money.Dollars(1000))
		d := r.running(a)
		_, _, err := r.terminate(a, d.ID, true)
		r.must(err)
		without := deployment.New(deployment.Config{
			DB: r.db, IDs: r.ids, Clock: r.clock, Log: slog.New(slog.DiscardHandler), Catalog: r.catalog, SSHKeys: r.keys, Volumes: r.volumes, Wallet: r.wallet,
			Meter: r.meter, Events: r.events, Issues: r.issues, Jobs: job.NewQueue(r.ids), Providers: provider.NewRegistry(), Quotes: quote.New(r.ids), Probe: provider.ProbeSSH, Secrets: r.secrets,
		})
		r.clock.Advance(30 * time.Minute)
		if _, err := without.Reconcile(t.Context(), d.ID); err != nil {
			t.Fatal(err)
		}
		if x := r.get(a, d.ID); x.Status != deployment.StatusTerminating || !x.BilledUntil.Equal(d.TerminableAt) {
			t.Fatalf("%+v", x)
		}
		if _, err := without.Reconcile(t.Context(), d.ID); err == nil {
			t.Fatal("a machine was called ended although nobody could be asked")
		}
	})
}

func TestWait_ServerStops(t *testing.T) {
	each(t, func(t *testing.T, r *rig) {
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
	each(t, func(t *testing.T, r *rig) {
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
					t.Errorf("arrears: %v", err)
				}
			})
			wg.Wait()
			r.pass(time.Minute)
			if left := r.upstream(); len(left) != 0 {
				t.Fatalf("left upstream: %v", left)
			}
		}
		r.audit()
	})
}
