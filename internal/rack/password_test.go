package rack_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/bmc/bmctest"
	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/db/dbtest"
	"github.com/billetcloud/billet/internal/issue"
	"github.com/billetcloud/billet/internal/rack"
)

// patches counts how often a password was set at the BMC of the first server.
func (r *rig) patches() (n int) {
	for _, q := range r.servers[0].BMC.State().Requests {
		if strings.HasPrefix(q, "PATCH ") && strings.Contains(q, "/Accounts/") {
			n++
		}
	}
	return n
}

// rentedOut has the first machine rented out and given back.
func (r *rig) rentedOut() {
	r.t.Helper()
	d := r.assigned(0)
	r.giveBack(d)
	r.after(20*time.Minute, 5*time.Minute)
}

func (r *rig) change(f rack.MachineFields) {
	r.t.Helper()
	if _, err := r.update(r.ms[0].ID, f); err != nil {
		r.t.Fatal(err)
	}
}

// Root on a server can get at the password of its BMC: each tenant's is another one.
func TestThePasswordIsReplacedAfterEachTenant(t *testing.T) {
	eachRig(t, 1, func(r *rig) {
		seen := []string{"secret"}
		if m := r.machine(0); m.PasswordChangedAt != nil || !m.RotatePassword || r.patches() > 0 {
			r.t.Errorf("before the first tenant: %v, %d changes", m.PasswordChangedAt, r.patches())
		}
		for range 3 {
			r.rentedOut()
			m, now := r.expect(0, rack.Ready), r.servers[0].BMC.State().Password
			if slices.Contains(seen, now) || m.PasswordChangedAt == nil || m.PasswordProblem != "" {
				r.t.Errorf("the password is %q after %q; %q", now, seen, m.PasswordProblem)
			}
			seen = append(seen, now)
		}
		if r.patches() != 3 {
			r.t.Errorf("it was set %d times after 3 tenants", r.patches())
		}
		r.act(r.Validate, 0)
		r.run()
		r.expect(0, rack.Ready)
		if r.patches() != 3 {
			r.t.Error("it was set without a tenant")
		}
		var stored string
		err := r.db.QueryRow(r.t.Context(), `SELECT bmc_password FROM rack_machine`).Scan(&stored)
		if err != nil || strings.Contains(stored, seen[3]) {
			r.t.Errorf("the database has it readable: %v", err)
		}
	})
}

func TestThePasswordStaysWhereTheOperatorSaysSo(t *testing.T) {
	eachRig(t, 1, func(r *rig) {
		r.change(rack.MachineFields{RotatePassword: p(false)})
		r.rentedOut()
		if m := r.expect(0, rack.Ready); r.servers[0].BMC.State().Password != "secret" || m.PasswordProblem != "" {
			r.t.Errorf("it was replaced; %q", m.PasswordProblem)
		}
	})
}

// A BMC that cannot replace a password is noted, once, and its machine is sold.
func TestABMCThatCannotReplaceThePasswordIsNoted(t *testing.T) {
	for name, c := range map[string]struct {
		quirks  bmctest.Quirks
		patches int
		says    string
	}{
		"no accounts": {bmctest.Quirks{NoAccounts: true}, 0, "no accounts"},
		"fixed":       {bmctest.Quirks{FixedAccounts: true}, 1, "cannot be changed"},
		"refused":     {bmctest.Quirks{MaxPassword: 8, HiddenLimits: true}, 1, "too long"},
		"ignored":     {bmctest.Quirks{PasswordIgnored: true, LockoutAfter: 2}, 2, "does not let it sign in"},
		"cut":         {bmctest.Quirks{PasswordCut: 12, LockoutAfter: 2}, 2, "does not let it sign in"},
	} {
		t.Run(name, func(t *testing.T) {
			now := clock.NewFrozen(dbtest.Start)
			r := newRig(t, dbtest.SQLite(t, now), now, 1)
			r.enroll(0)
			r.run()
			r.servers[0].BMC.SetQuirks(c.quirks)
			r.rentedOut()
			m := r.expect(0, rack.Ready)
			if !strings.Contains(m.PasswordProblem, c.says) || m.Detail != "" || m.PasswordChangedAt != nil {
				t.Errorf("noted %q, detail %q", m.PasswordProblem, m.Detail)
			}
			if r.patches() != c.patches || r.servers[0].BMC.State().Password != "secret" {
				t.Errorf("set %d times, want %d; %q", r.patches(), c.patches, r.servers[0].BMC.State().Password)
			}
			// After the next tenant it can, and does.
			r.servers[0].BMC.SetQuirks(bmctest.Quirks{})
			r.rentedOut()
			m = r.expect(0, rack.Ready)
			if m.PasswordProblem != "" || r.servers[0].BMC.State().Password == "secret" {
				t.Errorf("it is not replaced later: %q", m.PasswordProblem)
			}
		})
	}
}

// A kill while the password is replaced loses none: whichever is valid is found without locking the
// account, whatever needs the BMC next.
func TestAnInterruptedChangeLosesNoPassword(t *testing.T) {
	for name, ignored := range map[string]bool{"before it has an effect": true, "after": false} {
		t.Run(name, func(t *testing.T) {
			eachRig(t, 1, func(r *rig) {
				s := r.servers[0]
				d := r.assigned(0)
				s.BMC.SetQuirks(bmctest.Quirks{LockoutAfter: 2, PasswordIgnored: ignored})
				killed, stored := false, ""
				s.OnRequest(func() {
					if r.patches() != 1 || killed {
						return
					}
					killed = true
					err := r.db.QueryRow(r.t.Context(), `SELECT next_password FROM rack_machine`).Scan(&stored)
					if err != nil {
						r.t.Error(err)
					}
					s.BMC.SetQuirks(bmctest.Quirks{LockoutAfter: 2})
					r.kill()
					r.act(r.Quarantine, 0)
				})
				r.giveBack(d)
				r.run()
				r.expect(0, rack.Quarantined)
				if !killed || stored == "" {
					r.t.Fatalf("killed: %t; the new password was not stored before the BMC got it", killed)
				}
				r.act(r.Release, 0)
				r.after(time.Hour, 5*time.Minute)
				m := r.expect(0, rack.Ready)
				if st := s.BMC.State(); st.Password == "secret" || st.Locked || m.PasswordProblem != "" ||
					m.PasswordChangedAt == nil {
					r.t.Errorf("%q, locked: %t; %q", st.Password, st.Locked, m.PasswordProblem)
				}
			})
		})
	}
}

// A password that the operator sets while one is being replaced does not make that one forgotten.
func TestThePasswordThatIsBeingSetStaysKnown(t *testing.T) {
	eachRig(t, 1, func(r *rig) {
		d := r.assigned(0)
		done := false
		r.servers[0].OnRequest(func() {
			if r.patches() == 1 && !done {
				done = true
				r.change(rack.MachineFields{BMCPassword: p("mistyped")})
			}
		})
		r.giveBack(d)
		r.after(time.Hour, 5*time.Minute)
		if m := r.expect(0, rack.Ready); m.PasswordChangedAt == nil || m.RefusedAt != nil || !done {
			r.t.Errorf("%v, refused %v", m.PasswordChangedAt, m.RefusedAt)
		}
	})
}

// A user that the operator replaces while the password of the one before is being replaced keeps
// its own.
func TestAnotherUserThanTheOneWhosePasswordIsBeingSet(t *testing.T) {
	eachRig(t, 1, func(r *rig) {
		d := r.assigned(0)
		done := false
		r.servers[0].OnRequest(func() {
			if r.patches() == 1 && !done {
				done = true
				r.servers[0].BMC.SetUser("other", "secret")
				r.change(rack.MachineFields{BMCUser: p("other")})
			}
		})
		r.giveBack(d)
		r.after(time.Hour, 5*time.Minute)
		m, now := r.expect(0, rack.Ready), r.servers[0].BMC.State().Password
		if !done || m.RefusedAt != nil || m.PasswordChangedAt == nil || now == "secret" {
			r.t.Errorf("refused %v, changed %v, the password is %q", m.RefusedAt, m.PasswordChangedAt, now)
		}
	})
}

// refusals returns the issues about BMCs in a state, of which there must be so many.
func (r *rig) refusals(state issue.State, want int) []issue.Issue {
	r.t.Helper()
	f := issue.Filter{State: state, Kind: issue.RefusingBMC}
	all, _, err := r.issues.List(r.t.Context(), r.db, f, db.Page{Number: 1, Limit: 10})
	if err != nil || len(all) != want {
		r.t.Fatalf("%d issues are %s, %v, want %d", len(all), state, err, want)
	}
	return all
}

// A password that another user changed at the BMC locks Billet out. That is shown, ends nothing,
// and is over once the operator has set the password here.
func TestAPasswordThatWasChangedAtTheBMC(t *testing.T) {
	eachRig(t, 1, func(r *rig) {
		d := r.assigned(0)
		if err := r.Start(r.t.Context()); err != nil {
			r.t.Fatal(err)
		}
		r.servers[0].BMC.SetPassword("the admin's")
		r.after(30*time.Minute, 5*time.Minute)
		r.refusals(issue.StateOpen, 0) // a BMC that starts refuses for a while, too
		r.after(30*time.Minute, 5*time.Minute)
		m := r.expect(0, rack.Assigned)
		if m.RefusedAt == nil || m.Detail == "" {
			r.t.Errorf("not shown: %v, %q", m.RefusedAt, m.Detail)
		}
		open := r.refusals(issue.StateOpen, 1)[0]
		if open.Provider != "racks" || *open.DeploymentID != d || *open.Reference != string(m.ID) || open.Endable ||
			!strings.Contains(open.Detail, m.Name) || strings.Contains(open.Detail, "admin") {
			r.t.Errorf("the issue is %+v", open)
		}
		r.giveBack(d)
		r.after(2*time.Hour, 10*time.Minute)
		if m := r.expect(0, rack.Erasing); m.DeploymentID == nil || m.RefusedAt == nil {
			r.t.Errorf("%v, %v", m.DeploymentID, m.RefusedAt)
		}
		r.change(rack.MachineFields{BMCPassword: p("the admin's")})
		r.after(5*time.Minute, time.Minute)
		if m := r.expect(0, rack.Ready); m.RefusedAt != nil {
			r.t.Errorf("still refused: %v", m.RefusedAt)
		}
		r.after(15*time.Minute, 5*time.Minute)
		r.refusals(issue.StateOpen, 0)
		r.refusals(issue.StateSettled, 1)
	})
}
