package rack

import (
	"testing"
	"time"

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
