package app

import (
	"context"
	"log/slog"
	"time"

	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/deployment"
	"github.com/billetcloud/billet/internal/finding"
	"github.com/billetcloud/billet/internal/job"
	"github.com/prometheus/client_golang/prometheus"
)

// scrapeTime is how long the database may take for the gauges of one scrape. A scrape that comes too late is lost as a whole, and
// what the process says of itself is wanted most of all when the database is slow.
const scrapeTime = 2 * time.Second

// gauges tell what the database says when somebody looks: one query for each, the same on every replica.
type gauges struct {
	db          *db.DB
	log         *slog.Logger
	clock       clock.Clock
	rounds      *rounds
	findings    *finding.Service
	deployments *deployment.Service

	open, ended, byStatus, failing, oldest, round *prometheus.Desc
}

func newGauges(d *db.DB, log *slog.Logger, c clock.Clock, r *rounds, findings *finding.Service, deployments *deployment.Service) *gauges {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(name, help, labels, nil)
	}
	return &gauges{
		db: d, log: log, clock: c, rounds: r, findings: findings, deployments: deployments,
		open:     desc("billet_findings", "Open findings: what providers have and nobody owns, and the like. The same on every replica.", "provider", "kind"),
		ended:    desc("billet_findings_ended_total", "Findings that Billet has ended. The same on every replica.", "provider", "kind"),
		byStatus: desc("billet_deployments", "Deployments by status, those that have ended too. The same on every replica.", "status"),
		failing:  desc("billet_jobs_failing", "Jobs that failed when they last ran, and are tried again. The same on every replica.", "kind"),
		oldest:   desc("billet_jobs_oldest_due_seconds", "How long the job has been due that waits for longest and that nobody runs; 0 where none waits. The same on every replica."),
		round:    desc("billet_loop_last_round_seconds", "How long ago each background loop of this replica last came round.", "loop"),
	}
}

// Describe sends nothing but the names.
func (g *gauges) Describe(to chan<- *prometheus.Desc) {
	to <- g.open
	to <- g.ended
	to <- g.byStatus
	to <- g.failing
	to <- g.oldest
	to <- g.round
}

// Collect asks the database. What it does not say in time is left out, and logged.
func (g *gauges) Collect(to chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), scrapeTime)
	defer cancel()
	ages, _ := g.rounds.ages() // whatever the database says
	for loop, age := range ages {
		to <- prometheus.MustNewConstMetric(g.round, prometheus.GaugeValue, age.Seconds(), loop)
	}
	found, err := g.findings.Counts(ctx, g.db)
	g.missing(ctx, "findings", err)
	for _, c := range found {
		if c.State == finding.StateOpen {
			to <- prometheus.MustNewConstMetric(g.open, prometheus.GaugeValue, float64(c.Findings), c.Provider, string(c.Kind))
		} else {
			to <- prometheus.MustNewConstMetric(g.ended, prometheus.CounterValue, float64(c.Findings), c.Provider, string(c.Kind))
		}
	}
	deployments, err := g.deployments.CountByStatus(ctx, g.db)
	g.missing(ctx, "deployments", err)
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
		g.log.WarnContext(ctx, "a scrape of the metrics goes without what the database did not say", "what", what, "error", err)
	}
}
