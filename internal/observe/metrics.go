package observe

import (
	"context"
	"errors"
	"time"

	"github.com/billetcloud/billet/internal/catalog"
	"github.com/billetcloud/billet/internal/job"
	"github.com/billetcloud/billet/internal/provider"
	"github.com/prometheus/client_golang/prometheus"
)

// The outcomes of calls and runs, beside the kinds of errors of providers.
const (
	succeeded = "success"
	failed    = "error"
	// lost is a run that lost its job to another one, or was interrupted by the end of the server.
	lost = "interrupted"
)

// Metrics are the metrics of this process's work.
type Metrics struct {
	calls      *prometheus.CounterVec
	callTime   *prometheus.HistogramVec
	runs       *prometheus.CounterVec
	runTime    *prometheus.HistogramVec
	launches   *prometheus.CounterVec
	launchTime *prometheus.HistogramVec
	traces     *Traces
}

// NewMetrics registers the metrics. traces may be nil.
func NewMetrics(r prometheus.Registerer, traces *Traces) *Metrics {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	}
	histogram := func(name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
		return prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets}, labels)
	}
	m := &Metrics{
		calls: counter("billet_provider_calls_total", "Calls of providers by this replica's background jobs.",
			"provider", "call", "outcome"),
		callTime: histogram("billet_provider_call_duration_seconds", "Duration of calls of providers.",
			[]float64{.05, .1, .25, .5, 1, 2.5, 5, 10, 20, 30, 60}, "provider", "call"),
		runs: counter("billet_job_runs_total", "Runs of background jobs by this replica.", "kind", "outcome"),
		runTime: histogram("billet_job_run_duration_seconds", "Duration of runs of background jobs.",
			[]float64{.005, .025, .1, .5, 1, 5, 15, 60, 240}, "kind"),
		launches: counter("billet_launches_total", "Finished launches on one offer: ssh means that SSH became "+
			"reachable.", "provider", "outcome"),
		launchTime: histogram("billet_launch_duration_seconds", "Time from the accepted deploy to reachable SSH.",
			[]float64{15, 30, 60, 120, 180, 300, 600, 900, 1200, 1800, 2700, 3600, 7200}, "provider"),
		traces: traces,
	}
	r.MustRegister(m.calls, m.callTime, m.runs, m.runTime, m.launches, m.launchTime)
	return m
}

// BeginProviders creates the series of providers.
func (m *Metrics) BeginProviders(slugs ...string) {
	for _, slug := range slugs {
		for _, call := range provider.Calls {
			m.calls.WithLabelValues(slug, string(call), succeeded)
			for _, kind := range provider.Kinds {
				m.calls.WithLabelValues(slug, string(call), string(kind))
			}
			m.callTime.WithLabelValues(slug, string(call))
		}
		for _, outcome := range catalog.Outcomes {
			m.launches.WithLabelValues(slug, string(outcome))
		}
		m.launchTime.WithLabelValues(slug)
	}
}

// BeginJobs creates the series of kinds of jobs.
func (m *Metrics) BeginJobs(kinds ...job.Kind) {
	for _, kind := range kinds {
		for _, outcome := range []string{succeeded, failed, lost} {
			m.runs.WithLabelValues(string(kind), outcome)
		}
		m.runTime.WithLabelValues(string(kind))
	}
}

// Launched counts a finished launch.
func (m *Metrics) Launched(a catalog.Attempt) {
	m.launches.WithLabelValues(a.Provider, string(a.Outcome)).Inc()
	if a.Outcome == catalog.ReachedSSH {
		m.launchTime.WithLabelValues(a.Provider).Observe(a.Took.Seconds())
	}
}

// Run counts and traces a run of a job, and the calls of providers in it.
func (m *Metrics) Run(ctx context.Context, r job.Run) (context.Context, func(error)) {
	began := time.Now()
	ctx, end := m.traces.run(ctx, r)
	return provider.WithObserver(ctx, m.call), func(err error) {
		outcome := succeeded
		switch {
		case errors.Is(err, job.ErrLost), errors.Is(err, context.Canceled):
			outcome = lost
		case err != nil:
			outcome = failed
		}
		m.runs.WithLabelValues(string(r.Kind), outcome).Inc()
		m.runTime.WithLabelValues(string(r.Kind)).Observe(time.Since(began).Seconds())
		end(err)
	}
}

// call is a provider.Observer.
func (m *Metrics) call(ctx context.Context, slug string, call provider.Call) (context.Context, func(error)) {
	began := time.Now()
	ctx, end := m.traces.call(ctx, slug, call)
	return ctx, func(err error) {
		outcome := succeeded
		if err != nil {
			outcome = string(provider.KindOf(err))
		}
		m.calls.WithLabelValues(slug, string(call), outcome).Inc()
		m.callTime.WithLabelValues(slug, string(call)).Observe(time.Since(began).Seconds())
		end(err)
	}
}
