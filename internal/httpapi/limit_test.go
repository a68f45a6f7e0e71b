package httpapi

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/account"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/ratelimit"
	"github.com/billetcloud/billet/internal/rest"
)

// allowAll is for tests with more requests than the limits allow, which are about something else.
type allowAll struct{}

func (allowAll) Give(context.Context, string, ratelimit.Decision) {}

func (allowAll) Take(_ context.Context, _ string, limit int) (ratelimit.Decision, error) {
	return ratelimit.Decision{Allowed: true, Limit: limit, Remaining: limit, Reset: real.Add(time.Minute)}, nil
}

// storm makes n parallel requests and counts those that were not limited.
func (w *world) storm(n int, request func(i int) *http.Request) (let, limited int) {
	w.t.Helper()
	replies := make([]reply, n)
	var wg sync.WaitGroup
	for i := range n {
		r := request(i)
		wg.Go(func() {
			rec := httptest.NewRecorder()
			w.s.ServeHTTP(rec, r)
			replies[i] = w.examine(r, rec.Result())
		})
	}
	wg.Wait()
	seen := map[string]bool{}
	for _, r := range replies {
		if r.status == http.StatusTooManyRequests {
			limited++
			if r.header.Get("X-RateLimit-Remaining") != "0" || r.header.Get("Retry-After") != "40" ||
				r.code != "RATE_LIMIT_EXCEEDED" {
				w.t.Errorf("limited with %v %s", r.header, r.body)
			}
			continue
		}
		let++
		left := r.header.Get("X-RateLimit-Remaining")
		if seen[left] {
			w.t.Errorf("two answers said that %s are left", left)
		}
		seen[left] = true
	}
	return let, limited
}

func TestLimitsAreExactUnderParallelRequests(t *testing.T) {
	w := newWorld(t)
	body := w.seedBody()
	body["dryRun"] = true
	for _, c := range []struct {
		name    string
		limit   int
		request func(i int) *http.Request
	}{
		{"read", 60, func(int) *http.Request { return w.request(w.ada, "GET", Base+"/offers", nil) }},
		{"write", 20, func(int) *http.Request { return w.request(w.ada, "DELETE", Base+"/ssh-keys/ssh_none", nil) }},
		{"deploy", 5, func(int) *http.Request { return w.request(w.ada, "POST", Base+"/deployments", body) }},
		{"no caller", 60, func(int) *http.Request { return w.request(tenant{}, "GET", Base+"/offers", nil) }},
		{"wrong key", 60, func(int) *http.Request {
			return w.request(tenant{secret: "pk_live_wrong"}, "GET", Base+"/offers", nil, from("198.51.100.7"))
		}},
		{"no route", 60, func(int) *http.Request {
			return w.request(w.ada, "GET", "/nothing", nil,
				from("198.51.100.8"))
		}},
	} {
		if let, limited := w.storm(200, c.request); let != c.limit || limited != 200-c.limit {
			t.Errorf("%s: %d let through, %d limited", c.name, let, limited)
		}
	}
	// The other tenant has limits of its own, and a new minute is a new minute.
	r := w.want(200, w.bob, "GET", Base+"/offers", nil)
	same(t, "Limit", r.header.Get("X-RateLimit-Limit"), 60)
	same(t, "Remaining", r.header.Get("X-RateLimit-Remaining"), 59)
	same(t, "Reset", r.header.Get("X-RateLimit-Reset"), real.Truncate(time.Minute).Add(time.Minute).Unix())
	w.passMinute()
	w.want(200, w.ada, "GET", Base+"/offers", nil)
}

func TestADeployUsesNoWrite(t *testing.T) {
	w := newWorld(t)
	w.deploy(w.ada)
	r := w.do(w.ada, "DELETE", Base+"/ssh-keys/ssh_none", nil)
	same(t, "writes left", r.header.Get("X-RateLimit-Remaining"), 19)
	body := w.seedBody()
	body["dryRun"] = true
	r = w.want(200, w.ada, "POST", Base+"/deployments", body)
	same(t, "deploys left after a dry run", r.header.Get("X-RateLimit-Remaining"), 3)
	same(t, "deploys", r.header.Get("X-RateLimit-Limit"), 5)
}

func TestAKeyMayHaveOtherLimits(t *testing.T) {
	w := newWorld(t)
	two := 2
	w.tx(func(ctx context.Context, tx *db.Tx) error {
		_, err := w.c.Accounts.SetLimits(ctx, tx, w.ada.account, w.ada.key.ID, account.LimitOverrides{Read: &two})
		return err
	})
	same(t, "Limit", w.want(200, w.ada, "GET", Base+"/offers", nil).header.Get("X-RateLimit-Limit"), 2)
	w.want(200, w.ada, "GET", Base+"/offers", nil)
	w.want(429, w.ada, "GET", Base+"/offers", nil)
}

func TestARefusedRequestCounts(t *testing.T) {
	w := newWorld(t)
	for i, target := range []string{Base + "/ssh-keys/ssh_none", Base + "/offers?limit=x", Base + "/deployments"} {
		r := w.do(w.ada, "GET", target, nil)
		same(t, "reads left", r.header.Get("X-RateLimit-Remaining"), 59-i)
	}
}

func TestABrokenLimiterDoesNotRefuse(t *testing.T) {
	w := newWorld(t)
	w.configure(func(c *Config) { c.Limiter = broken{} })
	w.want(200, w.ada, "GET", Base+"/offers", nil)
}

type broken struct{ allowAll }

func (broken) Take(context.Context, string, int) (ratelimit.Decision, error) {
	return ratelimit.Decision{}, errors.New("no answer")
}

func TestAnIconThatIsNotThereCostsNoTries(t *testing.T) {
	w := newWorld(t)
	for range rest.AddressLimit + 1 {
		r := w.refused("NOT_FOUND", tenant{}, "GET", "/favicon.ico", nil)
		same(t, "Cache-Control", r.header.Get("Cache-Control"), "public, max-age=86400")
		same(t, "Limit", r.header.Get("X-RateLimit-Limit"), strconv.Itoa(rest.ProbeLimit))
	}
	r := w.want(200, tenant{}, "GET", Base, nil)
	same(t, "Remaining", r.header.Get("X-RateLimit-Remaining"), strconv.Itoa(rest.PublicLimit-1))
	for range rest.ProbeLimit {
		w.do(tenant{}, "GET", "/favicon.ico", nil)
	}
	r = w.refused("RATE_LIMIT_EXCEEDED", tenant{}, "GET", "/favicon.ico", nil)
	same(t, "Cache-Control", r.header.Get("Cache-Control"), "no-store")
}

func TestProbesAreNotStarved(t *testing.T) {
	w := newWorld(t)
	for range 100 {
		w.do(tenant{}, "GET", Base+"/offers", nil)
	}
	r := w.want(200, tenant{}, "GET", "/healthz", nil)
	same(t, "Limit", r.header.Get("X-RateLimit-Limit"), strconv.Itoa(rest.ProbeLimit))
	w.want(200, tenant{}, "GET", "/readyz", nil)
}
