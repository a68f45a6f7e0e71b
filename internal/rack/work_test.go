package rack_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/bmc"
	"github.com/billetcloud/billet/internal/bmc/bmctest"
	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/db/dbtest"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/issue"
	"github.com/billetcloud/billet/internal/job"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/provider"
	"github.com/billetcloud/billet/internal/rack"
	"github.com/billetcloud/billet/internal/rack/racktest"
	"github.com/billetcloud/billet/internal/rackagent"
	"github.com/billetcloud/billet/internal/secret"
)

// rig is a rack of emulated servers that the service works on.
type rig struct {
	*testKit
	runner  *job.Runner
	running atomic.Pointer[context.CancelFunc]
	ids     *id.Maker
	issues  *issue.Service
	servers []*racktest.Server
	ms      []rack.Machine
	calls   racktest.Calls
}

// eachRig runs f with n servers that are ready, on both engines.
func eachRig(t *testing.T, n int, f func(r *rig)) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		r := newRig(t, d, c, n)
		for i := range r.servers {
			r.enroll(i)
		}
		r.run()
		for i := range r.ms {
			r.expect(i, rack.Ready)
		}
		f(r)
	})
}

func newRig(t *testing.T, d *db.DB, c *clock.Simulated, n int) *rig {
	t.Helper()
	ids := id.NewMaker(c, rand.Reader)
	queue := job.NewQueue(ids)
	r := &rig{testKit: &testKit{serviceOn(t, d, c, ids, queue), t, d, c}, ids: ids}
	r.calls = racktest.Calls{
		Now:   c.Now,
		Image: r.AgentParameters,
		Job: func(ctx context.Context, p rackagent.Parameters) (rackagent.Job, error) {
			return r.AgentJob(ctx, p.Token)
		},
		Report: func(ctx context.Context, p rackagent.Parameters, report rackagent.Report) error {
			return r.AgentReport(ctx, p.Token, report)
		},
	}
	r.servers = racktest.New(t, n, r.calls)
	r.runner = job.NewRunner(job.Config{
		DB: d, Queue: queue, Clock: c, Real: db.Time, Log: slog.New(slog.DiscardHandler), Workers: 4,
	})
	r.issues = issuesOf(ids, queue)
	r.runner.Handle(rack.KindRefusals, r.ReportRefusals)
	r.runner.Handle(rack.KindMachine, func(ctx context.Context, of id.ID) (job.Outcome, error) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		r.running.Store(&cancel)
		return r.Work(ctx, of)
	})
	err := r.tx(func(ctx context.Context, tx *db.Tx) error {
		_, err := r.SetImage(ctx, tx, rack.Image{
			Name: "Ubuntu 24.04", URL: "https://images.example.com/ubuntu.raw", SHA256: strings.Repeat("ab", 32),
			Format: rackagent.Raw, Bytes: 1 << 30,
		})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// kill ends the run that goes on, as if the process were killed.
func (r *rig) kill() { (*r.running.Load())() }

// enroll enters a server and has it inspected.
func (r *rig) enroll(i int) {
	r.t.Helper()
	s := r.servers[i]
	f := fields(i + 1)
	f.BMCURL, f.BMCUser, f.BMCPassword = &s.Address.URL, &s.Address.User, &s.Address.Password
	f.BMCCertificate, f.MACs = &s.Address.CertificateSHA256, &[]string{s.MAC}
	f.HourlyPrice = p(money.Dollars(12))
	m, err := r.tryAdd(f)
	if err != nil {
		r.t.Fatal(err)
	}
	r.ms = append(r.ms, m)
	r.act(r.Inspect, i)
}

func (r *rig) act(f func(context.Context, *db.Tx, id.ID, string) (rack.Machine, error), i int) {
	r.t.Helper()
	err := r.tx(func(ctx context.Context, tx *db.Tx) error {
		_, err := f(ctx, tx, r.ms[i].ID, "")
		return err
	})
	if err != nil {
		r.t.Fatal(err)
	}
}

// run does what is due until the servers have nothing left to do.
func (r *rig) run() {
	r.t.Helper()
	for range 6 {
		if err := r.runner.Drain(r.t.Context()); err != nil {
			r.t.Fatal(err)
		}
		for _, s := range r.servers {
			s.Settle()
		}
	}
}

// after lets time pass in steps, in which what is due is done.
func (r *rig) after(d, every time.Duration) {
	r.t.Helper()
	for passed := time.Duration(0); passed < d; passed += every {
		r.clock.Advance(every)
		r.run()
	}
}

func (r *rig) machine(i int) rack.Machine {
	r.t.Helper()
	m, err := r.Get(r.t.Context(), r.db, r.ms[i].ID)
	if err != nil {
		r.t.Fatal(err)
	}
	return m
}

func (r *rig) expect(i int, want rack.State) rack.Machine {
	r.t.Helper()
	m := r.machine(i)
	if m.State != want {
		r.t.Fatalf("machine %d is %s (%s; %s), want %s", i, m.State, m.Reason, m.Detail, want)
	}
	return m
}

func (r *rig) launch(i int) rack.Launch {
	m := r.machine(i)
	return rack.Launch{
		Deployment: r.ids.New(id.Deployment), Name: "Train 1", OfferKey: m.OfferKey(), Region: m.Region,
		OperatingSystem: "Ubuntu 24.04", AuthorizedKeys: []string{"ssh-ed25519 AAAA tenant"},
	}
}

// assigned gives machine i, the only one, to a deployment and waits until it runs.
func (r *rig) assigned(i int) id.ID {
	r.t.Helper()
	l := r.launch(i)
	t, err := r.Assign(r.t.Context(), l)
	if err != nil || t.ID != r.ms[i].ID {
		r.t.Fatalf("assigned %s, %v", t.ID, err)
	}
	r.run()
	r.tenancy(l.Deployment, rack.Running)
	return l.Deployment
}

func (r *rig) tenancy(deployment id.ID, want rack.Tenancy) rack.Tenant {
	r.t.Helper()
	t, err := r.Tenant(r.t.Context(), r.db, deployment)
	if err != nil || t.Tenancy != want {
		r.t.Fatalf("the machine of %s is %q (%s), %v, want %q", deployment, t.Tenancy, t.Detail, err, want)
	}
	return t
}

func (r *rig) giveBack(deployment id.ID) {
	r.t.Helper()
	if err := r.Return(r.t.Context(), deployment); err != nil {
		r.t.Fatal(err)
	}
}

// checkInstalled checks what the agent of the first server installed.
func (r *rig) checkInstalled() {
	r.t.Helper()
	system, image := r.servers[0].Installed()
	if system == nil || !strings.Contains(system.MetaData, "AAAA tenant") ||
		!strings.Contains(system.NetworkConfig, r.servers[0].MAC) || image.SHA256 != strings.Repeat("ab", 32) {
		r.t.Fatalf("installed %+v from %+v", system, image)
	}
}

// checkErased checks the record of an erasure that passed.
func (r *rig) checkErased(d id.ID) {
	r.t.Helper()
	e, err := r.ErasureOf(r.t.Context(), r.db, d)
	if err != nil || !e.Passed || len(e.Drives) != 2 || e.MachineID != r.ms[0].ID || e.Drives[0].MarksGone != 64 {
		r.t.Errorf("%+v, %v", e, err)
	}
}

// A machine goes from a tenant to the next only after each of its drives was erased.
func TestAMachineIsRentedOutErasedAndReady(t *testing.T) {
	eachRig(t, 1, func(r *rig) {
		m := r.machine(0)
		if m.Hardware == nil || len(m.Hardware.Drives) != 2 || len(m.Hardware.GPUs) != 8 || m.VCPUs != 128 {
			r.t.Fatalf("inspected %+v", m.Hardware)
		}
		d := r.assigned(0)
		r.checkInstalled()
		if m := r.machine(0); !m.Unerased || *m.DeploymentID != d {
			r.t.Fatalf("%+v", m)
		}
		r.servers[0].WriteFile("/root/secret", "x")
		r.giveBack(d)
		r.giveBack(d) // repeated
		r.run()
		if m := r.expect(0, rack.Ready); m.Unerased || m.DeploymentID != nil || r.servers[0].Soiled() {
			r.t.Errorf("%+v, soiled: %t", m, r.servers[0].Soiled())
		}
		r.checkErased(d)
		if s := r.servers[0].BMC.State(); s.On || s.CD != "" {
			r.t.Errorf("the server is on: %t, with %q", s.On, s.CD)
		}
		if _, err := r.Assign(r.t.Context(), rack.Launch{Deployment: d, OfferKey: m.OfferKey(), Region: m.Region,
			OperatingSystem: "Ubuntu 24.04"}); !errors.Is(err, rack.ErrEnded) {
			r.t.Errorf("assigned after the return: %v", err)
		}
	})
}

// Twelve deployments race for five machines.
func TestEachMachineGoesToOneDeployment(t *testing.T) {
	eachRig(t, 5, func(r *rig) {
		const n = 12
		type got struct {
			machine id.ID
			err     error
		}
		results := make(chan got, n)
		var launches []rack.Launch
		for range n {
			launches = append(launches, r.launch(0))
		}
		for _, l := range launches {
			go func() {
				t, err := r.Assign(r.t.Context(), l)
				results <- got{t.ID, err}
			}()
		}
		owners, refused := map[id.ID]int{}, 0
		for range n {
			g := <-results
			switch {
			case g.err == nil:
				owners[g.machine]++
			case errors.Is(g.err, rack.ErrNoCapacity):
				refused++
			default:
				r.t.Errorf("%v", g.err)
			}
		}
		if len(owners) != 5 || refused != 7 {
			r.t.Errorf("%d machines have tenants, and %d deployments none; want 5 and 7", len(owners), refused)
		}
		for m, times := range owners {
			if times != 1 {
				r.t.Errorf("%s went to %d deployments", m, times)
			}
		}
		all, err := r.Tenants(r.t.Context(), r.db)
		if err != nil || len(all) != 5 {
			r.t.Errorf("%d machines have a deployment, %v", len(all), err)
		}
	})
}

// One deployment that asks eight times at once has one machine.
func TestADeploymentHasOneMachine(t *testing.T) {
	eachRig(t, 3, func(r *rig) {
		l := r.launch(0)
		results := make(chan string, 8)
		for range cap(results) {
			go func() {
				t, err := r.Assign(r.t.Context(), l)
				results <- fmt.Sprint(t.ID, err)
			}()
		}
		first := <-results
		for range cap(results) - 1 {
			if next := <-results; next != first {
				r.t.Errorf("%s, then %s", first, next)
			}
		}
		if all, err := r.Tenants(r.t.Context(), r.db); err != nil || len(all) != 1 {
			r.t.Errorf("%d machines, %v", len(all), err)
		}
	})
}

// Whatever the agent says, a machine is sold again only if every drive that was inspected is named
// as erased.
func TestAnErasureThatIsNotProvenEndsInQuarantine(t *testing.T) {
	for name, c := range map[string]struct {
		change func(job rackagent.Job, last *rackagent.Report) bool
		want   string
	}{
		"a drive fails": {func(_ rackagent.Job, last *rackagent.Report) bool {
			last.Phase, last.Error = rackagent.Stopped, &rackagent.Error{Code: rackagent.ErasureFailed, Message: "no"}
			last.Erasure.Drives[1].Verdict = rackagent.Failed
			return true
		}, "NVME-1-B: failed"},
		"a drive is missing": {func(_ rackagent.Job, last *rackagent.Report) bool {
			last.Erasure.Drives = last.Erasure.Drives[:1]
			return true
		}, "NVME-1-B was not erased"},
		"another drive": {func(_ rackagent.Job, last *rackagent.Report) bool {
			last.Erasure.Drives[1].Serial = "NEW"
			return true
		}, "NEW is not one that was inspected"},
		"a drive lies": {func(_ rackagent.Job, last *rackagent.Report) bool {
			last.Erasure.Drives[0].MarksGone = 63
			return true
		}, "63 of 64 marks"},
		"no marks": {func(_ rackagent.Job, last *rackagent.Report) bool {
			last.Erasure.Drives[0].Marks, last.Erasure.Drives[0].MarksGone = 0, 0
			return true
		}, "0 of 0 marks"},
		"a drive twice": {func(_ rackagent.Job, last *rackagent.Report) bool {
			last.Erasure.Drives[1] = last.Erasure.Drives[0]
			return true
		}, "reported twice"},
		"too few marks": {func(_ rackagent.Job, last *rackagent.Report) bool {
			last.Erasure.Drives[0].Marks, last.Erasure.Drives[0].MarksGone = 1, 1
			return true
		}, "1 of 1 marks"},
		"a smaller drive": {func(_ rackagent.Job, last *rackagent.Report) bool {
			last.Erasure.Drives[0].Bytes, last.Erasure.Drives[0].Method = 1<<30, rackagent.Overwrite
			return true
		}, "1073741824 bytes of 4000000000000"},
		"no method": {func(_ rackagent.Job, last *rackagent.Report) bool {
			last.Erasure.Drives[0].Method = ""
			return true
		}, "unknown method"},
		"no times": {func(_ rackagent.Job, last *rackagent.Report) bool {
			last.Erasure.Drives[0].StartedAt, last.Erasure.Drives[0].EndedAt = time.Time{}, time.Time{}
			return true
		}, "which cannot be"},
		"another year": {func(_ rackagent.Job, last *rackagent.Report) bool {
			d := &last.Erasure.Drives[0]
			d.StartedAt, d.EndedAt = d.StartedAt.AddDate(-1, 0, 0), d.EndedAt.AddDate(-1, 0, 0)
			return true
		}, "which cannot be"},
		"no record": {func(_ rackagent.Job, last *rackagent.Report) bool {
			last.Erasure = nil
			return true
		}, "no drive"},
	} {
		t.Run(name, func(t *testing.T) {
			eachRig(t, 1, func(r *rig) {
				d := r.assigned(0)
				r.servers[0].Script(c.change)
				r.giveBack(d)
				r.run()
				m := r.expect(0, rack.Quarantined)
				if !m.Unerased || !strings.Contains(m.Reason, c.want) {
					r.t.Errorf("unerased: %t, because %q, want %q", m.Unerased, m.Reason, c.want)
				}
				e, err := r.ErasureOf(r.t.Context(), r.db, d)
				if err != nil || e.Passed || !strings.Contains(e.Reason, c.want) {
					r.t.Errorf("%+v, %v", e, err)
				}
				if _, err := r.Assign(r.t.Context(), r.launch(0)); err == nil {
					r.t.Error("it was rented out again")
				}
				// Released, it is erased again.
				r.servers[0].Script(nil)
				r.act(r.Release, 0)
				r.run()
				if m := r.expect(0, rack.Ready); m.Unerased {
					r.t.Error("it is ready and unerased")
				}
			})
		})
	}
}

// A BMC that does not answer for an hour ends nothing.
func TestAnUnreachableBMCEndsNothing(t *testing.T) {
	eachRig(t, 1, func(r *rig) {
		d := r.assigned(0)
		r.servers[0].BMC.SetQuirks(bmctest.Quirks{Unavailable: -1})
		r.after(time.Hour, 10*time.Minute)
		r.expect(0, rack.Assigned)
		if t := r.tenancy(d, rack.Running); !strings.Contains(t.Detail, "does not affect the tenant") {
			r.t.Errorf("the operator is told %q", t.Detail)
		}
		r.giveBack(d)
		r.after(time.Hour, 10*time.Minute)
		if m := r.expect(0, rack.Erasing); m.DeploymentID == nil {
			r.t.Error("the deployment has lost its machine, which may still be on")
		}
		r.servers[0].BMC.SetQuirks(bmctest.Quirks{})
		r.after(time.Hour, 10*time.Minute)
		if m := r.expect(0, rack.Ready); m.Unerased {
			r.t.Error("it was not erased")
		}
	})
}

func TestAnAgentThatIsSilentIsStartedAgain(t *testing.T) {
	eachRig(t, 1, func(r *rig) {
		d := r.assigned(0)
		before := len(r.servers[0].Jobs())
		r.servers[0].Script(func(rackagent.Job, *rackagent.Report) bool { return false })
		r.giveBack(d)
		r.run()
		r.expect(0, rack.Erasing)
		r.after(2*time.Hour, 5*time.Minute)
		m := r.expect(0, rack.Quarantined)
		if m.Cause != rack.CauseTimedOut || !m.Unerased {
			r.t.Errorf("%s, unerased: %t", m.Cause, m.Unerased)
		}
		erases := 0
		for _, j := range r.servers[0].Jobs()[before:] {
			if j.Kind == rackagent.Erase {
				erases++
			}
		}
		if erases != 3 {
			r.t.Errorf("the agent was started %d times, want 3", erases)
		}
	})
}

func TestPowerAndReinstall(t *testing.T) {
	eachRig(t, 1, func(r *rig) {
		d := r.assigned(0)
		want := func(w rack.Wish, on bool, tenancy rack.Tenancy) {
			r.t.Helper()
			if err := r.Want(r.t.Context(), d, w); err != nil {
				r.t.Fatal(err)
			}
			r.after(2*time.Minute, 10*time.Second)
			r.tenancy(d, tenancy)
			if is := r.servers[0].BMC.State().On; is != on {
				r.t.Errorf("after %q it is on: %t", w, is)
			}
		}
		want(rack.WantOff, false, rack.SwitchedOff)
		want(rack.WantOff, false, rack.SwitchedOff)
		want(rack.WantOn, true, rack.Running)
		boots := len(r.servers[0].BMC.State().Boots)
		want(rack.WantReboot, true, rack.Running)
		if now := len(r.servers[0].BMC.State().Boots); now != boots+1 {
			r.t.Errorf("started %d times by one reboot", now-boots)
		}
		r.servers[0].BMC.PowerOff(r.t.Context()) // from inside
		r.after(10*time.Minute, time.Minute)
		r.tenancy(d, rack.SwitchedOff)
		r.servers[0].WriteFile("/root/lost", "x")
		if err := r.Reinstall(r.t.Context(), d, "BeOS", nil); !errors.Is(err, rack.ErrNoImage) {
			r.t.Errorf("%v", err)
		}
		if err := r.Reinstall(r.t.Context(), d, "Ubuntu 24.04", nil); err != nil {
			r.t.Fatal(err)
		}
		r.run()
		r.tenancy(d, rack.Running)
		if _, err := r.servers[0].ReadFile("/root/lost"); err == nil {
			r.t.Error("a file survived")
		}
		jobs := r.servers[0].Jobs()
		if last := jobs[len(jobs)-1]; last.Erase == nil || last.Kind != rackagent.Deploy {
			r.t.Errorf("reinstalled by %+v", last)
		}
		for _, none := range []error{
			r.Want(r.t.Context(), "dep_none", rack.WantOn), r.Reinstall(r.t.Context(), "dep_none", "Ubuntu 24.04", nil),
		} {
			if !errors.Is(none, rack.ErrNone) {
				r.t.Errorf("%v", none)
			}
		}
	})
}

func TestDrainKeepsTheTenant(t *testing.T) {
	eachRig(t, 1, func(r *rig) {
		d := r.assigned(0)
		r.act(r.Drain, 0)
		r.run()
		r.expect(0, rack.Draining)
		r.tenancy(d, rack.Running)
		r.giveBack(d)
		r.run()
		if m := r.expect(0, rack.Retired); m.Unerased {
			r.t.Error("retired without an erasure")
		}
		r.act(r.Release, 0)
		r.run()
		r.expect(0, rack.Ready)
	})
}

// What was declared and what was found must fit, and firmware must be as it was.
func TestValidationFindsWhatIsNotForSale(t *testing.T) {
	eachRig(t, 1, func(r *rig) {
		r.servers[0].GPUs = 7
		r.act(r.Inspect, 0)
		r.run()
		if m := r.expect(0, rack.Quarantined); !strings.Contains(m.Reason, "7 GPUs, and 8 are for sale") {
			r.t.Error(m.Reason)
		}
		r.servers[0].GPUs = 8
		r.act(r.Release, 0)
		r.run()
		r.expect(0, rack.Ready)
		if _, err := r.update(r.ms[0].ID, rack.MachineFields{HourlyPrice: p(money.Micros(0))}); err != nil {
			r.t.Fatal(err)
		}
		r.act(r.Validate, 0)
		r.run()
		if m := r.expect(0, rack.Quarantined); !strings.Contains(m.Reason, "no price") {
			r.t.Error(m.Reason)
		}
	})
}

// An agent whose last report was received, and the answer lost, reports again and goes on, also
// after the job was closed.
func TestALastReportIsAcceptedAgain(t *testing.T) {
	eachRig(t, 1, func(r *rig) {
		d := r.assigned(0)
		boots := r.servers[0].BMC.State().Boots
		_, token, _ := strings.Cut(boots[len(boots)-2], rack.ISOPath) // the last is from the drive
		jobs := r.servers[0].Jobs()
		again := rackagent.Report{JobID: jobs[len(jobs)-1].ID, Number: 2, Phase: rackagent.Done}
		token = strings.TrimSuffix(token, ".iso")
		if err := r.AgentReport(r.t.Context(), token, again); err != nil {
			r.t.Error(err)
		}
		again.Number = 3
		if err := r.AgentReport(r.t.Context(), token, again); !errors.Is(err, rack.ErrToken) {
			r.t.Errorf("a further report: %v", err)
		}
		r.tenancy(d, rack.Running)
	})
}

// A token is that of one job on one machine, and only as long as the job runs.
func TestTokensAreForOneJob(t *testing.T) {
	eachRig(t, 1, func(r *rig) {
		var used []string
		for _, url := range r.servers[0].BMC.State().Boots {
			if _, token, found := strings.Cut(url, rack.ISOPath); found {
				used = append(used, strings.TrimSuffix(token, ".iso"))
			}
		}
		if len(used) == 0 {
			r.t.Fatal("no token was used")
		}
		d := r.assigned(0)
		for _, token := range append(used, "", "x", string(d)) {
			ctx := r.t.Context()
			_, image := r.AgentParameters(ctx, token)
			_, work := r.AgentJob(ctx, token)
			report := r.AgentReport(ctx, token, rackagent.Report{Number: 9, Phase: rackagent.Done})
			for what, err := range map[string]error{"image": image, "job": work, "report": report} {
				if !errors.Is(err, rack.ErrToken) {
					r.t.Errorf("%s with %q: %v", what, token, err)
				}
			}
		}
		r.expect(0, rack.Assigned)
	})
}

// An agent that was given up, and the machine started again for the same job, has a word neither in
// that job nor in any later one, whatever it reports.
func TestALateAgentChangesNothing(t *testing.T) {
	eachRig(t, 1, func(r *rig) {
		s := r.servers[0]
		s.WriteFile("/root/secret", "x")
		d := r.assigned(0)
		s.Script(func(rackagent.Job, *rackagent.Report) bool { return false })
		r.giveBack(d)
		r.run()
		token, jobs := r.token(), s.Jobs()
		late := func(when string) {
			r.t.Helper()
			ctx, m := r.t.Context(), r.machine(0)
			_, image := r.AgentParameters(ctx, token)
			_, work := r.AgentJob(ctx, token)
			done := r.AgentReport(ctx, token, r.done(jobs[len(jobs)-1]))
			for what, err := range map[string]error{"image": image, "job": work, "report": done} {
				if !errors.Is(err, rack.ErrToken) {
					r.t.Errorf("%s: the late agent's %s: %v", when, what, err)
				}
			}
			r.run()
			if now := r.machine(0); !reflect.DeepEqual(now, m) {
				r.t.Errorf("%s: the late agent has changed the machine from\n%+v to\n%+v", when, m, now)
			}
		}
		for i := 0; i < 10 && len(s.Jobs()) == len(jobs); i++ {
			r.after(5*time.Minute, 5*time.Minute)
		}
		if now := s.Jobs(); len(now) != len(jobs)+1 || now[len(jobs)].ID != jobs[len(jobs)-1].ID {
			r.t.Fatalf("it was not started again for the same job: %+v, %+v", jobs, now)
		}
		r.expect(0, rack.Erasing)
		late("while the next start erases")
		s.Script(nil)
		r.after(time.Hour, 5*time.Minute)
		r.expect(0, rack.Ready)
		late("while the machine is for sale")
		next := r.assigned(0)
		late("while the next tenant has it")
		r.tenancy(next, rack.Running)
		s.Script(func(rackagent.Job, *rackagent.Report) bool { return false })
		r.giveBack(next)
		r.run()
		r.expect(0, rack.Erasing)
		late("while it is erased after the next tenant")
	})
}

// A run that is killed after any request to the BMC is repeated without a second tenant and without
// skipping an erasure.
func TestCrashesRepeatNoTenancy(t *testing.T) {
	killed := true
	for n := 0; killed; n += 3 {
		c := clock.NewFrozen(dbtest.Start)
		r := newRig(t, dbtest.SQLite(t, c), c, 1)
		r.enroll(0)
		r.run()
		r.expect(0, rack.Ready)
		r.servers[0].BMC.SetQuirks(bmctest.Quirks{LockoutAfter: 2}) // by wrong passwords
		var requests atomic.Int64
		r.servers[0].OnRequest(func() {
			if requests.Add(1) == int64(n+1) {
				r.kill()
			}
		})
		l := r.launch(0)
		if _, err := r.Assign(t.Context(), l); err != nil {
			t.Fatal(err)
		}
		r.after(30*time.Minute, 5*time.Minute)
		r.tenancy(l.Deployment, rack.Running)
		r.servers[0].WriteFile("/root/secret", "x")
		r.giveBack(l.Deployment)
		r.after(30*time.Minute, 5*time.Minute)
		if m := r.expect(0, rack.Ready); m.Unerased || r.servers[0].Soiled() {
			t.Errorf("killed after %d requests: an erasure was skipped", n+1)
		}
		if e, err := r.ErasureOf(t.Context(), r.db, l.Deployment); err != nil || !e.Passed {
			t.Errorf("killed after %d requests: %+v, %v", n+1, e, err)
		}
		killed = requests.Load() > int64(n)
	}
}

// When no BMC answers, other jobs still find workers: steps beyond the limit are left for later.
func TestWork_LimitsCalls(t *testing.T) {
	eachRig(t, 2, func(r *rig) {
		box, err := secret.New(make([]byte, 32))
		if err != nil {
			r.t.Fatal(err)
		}
		opened, release := make(chan bool, 2), make(chan bool)
		slow := rack.New(rack.Config{
			DB: r.db, IDs: r.ids, Clock: r.clock, Jobs: job.NewQueue(r.ids), Secrets: box, Calls: 1,
			Issues: issuesOf(r.ids, job.NewQueue(r.ids)),
			Open: func(context.Context, bmc.Address) (*bmc.BMC, error) {
				opened <- true
				<-release
				return nil, &bmc.Error{Kind: bmc.KindUnreachable, Message: "no answer"}
			},
			Server: func() (rack.Server, bool) { return rack.Server{URL: "https://192.0.2.250:8444"}, true },
		})
		r.act(r.Inspect, 0)
		r.act(r.Inspect, 1)
		first := make(chan error, 1)
		go func() {
			_, err := slow.Work(context.WithoutCancel(r.t.Context()), r.ms[0].ID)
			first <- err
		}()
		<-opened
		later, err := slow.Work(r.t.Context(), r.ms[1].ID)
		close(release)
		if err != nil || later == job.Done() || len(opened) != 0 {
			r.t.Errorf("beyond the limit: %v, %v, %d calls", later, err, len(opened))
		}
		if err := <-first; bmc.KindOf(err) != bmc.KindUnreachable {
			r.t.Error(err)
		}
	})
}

// refuses reinstalls with an image that another machine could be installed with.
func (r *rig) refuses(d id.ID, image provider.Image) {
	r.t.Helper()
	if err := r.Reinstall(r.t.Context(), d, image.Name, &image); err != nil {
		r.t.Fatal(err)
	}
	r.run()
	got := r.tenancy(d, rack.Refused)
	if rack.ImageProblem(got.Detail) == "" || rack.ImageFault(got.Detail) {
		r.t.Errorf("%q", got.Detail)
	}
}

// staysRefused tries to switch a machine without an operating system, and to start it in vain.
func (r *rig) staysRefused(d id.ID, image provider.Image) {
	r.t.Helper()
	for _, w := range []rack.Wish{rack.WantOn, rack.WantOff, rack.WantReboot} {
		if err := r.Want(r.t.Context(), d, w); !errors.Is(err, rack.ErrNotInstalled) {
			r.t.Errorf("%s of a machine without an operating system: %v", w, err)
		}
	}
	r.servers[0].BMC.SetSecureBoot(true)
	for range 2 {
		if err := r.Reinstall(r.t.Context(), d, image.Name, &image); err != nil {
			r.t.Fatal(err)
		}
		r.run()
		if got := r.tenancy(d, rack.Refused); got.Detail == "" || r.servers[0].BMC.State().On {
			r.t.Errorf("after a start that failed: %q", got.Detail)
		}
	}
	r.servers[0].BMC.SetSecureBoot(false)
}

// A tenant's own image that is not what was stated costs the tenant the installation, but not the
// machine.
func TestTenantsImages(t *testing.T) {
	eachRig(t, 1, func(r *rig) {
		image := provider.Image{
			ID: "img_a", Name: "rocky", URL: "https://images.example.com/rocky.qcow2",
			SHA256: strings.Repeat("cd", 32), Format: provider.ImageQCOW2, Bytes: 7,
		}
		want := rackagent.Image{
			URL: image.URL, SHA256: image.SHA256, Format: rackagent.QCOW2, Bytes: 7, Tenant: true,
			Networks: imageNetworks,
		}
		installed := func() {
			r.t.Helper()
			if _, got := r.servers[0].Installed(); fmt.Sprint(got) != fmt.Sprint(want) {
				r.t.Fatalf("installed %+v", got)
			}
		}
		var fails rackagent.ErrorCode
		r.servers[0].Script(func(j rackagent.Job, last *rackagent.Report) bool {
			if j.Kind == rackagent.Deploy && fails != "" {
				last.Phase, last.Error = rackagent.Stopped, &rackagent.Error{Code: fails, Message: "no"}
			}
			return true
		})
		l := r.launch(0)
		l.OperatingSystem, l.Image = image.Name, &image // no operating system of the operator has the name
		if _, err := r.Assign(r.t.Context(), l); err != nil {
			r.t.Fatal(err)
		}
		r.run()
		r.tenancy(l.Deployment, rack.Running)
		installed()
		fails = rackagent.ImageChecksum
		if err := r.Reinstall(r.t.Context(), l.Deployment, image.Name, &image); err != nil {
			r.t.Fatal(err)
		}
		r.run()
		if got := r.tenancy(l.Deployment, rack.Refused); rack.ImageProblem(got.Detail) == "" {
			r.t.Errorf("the tenant does not learn why: %q", got.Detail)
		}
		r.after(time.Hour, 10*time.Minute)
		r.expect(0, rack.Assigned)
		if r.servers[0].BMC.State().On {
			r.t.Error("it is on without an operating system")
		}
		r.staysRefused(l.Deployment, image)
		fails = ""
		if err := r.Reinstall(r.t.Context(), l.Deployment, image.Name, &image); err != nil {
			r.t.Fatal(err)
		}
		r.run()
		r.tenancy(l.Deployment, rack.Running)
		installed()
		for _, fails = range []rackagent.ErrorCode{rackagent.DriveNotFound, rackagent.ImageMemory} {
			r.refuses(l.Deployment, image)
		}
		fails = rackagent.WriteFailed // which is not the tenant's doing
		if err := r.Reinstall(r.t.Context(), l.Deployment, image.Name, &image); err != nil {
			r.t.Fatal(err)
		}
		r.run()
		if got := r.tenancy(l.Deployment, rack.Failed); rack.ImageProblem(got.Detail) != "" {
			r.t.Errorf("%q", got.Detail)
		}
		fails = ""
		r.giveBack(l.Deployment)
		r.run()
		r.expect(0, rack.Ready)
		fails = rackagent.ImageUnavailable
		l.Deployment = r.ids.New(id.Deployment)
		if _, err := r.Assign(r.t.Context(), l); err != nil {
			r.t.Fatal(err)
		}
		r.run()
		if got := r.tenancy(l.Deployment, rack.Failed); rack.ImageProblem(got.Detail) == "" {
			r.t.Errorf("the tenant does not learn why: %q", got.Detail)
		}
	})
}
