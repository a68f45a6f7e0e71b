package rest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"path"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/id"
	"github.com/prometheus/client_golang/prometheus"
)

// statusGone stands in log and metrics for a client that left before its response. It is never
// sent.
const statusGone = 499

// recorder counts what was sent.
type recorder struct {
	http.ResponseWriter
	status int
	bytes  int64
}

func (r *recorder) WriteHeader(status int) {
	if r.status == 0 {
		r.status = status
	}
	r.ResponseWriter.WriteHeader(status)
}

func (r *recorder) Write(b []byte) (int, error) {
	if r.status == 0 {
		r.status = http.StatusOK
	}
	n, err := r.ResponseWriter.Write(b)
	r.bytes += int64(n)
	return n, err
}

// Unwrap is for http.ResponseController.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

// transportSecurity makes browsers that know this site use https only (RFC 6797), for a year.
var transportSecurity = []string{"max-age=31536000"}

type callKey struct{}

// callOf returns the call that dispatch has put into the request's context.
func callOf(r *http.Request) *Call { return r.Context().Value(callKey{}).(*Call) }

// ServeHTTP answers a request.
func (rr *Router) ServeHTTP(w http.ResponseWriter, r *http.Request) { rr.handle(w, r, rr.dispatch) }

// handle is what all requests have in common: id, headers, metrics, log and recovery around what
// finds the response.
func (rr *Router) handle(plain http.ResponseWriter, r *http.Request, find func(*recorder, *http.Request, *Call)) {
	start := rr.cfg.Real()
	w := &recorder{ResponseWriter: plain}
	c := &Call{router: rr, Request: r, ID: rr.cfg.IDs.New(id.Request)}
	h := w.Header()
	values := []string{string(c.ID), "nosniff", "no-store"}
	h["X-Request-Id"], h["X-Content-Type-Options"], h["Cache-Control"] = values[:1:1], values[1:2:2], values[2:]
	if rr.publicTLS() {
		h["Strict-Transport-Security"] = transportSecurity
	}
	rr.warnOfProxy(r.Context(), r)
	observed := func(_, _ string, _ int) {}
	if rr.cfg.Observe != nil {
		var ctx context.Context
		ctx, observed = rr.cfg.Observe(r, c.ID)
		r = r.WithContext(ctx)
		c.Request = r
	}
	rr.metrics.inFlight.Inc()
	defer func() {
		rr.metrics.inFlight.Dec()
		abort := false
		if p := recover(); p != nil {
			if abort = p == http.ErrAbortHandler || w.status != 0; p != http.ErrAbortHandler {
				rr.cfg.Log.ErrorContext(r.Context(), "panic in a request", slog.String("requestId", string(c.ID)),
					slog.String("panic", fmt.Sprint(p)), slog.String("stack", string(debug.Stack())))
			}
			if !abort {
				rr.send(w, c, c.failed(errors.New("panic")))
			}
		}
		observed(rr.observe(r, c, w, start))
		if abort { // the client must not take half a response for a whole one
			panic(http.ErrAbortHandler)
		}
	}()
	find(w, r, c)
}

// dispatch finds the route. Paths that are not clean stop here: the mux would answer them with a
// redirect and HTML.
func (rr *Router) dispatch(w *recorder, r *http.Request, c *Call) {
	inAPI := strings.HasPrefix(r.URL.Path, "/api/") || r.URL.Path == "/api" || rr.own[r.URL.Path] ||
		rr.isBelow(r.URL.Path)
	switch {
	case rr.cfg.Elsewhere != nil && !inAPI:
		rr.elsewhere(w, r, c)
	case r.URL.Path == "" || r.URL.Path[0] != '/':
		rr.refuse(w, c, errUnknownEndpoint)
	case r.URL.Path != path.Clean(r.URL.Path):
		rr.refuse(w, c, apierr.New(
			apierr.NotFound,
			"The path has empty or dotted segments, or a trailing slash. Did you mean %s?",
			Shown(path.Clean(r.URL.Path)),
		))
	default:
		rr.mux.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), callKey{}, c)))
	}
}

// pageRoute stands in log and metrics for everything that is served elsewhere.
var pageRoute = Route{Operation: Operation{Method: http.MethodGet, Path: "page"}}

// elsewhere serves a page or one of its files. A page has many files, so they have a limit of their
// own.
func (rr *Router) elsewhere(w *recorder, r *http.Request, c *Call) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		rr.refuseMethod(w, c)
		return
	}
	err := rr.takePage(r.Context(), w, r)
	if err == nil {
		c.Route = &pageRoute
		if rr.cfg.Elsewhere(w, r) {
			return
		}
		c.Route, err = nil, errUnknownEndpoint
	}
	rr.sendError(w, c, err)
}

// refuse answers a request that has no route. It is limited by address, whatever the caller.
func (rr *Router) refuse(w *recorder, c *Call, err error) {
	if limited := rr.takeAddress(c.Request.Context(), w, c.Request); limited != nil {
		err = limited
	}
	rr.sendError(w, c, err)
}

// refuseMethod answers where only reading is possible.
func (rr *Router) refuseMethod(w *recorder, c *Call) {
	rr.refuse(w, c, errMethod(c.Request.Method, "GET, HEAD"))
}

func errMethod(method, allow string) error {
	err := apierr.New(apierr.MethodNotAllowed, "Method %s not allowed. Allowed: %s.", Shown(method), allow)
	err.Details = map[string]any{"allow": allow}
	return err
}

// methods are the routes of one path.
type methods struct {
	router *Router
	routes map[string]*Route
	allow  string
}

func (m *methods) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c := callOf(r)
	method := r.Method
	if method == http.MethodHead {
		method = http.MethodGet
	}
	rt := m.routes[method]
	if rt == nil {
		m.router.refuse(w.(*recorder), c, errMethod(r.Method, m.allow))
		return
	}
	c.Route, c.Request = rt, r
	m.router.run(w.(*recorder), r, c)
}

// run admits the call, serves it within its time, and sends the response.
func (rr *Router) run(w *recorder, r *http.Request, c *Call) {
	ctx, cancel := context.WithTimeout(r.Context(), rr.cfg.Timeout+c.Route.ExtraTime)
	defer cancel()
	err := rr.admit(ctx, w, c)
	var a Answer
	if err == nil {
		control := http.NewResponseController(w)
		if r.Body != nil && r.Body != http.NoBody {
			// A body that trickles in may not hold the request open. Not every writer has
			// deadlines, those of tests for one.
			_ = control.SetReadDeadline(rr.cfg.Real().Add(rr.cfg.Timeout))
		}
		if c.Route.ExtraTime > 0 { // the response may come later than the connection waits for others
			_ = control.SetWriteDeadline(rr.cfg.Real().Add(rr.cfg.Timeout + c.Route.ExtraTime))
		}
		a, err = c.Route.serve(ctx, w, c)
	}
	if err == nil {
		for _, cookie := range c.cookies {
			w.Header().Add("Set-Cookie", cookie)
		}
	}
	if err != nil {
		err = explained(ctx, c, err)
		c.Fail(err)
		a = c.failed(err)
		rr.giveBack(ctx, w, c, a.Status)
	}
	if w.status == 0 {
		if err == nil && c.Caller.Key == "" {
			a = compressed(r, a)
		}
		rr.send(w, c, a)
	}
}

// sendError logs an error and answers it.
func (rr *Router) sendError(w *recorder, c *Call, err error) {
	c.Fail(err)
	rr.send(w, c, c.failed(err))
}

// send writes a response. Nothing else writes one, except what streams.
func (rr *Router) send(w *recorder, c *Call, a Answer) {
	h := w.Header()
	//lint:ignore SA1008 limitHeaders spells it as the specification does
	if len(h[limitHeader]) == 0 { // something failed before it was counted
		_ = rr.takeAddress(c.Request.Context(), w, c.Request)
	}
	values := []string{"application/json", strconv.Itoa(len(a.Body))}
	h["Content-Type"], h["Content-Length"] = values[:1:1], values[1:]
	if a.Status == http.StatusNotModified { // which describes a body that is not sent
		delete(h, "Content-Type")
		delete(h, "Content-Length")
	}
	for name, value := range a.Header {
		h.Set(name, value)
	}
	w.WriteHeader(a.Status)
	if c.Request.Method != http.MethodHead {
		_, _ = w.Write(a.Body) // fails where the client is gone
	}
}

type metrics struct {
	requests *prometheus.CounterVec
	duration *prometheus.HistogramVec
	waiting  *prometheus.HistogramVec
	inFlight prometheus.Gauge
	failed   prometheus.Counter
	refused  *prometheus.CounterVec
}

func newMetrics(r prometheus.Registerer) metrics {
	m := metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "billet_http_requests_total", Help: "Requests by route, method and status.",
		}, []string{"route", "method", "status"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "billet_http_request_duration_seconds",
			Help:    "Time to answer, by route and method, without what waits for something to happen.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60},
		}, []string{"route", "method"}),
		waiting: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "billet_http_wait_duration_seconds",
			Help:    "Duration of long polls, event streams, terminals and consoles, by route and method.",
			Buckets: []float64{1, 5, 15, 30, 60, 300, 1800, 7200},
		}, []string{"route", "method"}),
		inFlight: prometheus.NewGauge(
			prometheus.GaugeOpts{Name: "billet_http_requests_in_flight", Help: "Requests under way."},
		),
		failed: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "billet_http_requests_failed_total",
			Help: "Requests that were answered with a status of 500 or more.",
		}),
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "billet_rate_limit_refusals_total", Help: "Requests that a rate limit refused, by limit.",
		}, []string{"limit"}),
	}
	for _, limit := range limits {
		m.refused.WithLabelValues(limit)
	}
	r.MustRegister(m.requests, m.duration, m.waiting, m.inFlight, m.failed, m.refused)
	return m
}

// observe counts and logs a finished request, and returns its route, method and status.
func (rr *Router) observe(
	r *http.Request, c *Call, w *recorder, start time.Time,
) (name, method string, status int) {
	status = w.status
	if status == 0 || r.Context().Err() != nil {
		status = statusGone
	}
	name, method = "none", "OTHER"
	if c.Route != nil {
		name, method = c.Route.Path, c.Route.Method
	}
	took := rr.cfg.Real().Sub(start)
	rr.metrics.requests.WithLabelValues(name, method, strconv.Itoa(status)).Inc()
	if status >= http.StatusInternalServerError {
		rr.metrics.failed.Inc()
	}
	times := rr.metrics.duration
	if c.waits {
		times = rr.metrics.waiting
	}
	times.WithLabelValues(name, method).Observe(took.Seconds())

	attrs := []slog.Attr{
		slog.String("requestId", string(c.ID)), slog.String("method", Shown(r.Method)), slog.String("route", name),
		slog.Int(
			"status",
			status,
		), slog.Duration("took", took), slog.Int64("bytes", w.bytes), slog.String("from", rr.Address(r).String()),
	}
	if c.Caller.Account != "" {
		attrs = append(attrs, slog.String("account", string(c.Caller.Account)))
	}
	if c.Caller.Key != "" {
		attrs = append(attrs, slog.String("key", string(c.Caller.Key)))
	}
	level := slog.LevelInfo
	if status >= http.StatusInternalServerError {
		level = slog.LevelError
	}
	rr.cfg.Log.LogAttrs(context.WithoutCancel(r.Context()), level, "request", append(attrs, logged(c.err)...)...)
	return name, method, status
}
