package spheron_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/provider"
	"github.com/billetcloud/billet/internal/provider/providertest"
	"github.com/billetcloud/billet/internal/provider/upstream"
)

func TestAdapter_ReadyFollowsTheStatus(t *testing.T) {
	b := newFixture(t)
	for n, user := range []string{"ubuntu", "spheron"} {
		if _, err := b.Launch(t.Context(), b.request(n)); err != nil {
			t.Fatal(err)
		}
		b.cloud.Advance(45 * time.Second)
		if m := b.wantState(n, provider.MachineProvisioning, ""); m.Address != "" {
			t.Errorf("on its way with %+v", m)
		}
		b.cloud.Advance(time.Minute)
		if m := b.wantState(n, provider.MachineReady, ""); m.SSHUser != user || m.SSHPort == 0 || m.Address == "" {
			t.Errorf("%+v, want the user %s", m, user)
		}
	}
}

func TestAdapter_States(t *testing.T) {
	for _, c := range []struct {
		word   string
		state  provider.MachineState
		detail string
		logged bool
	}{
		{"deploying", provider.MachineProvisioning, "", false},
		{"pending", provider.MachineProvisioning, "", false},
		{"provisioning", provider.MachineProvisioning, "", false},
		{"stopped", provider.MachineOff, "", false},
		{"failed", provider.MachineLost, "The machine failed at the provider.", false},
		{"terminated-provider", provider.MachineLost, "The provider reclaimed the machine.", false},
		{"hibernating", provider.MachineReady, "", true}, // in no list but that of all
	} {
		for _, restarted := range []bool{false, true} {
			b := newFixture(t)
			m := b.running(1)
			b.cloud.SetStatus(m.ID, c.word)
			if restarted {
				b.restart()
			}
			b.cloud.Advance(time.Minute)
			state, detail := c.state, c.detail
			if restarted { // it is not known that it was ready
				switch c.word {
				case "failed":
					state, detail = provider.MachineFailed, "The provider could not create the machine."
				case "hibernating":
					state = provider.MachineProvisioning
				}
			}
			if c.word == "deploying" { // the fake's boot is long over
				state = provider.MachineReady
			}
			b.wantState(1, state, detail)
			b.cloud.Advance(time.Minute)
			b.wantState(1, state, detail)
			if n := strings.Count(b.log.String(), "hibernating"); (n == 1) != c.logged {
				t.Errorf("%s is logged %d times", c.word, n)
			}
			if state != provider.MachineLost && state != provider.MachineFailed {
				continue
			}
			// It has ended: Terminate sends no request.
			before := b.sent()
			if err := b.Terminate(t.Context(), reference(1)); err != nil || b.count(before, "DELETE", "") != 0 {
				t.Errorf("Terminate of what is %s: %v", c.word, err)
			}
			_, err := b.Machine(t.Context(), reference(1))
			wantKind(t, "after the end of what was "+c.word, err, provider.KindNotFound)
			if all, err := b.Machines(t.Context()); err != nil || len(all) != 0 {
				t.Errorf("%+v, %v", all, err)
			}
		}
	}
}

func TestAdapter_EndedMachineIsNotFound(t *testing.T) {
	b := newFixture(t)
	m := b.running(1)
	b.cloud.SetStatus(m.ID, "terminated")
	b.cloud.Advance(time.Minute)
	for range 3 {
		_, err := b.Machine(t.Context(), reference(1))
		wantKind(t, "Machine", err, provider.KindNotFound)
	}
	if n := b.count(0, "GET", "/api/deployments/"); n != 1 {
		t.Errorf("an ended machine was read %d times, want once", n)
	}
	b.restart()
	_, err := b.Machine(t.Context(), reference(1))
	wantKind(t, "Machine after a restart", err, provider.KindNotFound)
	again, err := b.Launch(t.Context(), b.request(1))
	if err != nil || again.ID != m.ID || again.State != provider.MachineGone {
		t.Errorf("launched again after its end: %+v, %v", again, err)
	}
}

func TestAdapter_JustCreatedMachineNeedNotBeShown(t *testing.T) {
	b := newFixture(t)
	m, err := b.Launch(t.Context(), b.request(1))
	if err != nil {
		t.Fatal(err)
	}
	b.cloud.Forget(m.ID)
	_, err = b.Machine(t.Context(), reference(1))
	wantKind(t, "at once", err, provider.KindUnavailable)
	before := b.sent()
	_, err = b.Launch(t.Context(), b.request(1))
	wantKind(t, "launched again", err, provider.KindUnavailable)
	if n := b.count(before, "POST", ""); n != 0 {
		t.Errorf("%d creates for one reference", n)
	}
	b.cloud.Advance(2 * time.Minute)
	_, err = b.Machine(t.Context(), reference(1))
	wantKind(t, "later", err, provider.KindNotFound)
}

func TestAdapter_TwoMachinesOfOneReference(t *testing.T) {
	b := newFixture(t)
	b.running(1)
	second := b.running(2)
	b.restart() // so that only the names say whose they are
	b.cloud.Rename(second.ID, upstream.Mark(reference(1)))
	_, err := b.Machine(t.Context(), reference(1))
	wantKind(t, "Machine", err, provider.KindUnavailable)
	_, err = b.Launch(t.Context(), b.request(1))
	wantKind(t, "Launch", err, provider.KindUnavailable)
	b.cloud.Advance(time.Hour)
	wantKind(t, "Terminate", b.Terminate(t.Context(), reference(1)), provider.KindUnavailable)
	if all, err := b.Machines(t.Context()); err != nil || len(all) != 2 || all[0].Reference != reference(1) ||
		all[1].Reference != reference(1) {
		t.Errorf("%+v, %v", all, err)
	}
	if !strings.Contains(b.log.String(), "level=ERROR") || len(b.cloud.MachineIDs()) != 2 {
		t.Errorf("the log has %s", b.log)
	}
	// One that is over is no second.
	b.cloud.SetStatus(second.ID, "terminated")
	b.cloud.Advance(time.Minute)
	b.wantState(1, provider.MachineReady, "")
}

func TestAdapter_RenamedMachine(t *testing.T) {
	b := newFixture(t)
	m := b.running(1)
	b.cloud.Rename(m.ID, "my machine")
	b.cloud.Advance(time.Minute)
	b.wantState(1, provider.MachineReady, "")
	if all, err := b.Machines(t.Context()); err != nil || len(all) != 1 || all[0].Reference != reference(1) {
		t.Errorf("%+v, %v", all, err)
	}
	b.restart()
	if all, err := b.Machines(t.Context()); err != nil || len(all) != 1 || all[0].Reference != "" {
		t.Errorf("got %+v, %v after a restart, want no reference", all, err)
	}
}

func TestAdapter_MalformedListsAreUnavailable(t *testing.T) {
	for _, body := range []string{
		``, `null`, `{}`, `7`, `{"data":null}`, `[{}]`, `[{"id":"1"}]`, `[{"status":"running"}]`,
		`{"data":[],"total":3}`, `{"data":[],"totalPages":2}`, `<html>`,
	} {
		a := canned(t, map[string]string{"/api/deployments": body})
		_, err := a.Machine(t.Context(), reference(1))
		wantKind(t, "Machine from "+body, err, provider.KindUnavailable)
		_, err = a.Machines(t.Context())
		wantKind(t, "Machines from "+body, err, provider.KindUnavailable)
		wantKind(t, "Terminate from "+body, a.Terminate(t.Context(), reference(1)), provider.KindUnavailable)
	}
	for _, envelope := range []string{"", "data", "deployments"} {
		b := newFixture(t)
		b.cloud.Envelope(envelope)
		b.running(1)
	}
}

func TestAdapter_TerminateBeforeTheMinimumRuntime(t *testing.T) {
	b := newFixture(t)
	b.running(1)
	e := wantKind(t, "Terminate after 2 minutes", b.Terminate(t.Context(), reference(1)), provider.KindRejected)
	if e.RetryAfter != 18*time.Minute || e.Message == "" {
		t.Errorf("%+v", e)
	}
	b.wantState(1, provider.MachineReady, "")
	b.cloud.Advance(e.RetryAfter)
	b.cloud.InjectFault(providertest.Fault{Kind: providertest.LostResponse, Writes: true, Times: 1})
	wantKind(t, "Terminate without an answer", b.Terminate(t.Context(), reference(1)), provider.KindUnavailable)
	before := b.sent()
	if err := b.Terminate(t.Context(), reference(1)); err != nil || b.count(before, "DELETE", "") != 0 {
		t.Errorf("Terminate of what has ended: %v", err)
	}
	_, err := b.Machine(t.Context(), reference(1))
	wantKind(t, "Machine", err, provider.KindNotFound)
}

func TestAdapter_TerminateThatTakesLong(t *testing.T) {
	b := newFixture(t)
	b.running(1)
	b.cloud.EndTakes(8 * time.Minute)
	b.cloud.Advance(30 * time.Minute)
	for range 3 {
		if err := b.Terminate(t.Context(), reference(1)); err != nil {
			t.Fatal(err)
		}
		b.cloud.Advance(time.Minute)
		b.wantState(1, provider.MachineTerminating, "")
	}
	if n := b.count(0, "DELETE", ""); n != 1 {
		t.Errorf("%d requests to end it", n)
	}
	b.cloud.Advance(3 * time.Minute)
	if err := b.Terminate(t.Context(), reference(1)); err != nil || b.count(0, "DELETE", "") != 2 {
		t.Errorf("got %v, want a second request", err)
	}
	b.cloud.Advance(10 * time.Minute)
	_, err := b.Machine(t.Context(), reference(1))
	wantKind(t, "Machine", err, provider.KindNotFound)
}

// The dashboard ended a machine that our list still shows.
func TestAdapter_TerminateOfAMachineEndedMeanwhile(t *testing.T) {
	b := newFixture(t)
	m := b.running(1)
	b.cloud.SetStatus(m.ID, "terminated")
	if err := b.Terminate(t.Context(), reference(1)); err != nil ||
		b.count(0, "DELETE", "/api/deployments/"+m.ID) != 1 {
		t.Errorf("already terminated: %v", err)
	}
	_, err := b.Machine(t.Context(), reference(1))
	wantKind(t, "Machine", err, provider.KindNotFound)
}

// 100 machines are polled for an hour, while as many are launched as the cloud allows.
func TestAdapter_HundredMachinesStayWithinTheBudget(t *testing.T) {
	const machines = 100
	b := newFixture(t)
	for n := range machines {
		for {
			_, err := b.Launch(t.Context(), b.request(n))
			if err == nil {
				break
			}
			b.cloud.Advance(wantKind(t, "Launch", err, provider.KindThrottled).RetryAfter)
		}
	}
	b.cloud.Advance(30 * time.Minute)
	info, first, next := b.Info(), b.sent(), machines
	b.slept = 0
	const step = 5 * time.Second
	for at := time.Duration(0); at < time.Hour; at += step {
		b.cloud.Advance(step)
		for n := range machines {
			if (at+time.Duration(n)*step)%info.PollEvery == 0 {
				if _, err := b.Machine(t.Context(), reference(n)); err != nil {
					t.Fatalf("Machine after %s: %v", at, err)
				}
			}
		}
		if at%time.Minute == 0 {
			if all, err := b.Machines(t.Context()); err != nil || len(all) < machines {
				t.Fatalf("Machines after %s: %d, %v", at, len(all), err)
			}
		}
		if at%info.SyncEvery == 0 {
			if _, err := b.Offers(t.Context()); err != nil {
				t.Fatalf("Offers after %s: %v", at, err)
			}
			if _, err := b.VolumePricing(t.Context()); err != nil {
				t.Fatalf("VolumePricing after %s: %v", at, err)
			}
		}
		if at%(110*time.Second) == 0 { // eight in a quarter of an hour
			if _, err := b.Launch(t.Context(), b.request(next)); err != nil {
				t.Fatalf("Launch after %s: %v", at, err)
			}
			next++
		}
	}
	if n := b.sent() - first; n > 4*80 || b.slept > 0 {
		t.Errorf("got %d requests in an hour and waited %s, want at most 320 and no wait", n, b.slept)
	} else {
		t.Logf("%d requests in an hour, of 400", n)
	}
}

func TestAdapter_CreateLimit(t *testing.T) {
	b := newFixture(t)
	for n := range 9 {
		if _, err := b.Launch(t.Context(), b.request(n)); err != nil {
			t.Fatal(err)
		}
	}
	posts := b.count(0, "POST", "/api/deployments")
	e := wantKind(
		t, "the tenth", func() error { _, err := b.Launch(t.Context(), b.request(9)); return err }(),
		provider.KindThrottled,
	)
	if e.RetryAfter <= 0 || e.RetryAfter > 15*time.Minute || b.count(0, "POST", "/api/deployments") != posts {
		t.Errorf("%+v after %d creates", e, posts)
	}
	b.cloud.Advance(2 * time.Minute)
	b.wantState(0, provider.MachineReady, "")
	// A restarted server does not know, and the cloud refuses. Nothing else is paused.
	b.restart()
	for n := 10; n < 13; n++ {
		_, err := b.Launch(t.Context(), b.request(n))
		if err == nil {
			continue
		}
		if e = wantKind(t, fmt.Sprint("launch ", n), err, provider.KindThrottled); e.RetryAfter < 30*time.Second {
			t.Errorf("%+v", e)
		}
		b.cloud.Advance(time.Minute)
		b.wantState(0, provider.MachineReady, "")
		b.cloud.Advance(e.RetryAfter)
		if _, err := b.Launch(t.Context(), b.request(n)); err != nil {
			t.Error(err)
		}
		return
	}
	t.Error("the cloud accepted more creates than its limit")
}
