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
		t: t, rng: rand.New(rand.NewPCG(seed, 1)), first: first, all: []*testKit{first.replica(t, url, fake), first.replica(t, url, fake)},
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

// ask draws a request, or something that a worker does, and returns what does it.
func (g *replicas) ask() func() {
	r, account, op, req := g.all[g.rng.IntN(len(g.all))], g.accounts[g.rng.IntN(len(g.accounts))], g.rng.IntN(
		18,
	), request(
		g.t,
	)
	at := r.clock.Now().Add(26*time.Minute + time.Duration(g.rng.IntN(7200))*time.Second)
	if g.rng.IntN(3) == 0 {
		req.AutoTerminateAt = &at
	}
	if others := g.first.otherOffers(2); g.rng.IntN(3) == 0 { // the dear first one fails more often than not
		req = requestAmong(g.t, others...)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	var d, v own
	if n := len(g.deps); n > 0 {
		d = g.deps[max(0, n-1-g.rng.IntN(12))]
	}
	if n := len(g.volumes); n > 0 {
		v = g.volumes[g.rng.IntN(n)]
	}
	if v.account == account && req.OfferID != "" && g.rng.IntN(2) == 0 {
		req.VolumeIDs = []id.ID{v.id}
	}
	if d.id == "" && op > 2 || v.id == "" && op > 15 {
		op = 0
	}
	tx := func(what string, f func(ctx context.Context, tx *db.Tx) error) { g.note(what, r.tx(f)) }
	return func() {
		ctx := g.t.Context()
		switch op {
		case 0, 1, 2:
			x, err := r.create(account, req)
			g.note("create", err)
			if err == nil {
				g.mu.Lock()
				defer g.mu.Unlock()
				g.deps = append(g.deps, own{account, x.ID})
			}
		case 3, 4:
			_, _, err := r.terminate(d.account, d.id, op == 4)
			g.note("terminate", err)
		case 5, 6:
			tx("update", func(ctx context.Context, tx *db.Tx) error {
				u := deployment.UpdateRequest{ClearAutoTerminateAt: true}
				if op == 5 {
					u = deployment.UpdateRequest{AutoTerminateAt: &at}
				}
				_, err := r.deployments.Update(ctx, tx, d.account, d.id, u)
				return err
			})
		case 7:
			tx("reboot", func(ctx context.Context, tx *db.Tx) error {
				_, err := r.deployments.Reboot(ctx, tx, d.account, d.id)
				return err
			})
		case 8:
			tx("power off", func(ctx context.Context, tx *db.Tx) error {
				_, err := r.deployments.PowerOff(ctx, tx, d.account, d.id)
				return err
			})
		case 9:
			tx("power on", func(ctx context.Context, tx *db.Tx) error {
				_, err := r.deployments.PowerOn(ctx, tx, d.account, d.id)
				return err
			})
		case 10:
			tx("reinstall", func(ctx context.Context, tx *db.Tx) error {
				_, err := r.deployments.Reinstall(ctx, tx, d.account, d.id, nil)
				return err
			})
		case 11:
			g.note("the provider takes a machine back", r.fake.simulated.Terminate(ctx, d.id))
		case 12: // a worker that has lost its lease and does not know
			if _, err := r.deployments.Reconcile(ctx, d.id); err != nil && !errors.As(err, new(*provider.Error)) &&
				!strings.Contains(err.Error(), "has not ended a machine") {
				g.note("reconcile", err)
			}
			_, err := r.meter.Sweep(ctx, meter.Fleet)
			g.note("sweep", err)
		case 13:
			_, err := r.deployments.Watch(ctx, job.Subject("provider", slug))
			g.note("watch", err)
		case 14:
			tx("volume", func(ctx context.Context, tx *db.Tx) error {
				x, err := r.volumes.Create(
					ctx,
					tx,
					account,
					volume.CreateRequest{
						Name:     string(r.ids.New(id.Request)),
						SizeGB:   100,
						Provider: slug,
						Region:   "dallas-usa-5",
					},
				)
				tx.AfterCommit(func() {
					g.mu.Lock()
					defer g.mu.Unlock()
					g.volumes = append(g.volumes, own{account, x.ID})
				})
				return err
			})
		case 15:
			tx("past due", func(ctx context.Context, tx *db.Tx) error {
				_, err := r.deployments.EndForPastDue(ctx, tx, account)
				return err
			})
		case 16:
			tx("attach", func(ctx context.Context, tx *db.Tx) error {
				_, err := r.deployments.AttachVolume(ctx, tx, v.account, v.id, d.id)
				return err
			})
		case 17:
			tx("delete volume", func(ctx context.Context, tx *db.Tx) error {
				_, err := r.volumes.Delete(ctx, tx, v.account, v.id)
				return err
			})
		}
	}
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
