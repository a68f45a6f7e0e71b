package rack_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/bmc/bmctest"
	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/db/dbtest"
	"github.com/billetcloud/billet/internal/rack"
	"github.com/billetcloud/billet/internal/rackagent"
)

// token reads the token from the virtual CD, as whatever runs on the server can.
func (r *rig) token() string {
	r.t.Helper()
	cd := r.servers[0].BMC.State().CD
	_, file, found := strings.Cut(cd, rack.ISOPath)
	if !found {
		r.t.Fatalf("no image of a job is inserted, but %q", cd)
	}
	return strings.TrimSuffix(file, ".iso")
}

// forge reports the job as done from the former tenant's system.
func (r *rig) forge(started *rackagent.Hardware) error {
	r.t.Helper()
	ctx, token := r.t.Context(), r.token()
	j, err := r.AgentJob(ctx, token)
	if err != nil {
		return err
	}
	if started != nil {
		err := r.AgentReport(ctx, token, rackagent.Report{
			JobID: j.ID, Number: 1, Phase: rackagent.Started, Hardware: started,
		})
		if err != nil {
			return err
		}
	}
	return r.AgentReport(ctx, token, r.done(j))
}

// done is the last report of an agent that has erased every drive, or says so.
func (r *rig) done(j rackagent.Job) rackagent.Report {
	e := &rackagent.Erasure{}
	now := r.clock.Now()
	for _, serial := range j.Drives {
		e.Drives = append(e.Drives, rackagent.DriveErasure{
			Serial: serial, Bytes: 4e12, Method: rackagent.SanitizeCrypto, StartedAt: now,
			EndedAt: now.Add(time.Second), Marks: 64, MarksGone: 64, Verdict: rackagent.Erased,
		})
	}
	return rackagent.Report{JobID: j.ID, Number: 2, Phase: rackagent.Done, Erasure: e}
}

// A system that started in place of the agent and reports the erasure, without having said what it
// runs on or on other hardware, is not believed. Its server is left switched off.
func TestAForgedErasureIsNotBelieved(t *testing.T) {
	for name, c := range map[string]struct {
		started *rackagent.Hardware
		want    string
	}{
		"without a start": {nil, "did not say what hardware"},
		"another machine": {&rackagent.Hardware{CPUs: 128, MemoryBytes: 1 << 40}, "NVME-1-A is missing"},
		"verified otherwise": {&rackagent.Hardware{CPUs: 128, SecureBoot: true, Drives: []rackagent.HardwareDrive{
			{Serial: "NVME-1-A", Bytes: 4e12}, {Serial: "NVME-1-B", Bytes: 4e12},
		}}, "Secure Boot was changed"},
	} {
		t.Run(name, func(t *testing.T) {
			eachRig(t, 1, func(r *rig) {
				d := r.assigned(0)
				r.servers[0].WriteFile("/root/secret", "x")
				r.servers[0].BMC.SetQuirks(bmctest.Quirks{OnceForgotten: true})
				r.giveBack(d)
				r.run()
				if err := r.forge(c.started); err != nil {
					r.t.Fatal(err)
				}
				r.run()
				if m := r.expect(0, rack.Quarantined); !m.Unerased || !strings.Contains(m.Reason, c.want) {
					r.t.Errorf("unerased: %t, because %q, want %q", m.Unerased, m.Reason, c.want)
				}
				if s := r.servers[0].BMC.State(); s.On || s.CD != "" {
					r.t.Errorf("it is on: %t, with %q", s.On, s.CD)
				}
			})
		})
	}
}

// No token is given to a machine whose firmware may start something else than the agent.
func TestAMachineWhoseSecureBootWasChangedGetsNoToken(t *testing.T) {
	eachRig(t, 1, func(r *rig) {
		if m := r.machine(0); m.Hardware.SecureBoot != "off" {
			r.t.Fatalf("%+v", m.Hardware)
		}
		d := r.assigned(0)
		r.servers[0].BMC.SetSecureBoot(true)
		boots := len(r.servers[0].BMC.State().Boots)
		r.giveBack(d)
		r.run()
		if m := r.expect(0, rack.Quarantined); !m.Unerased || !strings.Contains(m.Reason, "Secure Boot was off") {
			r.t.Errorf("unerased: %t, because %q", m.Unerased, m.Reason)
		}
		if s := r.servers[0].BMC.State(); len(s.Boots) != boots || s.On {
			r.t.Errorf("started %d times, on: %t", len(s.Boots)-boots, s.On)
		}
		r.servers[0].BMC.SetSecureBoot(false)
		r.act(r.Release, 0)
		r.run()
		r.expect(0, rack.Ready)
	})
}

// A server that switches itself on while the image is inserted starts the tenant's drive. It is
// switched off again, and its token is worth nothing.
func TestAServerThatWakesItselfGetsNoJob(t *testing.T) {
	eachRig(t, 1, func(r *rig) {
		d := r.assigned(0)
		r.servers[0].WriteFile("/root/secret", "x")
		r.giveBack(d)
		var woken atomic.Bool
		r.servers[0].OnRequest(func() {
			s := r.servers[0].BMC.State()
			if !s.On && s.CD != "" && s.BootEnabled == "Disabled" && woken.CompareAndSwap(false, true) {
				r.servers[0].BMC.Wake()
			}
		})
		r.run()
		if !woken.Load() {
			r.t.Fatal("the server did not wake")
		}
		if err := r.forge(nil); !errors.Is(err, rack.ErrToken) {
			r.t.Errorf("the tenant's system got the job: %v", err)
		}
		r.after(10*time.Minute, time.Minute)
		if m := r.expect(0, rack.Ready); m.Unerased || r.servers[0].Soiled() {
			r.t.Error("it was not erased")
		}
	})
}

// A machine that is quarantined while it may have a tenant's data is switched off, however long its
// BMC does not answer.
func TestAQuarantinedMachineIsSwitchedOff(t *testing.T) {
	eachRig(t, 1, func(r *rig) {
		d := r.assigned(0)
		r.servers[0].BMC.SetQuirks(bmctest.Quirks{OnceForgotten: true})
		r.giveBack(d)
		r.run()
		r.servers[0].BMC.SetQuirks(bmctest.Quirks{Unavailable: -1})
		r.act(r.Quarantine, 0)
		r.after(time.Hour, 10*time.Minute)
		if !r.servers[0].BMC.State().On {
			r.t.Fatal("the server is off already")
		}
		r.servers[0].BMC.SetQuirks(bmctest.Quirks{})
		r.after(time.Hour, 10*time.Minute)
		if s := r.servers[0].BMC.State(); s.On || s.CD != "" {
			r.t.Errorf("it is on: %t, with %q", s.On, s.CD)
		}
		r.act(r.Release, 0)
		r.run()
		r.expect(0, rack.Ready)
	})
}

// Nothing takes a machine from a deployment that has left, until that is certainly switched off.
func TestAMachineThatIsNotCertainlyOffStaysWithItsDeployment(t *testing.T) {
	eachRig(t, 1, func(r *rig) {
		d := r.assigned(0)
		r.servers[0].BMC.SetQuirks(bmctest.Quirks{Unavailable: -1})
		r.giveBack(d)
		r.run()
		for what, f := range map[string]func(ctx context.Context, tx *db.Tx) (rack.Machine, error){
			"quarantine": func(ctx context.Context, tx *db.Tx) (rack.Machine, error) {
				return r.Quarantine(ctx, tx, r.ms[0].ID, "")
			},
			"drain": func(ctx context.Context, tx *db.Tx) (rack.Machine, error) {
				return r.Drain(ctx, tx, r.ms[0].ID, "")
			},
			"remove": func(ctx context.Context, tx *db.Tx) (rack.Machine, error) {
				return r.Remove(ctx, tx, r.ms[0].ID, true)
			},
		} {
			err := r.tx(func(ctx context.Context, tx *db.Tx) error {
				_, err := f(ctx, tx)
				return err
			})
			if apierr.CodeOf(err) != apierr.Conflict {
				r.t.Errorf("%s: %v, want CONFLICT", what, err)
			}
		}
		if m := r.expect(0, rack.Erasing); m.DeploymentID == nil || *m.DeploymentID != d {
			r.t.Errorf("%+v", m)
		}
		r.servers[0].BMC.SetQuirks(bmctest.Quirks{})
		r.after(time.Hour, 10*time.Minute)
		r.expect(0, rack.Ready)
	})
}

// A BMC that answers 404 while it starts ends no tenancy, not even in a reinstallation.
func TestABMCThatStartsEndsNothing(t *testing.T) {
	for name, c := range map[string]struct {
		out  time.Duration
		kept bool
	}{"for minutes": {20 * time.Minute, false}, "for hours": {3 * time.Hour, true}} {
		t.Run(name, func(t *testing.T) {
			eachRig(t, 1, func(r *rig) {
				d := r.assigned(0)
				r.servers[0].WriteFile("/root/mine", "x")
				r.servers[0].Starting.Store(true)
				if err := r.Reinstall(r.t.Context(), d, "Ubuntu 24.04", nil); err != nil {
					r.t.Fatal(err)
				}
				r.after(c.out, 5*time.Minute)
				r.servers[0].Starting.Store(false)
				r.after(time.Hour, 5*time.Minute)
				r.tenancy(d, rack.Running)
				if _, err := r.servers[0].ReadFile("/root/mine"); (err == nil) != c.kept {
					r.t.Errorf("the tenant's file: %v", err)
				}
				if !r.servers[0].BMC.State().On {
					r.t.Error("the server is off")
				}
			})
		})
	}
}

// Parts that are gone after a tenancy are noticed.
func TestAMachineThatLostPartsIsNotSold(t *testing.T) {
	eachRig(t, 1, func(r *rig) {
		d := r.assigned(0)
		r.servers[0].GPUs = 6
		r.giveBack(d)
		r.run()
		m := r.expect(0, rack.Quarantined)
		if m.Unerased || !strings.Contains(m.Reason, "6 GPUs, and had 8") {
			r.t.Errorf("unerased: %t, because %q", m.Unerased, m.Reason)
		}
		r.checkErased(d)
		r.servers[0].GPUs = 8
		r.act(r.Release, 0)
		r.run()
		r.expect(0, rack.Ready)
	})
}

// A server that was entered is erased before its first tenant, whatever was on it, but only if it
// is the one that was entered.
func TestAMachineIsErasedBeforeItsFirstTenant(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		r := newRig(t, d, c, 2)
		for i := range 2 {
			r.servers[i].WriteFile("/root/secret", "x")
		}
		r.servers[1].GPUs = 7
		r.enroll(0)
		r.enroll(1)
		r.run()
		if m := r.expect(0, rack.Ready); m.Unerased || r.servers[0].Soiled() {
			r.t.Errorf("unerased: %t, soiled: %t", m.Unerased, r.servers[0].Soiled())
		}
		list, _, err := r.Erasures(r.t.Context(), r.db, r.ms[0].ID, db.Page{Number: 1, Limit: 10})
		if err != nil || len(list) != 1 || !list[0].Passed || list[0].DeploymentID != "" {
			r.t.Errorf("%+v, %v", list, err)
		}
		if m := r.expect(1, rack.Quarantined); !m.Unerased || !r.servers[1].Soiled() {
			r.t.Errorf("a server that is not as entered was erased: %+v", m)
		}
		r.servers[1].GPUs = 8
		r.act(r.Release, 1)
		r.run()
		if m := r.expect(1, rack.Ready); m.Unerased || r.servers[1].Soiled() {
			r.t.Errorf("unerased: %t, soiled: %t", m.Unerased, r.servers[1].Soiled())
		}
	})
}

// A server that was removed as destroyed and is entered again is erased again.
func TestAMachineThatIsEnteredAgainIsErased(t *testing.T) {
	eachRig(t, 1, func(r *rig) {
		d := r.assigned(0)
		r.servers[0].WriteFile("/root/secret", "x")
		r.servers[0].Script(func(j rackagent.Job, _ *rackagent.Report) bool { return j.Kind != rackagent.Erase })
		r.giveBack(d)
		r.run()
		r.act(r.Quarantine, 0)
		remove := func(destroyed bool) error {
			return r.tx(func(ctx context.Context, tx *db.Tx) error {
				_, err := r.Remove(ctx, tx, r.ms[0].ID, destroyed)
				return err
			})
		}
		if err := remove(false); apierr.CodeOf(err) != apierr.Conflict {
			r.t.Errorf("%v, want CONFLICT", err)
		}
		if err := remove(true); err != nil {
			r.t.Fatal(err)
		}
		r.servers[0].Script(nil)
		r.servers[0].WriteFile("/root/secret", "x")
		r.ms = nil
		r.enroll(0)
		r.run()
		if m := r.expect(0, rack.Ready); m.Unerased || r.servers[0].Soiled() {
			r.t.Errorf("unerased: %t, soiled: %t", m.Unerased, r.servers[0].Soiled())
		}
	})
}

// A report that waits for a slower, older one is neither lost nor overwritten by it.
func TestAnOldReportOverwritesNoNewerOne(t *testing.T) {
	eachRig(t, 1, func(r *rig) {
		d := r.assigned(0)
		r.servers[0].Script(func(rackagent.Job, *rackagent.Report) bool { return false })
		r.giveBack(d)
		r.run()
		token, jobs := r.token(), r.servers[0].Jobs()
		of := jobs[len(jobs)-1].ID
		done := make(chan error)
		for n := 2; n <= 9; n++ {
			report := rackagent.Report{JobID: of, Number: n, Phase: rackagent.Erasing, Progress: n}
			if n == 9 {
				report.Phase = rackagent.Stopped
				report.Error = &rackagent.Error{Code: rackagent.ErasureFailed, Message: "no"}
			}
			go func() { done <- r.AgentReport(context.WithoutCancel(r.t.Context()), token, report) }()
		}
		var refused []string
		for range 8 {
			if err := <-done; err != nil && !errors.Is(err, rack.ErrToken) {
				refused = append(refused, fmt.Sprint(err))
			}
		}
		if len(refused) > 0 {
			r.t.Errorf("%v", refused)
		}
		r.run()
		if m := r.expect(0, rack.Quarantined); !strings.Contains(m.Reason, "erasure_failed") {
			r.t.Error(m.Reason)
		}
	})
}
