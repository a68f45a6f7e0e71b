package app

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"net"
	"net/http"
	"net/http/pprof"
	"net/netip"
	"os"
	"strings"

	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/observe"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// The length of the token in MetricsTokenFile, in bytes.
const (
	minMetricsToken = 16
	maxMetricsToken = 1024
)

// observe creates the metrics of this process's work, and the traces.
func (a *App) observe(ctx context.Context) (err error) {
	if a.cfg.TracesEndpoint != "" {
		a.traces, err = observe.OpenTraces(ctx, observe.TracesConfig{
			Endpoint: a.cfg.TracesEndpoint, Version: a.cfg.Version, Share: a.cfg.TracesPercent / 100, Log: a.cfg.Log,
		})
		if err != nil {
			return err
		}
		a.closers = append(a.closers, func() error {
			ctx, cancel := context.WithTimeout(context.Background(), flushTime)
			defer cancel()
			return a.traces.Close(ctx)
		})
	}
	a.work = observe.NewMetrics(a.metrics, a.traces)
	a.services.catalog.OnReport(a.work.Launched)
	return nil
}

// requestObserver returns what traces requests; nil if nothing does.
func (a *App) requestObserver() func(*http.Request, id.ID) (context.Context, func(route, method string, status int)) {
	if a.traces == nil {
		return nil
	}
	return a.traces.Request
}

// beginProviders creates the series of the providers that there are.
func (a *App) beginProviders() {
	for _, p := range a.services.providers.All() {
		a.work.BeginProviders(p.Info().Slug)
	}
}

// registerGauges registers what is read when it is scraped.
func (a *App) registerGauges() {
	a.work.BeginJobs(a.runner.Kinds()...)
	gauges := newGauges(gaugesConfig{
		db: a.DB, log: a.cfg.Log, clock: a.Clock, loops: a.loops, kinds: a.runner.Kinds(),
		offers: a.services.catalog.Health, accounts: a.live.failed, started: a.Clock.Now(), dir: a.cfg.DataDir,
		version: a.cfg.Version,
	}, a.Issues, a.services.deployments)
	a.metrics.MustRegister(certificateGauge{a.certificateEnds}, a.skew.gauge(), gauges)
	a.metrics.MustRegister(poolCollectors(a.DB)...)
	a.metrics.MustRegister(replicaGauges(a.DB.Replica())...)
}

// listenMetrics returns the server of the metrics. It uses another port if the default one is
// taken, as with two servers on one machine.
func (a *App) listenMetrics(ctx context.Context) (*http.Server, net.Listener, error) {
	h, err := a.metricsHandler()
	if err != nil {
		return nil, nil, err
	}
	server := a.server(h)
	l, err := net.Listen("tcp", a.cfg.MetricsListen)
	if err == nil || a.cfg.MetricsListen != Default().MetricsListen {
		if err != nil {
			err = fmt.Errorf("--metrics-listen: %w; %s", err, afterListen(err))
		}
		return server, l, err
	}
	if l, err = net.Listen("tcp", "127.0.0.1:0"); err == nil {
		a.cfg.Log.WarnContext(ctx, "the default port for metrics is taken; using another", "wanted",
			a.cfg.MetricsListen, "address", l.Addr().String())
	}
	return server, l, err
}

// metricsHandler serves the metrics, and the profiles if they are wanted.
func (a *App) metricsHandler() (http.Handler, error) {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(a.metrics, promhttp.HandlerOpts{}))
	if a.cfg.MetricsTokenFile == "" {
		return forLoopback(mux), nil
	}
	token, err := readMetricsToken(a.cfg.MetricsTokenFile)
	if err != nil {
		return nil, fmt.Errorf("--metrics-token-file: %w", err)
	}
	if a.cfg.MetricsProfiling {
		mux.HandleFunc("GET /debug/pprof/", pprof.Index)
		mux.HandleFunc("GET /debug/pprof/cmdline", func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, "The command line is not served.", http.StatusNotFound)
		})
		mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
		mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
		mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	}
	return withToken(token, mux), nil
}

// readMetricsToken reads the token, without white space around it.
func readMetricsToken(file string) ([]byte, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	token := bytes.TrimSpace(text)
	if len(token) < minMetricsToken || len(token) > maxMetricsToken || bytes.ContainsAny(token, " \t\r\n") {
		return nil, fmt.Errorf("%s must have one token of %d to %d characters; write one with: "+
			"openssl rand -hex 32", file, minMetricsToken, maxMetricsToken)
	}
	return token, nil
}

// withToken answers only requests with the token.
func withToken(token []byte, next http.Handler) http.Handler {
	want := sha256.Sum256(token)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		scheme, given, _ := strings.Cut(r.Header.Get("Authorization"), " ")
		got := sha256.Sum256([]byte(given))
		if !strings.EqualFold(scheme, "Bearer") || subtle.ConstantTimeCompare(want[:], got[:]) != 1 {
			w.Header().Set("WWW-Authenticate", `Bearer realm="metrics"`)
			http.Error(w, "Send the token of --metrics-token-file as Authorization: Bearer.", http.StatusUnauthorized)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// forLoopback answers only requests that were sent to this machine by its loopback name. A page of
// another site can resolve its own name to a loopback address (DNS rebinding), and could otherwise
// read the metrics in a browser on this machine.
func forLoopback(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !loopbackHost(r.Host) {
			http.Error(w, "The metrics are only served to localhost and 127.0.0.1; use one of these names.",
				http.StatusMisdirectedRequest)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// loopbackHost reports whether a Host header names this machine's loopback interface.
func loopbackHost(host string) bool {
	name := host
	if h, _, err := net.SplitHostPort(host); err == nil {
		name = h
	}
	name = strings.TrimSuffix(strings.TrimPrefix(name, "["), "]")
	if strings.EqualFold(name, "localhost") {
		return true
	}
	ip, err := netip.ParseAddr(name)
	return err == nil && ip.IsLoopback()
}
