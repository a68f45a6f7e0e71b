package deployment_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/deployment"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/provider"
)

func TestLifecycleFromCreateToRefund(t *testing.T) {
	each(t, func(t *testing.T, r *testKit) {
		a := r.account(money.Dollars(1000))
		d := r.deploy(a)
		if d.Status != deployment.StatusPending || d.Steps[0].Status != "active" || d.StartedAt != nil ||
			d.IPAddress != nil {
			t.Fatalf("%+v", d)
		}
		if w := r.walletOf(a); w.Held != d.HourlyPrice || w.Balance != money.Dollars(1000) ||
			w.Available != w.Balance-w.Held {
			t.Fatalf("after the deploy: %+v", w)
		}
		d = r.await(a, d.ID, deployment.StatusRunning)
		if w := r.walletOf(a); w.Held != 0 || w.Balance != money.Dollars(1000)-d.HourlyPrice ||
			d.CostToDate != d.HourlyPrice {
			t.Fatalf("running: %+v, cost %s", w, d.CostToDate)
		}
		if d.IPAddress == nil || *d.SSHUser != "root" || !strings.HasSuffix(*d.SSHCommand, "root@"+*d.IPAddress) ||
			len(r.upstream()) != 1 {
			t.Fatalf("%+v, upstream %v", d, r.upstream())
		}
		for _, s := range d.Steps {
			if s.Status != "done" || s.FinishedAt == nil {
				t.Errorf("step %+v of a running deployment", s)
			}
		}

		r.clock.AdvanceTo(d.StartedAt.Add(25*time.Minute - time.Second))
		r.drain()
		_, _, err := r.terminate(a, d.ID, false)
		e := (*apierr.Error)(nil)
		if !errors.As(err, &e) || e.Code != apierr.MinimumRuntimeNotMet || e.Details["remainingSeconds"] != int64(1) ||
			!strings.Contains(e.Message, "1 minute") {
			t.Fatalf("a second early: %v", err)
		}
		can, err := r.deployments.CanTerminate(t.Context(), r.db, a, d.ID)
		if err != nil || can.CanTerminate || can.RemainingSeconds != 1 ||
			!can.TerminableAt.Equal(d.StartedAt.Add(25*time.Minute)) {
			t.Fatalf("%+v %v", can, err)
		}
		r.clock.AdvanceTo(d.StartedAt.Add(25*time.Minute + 17*time.Second))
		want := money.ForSeconds(d.HourlyPrice, 3600-25*60-17)
		if can, err = r.deployments.CanTerminate(t.Context(), r.db, a, d.ID); err != nil || !can.CanTerminate ||
			can.Refund != want {
			t.Fatalf("%+v %v, want a refund of %s", can, err, want)
		}
		d, _, err = r.terminate(a, d.ID, false)
		r.must(err)
		if d.Status != deployment.StatusTerminating || d.CostToDate != d.HourlyPrice-want || d.TerminatedAt != nil ||
			d.BilledUntil == nil {
			t.Fatalf("%+v", d)
		}
		d = r.await(a, d.ID, deployment.StatusTerminated)
		if !d.TerminatedAt.Equal(d.StartedAt.Add(25*time.Minute+17*time.Second)) || len(r.upstream()) != 0 {
			t.Fatalf("%+v, upstream %v", d, r.upstream())
		}
		for range 2 {
			again, _, err := r.terminate(a, d.ID, false)
			if err != nil || again.Status != deployment.StatusTerminated || again.CostToDate != d.CostToDate {
				t.Fatalf("terminated again: %+v %v", again, err)
			}
		}
		r.pass(3 * time.Hour)
		if w := r.walletOf(a); w.Balance != money.Dollars(1000)-d.HourlyPrice+want {
			t.Fatalf("afterwards: %+v", w)
		}
		events, _, err := r.events.List(t.Context(), r.db, a, d.ID, db.Page{Number: 1, Limit: 100})
		r.must(err)
		var kinds []string
		for _, e := range events {
			kinds = append(kinds, strings.TrimPrefix(e.Type, "deployment."))
		}
		kinds = slices.DeleteFunc(kinds, func(k string) bool { return k == "progress" })
		if got := strings.Join(kinds, " "); got != "created deploying charged running refunded terminating terminated" {
			t.Errorf("events: %s", got)
		}
		r.checkLedger()
	})
}

func TestHoursAreChargedAtTheAgreedPrice(t *testing.T) {
	each(t, func(t *testing.T, r *testKit) {
		a := r.account(money.Dollars(1000))
		d := r.running(a)
		r.fake.set(func() { r.fake.price = money.Dollars(999) })
		for _, step := range []struct {
			at    time.Duration
			hours int64
		}{{time.Hour - time.Microsecond, 1}, {time.Hour, 2}, {2*time.Hour - time.Second, 2}, {2 * time.Hour, 3}, {7*time.Hour + 30*time.Minute, 8}} {
			r.pass(d.StartedAt.Add(step.at).Sub(r.clock.Now()))
			if got := r.get(a, d.ID).CostToDate; got != d.HourlyPrice.Times(step.hours) {
				t.Fatalf("after %s: %s, want %d hours at %s", step.at, got, step.hours, d.HourlyPrice)
			}
		}
		o, found := r.catalog.Default().Get(pageOffer)
		if !found || o.HourlyPrice != money.Dollars(999) {
			t.Fatalf("the offer did not become dearer: %+v", o)
		}
		x, _, err := r.terminate(a, d.ID, false)
		if err != nil || x.CostToDate != d.HourlyPrice.Times(8) {
			t.Fatalf("a later hour was refunded: %+v %v", x, err)
		}
		r.checkLedger()
	})
}

func TestTerminateOnTheHourDoesNotPayTheNextHour(t *testing.T) {
	each(t, func(t *testing.T, r *testKit) {
		a := r.account(money.Dollars(1000))
		d := r.running(a)
		r.clock.AdvanceTo(d.StartedAt.Add(time.Hour)) // the sweep has not run
		x, _, err := r.terminate(a, d.ID, false)
		if err != nil || x.CostToDate != d.HourlyPrice {
			t.Fatalf("%+v %v", x, err)
		}
		r.pass(2 * time.Hour)
		if got := r.get(a, d.ID).CostToDate; got != d.HourlyPrice {
			t.Fatalf("%s", got)
		}
		r.checkLedger()
	})
}

func TestFailedDeploymentCostsNothing(t *testing.T) {
	ready := func(m provider.Machine) (provider.Machine, error) {
		m.State = provider.MachineProvisioning
		return m, nil
	}
	for name, c := range map[string]struct {
		arrange func(r *testKit)
		wait    time.Duration
		cause   deployment.Cause
	}{
		"no capacity": {func(r *testKit) { r.fake.launchErr = &provider.Error{Kind: provider.KindNoCapacity} }, time.Second, deployment.CauseNoCapacity},
		"rejected":    {func(r *testKit) { r.fake.launchErr = &provider.Error{Kind: provider.KindRejected, Message: "Not you."} }, time.Second, deployment.CauseRejected},
		"offer gone":  {func(r *testKit) { r.fake.launchErr = &provider.Error{Kind: provider.KindNotFound} }, time.Second, deployment.CauseNoCapacity},
		"never ready": {func(r *testKit) { r.fake.changeMachine = ready }, 16 * time.Minute, deployment.CauseTimedOut},
		"no SSH": {func(r *testKit) {
			r.sshErr = errors.New("connection " +
				"refused")
		}, 16 * time.Minute, deployment.CauseTimedOut},
		"no answer": {func(r *testKit) { r.fake.launchErr = errors.New("i/o timeout") }, 25 * time.Minute, deployment.CauseTimedOut},
		"broken": {func(r *testKit) {
			r.fake.changeMachine = func(m provider.Machine) (provider.Machine, error) { m.State = provider.MachineFailed; return m, nil }
		}, 10 * time.Second, deployment.CauseRejected},
		"lost on the way": {func(r *testKit) {
			r.fake.changeMachine = func(m provider.Machine) (provider.Machine, error) { m.State = provider.MachineLost; return m, nil }
		}, 10 * time.Second, deployment.CauseLost},
	} {
		t.Run(name, func(t *testing.T) {
			each(t, func(t *testing.T, r *testKit) {
				a := r.account(money.Dollars(100))
				r.fake.set(func() { c.arrange(r) })
				d := r.deploy(a)
				r.pass(10 * time.Second)
				r.clock.Advance(c.wait)
				r.pass(time.Minute)
				d = r.get(a, d.ID)
				if d.Status != deployment.StatusFailed || d.StatusCause != c.cause || d.StatusReason == nil ||
					d.CostToDate != 0 ||
					d.StartedAt != nil {
					t.Fatalf("%+v", d)
				}
				if w := r.walletOf(a); w.Available != money.Dollars(100) || w.Held != 0 {
					t.Fatalf("%+v", w)
				}
				r.fake.set(func() { r.fake.changeMachine = nil })
				r.pass(time.Minute)
				if left := r.upstream(); len(left) != 0 {
					t.Fatalf("machines left upstream: %v", left)
				}
				r.checkLedger()
			})
		})
	}
}

func TestLostAnswerMakesNoSecondMachine(t *testing.T) {
	each(t, func(t *testing.T, r *testKit) {
		a := r.account(money.Dollars(100))
		r.fake.set(func() { r.fake.answerErr = context.DeadlineExceeded })
		d := r.deploy(a)
		r.pass(20 * time.Second)
		if got := r.upstream(); len(got) != 1 || got[0] != d.ID || r.fake.calls["launch"] < 2 {
			t.Fatalf("upstream %v after %d launches", got, r.fake.calls["launch"])
		}
		r.fake.set(func() { r.fake.answerErr = nil })
		r.pass(5 * time.Minute)
		if d = r.get(a, d.ID); d.Status != deployment.StatusRunning || len(r.upstream()) != 1 {
			t.Fatalf("%+v, upstream %v", d, r.upstream())
		}
	})
}

func TestReclaimedMachineIsRefunded(t *testing.T) {
	each(t, func(t *testing.T, r *testKit) {
		a := r.account(money.Dollars(1000))
		d := r.running(a)
		r.pass(d.StartedAt.Add(2*time.Hour + 10*time.Minute).Sub(r.clock.Now()))
		r.must(r.fake.simulated.Terminate(t.Context(), d.ID)) // without Billet
		r.pass(10 * time.Second)                              // it is gone upstream before Billet asks
		r.pass(2 * time.Minute)
		d = r.get(a, d.ID)
		if d.Status != deployment.StatusInterrupted || d.TerminatedAt == nil {
			t.Fatalf("%+v", d)
		}
		used := int64(d.TerminatedAt.Sub(*d.StartedAt) / time.Second)
		if want := d.HourlyPrice.Times(3) - money.ForSeconds(d.HourlyPrice, 3*3600-used); d.CostToDate != want {
			t.Fatalf("cost %s, want %s", d.CostToDate, want)
		}
		r.checkLedger()
	})
}

func TestUndeadMachineIsEndedAgain(t *testing.T) {
	each(t, func(t *testing.T, r *testKit) {
		a := r.account(money.Dollars(1000))
		d := r.running(a)
		r.pass(26 * time.Minute)
		_, _, err := r.terminate(a, d.ID, false)
		r.must(err)
		gone := func(m provider.Machine) (provider.Machine, error) {
			return m, &provider.Error{Kind: provider.KindNotFound}
		}
		r.fake.set(func() { // it says that it is gone, and is not
			r.fake.changeMachine, r.fake.terminateErr = gone, &provider.Error{Kind: provider.KindNotFound}
		})
		r.await(a, d.ID, deployment.StatusTerminated)
		if len(r.upstream()) != 1 {
			t.Fatal("the test's premise does not hold")
		}
		r.fake.set(func() { r.fake.changeMachine, r.fake.terminateErr = nil, nil })
		r.pass(3 * time.Minute) // the watch finds it
		r.pass(10 * time.Second)
		if left := r.upstream(); len(left) != 0 {
			t.Fatalf("machines left upstream: %v", left)
		}
		if x := r.get(a, d.ID); x.Status != deployment.StatusTerminated {
			t.Fatalf("a final status was left: %+v", x)
		}
	})
}

func TestRefusedTerminationCostsTheTenantNothing(t *testing.T) {
	each(t, func(t *testing.T, r *testKit) {
		a := r.account(money.Dollars(1000))
		d := r.running(a)
		r.pass(26 * time.Minute)
		r.fake.set(func() { r.fake.terminateErr = &provider.Error{Kind: provider.KindRejected, RetryAfter: time.Hour} })
		x, _, err := r.terminate(a, d.ID, false)
		r.must(err)
		r.pass(5 * time.Hour)
		if y := r.get(a, d.ID); y.Status != deployment.StatusTerminating || y.CostToDate != x.CostToDate {
			t.Fatalf("%+v", y)
		}
		r.fake.set(func() { r.fake.terminateErr = nil })
		r.pass(2 * time.Hour)
		if y := r.get(a, d.ID); y.Status != deployment.StatusTerminated || y.CostToDate != x.CostToDate ||
			!y.TerminatedAt.Equal(*x.BilledUntil) {
			t.Fatalf("%+v", y)
		}
	})
}

func TestTerminate_BeforeTheMinimumRuntime(t *testing.T) {
	each(t, func(t *testing.T, r *testKit) {
		a := r.account(money.Dollars(1000))
		d := r.deploy(a)
		x, queued, err := r.terminate(a, d.ID, true) // not even running yet
		if err != nil || !queued || x.AutoTerminateAt == nil {
			t.Fatalf("%+v %t %v", x, queued, err)
		}
		d = r.await(a, d.ID, deployment.StatusRunning)
		r.pass(d.TerminableAt.Sub(r.clock.Now()) - time.Second)
		if got := r.get(a, d.ID).Status; got != deployment.StatusRunning {
			t.Fatalf("%s a second early", got)
		}
		r.pass(time.Minute)
		d = r.get(a, d.ID)
		if d.Status != deployment.StatusTerminated || !d.TerminatedAt.Equal(d.TerminableAt) ||
			d.CostToDate != d.HourlyPrice-money.ForSeconds(d.HourlyPrice, 35*60) {
			t.Fatalf("%+v", d)
		}
	})
}

func TestAutoTerminateWhileTheServerIsDown(t *testing.T) {
	each(t, func(t *testing.T, r *testKit) {
		a := r.account(money.Dollars(1000))
		req, at := request(t), r.clock.Now().Add(90*time.Minute)
		req.AutoTerminateAt = &at
		d, err := r.create(a, req)
		r.must(err)
		d = r.await(a, d.ID, deployment.StatusRunning)
		r.clock.Advance(48 * time.Hour) // nothing ran meanwhile
		r.drain()
		r.pass(time.Minute)
		d = r.get(a, d.ID)
		if d.Status != deployment.StatusTerminated || !d.TerminatedAt.Equal(at.Truncate(time.Second)) ||
			d.CostToDate != d.HourlyPrice.Times(2) ||
			d.StatusCause != deployment.CauseConfirmedEnd {
			t.Fatalf("%+v", d)
		}
		r.checkLedger()
	})
}

func TestAutoTerminateCanBeCanceled(t *testing.T) {
	each(t, func(t *testing.T, r *testKit) {
		a := r.account(money.Dollars(1000))
		d := r.running(a)
		_, _, err := r.terminate(a, d.ID, true)
		r.must(err)
		r.must(r.tx(func(ctx context.Context, tx *db.Tx) error {
			x, err := r.deployments.Update(ctx, tx, a, d.ID, deployment.UpdateRequest{ClearAutoTerminateAt: true})
			if err == nil && x.AutoTerminateAt != nil {
				t.Errorf("%+v", x)
			}
			return err
		}))
		r.pass(40 * time.Minute)
		if got := r.get(a, d.ID).Status; got != deployment.StatusRunning {
			t.Fatal(got)
		}
	})
}

func TestDeployingCanBeTerminatedAfterTheMinimumRuntime(t *testing.T) {
	each(t, func(t *testing.T, r *testKit) {
		a := r.account(money.Dollars(100))
		r.fake.set(func() {
			r.fake.changeMachine = func(m provider.Machine) (provider.Machine, error) {
				m.State = provider.MachineProvisioning
				return m, nil
			}
		})
		d := r.deploy(a)
		r.clock.Advance(25 * time.Minute) // no job has noticed that it is late
		x, _, err := r.terminate(a, d.ID, false)
		if err != nil || x.Status != deployment.StatusTerminating {
			t.Fatalf("%+v %v", x, err)
		}
		r.fake.set(func() { r.fake.changeMachine = nil })
		r.pass(time.Minute)
		if x = r.get(a, d.ID); x.Status != deployment.StatusTerminated || x.CostToDate != 0 ||
			r.walletOf(a).Available != money.Dollars(100) ||
			len(r.upstream()) != 0 {
			t.Fatalf("%+v, %+v, upstream %v", x, r.walletOf(a), r.upstream())
		}
	})
}

func TestActions(t *testing.T) {
	each(t, func(t *testing.T, r *testKit) {
		a := r.account(money.Dollars(1000))
		d := r.running(a)
		act := func(f func(context.Context, *db.Tx, id.ID, id.ID) (deployment.Deployment, error)) (x deployment.Deployment, err error) {
			err = r.tx(func(ctx context.Context, tx *db.Tx) (err error) { x, err = f(ctx, tx, a, d.ID); return err })
			return x, err
		}
		if _, err := act(r.deployments.PowerOn); r.code(err) != apierr.Conflict {
			t.Fatalf("switched on what is on: %v", err)
		}
		for range 2 { // asked twice, done once
			if x, err := act(r.deployments.Reboot); err != nil || *x.PendingAction != deployment.ActionReboot {
				t.Fatalf("%+v %v", x, err)
			}
		}
		if _, err := act(r.deployments.PowerOff); r.code(err) != apierr.Conflict {
			t.Fatalf("two actions at once: %v", err)
		}
		r.pass(10 * time.Second)
		if x := r.get(a, d.ID); r.fake.calls["reboot"] != 1 || x.PendingAction != nil ||
			x.Status != deployment.StatusRunning {
			t.Fatalf("%d reboots, %+v", r.fake.calls["reboot"], x)
		}
		_, err := act(r.deployments.PowerOff)
		r.must(err)
		r.await(a, d.ID, deployment.StatusStopped)
		r.pass(2 * time.Hour)
		if x := r.get(a, d.ID); x.CostToDate != d.HourlyPrice.Times(3) {
			t.Fatalf("a stopped machine is kept, and paid: %s", x.CostToDate)
		}
		_, err = act(r.deployments.PowerOn)
		r.must(err)
		r.await(a, d.ID, deployment.StatusRunning)
		_, err = act(func(ctx context.Context, tx *db.Tx, a, d id.ID) (deployment.Deployment, error) {
			other := "Plan 9"
			return r.deployments.Reinstall(ctx, tx, a, d, &other)
		})
		if r.code(err) != apierr.InvalidRequest {
			t.Fatal(err)
		}
		_, err = act(func(ctx context.Context, tx *db.Tx, a, d id.ID) (deployment.Deployment, error) {
			return r.deployments.Reinstall(ctx, tx, a, d, nil)
		})
		r.must(err)
		r.pass(30 * time.Second)
		if x := r.get(a, d.ID); x.Status != deployment.StatusRunning || x.PendingAction != nil {
			t.Fatalf("%+v", x)
		}
	})
}

func TestParallelCreatesNeverOverspend(t *testing.T) {
	each(t, func(t *testing.T, r *testKit) {
		o, _ := r.catalog.Default().Get(pageOffer)
		a := r.account(o.HourlyPrice.Times(6) + max(o.HourlyPrice, deployment.MinimumBalance))
		var mu sync.Mutex
		codes, wg := map[apierr.Code]int{}, sync.WaitGroup{}
		for range 100 {
			req := request(t)
			wg.Go(func() {
				_, err := r.create(a, req)
				mu.Lock()
				defer mu.Unlock()
				if err == nil {
					codes[""]++
				} else {
					codes[apierr.CodeOf(err)]++
				}
			})
		}
		wg.Wait()
		if codes[""] != 7 || codes[apierr.InsufficientBalance] != 93 {
			t.Fatalf("%v", codes)
		}
		r.pass(time.Minute)
		if w := r.walletOf(a); w.Held != 0 || w.Available < 0 || len(r.upstream()) != 7 {
			t.Fatalf("%+v, %d upstream", w, len(r.upstream()))
		}
		r.checkLedger()
	})
}

func TestTerminateWhileTheMachineIsLostRefundsOnce(t *testing.T) {
	each(t, func(t *testing.T, r *testKit) {
		a := r.account(money.Dollars(1000))
		for range 10 {
			d := r.running(a)
			r.clock.Advance(30 * time.Minute)
			r.must(r.fake.simulated.Terminate(t.Context(), d.ID))
			r.clock.Advance(10 * time.Second)
			before := r.walletOf(a).Available
			var wg sync.WaitGroup
			wg.Go(func() {
				if _, _, err := r.terminate(a, d.ID, false); err != nil {
					t.Error(err)
				}
			})
			wg.Go(func() {
				if _, err := r.deployments.Reconcile(t.Context(), d.ID); err != nil {
					t.Error(err)
				}
			})
			wg.Wait()
			x := r.get(a, d.ID)
			if want := money.ForSeconds(d.HourlyPrice, 3600-int64(x.BilledUntil.Sub(*x.StartedAt)/time.Second)); r.walletOf(
				a,
			).Available-before != want {
				t.Fatalf("refunded %s, want %s", r.walletOf(a).Available-before, want)
			}
			r.pass(time.Minute)
		}
		r.checkLedger()
	})
}
