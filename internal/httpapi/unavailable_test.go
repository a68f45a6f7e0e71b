package httpapi

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/billetcloud/billet/internal/catalog"
	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/db/dbtest"
	"github.com/billetcloud/billet/internal/installation"
	"github.com/billetcloud/billet/internal/provider"
	"github.com/billetcloud/billet/internal/rest"
)

// withoutTable runs f while the database has no such table, which is an error of ours.
func (w *world) withoutTable(name string, f func()) {
	w.t.Helper()
	rename := func(from, to string) {
		w.t.Helper()
		w.tx(func(ctx context.Context, tx *db.Tx) error {
			_, err := tx.Exec(ctx, `ALTER TABLE `+from+` RENAME TO `+to)
			return err
		})
	}
	rename(name, name+"_away")
	f()
	rename(name+"_away", name)
}

// A caller with a valid key is not slowed down because the database could not be asked about it.
func TestOnlyFailedAuthenticationsCountAsSuch(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		w := newWorldOn(t, d, c)
		w.withoutTable("api_key", func() {
			for range 2 * rest.AddressLimit {
				w.refused("INTERNAL_ERROR", w.ada, "GET", Base+"/wallet", nil)
			}
		})
		w.want(200, w.ada, "GET", Base+"/wallet", nil)
		for range rest.AddressLimit {
			w.refused("INVALID_API_KEY", tenant{secret: "pk_live_wrong"}, "GET", Base+"/wallet", nil)
		}
		w.refused("RATE_LIMIT_EXCEEDED", tenant{secret: "pk_live_wrong"}, "GET", Base+"/wallet", nil)
	})
}

// A minute has few deploys: one that failed by our fault is none of them.
func TestADeployThatFailsByOurFaultIsNotCounted(t *testing.T) {
	w := newWorld(t)
	deploy := map[string]any{"offerId": "off_abc123", "name": "x", "ssh_public_key": publicKey(t)}
	left := ""
	w.withoutTable("deployment", func() {
		for range 20 {
			r := w.refused("INTERNAL_ERROR", w.ada, "POST", Base+"/deployments", deploy)
			if now := r.header.Get("X-RateLimit-Remaining"); left != "" && now != left {
				t.Fatalf("%s are left after one that failed, %s before", now, left)
			} else {
				left = now
			}
		}
	})
	if r := w.want(201, w.ada, "POST", Base+"/deployments", deploy); r.header.Get("X-RateLimit-Remaining") == left {
		t.Error("a deploy that succeeded is not counted")
	}
}

// A full disk is 503 with Retry-After, and readiness says so; both are over when there is space.
func TestAFullDiskIsServiceUnavailable(t *testing.T) {
	w := newWorld(t)
	w.configure(func(c *Config) {
		c.Serves = func(ctx context.Context) error { return installation.TryWrite(ctx, w.d, w.c.IDs) }
	})
	pages := func(most string) {
		t.Helper()
		if _, err := w.d.Handle().ExecContext(t.Context(), `PRAGMA max_page_count = `+most); err != nil {
			t.Fatal(err)
		}
		w.time.pass(keepReady)
	}
	w.want(200, tenant{}, "GET", "/readyz", nil)
	pages("1") // never less than there are
	full := false
	for i := 0; !full && i < 200; i++ {
		r := w.do(
			w.ada,
			"POST",
			Base+"/ssh-keys",
			map[string]string{"name": fmt.Sprint("key ", i), "publicKey": publicKey(t)},
		)
		if full = r.status == 503; full && (r.code != "SERVICE_UNAVAILABLE" || r.header.Get("Retry-After") == "") {
			t.Errorf("%d %s", r.status, r.body)
		}
		if !full && r.status >= 500 {
			t.Fatalf("%d %s", r.status, r.body)
		}
		w.passMinute()
	}
	if !full {
		t.Fatal("the disk is never full")
	}
	w.refused("SERVICE_UNAVAILABLE", tenant{}, "GET", "/readyz", nil)
	w.want(200, w.ada, "GET", Base+"/ssh-keys", nil)
	pages("1000000")
	w.want(200, tenant{}, "GET", "/readyz", nil)
	w.want(201, w.ada, "POST", Base+"/ssh-keys", map[string]string{"name": "after", "publicKey": publicKey(t)})
}

// Whether the process can serve is another question than whether a provider answers: an outage of
// the providers would take every replica out.
func TestReadinessDoesNotDependOnProviders(t *testing.T) {
	w := newWorld(t)
	withProviders := func(all ...provider.Provider) {
		w.configure(func(c *Config) {
			c.Catalog = catalog.New(catalog.Config{
				DB: w.d, Clock: w.clock, Providers: provider.NewRegistry(all...), Log: c.Log,
				Markup: func(string) int64 { return 0 },
			})
		})
	}
	withProviders(newCloud()) // as after a start while the provider does not answer
	w.refused("SERVICE_UNAVAILABLE", w.ada, "GET", Base+"/offers", nil)
	w.want(200, tenant{}, "GET", "/readyz", nil)

	withProviders()
	w.want(200, tenant{}, "GET", "/readyz", nil)
	if r := w.want(200, w.ada, "GET", Base+"/offers", nil); !strings.Contains(string(r.body), `"data":[]`) {
		t.Errorf("offers without a provider: %s, want an empty list", r.body)
	}
}
