package rack_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/db/dbtest"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/provider"
	"github.com/billetcloud/billet/internal/rack"
	"github.com/billetcloud/billet/internal/rack/racktest"
	"github.com/billetcloud/billet/internal/rackagent"
)

// hostRig is a machine without a BMC that the service works on.
type hostRig struct {
	*rig
	host *racktest.Host

	mu    sync.Mutex
	claim func()
	lost  func(report rackagent.Report) bool
}

// onClaim has f called when the next agent asks for its job.
func (r *hostRig) onClaim(f func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.claim = f
}

// lose has the next report that f accepts not arrive.
func (r *hostRig) lose(f func(report rackagent.Report) bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lost = f
}

// through returns the agent's calls, with what was requested by onClaim and lose.
func (r *hostRig) through(to racktest.Calls) racktest.Calls {
	out := to
	out.Job = func(ctx context.Context, p rackagent.Parameters) (rackagent.Job, error) {
		r.mu.Lock()
		f := r.claim
		r.claim = nil
		r.mu.Unlock()
		if f != nil {
			f()
		}
		return to.Job(ctx, p)
	}
	out.Report = func(ctx context.Context, p rackagent.Parameters, report rackagent.Report) error {
		r.mu.Lock()
		lost := r.lost != nil && r.lost(report)
		if lost {
			r.lost = nil
		}
		r.mu.Unlock()
		if lost {
			return errors.New("the report is lost")
		}
		return to.Report(ctx, p, report)
	}
	return out
}

// isLast reports whether a report is an agent's last one.
func isLast(report rackagent.Report) bool {
	return report.Phase == rackagent.Done || report.Phase == rackagent.Stopped
}

// eachHost runs f with a machine without a BMC that is entered, on both engines.
func eachHost(t *testing.T, f func(r *hostRig)) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		r := &hostRig{rig: newRig(t, d, c, 0)}
		r.host = racktest.NewHost(t, r.through(r.calls))
		m, err := r.tryAdd(r.hostFields())
		if err != nil {
			t.Fatal(err)
		}
		r.ms = []rack.Machine{m}
		r.host.Accept(m.SSHPublicKey)
		f(r)
	})
}

func (r *hostRig) hostFields() rack.MachineFields {
	f := fields(1)
	f.BMCURL, f.BMCUser, f.BMCPassword = nil, nil, nil
	f.MACs, f.SSHAddress, f.SSHHostKey = &[]string{r.host.MAC}, &r.host.At, p(r.host.HostKey())
	f.IdleImage = p("Ubuntu 24.04")
	return f
}

// settle does what is due until nothing is left to do.
func (r *hostRig) settle() {
	r.t.Helper()
	for range 8 {
		if err := r.runner.Drain(r.t.Context()); err != nil {
			r.t.Fatal(err)
		}
		r.host.Settle()
	}
}

// later lets time pass in steps, in which what is due is done.
func (r *hostRig) later(d time.Duration) {
	r.t.Helper()
	for passed := time.Duration(0); passed < d; passed += 5 * time.Minute {
		r.clock.Advance(5 * time.Minute)
		r.settle()
	}
}

func (r *hostRig) ready() {
	r.t.Helper()
	r.act(r.Inspect, 0)
	r.settle()
	r.expect(0, rack.Ready)
}

// assign gives the machine to a deployment.
func (r *hostRig) assign() id.ID {
	r.t.Helper()
	l := r.launch(0)
	key, err := provider.NewHostKey()
	if err != nil {
		r.t.Fatal(err)
	}
	l.HostKey = key
	if _, err := r.Assign(r.t.Context(), l); err != nil {
		r.t.Fatal(err)
	}
	return l.Deployment
}

// rented gives the machine to a deployment, and waits until it runs.
func (r *hostRig) rented() id.ID {
	r.t.Helper()
	d := r.assign()
	r.settle()
	r.tenancy(d, rack.Running)
	return d
}

// A machine without a BMC has the same life as others: nothing is sold that was not erased, and
// each tenant's system is replaced by one that the machine is reached by.
func TestAMachineWithoutABMCIsRentedOutErasedAndReady(t *testing.T) {
	eachHost(t, func(r *hostRig) {
		r.ready()
		idle, _ := r.host.Installed()
		if idle == nil || !strings.Contains(idle.MetaData, r.ms[0].SSHPublicKey) {
			r.t.Fatalf("after the erasure: %+v", idle)
		}
		d := r.rented()
		system, _ := r.host.Installed()
		if !strings.Contains(system.MetaData, "AAAA tenant") ||
			!strings.Contains(system.MetaData, r.ms[0].SSHPublicKey) {
			r.t.Errorf("the tenant's system has the keys %s", system.MetaData)
		}
		r.host.WriteFile("/root/secret", "x")
		r.giveBack(d)
		r.settle()
		if m := r.expect(0, rack.Ready); m.Unerased || m.DeploymentID != nil || r.host.Started() != 4 {
			r.t.Errorf("%+v after %d agents", m, r.host.Started())
		}
		if _, err := r.host.ReadFile("/root/secret"); err == nil {
			r.t.Error("the tenant's file is there")
		}
		if e, err := r.ErasureOf(r.t.Context(), r.db, d); err != nil || !e.Passed || len(e.Drives) != 2 {
			r.t.Errorf("%+v, %v", e, err)
		}
		kinds := []rackagent.Kind{}
		for _, j := range r.host.Jobs() {
			kinds = append(kinds, j.Kind)
		}
		if !slices.Equal(kinds, []rackagent.Kind{
			rackagent.Inspect, rackagent.Deploy, rackagent.Deploy, rackagent.Deploy,
		}) {
			r.t.Errorf("jobs %v", kinds)
		}
		for _, line := range r.host.CommandLines() {
			if strings.Contains(line, "billet.token") {
				r.t.Errorf("the token is on the kernel command line: %s", line)
			}
		}
	})
}

// That a machine without a BMC does not answer ends no tenancy, however long. Its power cannot be
// changed.
func TestAMachineWithoutABMCThatDoesNotAnswerKeepsItsTenant(t *testing.T) {
	eachHost(t, func(r *hostRig) {
		r.ready()
		d := r.rented()
		for _, mode := range []racktest.Mode{racktest.Silent, racktest.Locked} {
			r.host.Behave(mode)
			r.later(3 * time.Hour)
			r.tenancy(d, rack.Running)
		}
		if err := r.Want(r.t.Context(), d, rack.WantReboot); !errors.Is(err, rack.ErrNoPower) {
			r.t.Errorf("reboot: %v", err)
		}
		// A reinstallation that cannot begin is given up, and the tenant keeps what is installed.
		if err := r.Reinstall(r.t.Context(), d, "Ubuntu 24.04", nil); err != nil {
			r.t.Fatal(err)
		}
		r.later(2 * time.Hour)
		r.tenancy(d, rack.Running)
		r.host.Behave(racktest.Answers)
		if err := r.Reinstall(r.t.Context(), d, "Ubuntu 24.04", nil); err != nil {
			r.t.Fatal(err)
		}
		r.settle()
		r.tenancy(d, rack.Running)
		if r.host.Started() != 4 {
			r.t.Errorf("%d agents", r.host.Started())
		}
	})
}

// A tenant who removes the key, shuts SSH, does not start the agent, or takes its job in its place
// keeps the server out: the machine is quarantined, and never sold before it was erased.
func TestATenantWhoKeepsTheServerOutOfAMachineWithoutABMC(t *testing.T) {
	for _, mode := range []racktest.Mode{
		racktest.Silent, racktest.Locked, racktest.Unable, racktest.Claiming, racktest.Dropping,
	} {
		eachHost(t, func(r *hostRig) {
			r.ready()
			d := r.rented()
			r.host.Behave(mode)
			r.giveBack(d)
			r.settle()
			if m := r.expect(0, rack.Erasing); m.DeploymentID == nil || m.Detail == "" {
				r.t.Errorf("%s: at first %+v", mode, m)
			}
			r.later(90 * time.Minute)
			m := r.expect(0, rack.Quarantined)
			if !m.Unerased || m.DeploymentID != nil || m.Cause != rack.CauseTimedOut ||
				!strings.Contains(m.Reason, "switch the machine off by hand") {
				r.t.Errorf("%s: %+v", mode, m)
			}
			// The operator lets us in again, with what the tenant left.
			r.host.Behave(racktest.Answers)
			r.act(r.Release, 0)
			r.settle()
			r.expect(0, rack.Ready)
		})
	}
}

// What was asked for with the token of a start that failed is no sign of an agent: the next start
// has a token of its own.
func TestTheJobIsTakenAndTheAgentIsNotStarted(t *testing.T) {
	eachHost(t, func(r *hostRig) {
		r.ready()
		d := r.rented()
		r.host.Behave(racktest.Claiming)
		r.giveBack(d)
		r.settle()
		if m := r.expect(0, rack.Erasing); !strings.Contains(m.Detail, "could not be started") {
			r.t.Errorf("detail %q", m.Detail)
		}
		r.host.Behave(racktest.Answers)
		if _, err := r.Work(r.t.Context(), r.ms[0].ID); err != nil {
			r.t.Fatal(err)
		}
		r.settle()
		r.expect(0, rack.Ready)
		r.checkErased(d)
	})
}

// A deployment that ends while its machine is being installed loses no machine: the agent is not
// interrupted, and whichever system runs then is signed in to.
func TestADeploymentThatEndsWhileItsMachineIsInstalled(t *testing.T) {
	for name, c := range map[string]struct {
		// lost is whether the agent's last report does not arrive, and stopped that it gives up.
		lost, stopped bool
		runs          string // what is on the drive then
	}{
		"and it is installed":            {runs: "AAAA tenant"},
		"and that is not reported":       {lost: true, runs: "AAAA tenant"},
		"and it cannot be":               {stopped: true},
		"and it cannot be, not reported": {stopped: true, lost: true},
	} {
		t.Run(name, func(t *testing.T) {
			eachHost(t, func(r *hostRig) {
				r.ready()
				d := r.assign()
				r.host.Script(func(_ rackagent.Job, last *rackagent.Report) bool {
					r.host.Script(nil)
					r.giveBack(d)
					if _, err := r.Work(r.t.Context(), r.ms[0].ID); err != nil {
						r.t.Error(err)
					}
					if m := r.machine(0); m.State != rack.Erasing || m.DeploymentID == nil {
						r.t.Errorf("while it is installed: %s, of %v", m.State, m.DeploymentID)
					}
					if c.lost {
						r.lose(isLast)
					}
					r.onClaim(func() { // to erase
						if system, _ := r.host.Installed(); !strings.Contains(system.MetaData, c.runs) {
							r.t.Errorf("on the drive is %s", system.MetaData)
						}
					})
					if c.stopped {
						last.Phase, last.Error = rackagent.Stopped, &rackagent.Error{Code: rackagent.WriteFailed}
					}
					return true
				})
				r.settle()
				r.later(30 * time.Minute)
				if m := r.expect(0, rack.Ready); m.Unerased || m.DeploymentID != nil || r.host.Started() != 4 {
					r.t.Errorf("%+v after %d agents", m, r.host.Started())
				}
				r.checkErased(d)
			})
		})
	}
}

// An agent that has not asked for its job when the deployment ends does not install.
func TestADeploymentThatEndsBeforeItsMachineIsInstalled(t *testing.T) {
	eachHost(t, func(r *hostRig) {
		r.ready()
		d := r.assign()
		r.onClaim(func() { r.giveBack(d) })
		r.settle()
		r.later(30 * time.Minute)
		if m := r.expect(0, rack.Ready); m.Unerased || m.DeploymentID != nil {
			r.t.Errorf("%+v", m)
		}
		if jobs := r.host.Jobs(); len(jobs) != 3 || jobs[2].Erase == nil {
			r.t.Errorf("%d jobs were done", len(jobs))
		}
		r.checkErased(d)
	})
}

// What an agent has installed is signed in to although its last report did not arrive.
func TestTheLastReportOfAMachineWithoutABMCIsLost(t *testing.T) {
	eachHost(t, func(r *hostRig) {
		r.act(r.Inspect, 0)
		// Of the first erasure, whose job follows the inspection's.
		r.onClaim(func() { r.onClaim(func() { r.lose(isLast) }) })
		r.settle()
		r.later(30 * time.Minute)
		r.expect(0, rack.Ready)
		r.lose(isLast)
		d := r.assign()
		r.settle()
		r.later(30 * time.Minute)
		r.tenancy(d, rack.Running)
		r.lose(isLast)
		r.giveBack(d)
		r.settle()
		r.later(30 * time.Minute)
		if m := r.expect(0, rack.Ready); m.Unerased || r.host.Started() != 7 {
			r.t.Errorf("%+v after %d agents", m, r.host.Started())
		}
		r.checkErased(d)
	})
}

// What a tenant's image left of a machine that is then not the tenant's is what runs there: it is
// signed in to as that.
func TestAFailedInstallationOfAMachineWithoutABMC(t *testing.T) {
	eachHost(t, func(r *hostRig) {
		r.ready()
		r.host.GPUs = 7
		d := r.assign()
		r.settle()
		if m := r.tenancy(d, rack.Failed); !strings.Contains(m.Detail, "GPU") {
			r.t.Errorf("detail %q", m.Detail)
		}
		r.host.GPUs = 8
		r.giveBack(d)
		r.settle()
		if m := r.expect(0, rack.Ready); m.Unerased || m.DeploymentID != nil {
			r.t.Errorf("%+v", m)
		}
		r.checkErased(d)
	})
}

// A lost machine that the operator installs by hand has another host key.
func TestAMachineWithoutABMCThatWasInstalledByHand(t *testing.T) {
	eachHost(t, func(r *hostRig) {
		r.ready()
		d := r.rented()
		r.host.Behave(racktest.Silent)
		r.giveBack(d)
		r.later(90 * time.Minute)
		r.expect(0, rack.Quarantined)
		r.host.Behave(racktest.Answers)
		r.host.Reset()
		r.act(r.Release, 0)
		r.later(90 * time.Minute)
		if m := r.expect(0, rack.Quarantined); !strings.Contains(m.Reason, "another host key") {
			r.t.Errorf("%+v", m)
		}
		if _, err := r.update(r.ms[0].ID, rack.MachineFields{SSHHostKey: p(r.host.HostKey())}); err != nil {
			r.t.Fatal(err)
		}
		r.act(r.Release, 0)
		r.settle()
		r.expect(0, rack.Ready)
	})
}

// An agent whose start was not confirmed is not replaced by another one.
func TestTheAnswerOfAMachineWithoutABMCIsLost(t *testing.T) {
	eachHost(t, func(r *hostRig) {
		r.host.Behave(racktest.Hidden)
		r.act(r.Inspect, 0)
		r.settle()
		r.later(30 * time.Minute)
		if m := r.expect(0, rack.Ready); r.host.Started() != 2 || m.Unerased {
			r.t.Errorf("%d agents started, %+v", r.host.Started(), m)
		}
	})
}

// A machine whose erasure fails is not sold, and can be reached if what is left of it starts.
func TestAMachineWithoutABMCThatLies(t *testing.T) {
	eachHost(t, func(r *hostRig) {
		r.ready()
		d := r.rented()
		r.host.Script(func(job rackagent.Job, last *rackagent.Report) bool {
			last.Erasure.Drives[0].MarksGone = 3
			return true
		})
		r.giveBack(d)
		r.settle()
		if m := r.expect(0, rack.Quarantined); !m.Unerased || !strings.Contains(m.Reason, "marks") {
			r.t.Errorf("%+v", m)
		}
		if e, err := r.ErasureOf(r.t.Context(), r.db, d); err != nil || e.Passed {
			r.t.Errorf("%+v, %v", e, err)
		}
		// It is released: the idle system runs, although its erasure was not believed.
		r.host.Script(nil)
		r.act(r.Release, 0)
		r.settle()
		r.expect(0, rack.Ready)
	})
}

// A machine that is erased and does not start what was installed is not sold.
func TestAMachineWithoutABMCThatDoesNotReturn(t *testing.T) {
	eachHost(t, func(r *hostRig) {
		r.ready()
		d := r.rented()
		r.host.Script(func(_ rackagent.Job, _ *rackagent.Report) bool {
			r.host.Behave(racktest.Silent)
			return true
		})
		r.giveBack(d)
		r.settle()
		r.expect(0, rack.Validating)
		r.later(90 * time.Minute)
		if m := r.expect(0, rack.Quarantined); m.Unerased || m.Cause != rack.CauseTimedOut {
			r.t.Errorf("%+v", m)
		}
	})
}

// Another private key does not change the host key of the idle system that runs.
func TestAMachineWithoutABMCThatGetsAnotherKey(t *testing.T) {
	eachHost(t, func(r *hostRig) {
		r.ready()
		r.act(r.Quarantine, 0)
		own, err := provider.NewHostKey()
		if err != nil {
			r.t.Fatal(err)
		}
		for _, key := range []string{own.Private, ""} {
			m, err := r.update(r.ms[0].ID, rack.MachineFields{SSHPrivateKey: &key})
			if err != nil {
				r.t.Fatal(err)
			}
			r.host.Authorize(m.SSHPublicKey)
			r.act(r.Release, 0)
			r.settle()
			r.expect(0, rack.Ready)
			r.act(r.Quarantine, 0)
		}
	})
}

func TestFieldsOfAMachineWithoutABMC(t *testing.T) {
	eachHost(t, func(r *hostRig) {
		r.act(r.Quarantine, 0)
		own, err := provider.NewHostKey()
		if err != nil {
			r.t.Fatal(err)
		}
		for name, c := range map[string]struct {
			change rack.MachineFields
			want   []string
		}{
			"address":   {rack.MachineFields{SSHAddress: p("a b:22")}, []string{"sshAddress"}},
			"port":      {rack.MachineFields{SSHAddress: p("192.0.2.1:0")}, []string{"sshAddress"}},
			"host key":  {rack.MachineFields{SSHHostKey: p("ssh-ed25519 AAAA")}, []string{"sshHostKey"}},
			"key":       {rack.MachineFields{SSHPrivateKey: p("secret")}, []string{"sshPrivateKey"}},
			"no image":  {rack.MachineFields{IdleImage: p("")}, []string{"idleImage"}},
			"both":      {rack.MachineFields{BMCURL: p("https://10.0.0.1")}, []string{"bmcUrl"}},
			"neither":   {rack.MachineFields{SSHAddress: p("")}, []string{"bmcUrl", "bmcUser", "bmcPassword"}},
			"fine":      {rack.MachineFields{SSHAddress: p("Host-1.example.com"), SSHUser: p("ops")}, nil},
			"another's": {rack.MachineFields{BMCPassword: p("x")}, []string{"bmcPassword"}},
		} {
			got, err := r.update(r.ms[0].ID, c.change)
			if fields := faulty(r.t, err); !slices.Equal(fields, c.want) {
				r.t.Errorf("%s: %v, want %v (%v)", name, fields, c.want, err)
			}
			if err == nil && (got.SSHAddress != "host-1.example.com:22" || got.SSHUser != "ops") {
				r.t.Errorf("%s: %+v", name, got)
			}
		}
		m, err := r.update(r.ms[0].ID, rack.MachineFields{SSHPrivateKey: &own.Private})
		if err != nil || m.SSHPublicKey != own.Public {
			r.t.Errorf("an own key: %q, %v", m.SSHPublicKey, err)
		}
		// The key of a machine that something runs on is in what runs there.
		r.act(r.Release, 0)
		_, err = r.update(r.ms[0].ID, rack.MachineFields{SSHPrivateKey: p("")})
		if apierr.CodeOf(err) != apierr.Conflict {
			r.t.Errorf("a new key: %v", err)
		}
		if _, _, _, _, err := ssh.ParseAuthorizedKey([]byte(m.SSHPublicKey)); err != nil {
			r.t.Error(err)
		}
		second := r.hostFields()
		second.Name, second.SSHAddress = p("gpu-02"), p("host-1.example.com")
		second.MACs, second.Address, second.Position = &[]string{"3c:ec:ef:00:00:99"}, p("192.0.2.9/24"), p(int64(9))
		if _, err := r.tryAdd(second); !slices.Equal(faulty(r.t, err), []string{"sshAddress"}) {
			r.t.Errorf("the same address twice: %v", err)
		}
		second.SSHAddress = p("host-2.example.com")
		if _, err := r.tryAdd(second); err != nil {
			r.t.Errorf("another one: %v", err)
		}
	})
}
