package deployment_test

import (
	"context"
	"errors"
	"fmt"
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
		d := r.deployed(a)
		r.wantTooEarly(a, d, d.StartedAt.Add(25*time.Minute-time.Second))
		r.clock.AdvanceTo(d.StartedAt.Add(25*time.Minute + 17*time.Second))
		refund := money.ForSeconds(d.HourlyPrice, 3600-25*60-17)
		can, err := r.deployments.CanTerminate(t.Context(), r.db, a, d.ID)
		if err != nil || !can.CanTerminate || can.Refund != refund {
			t.Fatalf("CanTerminate = %+v, %v; want a refund of %s", can, err, refund)
		}
		d, _, err = r.terminate(a, d.ID, false)
		r.must(err)
		if d.Status != deployment.StatusTerminating || d.CostToDate != d.HourlyPrice-refund || d.TerminatedAt != nil ||
			d.BilledUntil == nil {
			t.Fatalf("Terminate = %+v", d)
		}
		d = r.await(a, d.ID, deployment.StatusTerminated)
		at := d.StartedAt.Add(25*time.Minute + 17*time.Second)
		if !d.TerminatedAt.Equal(at) || len(r.upstream()) != 0 {
			t.Fatalf("terminatedAt is %s, want %s; upstream %v", d.TerminatedAt, at, r.upstream())
		}
		for range 2 {
			again, _, err := r.terminate(a, d.ID, false)
			if err != nil || again.Status != deployment.StatusTerminated || again.CostToDate != d.CostToDate {
				t.Fatalf("Terminate again = %+v, %v", again, err)
			}
		}
		r.pass(3 * time.Hour)
		r.wantWallet(a, money.Dollars(1000)-d.HourlyPrice+refund, 0)
		want := "created deploying charged running refunded terminating terminated"
		if got := r.eventTypes(a, d.ID); got != want {
			t.Errorf("the events are %q, want %q", got, want)
		}
		r.checkLedger()
	})
}

// deployed deploys and waits until the machine runs. It checks what a tenant sees and pays.
func (r *testKit) deployed(a id.ID) deployment.Deployment {
	r.t.Helper()
	d := r.deploy(a)
	if d.Status != deployment.StatusPending || d.Steps[0].Status != "active" || d.StartedAt != nil ||
		d.IPAddress != nil {
		r.t.Fatalf("Create = %+v", d)
	}
	r.wantWallet(a, money.Dollars(1000), d.HourlyPrice)
	d = r.await(a, d.ID, deployment.StatusRunning)
	r.wantWallet(a, money.Dollars(1000)-d.HourlyPrice, 0)
	if d.CostToDate != d.HourlyPrice || d.IPAddress == nil || *d.SSHUser != "root" ||
		!strings.HasSuffix(*d.SSHCommand, "root@"+*d.IPAddress) || len(r.upstream()) != 1 {
		r.t.Fatalf("the running deployment is %+v, upstream %v", d, r.upstream())
	}
	for _, s := range d.Steps {
		if s.Status != "done" || s.FinishedAt == nil {
			r.t.Fatalf("step %+v of a running deployment", s)
		}
	}
	return d
}

// wantTooEarly checks that the deployment cannot be terminated at that instant, a second before the
// end of its minimum runtime.
func (r *testKit) wantTooEarly(a id.ID, d deployment.Deployment, at time.Time) {
	r.t.Helper()
	r.clock.AdvanceTo(at)
	r.drain()
	_, _, err := r.terminate(a, d.ID, false)
	if e, is := errors.AsType[*apierr.Error](err); !is || e.Code != apierr.MinimumRuntimeNotMet ||
		e.Details["remainingSeconds"] != int64(1) ||
		!strings.Contains(e.Message, "1 minute") {
		r.t.Fatalf("Terminate a second early = %v", err)
	}
	can, err := r.deployments.CanTerminate(r.t.Context(), r.db, a, d.ID)
	if err != nil || can.CanTerminate || can.RemainingSeconds != 1 || !can.TerminableAt.Equal(at.Add(time.Second)) {
		r.t.Fatalf("CanTerminate a second early = %+v, %v", can, err)
	}
}

// wantWallet fails the test unless the account has that balance, and that much of it is held.
func (r *testKit) wantWallet(a id.ID, balance, held money.Micros) {
	r.t.Helper()
	if w := r.walletOf(a); w.Balance != balance || w.Held != held || w.Available != balance-held {
		r.t.Fatalf("the wallet is %+v, want %s with %s held", w, balance, held)
	}
}

// eventTypes returns the types of the deployment's events but its progress, oldest first.
func (r *testKit) eventTypes(a, d id.ID) string {
	r.t.Helper()
	events, _, err := r.events.List(r.t.Context(), r.db, a, d, firstPage)
	r.must(err)
	var types []string
	for _, e := range events {
		if t := strings.TrimPrefix(e.Type, "deployment."); t != "progress" {
			types = append(types, t)
		}
	}
	return strings.Join(types, " ")
}

func TestHoursAreChargedAtTheAgreedPrice(t *testing.T) {
	each(t, func(t *testing.T, r *testKit) {
		a := r.account(money.Dollars(1000))
		d := r.running(a)
		r.fake.set(func() { r.fake.price = money.Dollars(999) })
		for _, step := range []struct {
			at    time.Duration
			hours int64
		}{
			{time.Hour - time.Microsecond, 1}, {time.Hour, 2}, {2*time.Hour - time.Second, 2}, {2 * time.Hour, 3},
			{7*time.Hour + 30*time.Minute, 8},
		} {
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
	launchTimesOut := func(p *fakeProvider) { p.launchErr = errors.New("i/o timeout") }
	for name, c := range map[string]struct {
		arrange func(p *fakeProvider)
		wait    time.Duration
		cause   deployment.Cause
	}{
		"no capacity": {launchFails(provider.KindNoCapacity), time.Second, deployment.CauseNoCapacity},
		"rejected":    {launchFails(provider.KindRejected), time.Second, deployment.CauseRejected},
		"offer gone":  {launchFails(provider.KindNotFound), time.Second, deployment.CauseNoCapacity},
		"never ready": {inState(provider.MachineProvisioning), 16 * time.Minute, deployment.CauseTimedOut},
		"no SSH":      {nil, 16 * time.Minute, deployment.CauseTimedOut},
		"no answer":   {launchTimesOut, 25 * time.Minute, deployment.CauseTimedOut},
		"broken":      {inState(provider.MachineFailed), 10 * time.Second, deployment.CauseRejected},
		"lost":        {inState(provider.MachineLost), 10 * time.Second, deployment.CauseLost},
	} {
		t.Run(name, func(t *testing.T) {
			each(t, func(t *testing.T, r *testKit) {
				a := r.account(money.Dollars(100))
				if c.arrange == nil {
					r.sshErr = errNoSSH
				} else {
					r.fake.set(func() { c.arrange(r.fake) })
				}
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
		act := func(
			f func(context.Context, *db.Tx, id.ID, id.ID) (deployment.Deployment, error),
		) (x deployment.Deployment, err error) {
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
			return r.deployments.Reinstall(ctx, tx, a, d, deployment.ReinstallRequest{
				EraseLocalDisks: true, OperatingSystem: &other,
			})
		})
		if r.code(err) != apierr.InvalidRequest {
			t.Fatal(err)
		}
		_, err = act(func(ctx context.Context, tx *db.Tx, a, d id.ID) (deployment.Deployment, error) {
			return r.deployments.Reinstall(ctx, tx, a, d, deployment.ReinstallRequest{EraseLocalDisks: true})
		})
		r.must(err)
		r.pass(30 * time.Second)
		if x := r.get(a, d.ID); x.Status != deployment.StatusRunning || x.PendingAction != nil {
			t.Fatalf("%+v", x)
		}
	})
}

// The service is the only caller of any provider's Reinstall, as test/architecture checks.
func TestReinstallNeedsConfirmation(t *testing.T) {
	each(t, func(t *testing.T, r *testKit) {
		a := r.account(money.Dollars(1000))
		d := r.running(a)
		same, other := d.OperatingSystem, "Plan 9"
		for _, system := range []*string{nil, &same, &other} {
			var pending *deployment.Action
			err := r.tx(func(ctx context.Context, tx *db.Tx) error {
				unconfirmed := deployment.ReinstallRequest{OperatingSystem: system}
				x, err := r.deployments.Reinstall(ctx, tx, a, d.ID, unconfirmed)
				pending = x.PendingAction
				return err
			})
			if r.code(err) != apierr.InvalidRequest || pending != nil {
				t.Fatalf("%v %v", pending, err)
			}
			if !strings.Contains(fmt.Sprint(err.(*apierr.Error).Details), "eraseLocalDisks") {
				t.Errorf("the error does not name the field: %+v", err)
			}
		}
		r.pass(30 * time.Second)
		if x := r.get(a, d.ID); x.PendingAction != nil || r.fake.calls["reinstall"] != 0 {
			t.Fatalf("%+v, %d calls", x, r.fake.calls["reinstall"])
		}
		r.must(r.tx(func(ctx context.Context, tx *db.Tx) error {
			_, err := r.deployments.Reinstall(ctx, tx, a, d.ID, deployment.ReinstallRequest{EraseLocalDisks: true})
			return err
		}))
		r.pass(30 * time.Second)
		if n := r.fake.calls["reinstall"]; n != 1 {
			t.Fatalf("%d calls of the provider", n)
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
			want := money.ForSeconds(d.HourlyPrice, 3600-int64(x.BilledUntil.Sub(*x.StartedAt)/time.Second))
			if got := r.walletOf(a).Available - before; got != want {
				t.Fatalf("%s was refunded, want %s", got, want)
			}
			r.pass(time.Minute)
		}
		r.checkLedger()
	})
}
