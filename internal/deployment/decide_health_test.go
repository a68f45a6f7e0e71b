package deployment

import (
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/gpucheck"
	"github.com/billetcloud/billet/internal/health"
	"github.com/billetcloud/billet/internal/provider"
	"github.com/billetcloud/billet/internal/step"
)

// result is the result of a check of one node.
func result(v gpucheck.Verdict, mayPass bool, reason string) *health.Result {
	return &health.Result{Verdict: v, Reason: reason, Nodes: []health.Node{{Reason: reason, Report: gpucheck.Report{
		Verdict: v, MayPass: mayPass, Checks: []gpucheck.Check{{Name: "compute", Verdict: v, Detail: reason}},
	}}}}
}

func TestDecide_health(t *testing.T) {
	checked := func(found *health.Result) observation {
		return observation{machine: ready(), probe: &probeAnswer{}, health: found}
	}
	with := func(policy health.Policy, fs ...func(r *row)) func(*row) {
		return func(r *row) {
			r.healthPolicy = policy
			for _, f := range fs {
				f(r)
			}
		}
	}
	report, require := health.Report, health.Require
	doubted := func(ago time.Duration) func(r *row) {
		return func(r *row) { r.healthDoubtedAt = in(-ago) }
	}
	by := func(d time.Duration) func(r *row) { return func(r *row) { r.launchBy = *in(d) } }
	began := func(ago time.Duration) func(r *row) {
		return func(r *row) { r.steps = []step.Step{{Name: step.Checking, StartedAt: in(-ago)}} }
	}
	verdict := func(v gpucheck.Verdict) func(r *row) {
		return func(r *row) { r.healthVerdict, r.healthReason = v, "Because." }
	}
	noKey := func(r *row) { r.healthKeySealed = "" }
	plan := func(r *row) { r.plans = []plan{{OfferID: "off_2"}} }
	passed, warned := result(gpucheck.Passed, false, ""), result(gpucheck.Warning, false, "Slow.")
	starting, broken := result(gpucheck.Failed, true, "No CUDA."), result(gpucheck.Failed, false, "7 of 8 GPUs.")
	none := new(health.NotChecked("No SSH."))
	busy := new(health.NotChecked(reasonManyWait))
	ask := decision{kind: doCheckHealth}
	record := func(found *health.Result) decision { return decision{kind: doRecordHealth, health: *found} }
	doubt := decision{kind: doDoubtHealth, health: *starting}
	again := func(after time.Duration, why string) decision {
		return decision{kind: doProgress, step: step.Checking, detail: why, at: *in(after)}
	}
	testDecide(t, row{
		status: StatusDeploying, machineID: "m-1", launchBy: now.Add(10 * time.Minute), healthKeySealed: "sealed",
	}, []decideCase{
		{"off", with(health.Off), checked(nil), decision{kind: doStart}},
		{"no way in", with(require, noKey), checked(nil), record(new(health.NotChecked(reasonNoWayIn)))},
		{"first", with(require), checked(nil), ask},
		{"passed", with(require), checked(passed), record(passed)},
		{"warning", with(require), checked(warned), record(warned)},
		{"failed for good", with(require), checked(broken), record(broken)},
		{"failed, and may pass", with(require), checked(starting), doubt},
		{"failed, and may pass, at the deadline", with(require, by(0)), checked(starting), doubt},
		{"failed, and may pass, reported only", with(report), checked(starting), record(starting)},
		{"second, not due", with(require, doubted(confirmAfter-time.Second)), checked(nil), wait(*in(time.Second))},
		{"second, not due, after the deadline", with(require, doubted(confirmAfter-time.Second), by(-time.Minute)),
			checked(nil), wait(*in(time.Second))},
		{"second, due", with(require, doubted(confirmAfter)), checked(nil), ask},
		{"second passed", with(require, doubted(confirmAfter)), checked(passed), record(passed)},
		{"second failed", with(require, doubted(confirmAfter)), checked(starting), record(starting)},
		{"second failed for good", with(require, doubted(confirmAfter)), checked(broken), record(broken)},
		{"second not checked", with(require, doubted(confirmAfter), began(3*time.Minute)), checked(none),
			again(45*time.Second, "No SSH.")},
		{"second not checked until the deadline", with(require, doubted(confirmAfter), by(0)), checked(none),
			record(none)},
		{"not checked", with(require), checked(none), again(5*time.Second, "No SSH.")},
		{"not checked for long", with(require, began(time.Hour)), checked(none), again(maxCheckPause, "No SSH.")},
		{"not checked, deadline soon", with(require, began(time.Hour), by(7*time.Second)), checked(none),
			again(7*time.Second, "No SSH.")},
		{"not checked at the deadline", with(require, by(0)), checked(none), record(none)},
		{"server busy at the deadline", with(require, by(0)), checked(busy), again(5*time.Second, reasonManyWait)},
		{"server busy for too long", with(require, by(-busyGrace)), checked(busy), record(busy)},
		{"not checked, reported only", with(report, began(reportLimit-time.Second)), checked(none),
			again(time.Second, "No SSH.")},
		{"not checked in time, reported only", with(report, began(reportLimit)), checked(none), record(none)},
		{"answered without a verdict, reported only", with(report),
			checked(result(gpucheck.NotChecked, false, "No driver.")),
			record(result(gpucheck.NotChecked, false, "No driver."))},
		{"verdict passed", with(require, verdict(gpucheck.Passed)), checked(nil), decision{kind: doRemoveHealthKey}},
		{"verdict passed, key kept", with(require, verdict(gpucheck.Passed), func(r *row) {
			r.healthAccess = health.AccessKeep
		}), checked(nil), decision{kind: doStart}},
		{"verdict passed, key gone", with(require, verdict(gpucheck.Passed), noKey), checked(nil),
			decision{kind: doStart}},
		{"verdict passed, removal tried", with(require, verdict(gpucheck.Passed)), observation{
			machine: ready(), probe: &probeAnswer{}, keyRemoval: true,
		}, decision{kind: doStart}},
		{"verdict failed", with(require, verdict(gpucheck.Failed)), checked(nil),
			decision{kind: doFail, cause: CauseUnhealthy, reason: reasonGPUs + "Because."}},
		{"verdict failed, with another candidate", with(require, verdict(gpucheck.Failed), plan), checked(nil),
			decision{kind: doAbandon, cause: CauseUnhealthy, reason: reasonGPUs + "Because."}},
		{"verdict failed, reported only", with(report, verdict(gpucheck.Failed), noKey), checked(nil),
			decision{kind: doStart}},
		{"verdict not checked", with(require, verdict(gpucheck.NotChecked)), checked(nil),
			decision{kind: doFail, cause: CauseNotChecked, reason: reasonUnchecked + "Because."}},
		{"second due, SSH silent", with(require, doubted(confirmAfter), by(-time.Second)), observation{
			machine: ready(), probe: &probeAnswer{err: provider.ErrPrivateAddress},
		}, decision{kind: doFail, cause: CauseTimedOut, reason: reasonNoSSH}},
	})
}

func TestDecideLater(t *testing.T) {
	started := now.Add(-24 * time.Hour)
	recent := now.Add(-time.Hour)
	cases := []struct {
		name      string
		row       func(r *row)
		requested bool
		want      laterKind
		at        time.Time
	}{
		{"due by the start", func(*row) {}, false, laterCheck, time.Time{}},
		{"not due", func(r *row) { r.healthCheckedAt = &recent }, false, laterWait, recent.Add(checkEvery)},
		{"requested", func(r *row) { r.healthCheckedAt = &recent }, true, laterCheck, time.Time{}},
		{"ended", func(r *row) { r.status = StatusTerminating }, false, laterNothing, time.Time{}},
		{"ended, requested", func(r *row) { r.status = StatusTerminating }, true, laterRefuse, time.Time{}},
		{"no key", func(r *row) { r.healthKeySealed = "" }, false, laterNothing, time.Time{}},
		{"no key, requested", func(r *row) { r.healthKeySealed = "" }, true, laterRefuse, time.Time{}},
		{"off", func(r *row) { r.status = StatusStopped }, false, laterWait, now.Add(checkEvery / 8)},
		{"off, requested", func(r *row) { r.status = StatusStopped }, true, laterRefuse, time.Time{}},
		{"key for the launch", func(r *row) { r.healthAccess, r.startedAt = health.AccessLaunch, &recent }, false,
			laterRemove, time.Time{}},
		{"key for the launch, off", func(r *row) {
			r.healthAccess, r.startedAt, r.status = health.AccessLaunch, &recent, StatusStopped
		}, false, laterWait, now.Add(checkEvery / 8)},
		{"key for the launch, a day later", func(r *row) { r.healthAccess = health.AccessLaunch }, false,
			laterForget, time.Time{}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			r := row{
				status: StatusRunning, startedAt: &started, healthAccess: health.AccessKeep, healthKeySealed: "sealed",
			}
			c.row(&r)
			if got := decideLater(&r, c.requested, now); got.kind != c.want || !got.at.Equal(c.at) ||
				(got.kind == laterRefuse) != (got.reason != "") {
				t.Errorf("%+v, want %s at %s", got, c.want, c.at)
			}
		})
	}
}
