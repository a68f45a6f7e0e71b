package app

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/billetcloud/billet/internal/catalog"
	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/deployment"
	"github.com/billetcloud/billet/internal/issue"
	"github.com/billetcloud/billet/internal/job"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/wallet"
	"github.com/billetcloud/billet/internal/webhook"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

const (
	// scrapeTime limits the queries for one scrape. A scrape that times out is lost as a whole, and
	// the process's own metrics are needed most when the database is slow.
	scrapeTime = 2 * time.Second
	// backupFile is the file in the data directory whose time is that of the last backup.
	backupFile = "last-backup"
)

// gaugesConfig is where the gauges come from.
type gaugesConfig struct {
	db    *db.DB
	log   *slog.Logger
	clock clock.Clock
	loops *loops
	kinds []job.Kind
	// offers returns the state of each provider's offers, accounts why provider accounts cannot be
	// opened, by slug.
	offers   func() []catalog.Health
	accounts func() map[string]error
	started  time.Time // by the clock
	dir      string
	version  string
}

// gauges are the metrics that are read when they are scraped. Those from the database are cached,
// and the same on every replica.
type gauges struct {
	gaugesConfig
	issues      kept[[]issue.Count]
	deployments kept[map[deployment.Status]int64]
	failing     kept[map[job.Kind]int64]
	due         kept[map[job.Kind]time.Time]
	wallets     kept[wallet.Totals]
	webhook     kept[*time.Time] // since when one waits; nil for none
	all         []*prometheus.Desc

	openIssues, endedIssues, byStatus, failingJobs, oldestJob, age, account  *prometheus.Desc
	round, roundTook, roundFails, synced, failingOffers, held, owed, pastDue *prometheus.Desc
	webhookLag, build, backup                                                *prometheus.Desc
}

func newGauges(c gaugesConfig, issues *issue.Service, deployments *deployment.Service) *gauges {
	g := &gauges{gaugesConfig: c}
	g.issues = counted(func(ctx context.Context) ([]issue.Count, error) { return issues.Counts(ctx, c.db) })
	g.deployments = counted(func(ctx context.Context) (map[deployment.Status]int64, error) {
		return deployments.CountByStatus(ctx, c.db)
	})
	g.failing = counted(func(ctx context.Context) (map[job.Kind]int64, error) { return job.CountFailing(ctx, c.db) })
	g.due = counted(func(ctx context.Context) (map[job.Kind]time.Time, error) {
		return job.OldestDue(ctx, c.db, c.clock.Now())
	})
	g.wallets = counted(func(ctx context.Context) (wallet.Totals, error) { return wallet.Sum(ctx, c.db) })
	g.webhook = counted(func(ctx context.Context) (*time.Time, error) {
		since, waits, err := webhook.OldestWaiting(ctx, c.db)
		if !waits {
			return nil, err
		}
		return &since, err
	})
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		d := prometheus.NewDesc(name, help, labels, nil)
		g.all = append(g.all, d)
		return d
	}
	const same = " The same on every replica."
	g.account = desc("billet_provider_account_error", "1 for each provider account that this replica cannot open, "+
		"so that what is there is not managed.", "provider")
	g.age = desc("billet_counts_age_seconds", "Age of the counts from the database, by what is counted: at most a "+
		"hundred times the duration of the count, plus one scrape.", "what")
	g.openIssues = desc("billet_issues", "Open issues, such as orphaned machines."+same, "provider", "kind")
	g.endedIssues = desc("billet_issues_ended_total", "Issues that Billet has resolved."+same, "provider", "kind")
	g.byStatus = desc("billet_deployments", "Deployments by status, including ended ones."+same, "status")
	g.failingJobs = desc("billet_jobs_failing", "Jobs whose last run failed and that will be retried."+same, "kind")
	g.oldestJob = desc("billet_jobs_oldest_due_seconds",
		"How long the oldest waiting job of the kind has been due; 0 if none is due."+same, "kind")
	g.round = desc("billet_loop_last_round_seconds", "Time since each background loop of this replica last ran.",
		"loop")
	g.roundTook = desc("billet_loop_last_round_duration_seconds", "Duration of the last round of each background "+
		"loop of this replica that succeeded.", "loop")
	g.roundFails = desc("billet_loop_failures_total", "Rounds of each background loop of this replica that failed.",
		"loop")
	g.synced = desc("billet_catalog_age_seconds", "Time since the provider last answered with its offers; since the "+
		"start of the server if it never has.", "provider")
	g.failingOffers = desc("billet_catalog_failures", "Consecutive failures of reading the provider's offers; 0 after "+
		"a success.", "provider")
	g.held = desc("billet_wallet_held_dollars", "Money on hold, of all accounts."+same)
	g.owed = desc("billet_wallet_owed_dollars", "Money that accounts with a negative balance owe."+same)
	g.pastDue = desc("billet_accounts_past_due", "Accounts with a negative balance."+same)
	g.webhookLag = desc("billet_webhook_oldest_waiting_seconds", "How long the oldest webhook delivery to a working "+
		"receiver has waited for its first attempt; 0 if none waits."+same)
	g.build = desc("billet_build_info", "1, with the version of the server.", "version", "go_version", "database")
	g.backup = desc("billet_backup_age_seconds", "Time since the last backup by `billetd backup`, or since the file "+
		backupFile+" in the data directory was touched; absent if there was none.")
	return g
}

// counted returns a kept count.
func counted[T any](ask func(context.Context) (T, error)) kept[T] {
	return kept[T]{ask: ask, now: time.Now}
}

// Describe sends the descriptions.
func (g *gauges) Describe(to chan<- *prometheus.Desc) {
	for _, d := range g.all {
		to <- d
	}
}

// sample is a value of a gauge.
func sample(to chan<- prometheus.Metric, d *prometheus.Desc, value float64, labels ...string) {
	to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
}

// total is a value of a counter.
func total(to chan<- prometheus.Metric, d *prometheus.Desc, value float64, labels ...string) {
	to <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, value, labels...)
}

// Collect queries the database. What it does not return in time is left out and logged.
func (g *gauges) Collect(to chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), scrapeTime)
	defer cancel()
	g.process(to)
	g.providers(to)
	g.countIssues(ctx, to)
	g.countJobs(ctx, to)
	deployments, age, err := g.deployments.get(ctx)
	if g.counted(ctx, to, "deployments", age, err) {
		for _, status := range deployment.Statuses {
			sample(to, g.byStatus, float64(deployments[status]), string(status))
		}
	}
	totals, age, err := g.wallets.get(ctx)
	if g.counted(ctx, to, "wallets", age, err) {
		sample(to, g.held, dollars(totals.Held))
		sample(to, g.owed, dollars(totals.Owed))
		sample(to, g.pastDue, float64(totals.PastDue))
	}
	since, age, err := g.webhook.get(ctx)
	if g.counted(ctx, to, "webhooks", age, err) {
		lag := time.Duration(0)
		if since != nil {
			lag = g.since(*since)
		}
		sample(to, g.webhookLag, lag.Seconds())
	}
}

// dollars is for display: sums of money are exact in the database.
func dollars(m money.Micros) float64 { return float64(m) / float64(money.USD) }

// since is how long ago that was by the server's clock.
func (g *gauges) since(at time.Time) time.Duration { return max(g.clock.Now().Sub(at), 0) }

// process sends what this process knows without the database.
func (g *gauges) process(to chan<- prometheus.Metric) {
	sample(to, g.build, 1, g.version, runtime.Version(), string(g.db.Engine()))
	ages, _ := g.loops.ages()
	for loop, age := range ages {
		sample(to, g.round, age.Seconds(), loop)
	}
	for loop, r := range g.loops.rounds() {
		sample(to, g.roundTook, r.took.Seconds(), loop)
		total(to, g.roundFails, float64(r.fails), loop)
	}
	if file, err := os.Stat(filepath.Join(g.dir, backupFile)); err == nil {
		sample(to, g.backup, max(time.Since(file.ModTime()), 0).Seconds())
	}
}

// providers sends what is known of each provider. A failing catalog is known on every replica,
// since all read the same rows.
func (g *gauges) providers(to chan<- prometheus.Metric) {
	for slug := range g.accounts() {
		sample(to, g.account, 1, slug)
	}
	for _, h := range g.offers() {
		at := g.started
		if h.LastSuccessAt != nil {
			at = *h.LastSuccessAt
		}
		sample(to, g.synced, g.since(at).Seconds(), h.Provider)
		sample(to, g.failingOffers, float64(h.Failures), h.Provider)
	}
}

func (g *gauges) countIssues(ctx context.Context, to chan<- prometheus.Metric) {
	found, age, err := g.issues.get(ctx)
	if !g.counted(ctx, to, "issues", age, err) {
		return
	}
	type labels struct{ provider, kind string }
	open, ended := map[labels]int64{}, map[labels]int64{}
	for _, h := range g.offers() {
		for _, kind := range issue.Kinds {
			open[labels{h.Provider, string(kind)}] = 0
		}
	}
	for _, kind := range []issue.Kind{issue.ChangedLedger, issue.InvoiceDifference} {
		open[labels{issue.LedgerSource, string(kind)}] = 0
	}
	for at := range open {
		ended[at] = 0
	}
	for _, c := range found {
		at := labels{c.Provider, string(c.Kind)}
		if c.State == issue.StateOpen {
			open[at] += c.Issues
		} else {
			ended[at] += c.Issues
		}
	}
	for at, n := range open {
		sample(to, g.openIssues, float64(n), at.provider, at.kind)
	}
	for at, n := range ended {
		total(to, g.endedIssues, float64(n), at.provider, at.kind)
	}
}

func (g *gauges) countJobs(ctx context.Context, to chan<- prometheus.Metric) {
	due, age, err := g.due.get(ctx)
	if g.counted(ctx, to, "due jobs", age, err) {
		for _, kind := range g.kinds {
			late := time.Duration(0)
			if at, waits := due[kind]; waits {
				late = g.since(at)
			}
			sample(to, g.oldestJob, late.Seconds(), string(kind))
		}
	}
	failing, age, err := g.failing.get(ctx)
	if g.counted(ctx, to, "failing jobs", age, err) {
		for _, kind := range g.kinds {
			sample(to, g.failingJobs, float64(failing[kind]), string(kind))
		}
	}
}

// counted sends the age of a count. It returns false, and logs, if the database did not return it.
func (g *gauges) counted(ctx context.Context, to chan<- prometheus.Metric, what string, age time.Duration,
	err error) bool {
	if err != nil {
		g.log.WarnContext(ctx, "a scrape lacks metrics that the database did not return in time", "what", what,
			"error", err)
		return false
	}
	sample(to, g.age, age.Seconds(), what)
	return true
}

// poolCollectors are the metrics of the connections to the database: go_sql_* with db_name read or
// write, or all where one pool is for both.
func poolCollectors(d *db.DB) []prometheus.Collector {
	read, write := d.Pools()
	if read == write {
		return []prometheus.Collector{collectors.NewDBStatsCollector(read, "all")}
	}
	return []prometheus.Collector{
		collectors.NewDBStatsCollector(read, "read"), collectors.NewDBStatsCollector(write, "write"),
	}
}
