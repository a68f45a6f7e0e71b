package rack_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/bmc/bmctest"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/rack"
	"github.com/billetcloud/billet/internal/rackagent"
)

// rescued has the machine of a new deployment run its rescue system, after the tenant wrote a file.
func (r *rig) rescued() id.ID {
	r.t.Helper()
	d := r.assigned(0)
	r.servers[0].WriteFile("/root/work", "mine")
	r.rescue(d)
	jobs := r.servers[0].Jobs()
	last := jobs[len(jobs)-1]
	if last.Kind != rackagent.Rescue || last.Erase != nil || last.Image != nil || last.Shell == nil ||
		!strings.Contains(strings.Join(last.Shell.AuthorizedKeys, " "), "AAAA tenant") {
		r.t.Fatalf("the agent's job: %+v", last)
	}
	return d
}

func (r *rig) rescue(d id.ID) {
	r.t.Helper()
	if err := errors.Join(r.Rescue(r.t.Context(), d), r.Rescue(r.t.Context(), d)); err != nil { // repeated
		r.t.Fatal(err)
	}
	r.run()
	r.tenancy(d, rack.Rescuing)
}

// fromDisk checks that the machine runs what was installed, with the tenant's file.
func (r *rig) fromDisk(d id.ID) {
	r.t.Helper()
	r.after(time.Minute, 20*time.Second)
	r.tenancy(d, rack.Running)
	text, err := r.servers[0].ReadFile("/root/work")
	s := r.servers[0].BMC.State()
	if text != "mine" || err != nil || !s.On || s.CD != "" || s.Boots[len(s.Boots)-1] != "" {
		r.t.Errorf("the tenant's file has %q, %v; the server is on: %t, with %q, and started %q", text, err, s.On,
			s.CD, s.Boots)
	}
}

// A tenant has the rescue system started, and ends it in each of the ways there are. The drives are
// as they were.
func TestRescue(t *testing.T) {
	for name, end := range map[string]func(r *rig, d id.ID) error{
		"ended":  func(r *rig, d id.ID) error { return r.EndRescue(r.t.Context(), d) },
		"reboot": func(r *rig, d id.ID) error { return r.Want(r.t.Context(), d, rack.WantReboot) },
		"on":     func(r *rig, d id.ID) error { return r.Want(r.t.Context(), d, rack.WantOn) },
		"after a day without a report": func(r *rig, _ id.ID) error {
			r.after(22*time.Hour, 22*time.Hour)
			if s := r.servers[0].BMC.State(); s.CD == "" {
				r.t.Error("it ended early")
			}
			r.after(3*time.Hour, time.Hour)
			return nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			eachRig(t, 1, func(r *rig) {
				d := r.rescued()
				boots := len(r.servers[0].BMC.State().Boots)
				r.after(time.Hour, 20*time.Minute)
				if now := len(r.servers[0].BMC.State().Boots); now != boots {
					r.t.Fatalf("a rescue whose agent is silent was started again %d times", now-boots)
				}
				if err := end(r, d); err != nil {
					r.t.Fatal(err)
				}
				r.fromDisk(d)
				if err := r.EndRescue(r.t.Context(), d); err != nil {
					r.t.Errorf("ended again: %v", err)
				}
				r.fromDisk(d)
			})
		})
	}
}

// A tenant who is logged in to the rescue system restarts the machine, or its agent fails.
func TestARescueThatEndsItself(t *testing.T) {
	for name, failed := range map[string]*rackagent.Error{
		"restarted": nil, "failed": {Code: rackagent.RescueFailed, Message: "address in use"},
	} {
		t.Run(name, func(t *testing.T) {
			eachRig(t, 1, func(r *rig) {
				d := r.assigned(0)
				r.servers[0].WriteFile("/root/work", "mine")
				r.servers[0].Script(func(_ rackagent.Job, last *rackagent.Report) bool {
					if last.Error = failed; failed != nil {
						last.Phase = rackagent.Stopped
					}
					return true
				})
				if err := r.Rescue(r.t.Context(), d); err != nil {
					r.t.Fatal(err)
				}
				r.fromDisk(d)
			})
		})
	}
}

// A machine in rescue is switched off, reinstalled, or returned and erased, as any other.
func TestWhatFollowsARescue(t *testing.T) {
	eachRig(t, 1, func(r *rig) {
		d := r.rescued()
		if err := r.Want(r.t.Context(), d, rack.WantOff); err != nil {
			r.t.Fatal(err)
		}
		r.after(3*time.Minute, 30*time.Second)
		r.tenancy(d, rack.SwitchedOff)
		r.rescue(d) // of a machine that is off
		if err := r.Reinstall(r.t.Context(), d, "Ubuntu 24.04", nil); err != nil {
			r.t.Fatal(err)
		}
		if err := r.Rescue(r.t.Context(), d); !errors.Is(err, rack.ErrRescueBusy) {
			r.t.Errorf("a rescue while it is installed: %v", err)
		}
		r.run()
		r.tenancy(d, rack.Running)
		r.rescue(d)
		token := r.token()
		r.giveBack(d)
		r.run()
		r.expect(0, rack.Ready)
		if r.servers[0].Soiled() {
			r.t.Error("it has the tenant's data")
		}
		r.checkErased(d)
		if _, err := r.AgentJob(r.t.Context(), token); !errors.Is(err, rack.ErrToken) {
			r.t.Errorf("the token of the rescue: %v", err)
		}
		if err := r.Rescue(r.t.Context(), d); !errors.Is(err, rack.ErrNone) {
			r.t.Errorf("a rescue after the end: %v", err)
		}
	})
}

// A rescue that cannot be started is given up, and the machine starts from its drive.
func TestARescueThatCannotBeStarted(t *testing.T) {
	eachRig(t, 1, func(r *rig) {
		d := r.assigned(0)
		r.servers[0].WriteFile("/root/work", "mine")
		r.servers[0].BMC.SetSecureBoot(true)
		if err := r.Rescue(r.t.Context(), d); err != nil {
			r.t.Fatal(err)
		}
		r.fromDisk(d)
	})
}

// resets has the types of the changes of the power since a number of them.
func (r *rig) resets(since int) []string { return r.servers[0].BMC.State().Resets[since:] }

// expectResets checks which changes of the power there were since a number of them.
func (r *rig) expectResets(since int, want ...string) {
	r.t.Helper()
	if got := r.resets(since); !slices.Equal(got, want) {
		r.t.Errorf("the power was changed by %q, want %q", got, want)
	}
}

// A rescue that its tenant does not end is ended with care: the agent unmounts first. They may have
// left it unseen, so a system that runs is asked to switch itself off.
func TestARescueThatIsTooLongIsEndedWithCare(t *testing.T) {
	for name, q := range map[string]bmctest.Quirks{
		"agent": {GracefulIgnored: true}, "system": {}, "cannot be asked": {GracefulRefused: true},
	} {
		t.Run(name, func(t *testing.T) {
			eachRig(t, 1, func(r *rig) {
				d := r.rescued()
				r.servers[0].BMC.SetQuirks(q)
				before := len(r.resets(0))
				r.after(24*time.Hour, 24*time.Hour)
				r.tenancy(d, rack.Running)
				if n := len(r.resets(before)); n != 0 {
					r.t.Errorf("the power was changed at once: %q", r.resets(before))
				}
				r.after(20*time.Second, 20*time.Second)
				want := []string{"GracefulShutdown", "On"}
				if q.GracefulIgnored {
					r.expectResets(before, "GracefulShutdown")
					want = []string{"GracefulShutdown", "ForceOff", "On"}
				} else if q.GracefulRefused {
					want = []string{"ForceOff", "On"}
				}
				r.after(2*time.Minute, 10*time.Second)
				r.expectResets(before, want...)
				r.fromDisk(d)
			})
		})
	}
}

// What a tenant wants next does not hasten the end of a rescue, and the last of it is done.
func TestWhatIsWantedWhileARescueEnds(t *testing.T) {
	type wants = []rack.Wish
	for name, c := range map[string]struct {
		wants wants
		end   rack.Tenancy
	}{
		"reboot": {wants{rack.WantReboot}, rack.Running},
		"twice":  {wants{rack.WantReboot, rack.WantReboot}, rack.Running},
		"on":     {wants{rack.WantOn}, rack.Running}, "off": {wants{rack.WantOff}, rack.SwitchedOff},
		"off and on": {wants{rack.WantOff, rack.WantOn}, rack.Running},
		"on and off": {wants{rack.WantOn, rack.WantOff}, rack.SwitchedOff},
	} {
		t.Run(name, func(t *testing.T) {
			eachRig(t, 1, func(r *rig) {
				d := r.rescued()
				r.servers[0].BMC.SetQuirks(bmctest.Quirks{GracefulRefused: true})
				before := len(r.resets(0))
				if err := r.EndRescue(r.t.Context(), d); err != nil {
					r.t.Fatal(err)
				}
				for _, w := range c.wants {
					if err := r.Want(r.t.Context(), d, w); err != nil {
						r.t.Fatal(err)
					}
					r.run()
				}
				r.expectResets(before)
				r.after(3*time.Minute, 20*time.Second)
				if c.end == rack.Running {
					r.expectResets(before, "ForceOff", "On")
					r.fromDisk(d)
					return
				}
				r.expectResets(before, "ForceOff")
				r.tenancy(d, c.end)
			})
		})
	}
}

// A machine is switched off during a rescue: a BMC that does not ask what runs does not cut the
// power before the agent has unmounted.
func TestSwitchedOffDuringARescue(t *testing.T) {
	eachRig(t, 1, func(r *rig) {
		d := r.rescued()
		r.servers[0].BMC.SetQuirks(bmctest.Quirks{GracefulRefused: true})
		before := len(r.resets(0))
		if err := r.Want(r.t.Context(), d, rack.WantOff); err != nil {
			r.t.Fatal(err)
		}
		r.run()
		r.expectResets(before)
		r.after(20*time.Second, 20*time.Second)
		r.expectResets(before, "ForceOff")
		r.tenancy(d, rack.SwitchedOff)
		// What is wanted after the end is nothing special.
		if err := r.Want(r.t.Context(), d, rack.WantOn); err != nil {
			r.t.Fatal(err)
		}
		r.fromDisk(d)
	})
}

// An agent that has got its job, and then does not serve the shell, is started again as any other,
// and then given up.
func TestARescueThatIsNotServed(t *testing.T) {
	eachRig(t, 1, func(r *rig) {
		d := r.assigned(0)
		r.servers[0].WriteFile("/root/work", "mine")
		r.servers[0].Script(func(rackagent.Job, *rackagent.Report) bool { return false })
		jobs := len(r.servers[0].Jobs())
		if err := r.Rescue(r.t.Context(), d); err != nil {
			r.t.Fatal(err)
		}
		r.run()
		r.tenancy(d, rack.Rescuing)
		r.after(2*time.Hour, 11*time.Minute)
		if n := len(r.servers[0].Jobs()) - jobs; n != 3 {
			r.t.Errorf("the agent was started %d times", n)
		}
		r.fromDisk(d)
	})
}

// A BMC that keeps its image does not keep the machine off after a rescue.
func TestARescueEndsThoughTheImageStays(t *testing.T) {
	eachRig(t, 1, func(r *rig) {
		d := r.assigned(0)
		r.servers[0].WriteFile("/root/work", "mine")
		r.servers[0].Script(func(rackagent.Job, *rackagent.Report) bool { return true })
		r.servers[0].BMC.SetQuirks(bmctest.Quirks{EjectIgnored: -1})
		if err := r.Rescue(r.t.Context(), d); err != nil {
			r.t.Fatal(err)
		}
		r.run()
		r.tenancy(d, rack.Running)
		if s := r.servers[0].BMC.State(); !s.On || s.Boots[len(s.Boots)-1] != "" {
			r.t.Errorf("the server is on: %t, and started %q", s.On, s.Boots)
		}
	})
}
