package volume_test

import (
	"flag"
	"slices"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/db/dbtest"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/provider"
	"github.com/billetcloud/billet/internal/volume"
	"pgregory.net/rapid"
)

// checks limits how many cases rapid tries: each is a fresh database. A number given on the command
// line wins.
func checks(t *testing.T, n string) {
	f := flag.Lookup("rapid.checks")
	if f.Value.String() != f.DefValue {
		return
	}
	if err := flag.Set("rapid.checks", n); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = flag.Set("rapid.checks", f.DefValue) })
}

// Whatever a tenant does, whatever goes wrong, and even if a step is done twice: once the cloud
// works again, the cloud and the database agree.
func TestStateConverges(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		c := clock.NewFrozen(dbtest.Start)
		d := dbtest.SQLite(t, c)
		defer func() { _ = d.Close() }()
		agree(rt, newKit(rt, d, c))
	})
}

func TestStateConvergesOnPostgres(t *testing.T) {
	checks(t, "8") // a fresh database each takes its time
	rapid.Check(t, func(rt *rapid.T) {
		c := clock.NewFrozen(dbtest.Start)
		d := dbtest.Postgres(t, c)
		defer func() { _ = d.Close() }()
		agree(rt, newKit(rt, d, c))
	})
}

// story is a volume, a tenant who does anything with it, and a cloud in which anything goes wrong.
type story struct {
	*rapid.T
	r     *testKit
	v     id.ID
	ended map[id.ID]bool // deployments
}

// wishes are what a tenant asks for, the likely ones more than once.
var wishes = []string{
	"attach 1", "attach 2", "attach 1", "attach 2", "detach", "detach", "grow", "rename", "delete", "delete all",
}

func agree(t *rapid.T, r *testKit) {
	r.open(acc, money.Dollars(100))
	s := &story{T: t, r: r, v: r.done(r.create(acc, "datasets", 100)).ID, ended: map[id.ID]bool{}}
	for range rapid.IntRange(1, 25).Draw(t, "steps") {
		switch s.oneOf("step", "tenant", "tenant", "tenant", "machine", "fault", "time", "meanwhile", "meanwhile") {
		case "tenant":
			s.ask(s.oneOf("wish", wishes...))
		case "machine":
			s.machine()
		case "fault":
			s.fault()
		case "time":
			r.Pass(time.Duration(rapid.IntRange(0, 1200).Draw(t, "seconds")) * time.Second)
		case "meanwhile":
			s.meanwhile()
		}
	}
	r.cloud.set(func(c *cloud) { c.fault, c.meanwhile = always("", trouble{}), nil })
	r.Pass(3 * time.Hour)
	s.checkUpstream()
	s.checkMoney()
}

func (s *story) oneOf(name string, from ...string) string {
	return rapid.SampledFrom(from).Draw(s.T, name)
}

// ask does what the tenant wants. A refusal is fine.
func (s *story) ask(wish string) {
	var err error
	switch wish {
	case "attach 1", "attach 2":
		to := target1
		if wish == "attach 2" {
			to = target2
		}
		if !s.ended[to.Deployment] {
			_, err = s.r.attach(s.v, to)
		}
	case "detach":
		_, err = s.r.detach(s.v)
	case "delete":
		_, err = s.r.delete(s.v)
	case "grow":
		_, err = s.r.grow(s.v, s.r.get(s.v).SizeGB+100)
	case "rename":
		_, err = s.r.rename(s.v, "datasets-"+s.oneOf("name", "a", "b", "c"))
	case "delete all":
		s.r.deleteAll()
	}
	if err != nil && apierr.CodeOf(err) != apierr.Conflict && apierr.CodeOf(err) != apierr.InvalidRequest {
		s.Fatal(err)
	}
}

// machine changes the machine of a deployment, which may end.
func (s *story) machine() {
	deployment := rapid.SampledFrom([]id.ID{dep1, dep2}).Draw(s.T, "deployment")
	state := rapid.SampledFrom(machineStates).Draw(s.T, "state")
	if s.ended[deployment] {
		return
	}
	s.r.machine(deployment, state)
	if state == provider.MachineGone {
		s.ended[deployment] = true
		s.r.detachAll(deployment)
	}
}

// machineStates are the states of a machine, the likely ones more than once.
var machineStates = []provider.MachineState{
	provider.MachineProvisioning, provider.MachineReady, provider.MachineReady, provider.MachineReady,
	provider.MachineOff, provider.MachineGone,
}

func (s *story) fault() {
	op := s.oneOf("op", "create", "volume", "attach", "detach", "delete", "grow", "machine", "none")
	answer := trouble{silent, rapid.Bool().Draw(s.T, "done")}
	if s.oneOf("kind", "silent", "silent", "rejected") == "rejected" {
		answer.err = rejected
	}
	s.r.cloud.failing(answer, op)
}

// meanwhile does things while a call to the cloud is on its way.
func (s *story) meanwhile() {
	acts := append(slices.Clone(wishes), "reconcile", "reconcile", "reconcile", "reconcile")
	then := rapid.SliceOfN(rapid.SampledFrom(acts), 1, 6).Draw(s.T, "meanwhile")
	s.r.cloud.set(func(c *cloud) {
		c.meanwhile = func() {
			for _, act := range then {
				if act == "reconcile" { // another worker has taken the job over
					_, _ = s.r.volumes.Reconcile(s.Context(), s.v)
				} else {
					s.ask(act)
				}
			}
		}
	})
	s.r.Drain()
}

// checkUpstream compares the volume with the cloud, once everything has come to rest.
func (s *story) checkUpstream() {
	got, upstream := s.r.get(s.v), s.r.cloud.volumes[s.v]
	exists, detached := len(s.r.cloud.volumes) == 1, upstream.AttachedTo == ""
	ok := false
	switch got.Status {
	case volume.StatusAvailable:
		ok = exists && detached
	case volume.StatusAttached:
		ok = exists && upstream.AttachedTo == *got.AttachedTo
	case volume.StatusAttaching: // the machine may still come
		state := s.r.cloud.machines[*got.AttachedTo]
		ok = detached && (state == provider.MachineProvisioning || state == provider.MachineOff)
	case volume.StatusDeleted, volume.StatusFailed:
		ok = !exists
	}
	if exists && (upstream.SizeGB < got.SizeGB || got.GrowingToGB != nil) {
		ok = false
	}
	if !ok {
		s.Fatalf("the volume is %+v, upstream %+v (exists: %t)", got, upstream, exists)
	}
}

// checkMoney checks that the tenant has paid the volume's cost, and goes on paying while it exists.
func (s *story) checkMoney() {
	before := s.r.get(s.v)
	s.r.wantMoney(money.Dollars(100)-before.CostToDate, 0)
	if before.Status == volume.StatusDeleted || before.Status == volume.StatusFailed {
		return
	}
	s.r.Pass(time.Hour)
	if got := s.r.get(s.v).CostToDate - before.CostToDate; got != before.HourlyPrice {
		s.Fatalf("an hour costs %s, want %s", got, before.HourlyPrice)
	}
}
