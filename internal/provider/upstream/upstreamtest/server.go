package upstreamtest

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/provider/providertest"
)

// Request is one request that reached the server, for tests that count.
type Request struct{ Method, Path string }

// Server is a fake cloud's door.
type Server struct {
	// URL is where it is, without a slash at the end.
	URL string
	// Clock is the cloud's: it runs as the system's, and Advance moves it on.
	Clock *clock.Simulated

	web  *httptest.Server
	idle sync.Cond // on mu

	mu       sync.Mutex
	follows  func() (time.Time, bool)
	open     map[net.Conn]bool // connections on which something is or may be under way
	faults   []*providertest.Fault
	requests []Request
}

// Serve starts a server that ends with the test. What happens upstream is the handler's; the faults come before it.
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

// Advance moves the cloud's clock on.
func (s *Server) Advance(d time.Duration) { s.Clock.Advance(d) }

// Follow has the clock follow that of who calls: before each request it is moved on to what now returns, where that is known. It is for a
// caller in another process, whose clock goes its own way.
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

// Settle waits until nothing is under way.
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

// Trouble has that trouble befall requests from now on.
func (s *Server) InjectFault(t providertest.Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, &t)
}

// ClearFaults ends every trouble.
func (s *Server) ClearFaults() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = nil
}

// Requests returns what has been asked so far.
func (s *Server) Requests() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Request{}, s.requests...)
}

// nextFault returns the trouble that this request meets, or "".
func (s *Server) nextFault(r *http.Request) providertest.FaultKind {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests = append(s.requests, Request{r.Method, r.URL.Path})
	for i, t := range s.faults {
		if t.Writes && (r.Method == http.MethodGet || r.Method == http.MethodHead) {
			continue
		}
		if t.After > 0 {
			t.After--
			continue
		}
		if t.Times == 1 {
			s.faults = append(s.faults[:i:i], s.faults[i+1:]...)
		} else if t.Times > 1 {
			t.Times--
		}
		return t.Kind
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
			page(w, http.StatusBadGateway)
		case providertest.BadGateway:
			page(w, http.StatusBadGateway)
		case providertest.HTMLPage:
			page(w, http.StatusOK)
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

func page(w http.ResponseWriter, status int) {
	w.Header().Set("Content-Type", "text/html")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, "<html><body><h1>Something is not as it should be</h1></body></html>")
}
