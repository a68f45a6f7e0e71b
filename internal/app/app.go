package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/billetcloud/billet/internal/catalog"
	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/crashpoint"
	"github.com/billetcloud/billet/internal/dashboard"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/deployment"
	"github.com/billetcloud/billet/internal/httpapi"
	"github.com/billetcloud/billet/internal/idempotency"
	"github.com/billetcloud/billet/internal/issue"
	"github.com/billetcloud/billet/internal/job"
	"github.com/billetcloud/billet/internal/meter"
	"github.com/billetcloud/billet/internal/oidc"
	"github.com/billetcloud/billet/internal/pastdue"
	"github.com/billetcloud/billet/internal/provider"
	"github.com/billetcloud/billet/internal/provider/sim"
	"github.com/billetcloud/billet/internal/quote"
	"github.com/billetcloud/billet/internal/ratelimit"
	"github.com/billetcloud/billet/internal/ratelimit/redislimit"
	"github.com/billetcloud/billet/internal/rest"
	"github.com/billetcloud/billet/internal/sshkey"
	"github.com/billetcloud/billet/internal/volume"
	"github.com/billetcloud/billet/internal/webhook"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

const (
	// workers is how many jobs run beside each other; most of their time they wait for a provider.
	workers = 16
	// shutdownTime is how long requests may go on after the server was asked to stop.
	shutdownTime = 10 * time.Second
	// backgroundTime is how long the jobs that are under way may take to end then.
	backgroundTime = 8 * time.Second
	// flushTime is how long the last uses of API keys may take to be written then.
	flushTime = 3 * time.Second
	// StopTime is how long all that takes at most, whatever hangs. Service managers kill after half a minute or more.
	StopTime = 25 * time.Second
	// rereadEvery is how often the catalogue is compared with what other replicas wrote.
	rereadEvery = 3 * time.Second
	// lookEvery is how often another replica's events are looked for, for the streams of this one.
	lookEvery = time.Second
	// flushEvery is how often the last uses of API keys are written and expired device authorizations deleted.
	flushEvery = 30 * time.Second
	// firstAnswer is how long Run waits for the providers before it listens; simulated ones answer from memory, so that
	// only a machine with much else to do takes firstSimulated.
	firstAnswer, firstSimulated = 500 * time.Millisecond, 5 * time.Second
)

// App is the built house, not started yet.
type App struct {
	*Operator
	c     Config
	world *sim.World // nil without Sim
	// unisolated tells that its machines are not isolated from this computer.
	unisolated bool
	// simulator is nil without Sim.
	simulator *simulator
	catalog   *catalog.Catalog
	// deployments and meter are for Deployments and Meter.
	deployments *deployment.Service
	meter       *meter.Service
	begin       []func(context.Context) error // leave the jobs behind that look round for ever
	runner      *job.Runner
	handler     http.Handler
	// demoEmail is set before the server answers; "" without a demo account.
	demoEmail string
	metrics   *prometheus.Registry
	rounds    *rounds
	claimLost chan error // that another server has the simulator's lease
	closers   []func() error
}

// Open builds every room on the database and the providers. The result must be closed.
func Open(ctx context.Context, c Config) (*App, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(c.DataDir, 0o700); err != nil {
		return nil, fmt.Errorf("make the data directory: %w", err)
	}
	unlock, err := lockDir(c.DataDir)
	if err != nil {
		return nil, err
	}
	o, err := OpenOperator(ctx, c)
	if err != nil {
		return nil, errors.Join(err, unlock())
	}
	a := &App{Operator: o, c: c, metrics: prometheus.NewRegistry(), rounds: newRounds(time.Now), claimLost: make(chan error, 1), closers: []func() error{unlock, o.Close}}
	if err := a.build(ctx); err != nil {
		return nil, errors.Join(err, a.Close())
	}
	return a, nil
}

func (a *App) build(ctx context.Context) error {
	c, log := a.c, a.c.Log
	if by := crashpoint.Skew(); by != 0 {
		log.WarnContext(ctx, "this server reads its machine's clock wrong on purpose, as its environment says; that is for tests only", crashpoint.SkewVariable, by)
	}
	a.metrics.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	configured, err := a.suppliers(ctx)
	if err != nil {
		return err
	}
	var simulated []provider.Provider
	if c.Sim {
		if err := a.claimDatabase(ctx); err != nil {
			return err
		}
		machines := sim.ListenSSH
		if c.SimMachines == "banner" {
			machines = sim.ListenBanner
		}
		if machines == sim.ListenSSH {
			if a.unisolated, err = unisolated(ctx, c); err != nil {
				return err
			}
		}
		world, err := sim.Open(ctx, sim.Config{
			Dir: filepath.Join(c.DataDir, "sim"), Clock: a.Clock, Log: log, Listen: machines, Unisolated: a.unisolated,
		})
		if err != nil {
			return fmt.Errorf("open the simulator: %w", err)
		}
		a.world = world
		a.closers = append(a.closers, world.Close)
		simulated = world.Providers()
	}
	all := together(append(simulated, c.Providers...), configured)
	if len(all) == 0 {
		log.WarnContext(ctx, "there is no provider, so nothing is sold: connect a cloud with `billetd provider add`, or try --sim")
	}
	set := provider.NewRegistry(all...)
	if err := a.tellForsaken(ctx, set); err != nil {
		return err
	}
	limiter, err := a.limiter()
	if err != nil {
		return err
	}
	markup, err := parseMarkup(c.Markup)
	if err != nil {
		return err
	}
	proxies, err := parseNetworks(c.TrustedProxies)
	if err != nil {
		return err
	}
	m := meter.New(meter.Config{DB: a.DB, Wallet: a.Wallet, Events: a.Events, Jobs: a.Jobs})
	a.catalog = catalog.New(catalog.Config{DB: a.DB, IDs: a.IDs, Clock: a.Clock, Providers: set, Jobs: a.Jobs, Log: log, Markup: markups(markup, configured), OwnMarkups: a.Accounts.Markups})
	keys := sshkey.New(sshkey.Config{DB: a.DB, IDs: a.IDs})
	volumes := volume.New(volume.Config{
		DB: a.DB, IDs: a.IDs, Clock: a.Clock, Log: log, Catalog: a.catalog, Meter: m, Wallet: a.Wallet, Providers: set, Events: a.Events, Issues: a.Issues, Jobs: a.Jobs,
	})
	quotes := quote.New(a.IDs)
	probe := c.Probe
	if probe == nil {
		probe = provider.ProbeSSH
	}
	deployments := deployment.New(deployment.Config{
		DB: a.DB, IDs: a.IDs, Clock: a.Clock, Log: log, Catalog: a.catalog, SSHKeys: keys, Volumes: volumes, Wallet: a.Wallet, Meter: m,
		Events: a.Events, Issues: a.Issues, Jobs: a.Jobs, Providers: set, Quotes: quotes, Probe: probe, Secrets: a.secrets,
	})
	a.deployments, a.meter = deployments, m
	terms := pastdue.Terms{Grace: c.PastDueGrace, KeepVolumes: c.PastDueKeepVolumes}
	debts := pastdue.New(pastdue.Config{DB: a.DB, Wallet: a.Wallet, Deployments: deployments, Volumes: volumes, Events: a.Events, Terms: terms})
	answers := idempotency.New(idempotency.Config{DB: a.DB, Clock: a.Clock})
	public, err := parsePublicURL(c.PublicURL)
	if err != nil {
		return err
	}
	identity, err := c.identityProvider(public)
	if err != nil {
		return err
	}
	a.runner = job.NewRunner(job.Config{DB: a.DB, Queue: a.Jobs, Clock: a.Clock, Real: db.Time, Log: log, Workers: workers})
	a.runner.TakeOnlyWhile(a.skew.within)
	var travel *httpapi.Simulator
	if a.world != nil {
		a.simulator = &simulator{dir: c.DataDir, clock: a.simulated, runner: a.runner, world: a.world}
		travel = a.simulator.forAPI()
	}
	a.handler = httpapi.New(httpapi.Config{
		DB: a.DB, IDs: a.IDs, Clock: a.Clock, Real: time.Now, Log: log, Registry: a.metrics, Limiter: limiter, Accounts: a.Accounts, Audit: a.Audit, Catalog: a.catalog, SSHKeys: keys,
		Wallet: a.Wallet, Meter: m, Volumes: volumes, Deployments: deployments, Quotes: quotes, Events: a.Events, Webhooks: a.Webhooks, Issues: a.Issues, Operator: a.Desk, Idempotency: answers, Version: c.Version, TrustedProxies: proxies,
		PublicURL: public, OIDC: identity, DemoEmail: func() string { return a.demoEmail },
		Elsewhere: dashboard.New().Serve, Simulator: travel, Serves: a.serves, PastDueTerms: terms,
	})
	a.metrics.MustRegister(a.skew.gauge(), newGauges(a.DB, log, a.Clock, a.rounds, a.Issues, deployments))
	a.begin = []func(context.Context) error{a.catalog.Start, deployments.StartWatching, volumes.StartWatching, a.startPurge}
	a.runner.Handle(deployment.KindReconcile, deployments.Reconcile)
	a.runner.Handle(volume.KindVolume, volumes.Reconcile)
	a.runner.Handle(meter.KindSweep, m.Sweep)
	a.runner.Handle(meter.KindPastDue, debts.Reconcile)
	a.runner.HandlePeriodic(catalog.KindSync, a.catalog.Sync)
	a.runner.HandlePeriodic(deployment.KindWatch, deployments.Watch)
	a.runner.HandlePeriodic(volume.KindWatch, volumes.Watch)
	a.runner.Handle(issue.KindEnd, issue.NewRemover(issue.RemoverConfig{DB: a.DB, Clock: a.Clock, Issues: a.Issues, Providers: set}).End)
	a.runner.HandlePeriodic(idempotency.KindPurge, answers.Purge)
	a.runner.Handle(webhook.KindSend, a.Webhooks.Send)
	a.runner.HandlePeriodic(webhook.KindPurge, a.Webhooks.Purge)
	return a.catalog.Load(ctx)
}

// identityProvider is nil where none is set up.
func (c Config) identityProvider(public *url.URL) (*oidc.Client, error) {
	if c.OIDCIssuer == "" {
		return nil, nil
	}
	secret, err := os.ReadFile(c.OIDCClientSecretFile)
	if err != nil {
		return nil, fmt.Errorf("--oidc-client-secret-file: %w", err)
	}
	name := c.OIDCName
	if name == "" {
		name = "Single sign-on"
	}
	return oidc.New(oidc.Config{
		Issuer: c.OIDCIssuer, ClientID: c.OIDCClientID, ClientSecret: strings.TrimSpace(string(secret)), Name: name,
		RedirectURL: public.String() + httpapi.OIDCCallback, Now: time.Now,
	})
}

func (a *App) limiter() (ratelimit.Limiter, error) {
	if a.c.RedisURL == "" {
		return ratelimit.NewMemory(time.Now), nil
	}
	l, err := redislimit.New(redislimit.Config{URL: a.c.RedisURL, Log: a.c.Log, Now: time.Now})
	if err != nil {
		return nil, err
	}
	a.closers = append(a.closers, l.Close)
	return l, nil
}

// startPurge has kept answers, and deliveries of webhooks, forgotten from now on when their time is over.
func (a *App) startPurge(ctx context.Context) error {
	return a.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		if err := a.Jobs.Enqueue(ctx, tx, job.NoOwner, idempotency.KindPurge, idempotency.Fleet, tx.Now); err != nil {
			return err
		}
		return a.Jobs.Enqueue(ctx, tx, job.NoOwner, webhook.KindPurge, webhook.Fleet, tx.Now)
	})
}

// Close gives back what Open took. Simulated machines go on running.
func (a *App) Close() error {
	var errs []error
	for i := len(a.closers) - 1; i >= 0; i-- {
		errs = append(errs, a.closers[i]())
	}
	return errors.Join(errs...)
}

// Started is what Run tells once the server answers.
type Started struct {
	// URL is where the API is.
	URL string
	// MetricsURL is where the metrics are, or "".
	MetricsURL string
	// Unisolated tells that simulated machines are not isolated from this computer.
	Unisolated bool
	// Demo is how to use the demo account; nil without Config.Demo.
	Demo *Demo
	// DemoFile is where that stands.
	DemoFile string
}

// Run serves until the context ends, then stops in order. started is called once, when the server answers.
func (a *App) Run(ctx context.Context, started func(Started)) error {
	SetMemory()
	l, err := net.Listen("tcp", a.c.Listen)
	if err != nil {
		return fmt.Errorf("listen: %w; is another server running? Choose another --listen", err)
	}
	defer func() { _ = l.Close() }()
	s := Started{URL: "http://" + reachable(l.Addr()), Unisolated: a.unisolated}
	servers := []*http.Server{a.server(a.handler)}
	listeners := []net.Listener{rest.Guard(servers[0], l)}
	if a.c.MetricsListen != "" {
		ml, err := a.listenMetrics(ctx)
		if err != nil {
			return err
		}
		defer func() { _ = ml.Close() }()
		mux := http.NewServeMux()
		mux.Handle("GET /metrics", promhttp.HandlerFor(a.metrics, promhttp.HandlerOpts{}))
		servers, listeners = append(servers, a.server(forLoopback(mux))), append(listeners, ml)
		s.MetricsURL = "http://" + ml.Addr().String() + "/metrics"
	}
	if a.world != nil {
		sl, err := listenSocket(a.c.DataDir)
		if err != nil {
			return err
		}
		defer func() { _ = os.Remove(filepath.Join(a.c.DataDir, socketFile)) }()
		defer func() { _ = sl.Close() }()
		operator := a.server(socketHandler(a.simulator))
		operator.WriteTimeout = 0 // a year with many machines takes its time
		servers, listeners = append(servers, operator), append(listeners, sl)
	}
	if a.c.Demo {
		d, err := ensureDemo(ctx, a.Operator, a.c.DataDir, s.URL)
		if err != nil {
			return fmt.Errorf("make the demo account: %w", err)
		}
		a.demoEmail = d.Email
		s.Demo, s.DemoFile = &d, filepath.Join(a.c.DataDir, demoFile)
	}
	for _, begin := range a.begin {
		if err := begin(ctx); err != nil {
			return err
		}
	}

	if a.world != nil || a.DB.Engine() == db.SQLite { // the lock on the data directory, or on the database, says that nobody else is at work
		if err := a.runner.TakeOver(ctx); err != nil {
			return err
		}
	}

	failed := make(chan error, len(servers))
	background, stop := context.WithCancel(context.WithoutCancel(ctx))
	var wg sync.WaitGroup
	a.startLoops(background, &wg)
	a.awaitOffers(ctx)

	for i, server := range servers {
		wg.Go(func() {
			if err := server.Serve(listeners[i]); !errors.Is(err, http.ErrServerClosed) {
				failed <- err
			}
		})
	}
	debug.FreeOSMemory() // migrations and the demo account's password took much that is not needed again
	a.c.Log.InfoContext(ctx, "serving", "url", s.URL, "database", a.DB.Engine(), "sim", a.c.Sim, "metrics", s.MetricsURL, "clock_ahead", time.Duration(a.skew.ahead.Load()))
	started(s)
	select {
	case <-ctx.Done():
	case err = <-failed:
	case err = <-a.claimLost:
	}
	a.c.Log.InfoContext(ctx, "stopping")
	a.Events.EndWatches() // who waits for a deployment is answered now
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTime)
	defer cancel()
	for _, server := range servers {
		e := server.Shutdown(grace)
		if errors.Is(e, context.DeadlineExceeded) { // as promised, and no fault of the server's
			a.c.Log.WarnContext(ctx, "requests that took longer were cut off", "after", shutdownTime)
			e = nil
		}
		err = errors.Join(err, e, server.Close())
	}
	stop()
	a.await(ctx, &wg)
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), flushTime) // the requests may have used up theirs
	defer cancel()
	return errors.Join(err, a.Accounts.FlushLastUse(last))
}

// startLoops starts what goes on in the background until the context ends.
func (a *App) startLoops(ctx context.Context, wg *sync.WaitGroup) {
	loop := func(d time.Duration, what string, f func(context.Context) error) {
		a.rounds.begin(what, d, nil)
		wg.Go(func() { a.rounds.every(ctx, d, a.c.Log, what, f) })
	}
	a.rounds.begin("run jobs", 0, a.runner.Alive)
	wg.Go(func() { a.runner.Run(ctx) })
	loop(measureEvery, "measure the clock's skew", a.skew.measure)
	loop(rereadEvery, "reread the catalogue", a.catalog.Load)
	loop(flushEvery, "write last uses", a.Accounts.FlushLastUse)
	loop(flushEvery, "forget device authorizations", a.Accounts.ForgetDeviceAuthorizations)
	if a.DB.Engine() == db.Postgres {
		loop(lookEvery, "look for other replicas' events", func(ctx context.Context) error { return a.Events.Look(ctx, a.DB) })
	}
}

// await waits for what goes on in the background to end, but not for ever: what hangs then hangs in something that does not know of its
// end, and the process ends without it. Jobs go on elsewhere when their leases end.
func (a *App) await(ctx context.Context, wg *sync.WaitGroup) {
	ended := make(chan struct{})
	go func() {
		wg.Wait()
		close(ended)
	}()
	patience := time.NewTimer(backgroundTime)
	defer patience.Stop()
	select {
	case <-ended:
	case <-patience.C:
		a.c.Log.WarnContext(ctx, "background work that did not end was left behind", "after", backgroundTime)
	}
}

// awaitOffers gives the providers a moment to answer, so that a server that says it serves has something to show: all of them
// have answered or failed once, or the time is over.
func (a *App) awaitOffers(ctx context.Context) {
	limit := firstAnswer
	if a.world != nil {
		limit = firstSimulated
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	unheard := func(h catalog.Health) bool { return h.LastSuccessAt == nil && h.LastFailureAt == nil }
	for slices.ContainsFunc(a.catalog.Health(), unheard) {
		if (clock.System{}).SleepUntil(ctx, time.Now().Add(5*time.Millisecond)) != nil {
			return
		}
	}
}

// listenMetrics takes another port where the default one is taken: two servers on one machine are no mistake.
func (a *App) listenMetrics(ctx context.Context) (net.Listener, error) {
	l, err := net.Listen("tcp", a.c.MetricsListen)
	if err == nil || a.c.MetricsListen != Default().MetricsListen {
		return l, err
	}
	if l, err = net.Listen("tcp", "127.0.0.1:0"); err == nil {
		a.c.Log.WarnContext(ctx, "the default port for metrics is taken; another is used", "wanted", a.c.MetricsListen, "address", l.Addr().String())
	}
	return l, err
}

func (a *App) server(h http.Handler) *http.Server {
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 10 * time.Second,
		// Longer than the longest poll; a statement as CSV streams within it.
		WriteTimeout: 5 * time.Minute,
		IdleTimeout:  2 * time.Minute,
		// OPTIONS * is answered as everything else is.
		DisableGeneralOptionsHandler: true,
		MaxHeaderBytes:               64 << 10,
		ErrorLog:                     slog.NewLogLogger(a.c.Log.Handler(), slog.LevelDebug), // noise of clients that break off
	}
}

// reachable is an address that a client on this machine can use: a wildcard is shown as loopback.
func reachable(a net.Addr) string {
	t, ok := a.(*net.TCPAddr)
	if !ok || !t.IP.IsUnspecified() {
		return a.String()
	}
	return net.JoinHostPort("127.0.0.1", fmt.Sprint(t.Port))
}
