package rack

import (
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/rackagent"
)

// While billetd does not run it hears no agent: one that works on must not be started again.
func TestDecide_SilenceCountsFromTheStart(t *testing.T) {
	heard := time.Date(2026, 1, 2, 3, 0, 0, 0, time.UTC)
	booted := heard.Add(-time.Hour)
	j := &agentJob{Kind: rackagent.Erase, BootedAt: &booted, HeardAt: &heard, Attempts: 1}
	for _, c := range []struct {
		since, now time.Duration // after the last report
		want       step
	}{
		{-time.Hour, 9 * time.Minute, stepWait}, {-time.Hour, 11 * time.Minute, stepBoot},
		{11 * time.Minute, 11 * time.Minute, stepWait}, {11 * time.Minute, 20 * time.Minute, stepWait},
		{11 * time.Minute, 22 * time.Minute, stepBoot},
		{47 * time.Hour, 47 * time.Hour, stepBoot}, // the limit of the job stays
	} {
		d := decide(Machine{State: Erasing}, j, heard.Add(c.now), heard.Add(c.since))
		if d.step != c.want {
			t.Errorf("started after %s, now %s: %s, want %s", c.since, c.now, d.step, c.want)
		}
	}
}

// The installation for a deployment that has ended is waited for as long as any, and is not begun
// again. With a BMC, the machine is switched off at once.
func TestDecide_AnInstallationIsFinishedWithoutABMC(t *testing.T) {
	booted := time.Date(2026, 1, 2, 3, 0, 0, 0, time.UTC)
	m := Machine{State: Erasing, SSHAddress: "192.0.2.1:22", tenancy: Installing, DeploymentID: new(id.ID)}
	works := agentJob{Kind: rackagent.Deploy, BootedAt: &booted, ClaimedAt: &booted, HeardAt: &booted, Attempts: 1}
	heard, closed, done, unclaimed, unconfirmed := booted.Add(3*time.Hour), works, works, works, works
	closed.Closed, done.Outcome, unclaimed.ClaimedAt, unconfirmed.BootedAt = true, rackagent.Done, nil, nil
	steady := works
	steady.HeardAt = &heard
	for name, c := range map[string]struct {
		job  agentJob
		now  time.Duration
		want step
	}{
		"works": {works, 9 * time.Minute, stepWait}, "is silent": {works, 11 * time.Minute, stepEnd},
		"works without end": {steady, 2 * time.Hour, stepEnd}, "is done": {done, time.Minute, stepEnd},
		"is not confirmed": {unconfirmed, time.Minute, stepBoot}, "has ended": {closed, time.Minute, stepBegin},
		"is not claimed": {unclaimed, time.Minute, stepBegin},
	} {
		if d := decide(m, &c.job, booted.Add(c.now), booted.Add(-time.Hour)); d.step != c.want ||
			d.step == stepBegin && d.kind != rackagent.Erase {
			t.Errorf("an agent that %s: %+v, want %s", name, d, c.want)
		}
	}
	m.SSHAddress = ""
	if d := decide(m, &works, booted, booted); d.step != stepCut {
		t.Errorf("with a BMC: %s", d.step)
	}
}

// The power of a machine is read less often while its BMC does not answer.
func TestDecide_WatchesLessOften(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 0, 0, 0, time.UTC)
	for detail, want := range map[string]time.Duration{"": 5 * time.Minute, "no answer": 15 * time.Minute} {
		m := Machine{State: Assigned, tenancy: Running, watchedAt: &at, Detail: detail}
		if d := decide(m, nil, at, at); d.step != stepWait || !d.at.Equal(at.Add(want)) {
			t.Errorf("detail %q: %+v, want %s", detail, d, want)
		}
	}
}
