package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/billetcloud/billet/internal/adjustment"
	"github.com/billetcloud/billet/internal/announcement"
	"github.com/billetcloud/billet/internal/budget"
	"github.com/billetcloud/billet/internal/catalog"
	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/console"
	"github.com/billetcloud/billet/internal/crashpoint"
	"github.com/billetcloud/billet/internal/credit"
	"github.com/billetcloud/billet/internal/dashboard"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/deployment"
	"github.com/billetcloud/billet/internal/httpapi"
	"github.com/billetcloud/billet/internal/idempotency"
	"github.com/billetcloud/billet/internal/incident"
	"github.com/billetcloud/billet/internal/invoice"
	"github.com/billetcloud/billet/internal/issue"
	"github.com/billetcloud/billet/internal/job"
	"github.com/billetcloud/billet/internal/mail"
	"github.com/billetcloud/billet/internal/meter"
	"github.com/billetcloud/billet/internal/observe"
	"github.com/billetcloud/billet/internal/oidc"
	"github.com/billetcloud/billet/internal/pastdue"
	"github.com/billetcloud/billet/internal/payment"
	"github.com/billetcloud/billet/internal/provider"
	"github.com/billetcloud/billet/internal/provider/sim"
	"github.com/billetcloud/billet/internal/rack"
	"github.com/billetcloud/billet/internal/ratelimit"
	"github.com/billetcloud/billet/internal/ratelimit/redislimit"
	"github.com/billetcloud/billet/internal/recovery"
	"github.com/billetcloud/billet/internal/retention"
	"github.com/billetcloud/billet/internal/signedhead"
	"github.com/billetcloud/billet/internal/volume"
	"github.com/billetcloud/billet/internal/webhook"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

const (
	// workers is how many jobs run at once. Most of the time they wait for a provider.
	workers = 16
	// rereadEvery is how often the catalog is reloaded, for changes by other replicas.
	rereadEvery = 3 * time.Second
	// pollEvery is how often the events of other replicas are polled, for the streams of this one.
	pollEvery = time.Second
	// recoveryEvery is how often a server checks whether a recovery has ended.
	recoveryEvery = 2 * time.Second
	// flushEvery is how often the last uses of API keys are written and expired device
	// authorizations deleted.
	flushEvery = 30 * time.Second
	// firstAnswer is how long Run waits for the providers before it listens. Simulated ones answer
	// from memory, so only a busy machine takes firstSimulated.
	firstAnswer, firstSimulated = 500 * time.Millisecond, 5 * time.Second
)

// App is the wired server, not started yet.
type App struct {
	*Operator
	cfg   Config
	world *sim.World // nil without Sim
	// unisolated is true if its machines are not isolated from this computer.
	unisolated bool
	// simulator is nil without Sim.
	simulator *simulator
	live      *liveProviders
	runner    *job.Runner
	handler   http.Handler
	// demo is set before the server answers; it is empty without a demo account.
	demo      Demo
	metrics   *prometheus.Registry
	work      *observe.Metrics
	traces    *observe.Traces // nil without --traces-endpoint
	loops     *loops
	public    *url.URL
	retention *retention.Service
	certs     certificates // nil without TLS
	claimLost chan error   // that another server has the simulator's lease
	draining  atomic.Bool
	replica   replicaState
	closers   []func() error
}

// Open opens the database and the providers and wires the server. The result must be closed.
func Open(ctx context.Context, c Config) (*App, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(c.DataDir, 0o700); err != nil {
		return nil, fmt.Errorf("create the data directory: %w", err)
	}
	unlock, err := lockDir(c.DataDir)
	if err != nil {
		return nil, err
	}
	o, err := openOperator(ctx, c.forServer(), true)
	if err != nil {
		return nil, errors.Join(err, unlock())
	}
	a := &App{
		Operator: o, cfg: c, metrics: prometheus.NewRegistry(), loops: newLoops(time.Now),
		claimLost: make(chan error, 1),
		closers:   []func() error{unlock, o.Close},
	}
	if err := a.build(ctx); err != nil {
		return nil, errors.Join(err, a.Close())
	}
	return a, nil
}

// parsed are the parts of the configuration that are parsed.
type parsed struct {
	markup  map[string]int64
	proxies []netip.Prefix
	public  *url.URL
	oidc    *oidc.Client
}

func (c Config) parse() (s parsed, err error) {
	if s.markup, err = parseMarkup(c.Markup); err != nil {
		return s, err
	}
	if s.proxies, err = parseNetworks(c.TrustedProxies); err != nil {
		return s, err
	}
	if s.public, err = parsePublicURL(c.publicURL()); err != nil {
		return s, err
	}
	s.oidc, err = c.identityProvider(s.public)
	return s, err
}

// build wires the server: providers, services, background jobs, the API and the metrics.
func (a *App) build(ctx context.Context) error {
	if by := crashpoint.Skew(); by != 0 {
		a.cfg.Log.WarnContext(ctx,
			"this server misreads its machine's clock, as an environment variable for tests says",
			crashpoint.SkewVariable, by)
	}
	a.metrics.MustRegister(collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	set, err := a.cfg.parse()
	if err != nil {
		return err
	}
	limiter, err := a.limiter()
	if err != nil {
		return err
	}
	if err := a.observe(ctx); err != nil {
		return err
	}
	fixed, err := a.fixedProviders(ctx)
	if err != nil {
		return err
	}
	a.live = &liveProviders{app: a, fixed: fixed, flag: set.markup}
	if a.live.inFile, err = a.ProviderAccounts.Read(a.cfg.ProvidersFile); err != nil {
		return err
	}
	if err := a.live.load(ctx); err != nil {
		return err
	}
	if len(a.services.providers.All()) == 0 {
		a.cfg.Log.WarnContext(ctx,
			"no provider is connected, so there are no offers: add one with `billetd provider add`, or try --sim")
	}
	if err := a.warnOrphanedProviders(ctx, a.services.providers); err != nil {
		return err
	}
	if err := a.readRecovery(ctx); err != nil {
		return err
	}
	if a.restored.Load() {
		a.cfg.Log.WarnContext(ctx, "the database was restored from a backup and is in recovery: tenants can only "+
			"read, and nothing is launched, ended or charged until `billetd recovery end`")
	}
	if a.retention, err = a.buildRetention(); err != nil {
		return err
	}
	a.buildRunner()
	a.public = set.public
	a.buildHandler(set, limiter)
	a.registerGauges()
	return nil
}

// fixedProviders opens the providers that stay as they are while the server runs.
func (a *App) fixedProviders(ctx context.Context) (fixed []provider.Provider, err error) {
	if a.cfg.Sim {
		if fixed, err = a.openSimulator(ctx); err != nil {
			return nil, err
		}
	}
	return append(fixed, a.cfg.Providers...), nil
}

func (a *App) openSimulator(ctx context.Context) ([]provider.Provider, error) {
	if err := a.claimDatabase(ctx); err != nil {
		return nil, err
	}
	listen := sim.ListenBanner
	if a.cfg.SimMachines != "banner" {
		listen = sim.ListenSSH
		var err error
		if a.unisolated, err = unisolated(ctx, a.cfg); err != nil {
			return nil, err
		}
	}
	world, err := sim.Open(ctx, sim.Config{
		Dir: filepath.Join(a.cfg.DataDir, "sim"), Clock: a.Clock, Log: a.cfg.Log, Listen: listen,
		Unisolated: a.unisolated,
	})
	if err != nil {
		return nil, fmt.Errorf("open the simulator: %w", err)
	}
	a.world = world
	a.closers = append(a.closers, world.Close)
	return world.Providers(), nil
}

func (o *Operator) pastDueTerms(c Config) pastdue.Terms {
	return pastdue.Terms{
		Grace: c.PastDueGrace, KeepVolumes: c.PastDueKeepVolumes,
		NotBefore: func() time.Time { return time.Unix(0, o.settled.Load()).UTC() },
	}
}

// inRecovery are the jobs that a server in recovery does: they read, or do what an operator wants.
var inRecovery = []job.Kind{
	catalog.KindSync, deployment.KindWatch, volume.KindWatch, issue.KindEnd, signedhead.KindVerify, recovery.KindEnd,
}

// excludes reports whether jobs of that kind wait for the end of a recovery. After it, automatic
// top-ups wait: the money of the last one may be missing in the database.
func (a *App) excludes(k job.Kind) bool {
	return a.restored.Load() && !slices.Contains(inRecovery, k) || k == payment.KindAutomatic && a.settles()
}

// buildRunner registers the handlers of background jobs.
func (a *App) buildRunner() {
	s := a.services
	a.runner = job.NewRunner(job.Config{
		DB: a.DB, Queue: a.Jobs, Clock: a.Clock, Real: db.Time, Log: a.cfg.Log, Workers: workers,
		Observe: a.work.Run,
	})
	a.runner.TakeOnlyWhile(a.skew.within)
	remover := issue.NewRemover(issue.RemoverConfig{DB: a.DB, Clock: a.Clock, Issues: a.Issues, Providers: s.providers})
	a.runner.Handle(deployment.KindReconcile, s.deployments.Reconcile)
	a.runner.Handle(deployment.KindDowntime, s.owed.Propose)
	a.runner.Handle(deployment.KindHealth, s.deployments.CheckHealth)
	a.runner.Handle(budget.KindEnd, s.deployments.EndForBudget)
	a.runner.Handle(volume.KindVolume, s.volumes.Reconcile)
	a.runner.Handle(meter.KindSweep, s.meter.Sweep)
	a.runner.Handle(meter.KindPastDue, s.pastDue.Reconcile)
	a.runner.Handle(pastdue.KindThreshold, s.pastDue.Threshold)
	a.runner.HandlePeriodic(pastdue.KindWatch, s.pastDue.Watch)
	a.runner.Handle(issue.KindEnd, remover.End)
	a.runner.Handle(rack.KindMachine, a.Machines.Work)
	a.runner.Handle(console.KindExpire, a.Consoles.Expire)
	a.runner.Handle(webhook.KindSend, a.Webhooks.Send)
	a.runner.Handle(mail.KindSend, a.Mail.Send)
	s.payments.handle(a.runner)
	a.runner.Handle(credit.KindExpire, a.Credits.Expire)
	a.runner.Handle(credit.KindRemind, a.Credits.Remind)
	a.runner.Handle(announcement.KindMail, s.announced.Deliver)
	a.runner.HandlePeriodic(announcement.KindPurge, s.announced.Purge)
	a.runner.Handle(adjustment.KindExpire, a.Adjustments.Expire)
	a.runner.Handle(invoice.KindMonth, s.invoices.Month)
	a.runner.Handle(invoice.KindIssue, s.invoices.Issue)
	a.runner.Handle(invoice.KindRender, s.invoices.Render)
	a.runner.Handle(incident.KindTell, s.incidents.Tell)
	a.runner.HandlePeriodic(incident.KindWatch, s.incidents.Watch)
	a.runner.HandlePeriodic(catalog.KindSync, s.catalog.Sync)
	a.runner.HandlePeriodic(deployment.KindWatch, s.deployments.Watch)
	a.runner.HandlePeriodic(volume.KindWatch, s.volumes.Watch)
	a.runner.HandlePeriodic(idempotency.KindPurge, s.answers.Purge)
	a.runner.HandlePeriodic(webhook.KindPurge, a.Webhooks.Purge)
	a.runner.HandlePeriodic(mail.KindPurge, a.Mail.Purge)
	a.runner.HandlePeriodic(retention.KindPurge, a.retention.Purge)
	a.runner.HandlePeriodic(rack.KindRefusals, a.Machines.ReportRefusals)
	a.runner.HandlePeriodic(signedhead.KindSign, a.SignedHeads.Sign)
	a.runner.HandlePeriodic(signedhead.KindVerify, a.SignedHeads.VerifyDaily)
	a.runner.Handle(recovery.KindEnd, a.Recovery.End)
	a.runner.Exclude(a.excludes)
}

func (a *App) buildHandler(set parsed, limiter ratelimit.Limiter) {
	s := a.services
	var simulation *httpapi.Simulator
	if a.world != nil {
		a.simulator = &simulator{dir: a.cfg.DataDir, clock: a.simulated, runner: a.runner, world: a.world}
		simulation = a.simulator.forAPI()
	}
	a.handler = httpapi.New(httpapi.Config{
		DB: a.DB, IDs: a.IDs, Clock: a.Clock, Real: time.Now, Log: a.cfg.Log, Registry: a.metrics, Limiter: limiter,
		Observe:  a.requestObserver(),
		Accounts: a.Accounts, Audit: a.Audit, Catalog: s.catalog, SSHKeys: s.keys, Images: a.Images, Wallet: a.Wallet,
		Credits: a.Credits, PromoCodes: a.PromoCodes, Meter: s.meter,
		SignedHeads: a.SignedHeads,
		Volumes:     s.volumes, Deployments: s.deployments, PriceRules: a.PriceRules, Quotes: s.quotes,
		Budgets: s.budgets, Invoices: s.invoices, Payments: s.payments.svc, DemoPayments: s.payments.demo,
		Transfers: s.payments.transfers, CheckPayments: a.checkPayments,
		Events: a.Events, Webhooks: a.Webhooks,
		Issues: a.Issues, Incidents: s.incidents, Announcements: s.announced, Machines: a.Machines,
		Consoles: a.Consoles,
		Operator: a.Console, Adjustments: a.Adjustments, Idempotency: s.answers,
		ServiceCredits: s.owed,
		Settings:       a.Settings, Mail: a.Mail, SignUp: a.SignUp, Setup: a.Setup, Version: a.cfg.Version,
		TrustedProxies: set.proxies,
		Recovering:     a.restored.Load,
		PublicURL:      set.public, OIDC: set.oidc, DemoEmail: func() string { return a.demo.Email },
		DemoPassword: a.demoPassword,
		Elsewhere:    dashboard.New().Serve, Simulator: simulation,
		ProviderAccounts: a.live.forAPI(), Serves: a.serves, PastDueTerms: a.pastDueTerms(a.cfg),
	})
}

// identityProvider returns nil if none is configured.
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
	if a.cfg.RedisURL == "" {
		return ratelimit.NewMemory(time.Now), nil
	}
	l, err := redislimit.New(redislimit.Config{URL: a.cfg.RedisURL, Log: a.cfg.Log, Now: time.Now})
	if err != nil {
		return nil, err
	}
	a.closers = append(a.closers, l.Close)
	return l, nil
}

// startPeriodic enqueues the periodic jobs.
func (a *App) startPeriodic(ctx context.Context) error {
	for _, start := range []func(context.Context) error{
		func(ctx context.Context) error { return a.startProviderJobs(ctx) },
		a.services.pastDue.StartWatching, a.services.incidents.StartWatching, a.startPurges,
		a.SignedHeads.Start, a.Machines.Start, a.retention.Start,
	} {
		if err := start(ctx); err != nil {
			return err
		}
	}
	return nil
}

// Close releases what Open acquired. Simulated machines keep running.
func (a *App) Close() error {
	var errs []error
	for i := len(a.closers) - 1; i >= 0; i-- {
		errs = append(errs, a.closers[i]())
	}
	return errors.Join(errs...)
}

// Started describes the server once it answers.
type Started struct {
	// URL is the address of the API.
	URL string
	// MetricsURL is the address of the metrics, or "".
	MetricsURL string
	// Unisolated is true if simulated machines are not isolated from this computer.
	Unisolated bool
	// Demo is the demo account; nil without Config.Demo.
	Demo *Demo
	// DemoFile is the file with the demo account.
	DemoFile string
	// SetupURL is the page that creates the first user; "" if there is one.
	SetupURL string
}

// Run serves until the context ends, then stops in order. started is called once, when the server
// answers.
func (a *App) Run(ctx context.Context, started func(Started)) error {
	SetMemory()
	l, err := net.Listen("tcp", a.cfg.Listen)
	if err != nil {
		return fmt.Errorf("listen: %w; %s", err, afterListen(err))
	}
	defer func() { _ = l.Close() }()
	s := Started{Unisolated: a.unisolated}
	servers, listeners, err := a.front(ctx, l)
	if err != nil {
		return err
	}
	s.URL = a.at(l.Addr())
	a.services.payments.at(s.URL)
	if err := a.warnOfTestMode(ctx); err != nil {
		return err
	}
	beside, besideOn, err := a.listenBeside(ctx, &s)
	for _, l := range besideOn {
		defer func() { _ = l.Close() }()
	}
	if err != nil {
		return err
	}
	servers, listeners = append(servers, beside...), append(listeners, besideOn...)
	if a.world != nil {
		sl, err := listenSocket(a.cfg.DataDir)
		if err != nil {
			return err
		}
		defer func() { _ = os.Remove(filepath.Join(a.cfg.DataDir, socketFile)) }()
		defer func() { _ = sl.Close() }()
		operator := a.server(socketHandler(a.simulator))
		operator.WriteTimeout = 0 // a year with many machines takes its time
		servers, listeners = append(servers, operator), append(listeners, sl)
	}
	if err := a.firstUser(ctx, &s); err != nil {
		return err
	}
	if err := a.startPeriodic(ctx); err != nil {
		return err
	}

	// With the simulator or SQLite, a lock on the database or the data directory excludes other
	// servers.
	if a.world != nil || a.DB.Engine() == db.SQLite {
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
	a.warnOfConnections(ctx)
	debug.FreeOSMemory() // migrations and hashing the demo account's password needed much memory
	a.cfg.Log.InfoContext(ctx, "serving", "version", a.cfg.Version, "url", s.URL, "database", a.DB.Engine(),
		"sim", a.cfg.Sim, "metrics", s.MetricsURL, "clockAhead", time.Duration(a.skew.ahead.Load()))
	started(s)
	select {
	case <-ctx.Done():
		err = a.drain(ctx, failed)
	case err = <-failed:
	case err = <-a.claimLost:
	}
	a.cfg.Log.InfoContext(ctx, "stopping")
	a.Events.EndWatches() // clients that wait for a deployment are answered now
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTime)
	defer cancel()
	for _, server := range servers {
		e := server.Shutdown(grace)
		if errors.Is(e, context.DeadlineExceeded) { // as intended, and no error
			a.cfg.Log.WarnContext(ctx, "interrupted the remaining requests", "after", shutdownTime)
			e = nil
		}
		err = errors.Join(err, e, server.Close())
	}
	stop()
	a.await(ctx, &wg)
	// the requests may have used their whole time
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), flushTime)
	defer cancel()
	return errors.Join(err, a.Accounts.FlushLastUse(last))
}

// listenBeside returns the servers beside the API, of the metrics and of the provisioning network,
// with their listeners, also those that it opened before an error.
func (a *App) listenBeside(ctx context.Context, s *Started) (servers []*http.Server, on []net.Listener, err error) {
	if a.cfg.MetricsListen != "" {
		server, l, err := a.listenMetrics(ctx)
		if err != nil {
			return servers, on, err
		}
		servers, on = append(servers, server), append(on, l)
		s.MetricsURL = "http://" + reachable(l.Addr()) + "/metrics"
	}
	server, l, err := a.listenRacks(ctx)
	if server != nil {
		servers, on = append(servers, server), append(on, l)
	}
	return servers, on, err
}

// firstUser creates the demo account, or offers the setup page of a server without a user.
func (a *App) firstUser(ctx context.Context, s *Started) (err error) {
	if a.cfg.Demo && !a.restored.Load() { // it may have been lost with the database
		d, err := ensureDemo(ctx, a.Operator, a.cfg.DataDir, s.URL)
		if err != nil {
			return fmt.Errorf("create the demo account: %w", err)
		}
		a.demo = d
		s.Demo, s.DemoFile = &d, filepath.Join(a.cfg.DataDir, demoFile)
	}
	if s.SetupURL, err = a.offerSetup(ctx, s.URL); err != nil {
		return fmt.Errorf("offer the setup page: %w", err)
	}
	return nil
}

// startLoops starts the background loops, which run until the context ends.
func (a *App) startLoops(ctx context.Context, wg *sync.WaitGroup) {
	loop := func(d time.Duration, what string, f func(context.Context) error) {
		a.loops.begin(what, d, nil)
		wg.Go(func() { a.loops.every(ctx, d, a.cfg.Log, what, f) })
	}
	if a.certs != nil {
		loop(certificatesEvery, "keep certificates", a.certs.Round)
	}
	a.loops.begin("run jobs", 0, a.runner.Alive)
	wg.Go(func() { a.runner.Run(ctx) })
	loop(measureEvery, "measure the clock's skew", a.skew.measure)
	loop(rereadEvery, "reload the catalog", a.services.catalog.Load)
	loop(accountsEvery, "look for changed provider accounts", a.live.load)
	loop(keyEvery, "look for another secret key", a.followSecretKey)
	loop(recoveryEvery, "check whether a recovery has ended", a.readRecovery)
	loop(flushEvery, "write last uses", a.Accounts.FlushLastUse)
	loop(flushEvery, "delete expired device authorizations", a.Accounts.ForgetDeviceAuthorizations)
	loop(flushEvery, "delete expired challenges", a.SignUp.Forget)
	loop(flushEvery, "end views of accounts",
		func(ctx context.Context) error { return a.Console.EndOverdueViews(ctx, a.DB) })
	if a.DB.Replica() != nil {
		loop(replicaEvery, "watch the database's replica", a.watchReplica)
	}
	if a.DB.Engine() == db.Postgres {
		loop(pollEvery, "poll events of other replicas",
			func(ctx context.Context) error { return a.Events.Poll(ctx, a.DB) })
	}
}

// await waits for background work to end, up to backgroundTime. The process ends without what still
// hangs then. Jobs continue elsewhere when their leases end.
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
		a.cfg.Log.WarnContext(ctx, "abandoned background work that did not end", "after", backgroundTime)
	}
}

// awaitOffers waits until all providers have answered or failed once, or the time is over, so that
// a server that has started has offers.
func (a *App) awaitOffers(ctx context.Context) {
	limit := firstAnswer
	if a.world != nil {
		limit = firstSimulated
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	pending := func(h catalog.Health) bool { return h.LastSuccessAt == nil && h.LastFailureAt == nil }
	for slices.ContainsFunc(a.services.catalog.Health(), pending) {
		if (clock.System{}).SleepUntil(ctx, time.Now().Add(5*time.Millisecond)) != nil {
			return
		}
	}
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
		// noise of clients that disconnect
		ErrorLog: slog.NewLogLogger(a.cfg.Log.Handler(), slog.LevelDebug),
	}
}

// reachable returns an address that a client on this machine can use: loopback for a wildcard.
func reachable(a net.Addr) string {
	t, ok := a.(*net.TCPAddr)
	if !ok || !t.IP.IsUnspecified() {
		return a.String()
	}
	return net.JoinHostPort("127.0.0.1", fmt.Sprint(t.Port))
}
