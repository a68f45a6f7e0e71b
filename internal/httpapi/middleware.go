package httpapi

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

// statusGone stands in log and metrics for a client that went away before its answer; it is never sent.
const statusGone = 499

// recorder remembers what was sent.
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

// transportSecurity has browsers that know this site come over https only (RFC 6797), for a year.
var transportSecurity = []string{"max-age=31536000"}

type callKey struct{}

// ServeHTTP answers a request.
func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.handle(w, r, s.dispatch) }

// handle is the way of every request: id, headers, metrics, log and recovery around what finds the answer.
func (s *server) handle(plain http.ResponseWriter, r *http.Request, find func(*recorder, *http.Request, *call)) {
	start := s.c.Real()
	w := &recorder{ResponseWriter: plain}
	c := &call{request: r, id: s.c.IDs.New(id.Request)}
	h := w.Header()
	values := []string{string(c.id), "nosniff", "no-store"}
	h["X-Request-Id"], h["X-Content-Type-Options"], h["Cache-Control"] = values[:1:1], values[1:2:2], values[2:]
	if s.publicTLS() {
		h["Strict-Transport-Security"] = transportSecurity
	}
	s.noticeProxy(r.Context(), r)
	s.metrics.inFlight.Inc()
	defer func() {
		s.metrics.inFlight.Dec()
		abort := false
		if p := recover(); p != nil {
			if abort = p == http.ErrAbortHandler || w.status != 0; p != http.ErrAbortHandler {
				s.c.Log.ErrorContext(r.Context(), "panic in a request", slog.String("requestId", string(c.id)),
					slog.String("panic", fmt.Sprint(p)), slog.String("stack", string(debug.Stack())))
			}
			if !abort {
				s.send(w, r, c.failed(errors.New("panic")))
			}
		}
		s.observe(r, c, w, start)
		if abort { // the client must not take half an answer for a whole one
			panic(http.ErrAbortHandler)
		}
	}()
	find(w, r, c)
}

// dispatch finds the route. Uncleaned paths stop here: the mux would answer them with a redirect and a page of HTML.
func (s *server) dispatch(w *recorder, r *http.Request, c *call) {
	switch {
	case s.c.Elsewhere != nil && !strings.HasPrefix(r.URL.Path, "/api/") && r.URL.Path != "/api" && !s.own[r.URL.Path]:
		s.elsewhere(w, r, c)
	case r.URL.Path == "" || r.URL.Path[0] != '/':
		s.refuse(w, r, c, errNothing)
	case !cleaned(r.URL.Path):
		s.refuse(w, r, c, apierr.New(apierr.NotFound, "The path has empty or dotted segments, or a slash at its end. Did you mean %s?", shown(path.Clean(r.URL.Path))))
	default:
		s.mux.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), callKey{}, c)))
	}
}

// pageRoute stands in log and metrics for everything that is served elsewhere.
var pageRoute = route{spec: spec{method: http.MethodGet, path: "page"}}

// elsewhere has a page or one of its files served. A page has many and is not paid for: they are not counted as calls,
// only bounded.
func (s *server) elsewhere(w *recorder, r *http.Request, c *call) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		s.refuseMethod(w, r, c)
		return
	}
	err := s.takePage(r.Context(), w, r)
	if err == nil {
		c.route = &pageRoute
		if s.c.Elsewhere(w, r) {
			return
		}
		c.route, err = nil, errNothing
	}
	c.fail(err)
	s.send(w, r, failed(err, c.id))
}

func cleaned(p string) bool { return p == path.Clean(p) }

// refuse answers a request that has no route. It is limited by address: whose it is does not matter.
func (s *server) refuse(w *recorder, r *http.Request, c *call, err error) {
	if limited := s.takeAddress(r.Context(), w, r, doorKey); limited != nil {
		err = limited
	}
	c.fail(err)
	s.send(w, r, failed(err, c.id))
}

// refuseMethod is the answer where something can be read and nothing else.
func (s *server) refuseMethod(w *recorder, r *http.Request, c *call) {
	err := apierr.New(apierr.MethodNotAllowed, "%s is not possible here. Use GET or HEAD.", shown(r.Method))
	err.Details = map[string]any{"allow": "GET, HEAD"}
	s.refuse(w, r, c, err)
}

// methods are the routes of one path.
type methods struct {
	s      *server
	routes map[string]*route
	allow  string
}

func (m *methods) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c := r.Context().Value(callKey{}).(*call)
	method := r.Method
	if method == http.MethodHead {
		method = http.MethodGet
	}
	rt := m.routes[method]
	if rt == nil {
		err := apierr.New(apierr.MethodNotAllowed, "%s is not possible here. Use one of %s.", shown(r.Method), m.allow)
		err.Details = map[string]any{"allow": m.allow}
		m.s.refuse(w.(*recorder), r, c, err)
		return
	}
	c.route, c.request = rt, r
	m.s.run(w.(*recorder), r, c)
}

// run admits the call, serves it within its time, and sends the answer.
func (s *server) run(w *recorder, r *http.Request, c *call) {
	ctx, cancel := context.WithTimeout(r.Context(), s.timeout+c.route.long)
	defer cancel()
	err := s.admit(ctx, w, c)
	var a answer
	if err == nil {
		if r.Body != nil && r.Body != http.NoBody {
			// A body that trickles in may not hold the request open. Not every writer can, those of tests for one.
			_ = http.NewResponseController(w).SetReadDeadline(s.c.Real().Add(s.timeout))
		}
		if c.route.long > 0 { // the answer may come later than the connection waits for others
			_ = http.NewResponseController(w).SetWriteDeadline(s.c.Real().Add(s.timeout + c.route.long))
		}
		a, err = c.route.serve(ctx, w, c)
	}
	if err == nil {
		for _, cookie := range c.cookies {
			w.Header().Add("Set-Cookie", cookie)
		}
	}
	if err != nil {
		err = known(ctx, c, err)
		c.fail(err)
		a = c.failed(err)
		s.giveBack(ctx, w, c, a.Status)
	}
	if w.status == 0 {
		if err == nil && c.key == nil {
			a = compressed(r, a)
		}
		s.send(w, r, a)
	}
}

// failed makes the response to an error of the call.
func (c *call) failed(err error) answer {
	if c.route != nil && c.route.oauth {
		return oauthFailed(err, c.id)
	}
	return failed(err, c.id)
}

// fail keeps the error for the log.
func (c *call) fail(err error) { c.err = err }

// send writes an answer. Nothing else writes one, but what streams.
func (s *server) send(w *recorder, r *http.Request, a answer) {
	h := w.Header()
	//lint:ignore SA1008 take spells it as the page does
	if len(h[limitHeader]) == 0 { // something failed before it was counted
		_ = s.takeAddress(r.Context(), w, r, doorKey)
	}
	values := []string{"application/json", strconv.Itoa(len(a.Body))}
	h["Content-Type"], h["Content-Length"] = values[:1:1], values[1:]
	for name, value := range a.Header {
		h.Set(name, value)
	}
	w.WriteHeader(a.Status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(a.Body) // a client that went away
	}
}

type metrics struct {
	requests *prometheus.CounterVec
	duration *prometheus.HistogramVec
	inFlight prometheus.Gauge
}

func newMetrics(r prometheus.Registerer) metrics {
	m := metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "billet_http_requests_total", Help: "Requests by route, method and status.",
		}, []string{"route", "method", "status"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "billet_http_request_duration_seconds", Help: "Time to answer, by route and method.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60},
		}, []string{"route", "method"}),
		inFlight: prometheus.NewGauge(prometheus.GaugeOpts{Name: "billet_http_requests_in_flight", Help: "Requests under way."}),
	}
	r.MustRegister(m.requests, m.duration, m.inFlight)
	return m
}

// observe counts and logs a finished request.
func (s *server) observe(r *http.Request, c *call, w *recorder, start time.Time) {
	status := w.status
	if status == 0 || r.Context().Err() != nil {
		status = statusGone
	}
	name, method := "none", "OTHER"
	if c.route != nil {
		name, method = c.route.path, c.route.method
	}
	took := s.c.Real().Sub(start)
	s.metrics.requests.WithLabelValues(name, method, strconv.Itoa(status)).Inc()
	s.metrics.duration.WithLabelValues(name, method).Observe(took.Seconds())

	attrs := []slog.Attr{
		slog.String("requestId", string(c.id)), slog.String("method", shown(r.Method)), slog.String("route", name),
		slog.Int("status", status), slog.Duration("took", took), slog.Int64("bytes", w.bytes), slog.String("from", s.address(r).String()),
	}
	if c.account != "" {
		attrs = append(attrs, slog.String("account", string(c.account)))
	}
	if c.key != nil {
		attrs = append(attrs, slog.String("key", string(c.key.ID)))
	}
	level := slog.LevelInfo
	if status >= http.StatusInternalServerError {
		level = slog.LevelError
	}
	s.c.Log.LogAttrs(context.WithoutCancel(r.Context()), level, "request", append(attrs, logged(c.err)...)...)
}
