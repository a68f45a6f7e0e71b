package upstreamtest

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/provider/providertest"
	"github.com/billetcloud/billet/internal/provider/upstream"
)

// Request is a request that reached the server.
type Request struct{ Method, Path string }

// Server is the HTTP server of a fake cloud.
type Server struct {
	// URL is its address, without a trailing slash.
	URL string
	// Clock is the cloud's: it runs like the system's, and Advance advances it.
	Clock *clock.Simulated

	web  *httptest.Server
	idle sync.Cond // on mu

	mu       sync.Mutex
	follows  func() (time.Time, bool)
	open     map[net.Conn]bool // connections with a request in progress, or a new one
	faults   []*providertest.Fault
	requests []Request
}

// Serve starts a server that ends with the test. Faults are applied before or after the handler.
func Serve(t testing.TB, handler http.Handler) *Server {
	t.Helper()
	s := &Server{Clock: clock.NewSimulated(0), open: map[net.Conn]bool{}}
	s.idle.L = &s.mu
	s.web = httptest.NewUnstartedServer(s.guard(handler))
	s.web.Config.ConnState = s.watch
	s.web.Start()
	s.URL = s.web.URL
	t.Cleanup(func() {
		s.ClearFaults()
		s.web.CloseClientConnections()
		s.web.Close()
	})
	return s
}

// Advance advances the cloud's clock.
func (s *Server) Advance(d time.Duration) { s.Clock.Advance(d) }

// Account returns an account at the server, which uses its clock.
func (s *Server) Account(slug string) upstream.Account {
	return upstream.Account{
		Slug: slug, BaseURL: s.URL, Credential: "secret", Now: s.Clock.Now,
		Sleep: func(ctx context.Context, d time.Duration) error {
			s.Advance(d)
			return ctx.Err()
		},
	}
}

// Follow makes the clock follow another: before each request it is advanced to what now returns,
// where that is known. It is for a client in another process.
func (s *Server) Follow(now func() (t time.Time, known bool)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.follows = now
}

func (s *Server) follow() {
	s.mu.Lock()
	now := s.follows
	s.mu.Unlock()
	if now == nil {
		return
	}
	if t, known := now(); known {
		s.Clock.AdvanceTo(t)
	}
}

// Settle waits until no request is in progress.
func (s *Server) Settle() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.open) > 0 {
		s.idle.Wait()
	}
}

func (s *Server) watch(c net.Conn, state http.ConnState) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch state {
	case http.StateNew, http.StateActive:
		s.open[c] = true
	default:
		delete(s.open, c)
		if len(s.open) == 0 {
			s.idle.Broadcast()
		}
	}
}

// InjectFault applies the fault to requests from now on.
func (s *Server) InjectFault(f providertest.Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, &f)
}

// ClearFaults removes all faults.
func (s *Server) ClearFaults() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = nil
}

// Requests returns the requests so far.
func (s *Server) Requests() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.requests)
}

// Count returns how many requests of that method have been sent to paths with that prefix and
// suffix.
func (s *Server) Count(method, prefix, suffix string) (n int) {
	for _, r := range s.Requests() {
		if r.Method == method && strings.HasPrefix(r.Path, prefix) && strings.HasSuffix(r.Path, suffix) {
			n++
		}
	}
	return n
}

// nextFault records a request, and returns the fault that applies to it, or "".
func (s *Server) nextFault(r *http.Request) providertest.FaultKind {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests = append(s.requests, Request{r.Method, r.URL.Path})
	for i, f := range s.faults {
		if f.Writes && (r.Method == http.MethodGet || r.Method == http.MethodHead) {
			continue
		}
		if f.After > 0 {
			f.After--
			continue
		}
		if f.Times == 1 {
			s.faults = slices.Delete(s.faults, i, i+1)
		} else if f.Times > 1 {
			f.Times--
		}
		return f.Kind
	}
	return ""
}

func (s *Server) guard(handler http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.follow()
		switch s.nextFault(r) {
		case providertest.LostRequest:
			panic(http.ErrAbortHandler)
		case providertest.LostResponse:
			handler.ServeHTTP(httptest.NewRecorder(), r.WithContext(context.WithoutCancel(r.Context())))
			panic(http.ErrAbortHandler)
		case providertest.BadGatewayAfterEffect:
			handler.ServeHTTP(httptest.NewRecorder(), r.WithContext(context.WithoutCancel(r.Context())))
			writePage(w, http.StatusBadGateway)
		case providertest.BadGateway:
			writePage(w, http.StatusBadGateway)
		case providertest.HTMLPage:
			writePage(w, http.StatusOK)
		case providertest.Stalled:
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, "{")
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
		case providertest.Throttled:
			w.Header().Set("Retry-After", "7")
			http.Error(w, `{"error":"slow down"}`, http.StatusTooManyRequests)
		case providertest.ThrottledWithoutDelay:
			http.Error(w, `{"error":"slow down"}`, http.StatusTooManyRequests)
		default:
			handler.ServeHTTP(w, r)
		}
	})
}

func writePage(w http.ResponseWriter, status int) {
	w.Header().Set("Content-Type", "text/html")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, "<html><body><h1>Something went wrong</h1></body></html>")
}
