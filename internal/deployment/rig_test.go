package deployment_test

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/catalog"
	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/db/dbtest"
	"github.com/billetcloud/billet/internal/deployment"
	"github.com/billetcloud/billet/internal/event"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/issue"
	"github.com/billetcloud/billet/internal/job"
	"github.com/billetcloud/billet/internal/meter"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/pastdue"
	"github.com/billetcloud/billet/internal/provider"
	"github.com/billetcloud/billet/internal/provider/sim"
	"github.com/billetcloud/billet/internal/quote"
	"github.com/billetcloud/billet/internal/secret"
	"github.com/billetcloud/billet/internal/sshkey"
	"github.com/billetcloud/billet/internal/volume"
	"github.com/billetcloud/billet/internal/wallet"
	"golang.org/x/crypto/ssh"
)

// trouble is the simulated Voltage Park, with faults that a test puts before or after its effects.
type trouble struct {
	allOfIt
	mu sync.Mutex
	// launch is what Launch answers instead of launching; afterwards is what it answers although it
	// launched.
	launch, afterwards error
	// machine changes what Machine and Machines say.
	machine func(provider.Machine) (provider.Machine, error)
	// terminate is what Terminate answers instead of terminating.
	terminate error
	// further are on the list of machines beside those that there are; beforeList is called once,
	// before the list is made.
	further      []provider.Machine
	beforeList   func(ctx context.Context)
	prices       money.Micros
	takesHostKey bool
	launchLimit  time.Duration          // of every offer, 0 for none of its own
	info         func(*provider.Info)   // changes what Info says
	asked        provider.LaunchRequest // the last that Launch was called with
	launched     func(reference id.ID)  // is told of every launch that is asked for
	settle       time.Duration          // for how long a launch without an answer may still take effect, as it says
	poll         time.Duration          // what it wants between two looks at a machine, where that is not its own
	calls        map[string]int
	unbounded    map[string]bool // calls that came without a time limit
}

// allOfIt is every interface that the simulated Voltage Park has.
type allOfIt interface {
	provider.Provider
	provider.Rebooter
	provider.Powerer
	provider.Reinstaller
	provider.VolumeProvider
}

func (p *trouble) count(ctx context.Context, call string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.calls[call]++
	if _, bounded := ctx.Deadline(); !bounded {
		p.unbounded[call] = true
	}
}

func (p *trouble) Info() provider.Info {
	i := p.allOfIt.Info()
	if p.poll > 0 {
		i.PollEvery = p.poll
	}
	i.SettleTime = p.settle
	if p.info != nil {
		p.info(&i)
	}
	return i
}

func (p *trouble) TakesHostKey(string) bool { return p.takesHostKey }

func (p *trouble) Offers(ctx context.Context) ([]provider.Offer, error) {
	out, err := p.allOfIt.Offers(ctx)
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := range out {
		if p.prices != 0 {
			out[i].HourlyPrice = p.prices
		}
		out[i].LaunchLimit = p.launchLimit
	}
	return out, err
}

func (p *trouble) Launch(ctx context.Context, r provider.LaunchRequest) (provider.Machine, error) {
	p.count(ctx, "launch")
	p.mu.Lock()
	before, after := p.launch, p.afterwards
	p.asked = r
	if p.launched != nil {
		p.launched(r.Reference)
	}
	p.mu.Unlock()
	if before != nil {
		return provider.Machine{}, before
	}
	m, err := p.allOfIt.Launch(ctx, r)
	if err == nil && after != nil {
		return provider.Machine{}, after
	}
	return p.changed(m, err)
}

func (p *trouble) Machine(ctx context.Context, reference id.ID) (provider.Machine, error) {
	p.count(ctx, "machine")
	return p.changed(p.allOfIt.Machine(ctx, reference))
}

func (p *trouble) Machines(ctx context.Context) ([]provider.Machine, error) {
	p.count(ctx, "machines")
	p.mu.Lock()
	first, out := p.beforeList, slices.Clone(p.further)
	p.beforeList = nil
	p.mu.Unlock()
	if first != nil {
		first(ctx)
	}
	all, err := p.allOfIt.Machines(ctx)
	for _, m := range all {
		if m, err := p.changed(m, nil); err == nil {
			out = append(out, m)
		}
	}
	return out, err
}

func (p *trouble) changed(m provider.Machine, err error) (provider.Machine, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err != nil || p.machine == nil {
		return m, err
	}
	return p.machine(m)
}

func (p *trouble) Terminate(ctx context.Context, reference id.ID) error {
	p.count(ctx, "terminate")
	p.mu.Lock()
	refused := p.terminate
	p.mu.Unlock()
	if refused != nil {
		return refused
	}
	return p.allOfIt.Terminate(ctx, reference)
}

func (p *trouble) Reboot(ctx context.Context, reference id.ID) error {
	p.count(ctx, "reboot")
	return p.allOfIt.Reboot(ctx, reference)
}

func (p *trouble) set(f func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f()
}

// rig is every room below httpapi on one database, with the simulated marketplace and a frozen
// clock.
type rig struct {
	t           tester
	db          *db.DB
	clock       *clock.Simulated
	world       *sim.World
	park        *trouble
	wallet      *wallet.Ledger
	meter       *meter.Service
	catalog     *catalog.Catalog
	keys        *sshkey.Service
	volumes     *volume.Service
	events      *event.Service
	issues      *issue.Service
	deployments *deployment.Service
	runner      *job.Runner
	ids         *id.Maker
	probe       error
	shown       func(at provider.Endpoint) string // the host key that a machine shows
	probed      func(at provider.Endpoint) error
	secrets     *secret.Box
	set         *provider.Registry
	asked       provider.Provider // takes the place of the provider of its slug for late workers
	// debts has accounts below zero led through past due; else nobody minds.
	debts bool
	// killable has a provider end the runs that ask it.
	killable bool
}

// tester is what the rig needs of a *testing.T or a *rapid.T.
type tester interface {
	Helper()
	Error(args ...any)
	Fatal(args ...any)
	Fatalf(format string, args ...any)
	Context() context.Context
}

const pageOffer id.ID = "off_abc123"

func each(t *testing.T, f func(t *testing.T, r *rig)) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) { f(t, newRig(t, d, c)) })
}

func newRig(t *testing.T, d *db.DB, c *clock.Simulated) *rig {
	t.Helper()
	r := &rig{t: t, db: d, clock: c, ids: id.NewMaker(c, rand.Reader)}
	t.Cleanup(r.open(t.TempDir()))
	r.serve()
	return r
}

// open opens the simulated marketplace in that folder.
func (r *rig) open(dir string) (closeIt func()) {
	r.t.Helper()
	world, err := sim.Open(
		r.t.Context(),
		sim.Config{Dir: dir, Clock: r.clock, Log: slog.New(slog.DiscardHandler), Listen: sim.ListenBanner},
	)
	r.must(err)
	r.world = world
	for _, p := range world.Providers() {
		if p.Info().Slug == "voltage-park" {
			r.park = &trouble{allOfIt: p.(allOfIt), calls: map[string]int{}, unbounded: map[string]bool{}}
		}
	}
	return func() {
		if err := world.Close(); err != nil {
			r.t.Error(err)
		}
	}
}

// serve makes every room anew on the database and the marketplace, as a server does that starts,
// and runs what is due.
func (r *rig) serve() {
	r.t.Helper()
	r.build(r.park)
	r.must(
		errors.Join(
			r.catalog.Load(r.t.Context()),
			r.catalog.Start(r.t.Context()),
			r.deployments.StartWatching(r.t.Context()),
		),
	)
	r.drain()
}

func (r *rig) build(park provider.Provider) {
	d, c, log := r.db, r.clock, slog.New(slog.DiscardHandler)
	var providers []provider.Provider
	for _, p := range r.world.Providers() {
		if p.Info().Slug == park.Info().Slug {
			p = park
		}
		providers = append(providers, p)
	}
	set, jobs := provider.NewRegistry(providers...), job.NewQueue(r.ids)
	r.set = set
	r.events = event.New(r.ids)
	r.issues = issue.New(
		issue.Config{IDs: r.ids, Jobs: jobs, Log: log, Policy: issue.Policy{EndOrphans: true, Grace: time.Hour}},
	)
	secrets, err := secret.New(make([]byte, 32))
	r.must(err)
	r.secrets = secrets
	r.wallet = wallet.New(
		wallet.Config{DB: d, IDs: r.ids, CrossedZero: func(ctx context.Context, tx *db.Tx, account id.ID) error {
			return jobs.Enqueue(ctx, tx, account, meter.KindPastDue, account, tx.Now)
		}},
	)
	r.meter = meter.New(meter.Config{DB: d, Wallet: r.wallet, Events: r.events, Jobs: jobs})
	r.catalog = catalog.New(
		catalog.Config{
			DB:        d,
			IDs:       r.ids,
			Clock:     c,
			Providers: set,
			Jobs:      jobs,
			Log:       log,
			Markup:    func(string) int64 { return 0 },
		},
	)
	r.keys = sshkey.New(sshkey.Config{DB: d, IDs: r.ids})
	r.volumes = volume.New(
		volume.Config{
			DB:        d,
			IDs:       r.ids,
			Clock:     c,
			Log:       log,
			Catalog:   r.catalog,
			Meter:     r.meter,
			Wallet:    r.wallet,
			Providers: set,
			Events:    r.events,
			Issues:    r.issues,
			Jobs:      jobs,
		},
	)
	r.deployments = deployment.New(deployment.Config{
		DB: d, IDs: r.ids, Clock: c, Log: log, Catalog: r.catalog, SSHKeys: r.keys, Volumes: r.volumes, Wallet: r.wallet, Meter: r.meter,
		Events: r.events, Issues: r.issues, Jobs: jobs, Providers: set, Quotes: quote.New(r.ids),
		Probe: func(ctx context.Context, at provider.Endpoint) (string, error) {
			if r.probe != nil {
				return "", r.probe
			}
			if r.probed != nil {
				if err := r.probed(at); err != nil {
					return "", err
				}
			}
			if r.shown != nil {
				return r.shown(at), nil
			}
			return provider.ProbeSSH(ctx, at)
		},
		Secrets: r.secrets,
	})
	r.runner = job.NewRunner(job.Config{DB: d, Queue: jobs, Clock: c, Real: db.Time, Log: log, Workers: 4})
	mortal := func(h job.Handler) job.Handler {
		if !r.killable {
			return h
		}
		return func(ctx context.Context, subject id.ID) (job.Outcome, error) {
			ctx, cancel := context.WithCancel(ctx)
			defer cancel()
			return h(context.WithValue(ctx, killer{}, cancel), subject)
		}
	}
	r.runner.Handle(deployment.KindReconcile, mortal(r.deployments.Reconcile))
	r.runner.Handle(volume.KindVolume, mortal(r.volumes.Reconcile))
	r.runner.Handle(meter.KindSweep, r.meter.Sweep)
	r.runner.Handle(
		issue.KindEnd,
		issue.NewRemover(issue.RemoverConfig{DB: d, Clock: c, Issues: r.issues, Providers: set}).End,
	)
	look := func(context.Context, id.ID) (job.Outcome, error) { return job.Done(), nil }
	if r.debts {
		look = pastdue.New(pastdue.Config{
			DB: d, Wallet: r.wallet, Deployments: r.deployments, Volumes: r.volumes, Events: r.events, Terms: pastdue.Terms{Grace: pastdue.DefaultGrace, KeepVolumes: pastdue.DefaultKeepVolumes},
		}).Reconcile
	}
	r.runner.Handle(meter.KindPastDue, look)
	r.runner.HandlePeriodic(catalog.KindSync, r.catalog.Sync)
	r.runner.HandlePeriodic(deployment.KindWatch, r.deployments.Watch)
}

func (r *rig) drain() {
	r.t.Helper()
	if err := r.runner.Drain(r.t.Context()); err != nil {
		r.t.Fatal(err)
	}
}

// pass lets time go by as it does: whatever is due happens when it is due.
func (r *rig) pass(d time.Duration) {
	r.t.Helper()
	if err := r.runner.Travel(r.t.Context(), r.clock, r.clock.Now().Add(d)); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) tx(f func(ctx context.Context, tx *db.Tx) error) error {
	return r.db.InTx(r.t.Context(), f)
}

func (r *rig) must(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) account(credit money.Micros) id.ID {
	r.t.Helper()
	a := r.ids.New(id.Account)
	r.must(r.tx(func(ctx context.Context, tx *db.Tx) error {
		if err := r.wallet.Open(ctx, tx, a); err != nil || credit == 0 {
			return err
		}
		_, err := r.wallet.Credit(
			ctx,
			tx,
			wallet.Credit{Account: a, Type: wallet.TypeCredit, Amount: credit, Description: "test", Dedupe: string(a)},
		)
		return err
	}))
	return a
}

func publicKey(t tester) string {
	t.Helper()
	p, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	k, err := ssh.NewPublicKey(p)
	if err != nil {
		t.Fatal(err)
	}
	return string(ssh.MarshalAuthorizedKey(k))
}

func request(t tester) deployment.CreateRequest {
	key, system := publicKey(t), "Ubuntu 22.04"
	return deployment.CreateRequest{
		OfferID:         pageOffer,
		OperatingSystem: &system,
		Name:            "my-training-run",
		SSHPublicKey:    &key,
	}
}

func (r *rig) create(account id.ID, req deployment.CreateRequest) (deployment.Deployment, error) {
	var d deployment.Deployment
	err := r.tx(func(ctx context.Context, tx *db.Tx) (err error) {
		d, err = r.deployments.Create(ctx, tx, account, req)
		return err
	})
	return d, err
}

func (r *rig) deploy(account id.ID) deployment.Deployment {
	r.t.Helper()
	d, err := r.create(account, request(r.t))
	r.must(err)
	return d
}

// running deploys and lets time go by until the machine runs.
func (r *rig) running(account id.ID) deployment.Deployment {
	r.t.Helper()
	return r.await(account, r.deploy(account).ID, deployment.StatusRunning)
}

// await lets time go by, a second at a time, until the deployment has that status.
func (r *rig) await(account, d id.ID, status deployment.Status) deployment.Deployment {
	r.t.Helper()
	for range 120 {
		if x := r.get(account, d); x.Status == status {
			return x
		}
		r.pass(time.Second)
	}
	r.t.Fatalf("not %s: %+v", status, r.get(account, d))
	return deployment.Deployment{}
}

func (r *rig) get(account, d id.ID) deployment.Deployment {
	r.t.Helper()
	x, err := r.deployments.Get(r.t.Context(), r.db, account, d)
	r.must(err)
	return x
}

func (r *rig) terminate(account, d id.ID, earliest bool) (x deployment.Deployment, queued bool, err error) {
	err = r.tx(func(ctx context.Context, tx *db.Tx) (err error) {
		x, queued, err = r.deployments.Terminate(ctx, tx, account, d, earliest)
		return err
	})
	return x, queued, err
}

func (r *rig) money(account id.ID) wallet.Wallet {
	r.t.Helper()
	w, err := r.wallet.Get(r.t.Context(), r.db, account)
	r.must(err)
	return w
}

// upstream returns the references of the machines that the simulated marketplace really has.
func (r *rig) upstream() []id.ID {
	var out []id.ID
	for _, m := range r.world.Machines() {
		out = append(out, m.Reference)
	}
	return out
}

func (r *rig) code(err error) apierr.Code {
	r.t.Helper()
	if err == nil {
		return ""
	}
	return apierr.CodeOf(err)
}

// audit is called at the end of a test about money.
func (r *rig) audit() {
	r.t.Helper()
	faults, err := r.wallet.Audit(r.t.Context())
	r.must(err)
	for _, f := range faults {
		r.t.Error(f)
	}
}

// everything is the first page of a list, as long as they get.
var everything = db.Page{Number: 1, Limit: 100}

// errNobody is a machine on which no SSH answers.
var errNobody = errors.New("nobody answers")

// quote asks for the offer's price to be fixed.
func (r *rig) quote(account, offer id.ID) (q quote.Quote) {
	r.t.Helper()
	o, found := r.catalog.Default().Get(offer)
	if !found {
		r.t.Fatalf("no offer %s", offer)
	}
	r.must(r.tx(func(ctx context.Context, tx *db.Tx) (err error) {
		q, err = quote.New(r.ids).Make(ctx, tx, account, o)
		return err
	}))
	return q
}

// late is a worker of another process on the same database and marketplace, with a probe of its
// own.
func (r *rig) late(probe func(ctx context.Context, at provider.Endpoint) (string, error)) *deployment.Service {
	set := r.set
	if r.asked != nil {
		var all []provider.Provider
		for _, p := range r.set.All() {
			if p.Info().Slug == r.asked.Info().Slug {
				p = r.asked
			}
			all = append(all, p)
		}
		set = provider.NewRegistry(all...)
	}
	return deployment.New(deployment.Config{
		DB: r.db, IDs: r.ids, Clock: r.clock, Log: slog.New(slog.DiscardHandler), Catalog: r.catalog, SSHKeys: r.keys, Volumes: r.volumes, Wallet: r.wallet,
		Meter: r.meter, Events: r.events, Issues: r.issues, Jobs: job.NewQueue(r.ids), Providers: set, Quotes: quote.New(r.ids), Probe: probe, Secrets: r.secrets,
	})
}

// volume makes a volume and waits until it is available.
func (r *rig) volume(account id.ID, provider, region string) id.ID {
	r.t.Helper()
	var v volume.Volume
	r.must(r.tx(func(ctx context.Context, tx *db.Tx) (err error) {
		v, err = r.volumes.Create(
			ctx,
			tx,
			account,
			volume.CreateRequest{Name: "data", SizeGB: 100, Provider: provider, Region: region},
		)
		return err
	}))
	r.pass(time.Minute)
	return v.ID
}

func query() catalog.Query { yes := true; return catalog.Query{Available: &yes, Page: everything} }
