package deployment_test

import (
	"context"
	crand "crypto/rand"
	"errors"
	"flag"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/db/dbtest"
	"github.com/billetcloud/billet/internal/db/postgres"
	"github.com/billetcloud/billet/internal/deployment"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/job"
	"github.com/billetcloud/billet/internal/meter"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/provider"
	"github.com/billetcloud/billet/internal/volume"
)

var (
	replicaSteps = flag.Int("replica-steps", 60, "how much happens to two replicas before they are left alone")
	replicaSeed  = flag.Uint64("replica-seed", 0, "what is drawn in it; by default the time")
)

// replica is another server on the same database and marketplace, with connections of its own.
func (r *testKit) replica(t *testing.T, url string, fake *fakeProvider) *testKit {
	d, err := postgres.Open(t.Context(), url, r.clock)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	n := &testKit{
		t: t, db: d, clock: r.clock, world: r.world, fake: fake, ids: id.NewMaker(r.clock, crand.Reader), kills: true,
	}
	n.build(fake)
	n.must(n.catalog.Load(t.Context()))
	return n
}

// own is a resource of an account.
type own struct{ account, id id.ID }

// TestTwoReplicasDoEverythingOnce has two servers work on one database, at the same time and with
// runs that die half-way, while tenants ask both, the provider's network fails and workers do what
// they lost long ago. Then each machine, each hour and each hold is counted. SQLite has no such
// test: it is for one process.
func TestTwoReplicasDoEverythingOnce(t *testing.T) {
	c := clock.NewFrozen(dbtest.Start)
	url := dbtest.PostgresURL(t)
	d, err := postgres.Open(t.Context(), url, c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	first := newKit(t, d, c)
	seed := *replicaSeed
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	defer func() {
		if t.Failed() {
			t.Logf("to draw the same again: -replica-seed %d; how the replicas interleave is the machine's", seed)
		}
	}()
	fake := newFakeProvider(first.fake.simulated)
	fake.network = &network{rng: rand.New(rand.NewPCG(seed, 2)), down: true}
	g := &replicas{
		t: t, rng: rand.New(rand.NewPCG(seed, 1)), first: first,
		all: []*testKit{first.replica(t, url, fake), first.replica(t, url, fake)},
		accounts: []id.ID{
			first.account(money.Dollars(100_000)),
			first.account(money.Dollars(100_000)),
		}, odd: map[string]int{},
	}
	for range *replicaSteps {
		var wg sync.WaitGroup
		for range 1 + g.rng.IntN(8) {
			wg.Go(g.ask())
		}
		for _, r := range g.all {
			wg.Go(func() { g.note("drain", r.runner.Drain(t.Context())) })
		}
		wg.Wait()
		switch g.rng.IntN(5) {
		case 0:
			c.Advance(time.Duration(g.rng.IntN(40*60)) * time.Second)
		case 1:
			c.Advance(time.Duration(g.rng.IntN(60)) * time.Second)
		default:
			c.Advance(time.Duration(g.rng.IntN(4000)) * time.Millisecond)
		}
	}
	fake.network.repair()
	g.settle()
	for what, n := range g.odd {
		t.Errorf("%d × %s", n, what)
	}
}

type replicas struct {
	t        *testing.T
	rng      *rand.Rand
	first    *testKit
	all      []*testKit
	accounts []id.ID

	mu            sync.Mutex
	deps, volumes []own
	odd           map[string]int // errors that must not occur
}

func (g *replicas) note(what string, err error) {
	if err == nil || errors.As(err, new(*apierr.Error)) {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.odd[what+": "+err.Error()]++
}

// question is what ask has drawn: a replica, an account, and what may be done there.
type question struct {
	*testKit
	g       *replicas
	account id.ID
	req     deployment.CreateRequest
	at      time.Time // an automatic end
	d, v    own       // a deployment and a volume, if there are any
}

// ask draws a request, or something that a worker does, and returns what does it.
func (g *replicas) ask() func() {
	q := &question{
		testKit: g.all[g.rng.IntN(len(g.all))], g: g, account: g.accounts[g.rng.IntN(len(g.accounts))],
	}
	op := g.rng.IntN(18)
	q.req = request(g.t)
	q.at = q.clock.Now().Add(26*time.Minute + time.Duration(g.rng.IntN(7200))*time.Second)
	if g.rng.IntN(3) == 0 {
		q.req.AutoTerminateAt = &q.at
	}
	if others := g.first.otherOffers(2); g.rng.IntN(3) == 0 { // the dear first one fails more often than not
		q.req = requestAmong(g.t, others...)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if n := len(g.deps); n > 0 {
		q.d = g.deps[max(0, n-1-g.rng.IntN(12))]
	}
	if n := len(g.volumes); n > 0 {
		q.v = g.volumes[g.rng.IntN(n)]
	}
	if q.v.account == q.account && q.req.OfferID != "" && g.rng.IntN(2) == 0 {
		q.req.VolumeIDs = []id.ID{q.v.id}
	}
	if q.d.id == "" && op > 2 || q.v.id == "" && op > 15 {
		op = 0
	}
	return []func(){
		q.deploy, q.deploy, q.deploy, q.end(false), q.end(true),
		q.update(deployment.UpdateRequest{AutoTerminateAt: &q.at}),
		q.update(deployment.UpdateRequest{ClearAutoTerminateAt: true}),
		q.act("reboot", q.deployments.Reboot), q.act("power off", q.deployments.PowerOff),
		q.act("power on", q.deployments.PowerOn), q.act("reinstall", q.reinstall),
		q.reclaim, q.lateRun, q.watch, q.createVolume, q.pastDueEnds, q.attach, q.deleteVolume,
	}[op]
}

func (q *question) ctx() context.Context { return q.g.t.Context() }

func (q *question) tx(what string, f func(ctx context.Context, tx *db.Tx) error) {
	q.g.note(what, q.testKit.tx(f))
}

func (q *question) deploy() {
	x, err := q.create(q.account, q.req)
	q.g.note("create", err)
	if err == nil {
		q.g.mu.Lock()
		defer q.g.mu.Unlock()
		q.g.deps = append(q.g.deps, own{q.account, x.ID})
	}
}

func (q *question) end(earliest bool) func() {
	return func() {
		_, _, err := q.terminate(q.d.account, q.d.id, earliest)
		q.g.note("terminate", err)
	}
}

func (q *question) update(u deployment.UpdateRequest) func() {
	return func() {
		q.tx("update", func(ctx context.Context, tx *db.Tx) error {
			_, err := q.deployments.Update(ctx, tx, q.d.account, q.d.id, u)
			return err
		})
	}
}

func (q *question) act(
	what string, f func(ctx context.Context, tx *db.Tx, account, d id.ID) (deployment.Deployment, error),
) func() {
	return func() {
		q.tx(what, func(ctx context.Context, tx *db.Tx) error {
			_, err := f(ctx, tx, q.d.account, q.d.id)
			return err
		})
	}
}

func (q *question) reinstall(ctx context.Context, tx *db.Tx, account, d id.ID) (deployment.Deployment, error) {
	return q.deployments.Reinstall(ctx, tx, account, d, deployment.ReinstallRequest{EraseLocalDisks: true})
}

// reclaim has the provider take a machine back.
func (q *question) reclaim() {
	q.g.note("reclaim", q.fake.simulated.Terminate(q.ctx(), q.d.id))
}

// lateRun is a worker that has lost its lease and does not know.
func (q *question) lateRun() {
	_, err := q.deployments.Reconcile(q.ctx(), q.d.id)
	if err != nil && !errors.As(err, new(*provider.Error)) &&
		!strings.Contains(err.Error(), "has not ended a machine") {
		q.g.note("reconcile", err)
	}
	_, err = q.meter.Sweep(q.ctx(), meter.Fleet)
	q.g.note("sweep", err)
}

func (q *question) watch() {
	_, err := q.deployments.Watch(q.ctx(), job.Subject("provider", slug))
	q.g.note("watch", err)
}

func (q *question) createVolume() {
	q.tx("create a volume", func(ctx context.Context, tx *db.Tx) error {
		x, err := q.volumes.Create(ctx, tx, q.account, volume.CreateRequest{
			Name: string(q.ids.New(id.Request)), SizeGB: 100, Provider: slug, Region: "dallas-usa-5",
		})
		tx.AfterCommit(func() {
			q.g.mu.Lock()
			defer q.g.mu.Unlock()
			q.g.volumes = append(q.g.volumes, own{q.account, x.ID})
		})
		return err
	})
}

func (q *question) pastDueEnds() {
	q.tx("past due", func(ctx context.Context, tx *db.Tx) error {
		_, err := q.deployments.EndForPastDue(ctx, tx, q.account)
		return err
	})
}

func (q *question) attach() {
	q.tx("attach", func(ctx context.Context, tx *db.Tx) error {
		_, err := q.deployments.AttachVolume(ctx, tx, q.v.account, q.v.id, q.d.id)
		return err
	})
}

func (q *question) deleteVolume() {
	q.tx("delete a volume", func(ctx context.Context, tx *db.Tx) error {
		_, err := q.volumes.Delete(ctx, tx, q.v.account, q.v.id)
		return err
	})
}

// settle lets everything come to its end and counts.
func (g *replicas) settle() {
	t, one := g.t, g.all[0]
	one.pass(30 * time.Minute)
	for _, d := range g.deps {
		if _, _, err := one.terminate(d.account, d.id, true); err != nil {
			t.Error(err)
		}
	}
	for range 3 {
		one.pass(30 * time.Minute)
	}
	statuses := map[deployment.Status]int{}
	spent := map[id.ID]money.Micros{}
	for _, d := range g.deps {
		x := g.first.get(d.account, d.id)
		statuses[x.Status]++
		l := life{
			price:   x.HourlyPrice,
			started: x.StartedAt,
			ended:   x.BilledUntil,
			whole:   x.Status == deployment.StatusInterrupted,
		}
		if want, _ := l.cost(one.clock.Now()); !x.Status.Final() || x.CostToDate != want || len(x.VolumeIDs) != 0 {
			t.Errorf("should have ended and cost %s: %+v", want, x)
		}
		spent[d.account] += x.CostToDate
	}
	for _, v := range g.volumes {
		x, err := one.volumes.Get(t.Context(), one.db, v.account, v.id)
		g.first.must(err)
		// A volume fails only if no worker created it in time.
		if x.Status != volume.StatusAvailable && x.Status != volume.StatusDeleted &&
			(x.Status != volume.StatusFailed || x.CostToDate != 0) {
			t.Errorf("the volume should be available or deleted: %+v", x)
		}
		spent[v.account] += x.CostToDate
	}
	t.Logf("%d deployments: %v; %d volumes", len(g.deps), statuses, len(g.volumes))
	for _, m := range g.first.world.Machines() {
		t.Errorf("left upstream: %+v", m)
		for _, d := range g.deps {
			if d.id == m.Reference {
				t.Logf("its deployment: %+v", g.first.get(d.account, d.id))
			}
		}
	}
	for _, a := range g.accounts {
		if w := g.first.walletOf(a); w.Held != 0 || w.Balance != money.Dollars(100_000)-spent[a] {
			t.Errorf("%+v, spent %s", w, spent[a])
		}
	}
	g.first.checkLedger()
}
