package cli_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/ratelimit"
)

// rateLimits is a proxy with the default rate limits, in front of a server with far higher ones. It
// uses the real limiter with a clock that the test moves: 100 deploys take twenty minutes.
type rateLimits struct {
	*httptest.Server
	mu      sync.Mutex
	now     time.Time
	refused int
	deploys [][]byte // the bodies of the deploy requests
}

func newRateLimits(t *testing.T, server string) *rateLimits {
	to, err := url.Parse(server)
	if err != nil {
		t.Fatal(err)
	}
	p := &rateLimits{now: time.Now()}
	limiter := ratelimit.NewMemory(p.time)
	pass := httputil.NewSingleHostReverseProxy(to)
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		bucket, limit := "read", 60
		switch {
		case r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "/deployments"):
			bucket, limit = "deploy", 5
			body, err := io.ReadAll(r.Body)
			if err != nil {
				t.Error(err)
			}
			r.Body = io.NopCloser(bytes.NewReader(body))
			p.mu.Lock()
			p.deploys = append(p.deploys, body)
			p.mu.Unlock()
		case r.Method != http.MethodGet:
			bucket, limit = "write", 20
		}
		d, err := limiter.Take(r.Context(), bucket, limit)
		if err != nil {
			t.Error(err)
		}
		if d.Allowed {
			pass.ServeHTTP(w, r)
			return
		}
		p.mu.Lock()
		p.refused++
		p.mu.Unlock()
		w.Header().Set("Retry-After", strconv.Itoa(int(d.Reset.Sub(p.time()).Seconds())+1))
		w.WriteHeader(http.StatusTooManyRequests)
		_, _ = fmt.Fprint(w, `{"success":false,"error":{"code":"RATE_LIMIT_EXCEEDED","message":"Too many requests."}}`)
	}))
	t.Cleanup(p.Close)
	return p
}

func (p *rateLimits) time() time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.now
}

func (p *rateLimits) advance(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.now = p.now.Add(d)
}
