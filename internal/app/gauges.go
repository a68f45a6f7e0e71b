package app

import (
	"context"
	"log/slog"
	"time"

	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/deployment"
	"github.com/billetcloud/billet/internal/issue"
	"github.com/billetcloud/billet/internal/job"
	"github.com/prometheus/client_golang/prometheus"
)

// scrapeTime limits the queries for one scrape. A scrape that times out is lost as a whole, and the
// process's own metrics are needed most when the database is slow.
const scrapeTime = 2 * time.Second

// gauges are the metrics from the database, the same on every replica. Counts that grow without
// limit are cached.
type gauges struct {
	db          *db.DB
	log         *slog.Logger
	clock       clock.Clock
	loops       *loops
	issues      kept[[]issue.Count]
	deployments kept[map[deployment.Status]int64]
	// accounts returns why provider accounts cannot be opened, by slug.
	accounts func() map[string]error

	open, ended, byStatus, failing, oldest, round, age, account *prometheus.Desc
}

func newGauges(d *db.DB, log *slog.Logger, c clock.Clock, r *loops, issues *issue.Service,
	deployments *deployment.Service, accounts func() map[string]error) *gauges {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(name, help, labels, nil)
	}
	return &gauges{
		db: d, log: log, clock: c, loops: r, accounts: accounts,
		account: desc("billet_provider_account_error", "1 for each provider account that this replica cannot open, "+
			"so that what is there is not managed.", "provider"),
		issues: kept[[]issue.Count]{now: time.Now, ask: func(ctx context.Context) ([]issue.Count, error) {
			return issues.Counts(ctx, d)
		}},
		deployments: kept[map[deployment.Status]int64]{now: time.Now,
			ask: func(ctx context.Context) (map[deployment.Status]int64, error) {
				return deployments.CountByStatus(ctx, d)
			}},
		age: desc("billet_counts_age_seconds", "Age of the counts in billet_deployments and billet_issues: "+
			"at most a hundred times the duration of the count, plus one scrape.", "what"),
		open: desc("billet_issues", "Open issues, such as orphaned machines. The same on every replica.", "provider",
			"kind"),
		ended: desc("billet_issues_ended_total", "Issues that Billet has resolved. The same on every replica.",
			"provider", "kind"),
		byStatus: desc("billet_deployments", "Deployments by status, including ended ones. The same on every replica.",
			"status"),
		failing: desc("billet_jobs_failing",
			"Jobs whose last run failed and that will be retried. The same on every replica.",
			"kind"),
		oldest: desc("billet_jobs_oldest_due_seconds",
			"How long the oldest waiting job has been due; 0 if none is due. The same on every replica."),
		round: desc("billet_loop_last_round_seconds", "Time since each background loop of this replica last ran.",
			"loop"),
	}
}

// Describe sends the descriptions.
func (g *gauges) Describe(to chan<- *prometheus.Desc) {
	to <- g.open
	to <- g.ended
	to <- g.byStatus
	to <- g.failing
	to <- g.oldest
	to <- g.round
	to <- g.age
	to <- g.account
}

// Collect queries the database. What it does not return in time is left out and logged.
func (g *gauges) Collect(to chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), scrapeTime)
	defer cancel()
	ages, _ := g.loops.ages() // independent of the database
	for loop, age := range ages {
		to <- prometheus.MustNewConstMetric(g.round, prometheus.GaugeValue, age.Seconds(), loop)
	}
	for slug := range g.accounts() {
		to <- prometheus.MustNewConstMetric(g.account, prometheus.GaugeValue, 1, slug)
	}
	found, age, err := g.issues.get(ctx)
	g.missing(ctx, "issues", err)
	if err == nil {
		to <- prometheus.MustNewConstMetric(g.age, prometheus.GaugeValue, age.Seconds(), "issues")
	}
	for _, c := range found {
		if c.State == issue.StateOpen {
			to <- prometheus.MustNewConstMetric(g.open, prometheus.GaugeValue, float64(c.Issues), c.Provider,
				string(c.Kind))
		} else {
			to <- prometheus.MustNewConstMetric(g.ended, prometheus.CounterValue, float64(c.Issues), c.Provider,
				string(c.Kind))
		}
	}
	deployments, age, err := g.deployments.get(ctx)
	g.missing(ctx, "deployments", err)
	if err == nil {
		to <- prometheus.MustNewConstMetric(g.age, prometheus.GaugeValue, age.Seconds(), "deployments")
	}
	for status, n := range deployments {
		to <- prometheus.MustNewConstMetric(g.byStatus, prometheus.GaugeValue, float64(n), string(status))
	}
	due, waits, err := job.OldestDue(ctx, g.db)
	g.missing(ctx, "the oldest job", err)
	if err == nil {
		age := time.Duration(0)
		if waits {
			age = max(g.clock.Now().Sub(due), 0)
		}
		to <- prometheus.MustNewConstMetric(g.oldest, prometheus.GaugeValue, age.Seconds())
	}
	jobs, err := job.CountFailing(ctx, g.db)
	g.missing(ctx, "jobs", err)
	for kind, n := range jobs {
		to <- prometheus.MustNewConstMetric(g.failing, prometheus.GaugeValue, float64(n), string(kind))
	}
}

func (g *gauges) missing(ctx context.Context, what string, err error) {
	if err != nil {
		g.log.WarnContext(ctx, "a scrape lacks metrics that the database did not return in time", "what", what,
			"error", err)
	}
}
