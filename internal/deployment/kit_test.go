package deployment_test

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/budget"
	"github.com/billetcloud/billet/internal/catalog"
	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/db/dbtest"
	"github.com/billetcloud/billet/internal/deployment"
	"github.com/billetcloud/billet/internal/event"
	"github.com/billetcloud/billet/internal/health"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/issue"
	"github.com/billetcloud/billet/internal/job"
	"github.com/billetcloud/billet/internal/meter"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/osimage"
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

const (
	slug            = "voltage-park"
	pageOffer id.ID = "off_abc123"
)

// errNoSSH is a machine on which SSH does not answer.
var errNoSSH = errors.New("connection refused")

// firstPage is the first page of a list, as long as lists get here.
var firstPage = db.Page{Number: 1, Limit: 100}

// testKit is every service below the API on one database, with the simulated marketplace and a
// frozen clock.
type testKit struct {
	t           tester
	db          *db.DB
	clock       *clock.Simulated
	world       *sim.World
	fake        *fakeProvider
	wallet      *wallet.Ledger
	meter       *meter.Service
	catalog     *catalog.Catalog
	keys        *sshkey.Service
	images      *osimage.Service
	volumes     *volume.Service
	events      *event.Service
	issues      *issue.Service
	budgets     *budget.Service
	deployments *deployment.Service
	config      deployment.Config // of deployments
	providers   *provider.Registry
	runner      *job.Runner
	ids         *id.Maker
	secrets     *secret.Box

	sshErr  error                             // of every probe
	probe   func(at provider.Endpoint) error  // may fail a probe
	hostKey func(at provider.Endpoint) string // the host key that a machine shows

	policy    health.Policy // of every offer
	gpus      func(req health.Request) (health.Result, error)
	gpuChecks []health.Request
	removed   []string // keys of checks that were removed from their machine
	removal   error    // of every removal
	// killHealth is the number of the check that kills its run.
	killHealth  int
	killRemoval bool

	pastDue bool // accounts below zero become past due
	kills   bool // a call to the provider may kill its run
}

// tester is what the kit needs of a *testing.T or a *rapid.T.
type tester interface {
	Helper()
	Error(args ...any)
	Fatal(args ...any)
	Fatalf(format string, args ...any)
	Context() context.Context
}

// each runs the test on each database engine.
func each(t *testing.T, f func(t *testing.T, r *testKit)) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) { f(t, newKit(t, d, c)) })
}

func newKit(t *testing.T, d *db.DB, c *clock.Simulated) *testKit {
	t.Helper()
	r := &testKit{t: t, db: d, clock: c, ids: id.NewMaker(c, rand.Reader)}
	t.Cleanup(r.open(t.TempDir()))
	r.serve()
	return r
}

// open opens the simulated marketplace in that directory.
func (r *testKit) open(dir string) (closeWorld func()) {
	r.t.Helper()
	world, err := sim.Open(r.t.Context(), sim.Config{
		Dir: dir, Clock: r.clock, Log: slog.New(slog.DiscardHandler), Listen: sim.ListenBanner,
	})
	r.must(err)
	r.world = world
	for _, p := range world.Providers() {
		if p.Info().Slug == slug {
			r.fake = newFakeProvider(p.(simulated))
		}
	}
	return func() {
		if err := world.Close(); err != nil {
			r.t.Error(err)
		}
	}
}

// serve creates every service on the database and the marketplace, as a server that starts does,
// and runs what is due.
func (r *testKit) serve() {
	r.t.Helper()
	r.build(r.fake)
	ctx := r.t.Context()
	r.must(errors.Join(r.catalog.Load(ctx), r.catalog.Start(ctx), r.deployments.StartWatching(ctx)))
	r.drain()
}

// build creates every service, with that provider in place of the simulated one of its slug.
func (r *testKit) build(fake provider.Provider) {
	r.t.Helper()
	d, c, log := r.db, r.clock, slog.New(slog.DiscardHandler)
	var all []provider.Provider
	for _, p := range r.world.Providers() {
		if p.Info().Slug == slug {
			p = fake
		}
		all = append(all, p)
	}
	providers, jobs := provider.NewRegistry(all...), job.NewQueue(r.ids)
	r.providers = providers
	secrets, err := secret.New(make([]byte, 32))
	r.must(err)
	r.secrets, r.events = secrets, event.New(r.ids)
	r.issues = issue.New(issue.Config{
		IDs: r.ids, Jobs: jobs, Log: log, Policy: issue.Policy{EndOrphans: true, Grace: time.Hour},
	})
	r.wallet = wallet.New(
		wallet.Config{DB: d, IDs: r.ids, CrossedZero: func(ctx context.Context, tx *db.Tx, account id.ID) error {
			return jobs.Enqueue(ctx, tx, account, meter.KindPastDue, account, tx.Now)
		}},
	)
	r.budgets = budget.New(budget.Config{IDs: r.ids, Clock: c, Events: r.events, Jobs: jobs})
	r.meter = meter.New(meter.Config{
		DB: d, Wallet: r.wallet, Events: r.events, Jobs: jobs, Admit: r.budgets.AdmitHours,
	})
	r.catalog = catalog.New(catalog.Config{
		DB: d, IDs: r.ids, Clock: c, Providers: providers, Jobs: jobs, Log: log,
		Markup: func(string) int64 { return 0 },
		Health: func(context.Context, db.Reader) (health.Policies, error) {
			return health.Policies{Default: r.policy}, nil
		},
	})
	r.keys = sshkey.New(sshkey.Config{DB: d, IDs: r.ids})
	r.images = osimage.New(osimage.Config{DB: d, IDs: r.ids, Check: func(string) string { return "" }})
	r.volumes = volume.New(volume.Config{
		DB: d, IDs: r.ids, Clock: c, Log: log, Catalog: r.catalog, Meter: r.meter, Wallet: r.wallet,
		Providers: providers, Events: r.events, Issues: r.issues, Jobs: jobs,
	})
	r.config = deployment.Config{
		DB: d, IDs: r.ids, Clock: c, Log: log, Catalog: r.catalog, SSHKeys: r.keys, Images: r.images,
		Volumes: r.volumes,
		Wallet:  r.wallet, Meter: r.meter, Events: r.events, Issues: r.issues, Jobs: jobs, Providers: providers,
		Quotes: quote.New(r.ids), Probe: r.probeSSH, Secrets: secrets, CheckGPUs: r.checkGPUs,
		RemoveHealthKey: r.removeHealthKey,
	}
	r.deployments = deployment.New(r.config)
	r.handleJobs(providers, jobs)
}

// probeSSH is the deployments' Probe.
func (r *testKit) probeSSH(ctx context.Context, at provider.Endpoint) (string, error) {
	if r.sshErr != nil {
		return "", r.sshErr
	}
	if r.probe != nil {
		if err := r.probe(at); err != nil {
			return "", err
		}
	}
	if r.hostKey != nil {
		return r.hostKey(at), nil
	}
	return provider.ProbeSSH(ctx, at)
}

// handleJobs creates the runner of the jobs.
func (r *testKit) handleJobs(providers *provider.Registry, jobs *job.Queue) {
	r.runner = job.NewRunner(job.Config{
		DB: r.db, Queue: jobs, Clock: r.clock, Real: db.Time, Log: slog.New(slog.DiscardHandler), Workers: 4,
	})
	killable := func(h job.Handler) job.Handler {
		if !r.kills {
			return h
		}
		return func(ctx context.Context, subject id.ID) (job.Outcome, error) {
			ctx, cancel := context.WithCancel(ctx)
			defer cancel()
			return h(context.WithValue(ctx, killer{}, cancel), subject)
		}
	}
	r.runner.Handle(deployment.KindReconcile, killable(r.deployments.Reconcile))
	r.runner.Handle(deployment.KindHealth, killable(r.deployments.CheckHealth))
	r.runner.Handle(volume.KindVolume, killable(r.volumes.Reconcile))
	r.runner.Handle(meter.KindSweep, r.meter.Sweep)
	r.runner.Handle(budget.KindEnd, r.deployments.EndForBudget)
	remover := issue.NewRemover(issue.RemoverConfig{DB: r.db, Clock: r.clock, Issues: r.issues, Providers: providers})
	r.runner.Handle(issue.KindEnd, remover.End)
	checkPastDue := func(context.Context, id.ID) (job.Outcome, error) { return job.Done(), nil }
	if r.pastDue {
		checkPastDue = pastdue.New(pastdue.Config{
			DB: r.db, Wallet: r.wallet, Deployments: r.deployments, Volumes: r.volumes, Events: r.events,
			Terms: pastdue.Terms{Grace: pastdue.DefaultGrace, KeepVolumes: pastdue.DefaultKeepVolumes},
		}).Reconcile
	}
	r.runner.Handle(meter.KindPastDue, checkPastDue)
	r.runner.Handle(deployment.KindDowntime, func(context.Context, id.ID) (job.Outcome, error) {
		return job.Done(), nil
	})
	r.runner.HandlePeriodic(catalog.KindSync, r.catalog.Sync)
	r.runner.HandlePeriodic(deployment.KindWatch, r.deployments.Watch)
}

// drain runs every job that is due.
func (r *testKit) drain() {
	r.t.Helper()
	r.must(r.runner.Drain(r.t.Context()))
}

// pass advances the clock. Every job runs when it is due.
func (r *testKit) pass(d time.Duration) {
	r.t.Helper()
	r.must(r.runner.Travel(r.t.Context(), r.clock, r.clock.Now().Add(d)))
}

func (r *testKit) tx(f func(ctx context.Context, tx *db.Tx) error) error {
	return r.db.InTx(r.t.Context(), f)
}

func (r *testKit) must(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

// account opens an account with that credit.
func (r *testKit) account(credit money.Micros) id.ID {
	r.t.Helper()
	a := r.ids.New(id.Account)
	r.must(r.tx(func(ctx context.Context, tx *db.Tx) error {
		if err := r.wallet.Open(ctx, tx, a); err != nil || credit == 0 {
			return err
		}
		_, err := r.wallet.Credit(ctx, tx, wallet.Credit{
			Account: a, Type: wallet.TypeCredit, Amount: credit, Description: "test", Dedupe: string(a),
		})
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

// request is a valid request for the offer of the specification.
func request(t tester) deployment.CreateRequest {
	key, system := publicKey(t), "Ubuntu 22.04"
	return deployment.CreateRequest{
		OfferID: pageOffer, OperatingSystem: &system, Name: "my-training-run", SSHPublicKey: &key,
	}
}

func (r *testKit) create(account id.ID, req deployment.CreateRequest) (deployment.Deployment, error) {
	var d deployment.Deployment
	err := r.tx(func(ctx context.Context, tx *db.Tx) (err error) {
		d, err = r.deployments.Create(ctx, tx, account, req)
		return err
	})
	return d, err
}

func (r *testKit) deploy(account id.ID) deployment.Deployment {
	r.t.Helper()
	d, err := r.create(account, request(r.t))
	r.must(err)
	return d
}

// running deploys and waits until the machine runs.
func (r *testKit) running(account id.ID) deployment.Deployment {
	r.t.Helper()
	return r.await(account, r.deploy(account).ID, deployment.StatusRunning)
}

// await advances the clock, a second at a time, until the deployment has that status.
func (r *testKit) await(account, d id.ID, status deployment.Status) deployment.Deployment {
	r.t.Helper()
	for range 120 {
		if x := r.get(account, d); x.Status == status {
			return x
		}
		r.pass(time.Second)
	}
	r.t.Fatalf("deployment is not %s after two minutes: %+v", status, r.get(account, d))
	return deployment.Deployment{}
}

func (r *testKit) get(account, d id.ID) deployment.Deployment {
	r.t.Helper()
	x, err := r.deployments.Get(r.t.Context(), r.db, account, d)
	r.must(err)
	return x
}

func (r *testKit) terminate(account, d id.ID, earliest bool) (x deployment.Deployment, queued bool, err error) {
	err = r.tx(func(ctx context.Context, tx *db.Tx) (err error) {
		x, queued, err = r.deployments.Terminate(ctx, tx, account, d, earliest)
		return err
	})
	return x, queued, err
}

func (r *testKit) walletOf(account id.ID) wallet.Wallet {
	r.t.Helper()
	w, err := r.wallet.Get(r.t.Context(), r.db, account)
	r.must(err)
	return w
}

// upstream returns the references of the machines that exist in the simulated marketplace.
func (r *testKit) upstream() []id.ID {
	var out []id.ID
	for _, m := range r.world.Machines() {
		out = append(out, m.Reference)
	}
	return out
}

// code returns the code of an error; "" for none.
func (r *testKit) code(err error) apierr.Code {
	r.t.Helper()
	if err == nil {
		return ""
	}
	return apierr.CodeOf(err)
}

// checkLedger reports everything that is wrong with the ledger.
func (r *testKit) checkLedger() {
	r.t.Helper()
	problems, err := r.wallet.Audit(r.t.Context())
	r.must(err)
	for _, p := range problems {
		r.t.Error(p)
	}
}

// quote creates a quote for the offer.
func (r *testKit) quote(account, offer id.ID) (q quote.Quote) {
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

// lateWorker is a worker of another process, with a probe of its own.
func (r *testKit) lateWorker(
	probe func(ctx context.Context, at provider.Endpoint) (string, error),
) *deployment.Service {
	config := r.config
	config.Probe = probe
	return deployment.New(config)
}

// volume creates a volume and waits until it is available.
func (r *testKit) volume(account id.ID, provider, region string) id.ID {
	r.t.Helper()
	var v volume.Volume
	r.must(r.tx(func(ctx context.Context, tx *db.Tx) (err error) {
		v, err = r.volumes.Create(ctx, tx, account, volume.CreateRequest{
			Name: "data", SizeGB: 100, Provider: provider, Region: region,
		})
		return err
	}))
	r.pass(time.Minute)
	return v.ID
}

// allIssues returns all issues, oldest first.
func (r *testKit) allIssues() []issue.Issue {
	r.t.Helper()
	all, _, err := r.issues.List(r.t.Context(), r.db, issue.Filter{}, firstPage)
	r.must(err)
	slices.Reverse(all)
	return all
}
