package deployment

import (
	"errors"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/provider"
	"github.com/billetcloud/billet/internal/step"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// now is when the runs of these tests decide.
var now = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func in(d time.Duration) *time.Time { at := now.Add(d); return &at }

func failed(kind provider.Kind) *provider.Error { return &provider.Error{Kind: kind} }

// known is a machine that was asked for, of that state.
func known(state provider.MachineState) *machineAnswer {
	return &machineAnswer{machine: provider.Machine{ID: "m-1", State: state}}
}

// ready is a machine with an address.
func ready() *machineAnswer {
	return &machineAnswer{machine: provider.Machine{
		ID: "m-1", State: provider.MachineReady, Address: "192.0.2.1", SSHUser: "root", SSHPort: 22,
	}}
}

// badImage is a machine that could not be installed because of the tenant's image.
func badImage(state provider.MachineState) *machineAnswer {
	return &machineAnswer{machine: provider.Machine{ID: "m-1", State: state, Detail: "why", ImageFault: true}}
}

func own(r *row) { r.image = &provider.Image{} }

func more(r *row) { r.plans = []plan{{OfferID: "off_2"}} }

type decideCase struct {
	name string
	row  func(r *row)
	seen observation
	want decision
}

func testDecide(t *testing.T, start row, cases []decideCase) {
	t.Helper()
	start.id, start.provider, start.createdAt = "dep_1", "acme", now.Add(-time.Hour)
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r, seen := start, c.seen
			if c.row != nil {
				c.row(&r)
			}
			seen.configured, seen.nextConfigured = true, true
			seen.info = provider.Info{
				PollEvery:   5 * time.Second,
				SettleTime:  time.Minute,
				LaunchLimit: 20 * time.Minute,
			}
			got := decide(&r, seen, now)
			if c.want.kind == doRetry && got.err != nil {
				c.want.err = got.err // whose text is for the log
			}
			compare := cmp.Options{cmp.AllowUnexported(decision{}), cmpopts.EquateErrors()}
			if diff := cmp.Diff(c.want, got, compare); diff != "" {
				t.Errorf("decide (-want +got):\n%s", diff)
			}
		})
	}
}

func TestDecide_deploying(t *testing.T) {
	late := func(r *row) { r.launchBy = now }
	adopted := func(r *row) { r.machineID = "m-1" }
	both := func(fs ...func(*row)) func(*row) {
		return func(r *row) {
			for _, f := range fs {
				f(r)
			}
		}
	}
	issued := func(r *row) {
		r.machineID, r.hostKeyPublic = "m-1", "key-1"
		r.steps = []step.Step{{Name: step.Connecting, StartedAt: in(-time.Minute)}}
	}
	shows := func(key string) *probeAnswer { return &probeAnswer{keys: []string{key}} }
	launchError := func(kind provider.Kind) observation {
		return observation{machine: &machineAnswer{err: failed(kind), launched: true}}
	}
	start := row{status: StatusDeploying, launchBy: now.Add(10 * time.Minute)}
	testDecide(t, start, []decideCase{
		{"nothing was asked", nil, observation{}, decision{kind: doLaunch}},
		{"a launch may have taken effect", func(r *row) { r.launchAskedAt = in(-time.Minute) }, observation{},
			decision{kind: doAskMachine}},
		{"a launch can no longer take effect", func(r *row) { r.launchAskedAt = in(-2 * time.Minute) }, observation{},
			decision{kind: doLaunch}},
		{"the machine is known", adopted, observation{}, decision{kind: doAskMachine}},
		{
			"too late to launch",
			late,
			observation{},
			decision{kind: doFail, cause: CauseTimedOut, reason: reasonNoAnswer},
		},
		{"launched", nil, observation{machine: known(provider.MachineProvisioning)}, decision{kind: doAdopt}},
		{"launched without an id", nil, observation{machine: known(provider.MachineProvisioning), adopted: true},
			decision{kind: doProgress, step: step.Provisioning}},

		{"no capacity", nil, launchError(provider.KindNoCapacity),
			decision{kind: doFail, cause: CauseNoCapacity, reason: reasonNoCapacity}},
		{"no such offer", nil, launchError(provider.KindNotFound),
			decision{kind: doFail, cause: CauseNoCapacity, reason: reasonNoOffer}},
		{"rejected", nil, launchError(provider.KindRejected),
			decision{kind: doFail, cause: CauseRejected, reason: reasonRejected}},
		{"wrong credentials", nil, launchError(provider.KindCredentials),
			decision{kind: doFail, cause: CauseRejected, reason: reasonBlocked}},
		{"no answer", nil, launchError(provider.KindUnavailable), retry(nil)},
		{"no answer in time", late, launchError(provider.KindUnavailable),
			decision{kind: doFail, cause: CauseTimedOut, reason: reasonNoAnswer}},
		{"throttled", nil, observation{machine: &machineAnswer{
			err: &provider.Error{Kind: provider.KindThrottled, RetryAfter: time.Minute}, launched: true,
		}}, wait(now.Add(time.Minute))},
		{"throttled beyond the deadline", nil, observation{machine: &machineAnswer{
			err: &provider.Error{Kind: provider.KindThrottled, RetryAfter: time.Hour}, launched: true,
		}}, wait(now.Add(10 * time.Minute))},
		{"not visible yet", func(r *row) { r.launchAskedAt = in(-time.Minute) },
			observation{machine: &machineAnswer{err: failed(provider.KindNotFound)}}, wait(now.Add(5 * time.Second))},
		{"a launch that took no effect", func(r *row) { r.launchAskedAt = in(-2 * time.Minute) },
			observation{machine: &machineAnswer{err: failed(provider.KindNotFound)}}, decision{kind: doRestart}},
		{"the machine is gone", adopted, observation{machine: &machineAnswer{err: failed(provider.KindNotFound)}},
			decision{kind: doFail, cause: CauseLost, reason: reasonLost}},
		{"credentials stop working", adopted,
			observation{machine: &machineAnswer{err: failed(provider.KindCredentials)}}, retry(nil)},

		{"provisioning", adopted, observation{machine: known(provider.MachineProvisioning)},
			decision{kind: doProgress, step: step.Provisioning}},
		{"provisioning too long", both(adopted, late), observation{machine: known(provider.MachineProvisioning)},
			decision{kind: doFail, cause: CauseTimedOut, reason: reasonNotReady}},
		{"the machine failed", adopted, observation{machine: known(provider.MachineFailed)},
			decision{kind: doFail, cause: CauseRejected, reason: reasonNotMade}},
		{"the image is bad", both(adopted, own), observation{machine: badImage(provider.MachineFailed)},
			decision{kind: doFail, cause: CauseRejected, reason: "why"}},
		{"the image is bad, with another candidate", both(adopted, both(own, more)),
			observation{machine: badImage(provider.MachineFailed)},
			decision{kind: doFail, cause: CauseRejected, reason: "why"}},
		{"the image of the operator is bad", both(adopted, more),
			observation{machine: badImage(provider.MachineFailed)},
			decision{kind: doAbandon, cause: CauseRejected, reason: "why"}},
		{"the machine is ending", adopted, observation{machine: known(provider.MachineTerminating)},
			decision{kind: doFail, cause: CauseLost, reason: reasonLost}},
		{"unhealthy at first", both(adopted, func(r *row) { r.launchAskedAt = in(-time.Minute) }),
			observation{
				machine: &machineAnswer{machine: provider.Machine{State: provider.MachineReady, Unhealthy: true}},
			},
			decision{kind: doProgress, step: step.Provisioning}},
		{"unhealthy too long", both(adopted, func(r *row) { r.launchAskedAt = in(-unhealthyGrace) }),
			observation{
				machine: &machineAnswer{machine: provider.Machine{State: provider.MachineReady, Unhealthy: true}},
			},
			decision{kind: doFail, cause: CauseRejected, reason: reasonUnhealthy}},
		{"ready without an address", adopted, observation{machine: known(provider.MachineReady)},
			decision{kind: doProgress, step: step.Provisioning}},

		{"ready", adopted, observation{machine: ready()}, decision{kind: doProbe}},
		{"SSH answers", adopted, observation{machine: ready(), probe: shows("key-2")}, decision{kind: doStart}},
		{"SSH does not answer", adopted, observation{machine: ready(), probe: &probeAnswer{err: errors.New("refused")}},
			decision{kind: doProgress, step: step.Connecting, detail: "waiting for SSH to answer"}},
		{"SSH does not answer in time", both(adopted, late),
			observation{machine: ready(), probe: &probeAnswer{err: errors.New("refused")}},
			decision{kind: doFail, cause: CauseTimedOut, reason: reasonNoSSH}},
		{"SSH shows the issued host key", issued, observation{machine: ready(), probe: shows("key-1")},
			decision{kind: doStart}},
		{"SSH shows another host key", issued, observation{machine: ready(), probe: shows("key-2")},
			decision{kind: doProgress, step: step.Connecting, detail: "waiting for the machine to take its host key"}},
		{"SSH shows another host key at the deadline", both(issued, late),
			observation{machine: ready(), probe: shows("key-2")}, decision{kind: doStart}},
	})
}

func TestDecide_candidates(t *testing.T) {
	gone := observation{terminate: &terminateAnswer{}, machine: &machineAnswer{err: failed(provider.KindNotFound)}}
	launched := func(r *row) { r.machineID, r.launchAskedAt = "m-1", in(-10*time.Minute) }
	abandoned := func(cause Cause) func(*row) {
		return func(r *row) {
			r.attempts = []Attempt{{OfferID: r.offerID, Cause: cause, Reason: "why"}}
		}
	}
	after := func(cause Cause, change func(r *row)) func(*row) {
		return func(r *row) {
			abandoned(cause)(r)
			change(r)
		}
	}
	start := row{
		status: StatusDeploying, offerID: "off_1", launchBy: now.Add(10 * time.Minute),
		plans: []plan{{OfferID: "off_2"}},
	}
	testDecide(t, start, []decideCase{
		{
			"the offer fails",
			nil,
			observation{machine: &machineAnswer{err: failed(provider.KindNoCapacity), launched: true}},
			decision{kind: doAbandon, cause: CauseNoCapacity, reason: reasonNoCapacity},
		},
		{"nothing was made", abandoned(CauseNoCapacity), observation{}, decision{kind: doNextCandidate}},
		{"a machine was made", after(CauseRejected, launched), observation{}, decision{kind: doTerminate}},
		{"a machine may have been made", abandoned(CauseTimedOut), observation{}, decision{kind: doTerminate}},
		{"its end was accepted", after(CauseRejected, launched), observation{terminate: &terminateAnswer{}},
			decision{kind: doAskMachine}},
		{"its end is confirmed", after(CauseRejected, launched), gone, decision{kind: doNextCandidate}},
		{"its end is not confirmed", after(CauseRejected, launched),
			observation{terminate: &terminateAnswer{}, machine: known(provider.MachineTerminating)},
			wait(now.Add(5 * time.Second))},
		{"its end is not confirmed in time", after(CauseRejected, func(r *row) {
			launched(r)
			r.launchBy = now.Add(-20*time.Minute - time.Second)
		}), observation{terminate: &terminateAnswer{}, machine: known(provider.MachineTerminating)},
			decision{kind: doFail, cause: CauseRejected, reason: "why"}},
		{"its end is refused", after(CauseRejected, launched),
			observation{terminate: &terminateAnswer{err: failed(provider.KindUnavailable)}},
			decision{kind: doFail, cause: CauseRejected, reason: "why"}},
		{"another launch may be under way", after(CauseTimedOut, func(r *row) {
			launched(r)
			r.launchOpenAt = in(-10 * time.Second)
		}), gone, wait(now.Add(50 * time.Second))},
	})
}

func TestDecide_running(t *testing.T) {
	same := func(r *row) { r.address, r.sshUser, r.sshPort = "192.0.2.1", "root", 22 }
	reinstalled := func(r *row) {
		same(r)
		r.hostKeyBy = in(time.Hour)
	}
	seen := func(a *machineAnswer) observation { return observation{machine: a} }
	lost := func(unknown bool) decision {
		return decision{kind: doInterrupt, reason: reasonReclaimed, unknown: unknown}
	}
	soon := wait(now.Add(5 * time.Second))
	testDecide(t, row{status: StatusRunning, machineID: "m-1", startedAt: in(-time.Hour)}, []decideCase{
		{"nothing was asked", nil, observation{}, decision{kind: doAskMachine}},
		{"an action is pending", func(r *row) { r.action = ActionReboot }, observation{}, decision{kind: doPerform}},
		{"as it should be", same, seen(ready()), decision{kind: doNothing}},
		{
			"as it should be, with an auto-terminate time",
			func(r *row) { same(r); r.autoTerminateAt = in(time.Hour) },
			seen(ready()),
			wait(now.Add(time.Hour)),
		},
		{"at another address", nil, seen(ready()), decision{kind: doUpdateMachine}},
		{"reinstalled", reinstalled, seen(ready()), decision{kind: doProbe}},
		{"reinstalled, and SSH does not answer", reinstalled,
			observation{machine: ready(), probe: &probeAnswer{err: errors.New("refused")}}, soon},
		{"reinstalled, and SSH answers", reinstalled,
			observation{machine: ready(), probe: &probeAnswer{keys: []string{"key"}}}, decision{kind: doLearnHostKeys}},
		{
			"reinstalled long ago",
			func(r *row) { same(r); r.hostKeyBy = in(0) },
			seen(ready()),
			decision{kind: doNothing},
		},
		{"switched off", same, seen(known(provider.MachineOff)), decision{kind: doPower, cause: CauseSwitchedOff}},
		{"rebooting", same, seen(known(provider.MachineProvisioning)), soon},
		{"lost", same, seen(known(provider.MachineLost)), lost(false)},
		{"gone", same, seen(known(provider.MachineGone)), lost(true)},
		{"unknown", same, seen(&machineAnswer{err: failed(provider.KindNotFound)}), lost(true)},
		{"not visible yet", func(r *row) { r.launchAskedAt = in(-time.Minute) },
			seen(&machineAnswer{err: failed(provider.KindNotFound)}), soon},
		{"no answer", same, seen(&machineAnswer{err: failed(provider.KindUnavailable)}), retry(nil)},
		{"a refused reinstallation", func(r *row) {
			same(r)
			r.hostKeyBy = in(time.Hour)
		}, seen(badImage(provider.MachineProvisioning)), decision{kind: doReportRefusal, reason: "why"}},
		{"a refused reinstallation, reported", same, seen(badImage(provider.MachineProvisioning)),
			decision{kind: doNothing}},
		{"stopped and off", func(r *row) { r.status = StatusStopped }, seen(known(provider.MachineOff)),
			decision{kind: doNothing}},
		{"stopped and on", func(r *row) { r.status = StatusStopped }, seen(ready()),
			decision{kind: doPower, cause: CauseSwitchedOn}},
		{
			"the auto-terminate time passed",
			func(r *row) { r.autoTerminateAt = in(0) },
			observation{},
			decision{kind: doEnd},
		},
		{"an auto-terminate time before the minimum runtime", func(r *row) {
			same(r)
			r.autoTerminateAt, r.minimumRuntime = in(0), 2*time.Hour
		}, seen(ready()), wait(now.Add(time.Hour))},
	})
}

func TestDecide_ending(t *testing.T) {
	asked := observation{terminate: &terminateAnswer{}}
	answered := func(a *machineAnswer) observation {
		return observation{terminate: &terminateAnswer{}, machine: a}
	}
	refused := func(e *provider.Error) observation { return observation{terminate: &terminateAnswer{err: e}} }
	gone := &machineAnswer{err: failed(provider.KindNotFound)}
	testDecide(t, row{status: StatusTerminating, machineID: "m-1", billedUntil: in(-time.Minute)}, []decideCase{
		{"nothing was asked", nil, observation{}, decision{kind: doTerminate}},
		{"accepted", nil, asked, decision{kind: doAskMachine}},
		{"there was none", nil, refused(failed(provider.KindNotFound)), decision{kind: doAskMachine}},
		{"gone", nil, answered(gone), decision{kind: doConfirmEnd}},
		{"marked as gone", nil, answered(known(provider.MachineGone)), decision{kind: doConfirmEnd}},
		{"a launch may still take effect", func(r *row) { r.launchAskedAt, r.machineID = in(-time.Minute), "" },
			answered(gone), wait(now.Add(5 * time.Second))},
		{"still ending", nil, answered(known(provider.MachineTerminating)), wait(now.Add(5 * time.Second))},
		{"ending for too long", func(r *row) { r.billedUntil = in(-endLimit) },
			answered(known(provider.MachineTerminating)), retry(nil)},
		{"no answer", nil, refused(failed(provider.KindUnavailable)), retry(nil)},
		{"refused for a while", nil, refused(&provider.Error{Kind: provider.KindRejected, RetryAfter: time.Minute}),
			wait(now.Add(time.Minute))},
		{"refused for a year", nil, refused(&provider.Error{Kind: provider.KindRejected, RetryAfter: 9000 * time.Hour}),
			wait(now.Add(maxRetryAfter))},
		{"unknown whether gone", nil, answered(&machineAnswer{err: failed(provider.KindUnavailable)}), retry(nil)},
		{"failed", func(r *row) { r.status = StatusFailed }, answered(gone), decision{kind: doRelease}},
		{"failed and released", func(r *row) { r.status, r.releasedAt = StatusFailed, in(0) }, observation{},
			decision{kind: doNothing}},
	})
}

func TestDecide_pending(t *testing.T) {
	t.Parallel()
	r := row{status: StatusPending, provider: "acme"}
	if got := decide(&r, observation{configured: true}, now).kind; got != doBegin {
		t.Errorf("decide = %q, want %q", got, doBegin)
	}
	r.autoTerminateAt = in(0)
	if got := decide(&r, observation{}, now).kind; got != doEnd {
		t.Errorf("decide at the auto-terminate time without its provider = %q, want %q", got, doEnd)
	}
}

// The provider account cannot be opened, so that nothing can be asked.
func TestDecide_withoutProvider(t *testing.T) {
	t.Parallel()
	asked := func(r *row) { r.launchAskedAt = in(-time.Hour) }
	ran := func(r *row) { r.startedAt = in(0) }
	released := func(r *row) { r.releasedAt = in(0) }
	open := func(r *row) { r.launchOpenAt = in(-time.Hour) }
	known := func(r *row) { r.machineID = "m-1" }
	another := func(r *row) { r.plans, r.offerID = make([]plan, 1), "off_1" }
	abandoned := func(r *row) {
		another(r)
		r.attempts = []Attempt{{OfferID: "off_1", Cause: CauseTimedOut, Reason: reasonUnavailable}}
	}
	early := func(r *row) { r.launchBy = now.Add(time.Second) }
	unavailable := decision{kind: doFail, cause: CauseTimedOut, reason: reasonUnavailable}
	for name, c := range map[string]struct {
		status Status
		next   bool // the next candidate's provider is configured
		change []func(r *row)
		want   decision
	}{
		"pending until the deadline":  {StatusPending, true, []func(*row){early}, wait(now.Add(time.Second))},
		"pending":                     {StatusPending, true, nil, unavailable},
		"pending with a candidate":    {StatusPending, true, []func(*row){another}, decision{kind: doBegin}},
		"never launched, for a while": {StatusDeploying, true, []func(*row){early}, wait(now.Add(time.Second))},
		"never launched":              {StatusDeploying, true, nil, unavailable},
		"a launch may have been sent": {StatusDeploying, true, []func(*row){asked}, retry(nil)},
		"a launch may be under way":   {StatusDeploying, true, []func(*row){open}, retry(nil)},
		"the machine is known":        {StatusDeploying, true, []func(*row){known}, retry(nil)},
		"abandoned for a candidate": {StatusDeploying, true, []func(*row){abandoned}, decision{
			kind: doNextCandidate,
		}},
		"nor can the candidate's":    {StatusDeploying, false, []func(*row){abandoned}, unavailable},
		"abandoned, but may be sent": {StatusDeploying, true, []func(*row){abandoned, asked}, retry(nil)},
		"a candidate is left": {StatusDeploying, true, []func(*row){another}, decision{
			kind: doAbandon, cause: CauseTimedOut, reason: reasonUnavailable,
		}},
		"running":                     {StatusRunning, true, []func(*row){known}, retry(nil)},
		"ended before the launch":     {StatusTerminating, true, nil, decision{kind: doConfirmEnd}},
		"ended after a launch":        {StatusTerminating, true, []func(*row){asked}, retry(nil)},
		"ended after it ran":          {StatusTerminating, true, []func(*row){ran}, retry(nil)},
		"failed before the launch":    {StatusFailed, true, nil, decision{kind: doRelease}},
		"failed after a launch":       {StatusFailed, true, []func(*row){open}, retry(nil)},
		"failed, and nothing is left": {StatusFailed, true, []func(*row){released}, decision{kind: doNothing}},
	} {
		r := row{id: "dep_1", provider: "acme", status: c.status, launchBy: now}
		for _, change := range c.change {
			change(&r)
		}
		got := decide(&r, observation{nextConfigured: c.next}, now)
		if c.want.kind == doRetry {
			c.want.err = got.err // whose text is for the log
		}
		compare := cmp.Options{cmp.AllowUnexported(decision{}), cmpopts.EquateErrors()}
		if diff := cmp.Diff(c.want, got, compare); diff != "" {
			t.Errorf("%s: decide (-want +got):\n%s", name, diff)
		}
	}
}
