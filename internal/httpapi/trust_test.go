package httpapi

import (
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/db/dbtest"
)

// What is for trusted tenants only is shown to, and sold to, accounts that the operator trusts.
func TestOnlyATrustedAccountDeploysWhatIsForTrustedTenants(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		w := newWorldOn(t, d, c)
		w.configure(func(c *Config) { c.Limiter = allowAll{} })
		w.cloud.trusted = true
		w.clock.Advance(time.Minute)
		if _, err := w.c.Catalog.Sync(t.Context(), "provider/voltage-park"); err != nil {
			t.Fatal(err)
		}
		op, at := w.operator(), OperatorBase+"/accounts/"+string(w.ada.account)
		unseen := func(who tenant) {
			t.Helper()
			same(t, "offers", len(w.want(200, who, "GET", Base+"/offers", nil).list), 3)
			w.refused("NOT_FOUND", who, "GET", Base+"/offers/off_abc123", nil)
			w.refused("NOT_FOUND", who, "POST", Base+"/quotes", map[string]any{"offerId": "off_abc123"})
			w.refused("NOT_FOUND", who, "POST", Base+"/deployments", w.seedBody())
		}
		unseen(w.ada)
		w.refused("INSUFFICIENT_SCOPE", w.ada, "PUT", at+"/trust", map[string]any{"trusted": true})
		trust := func(is bool) {
			t.Helper()
			made := w.want(200, op, "PUT", at+"/trust", map[string]any{"trusted": is}).data.(map[string]any)
			same(t, "trusted", made["trusted"], is)
			if err := w.c.Catalog.Load(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		trust(true)
		offer := w.want(200, w.ada, "GET", Base+"/offers/off_abc123", nil).data.(map[string]any)
		same(t, "said on the offer", offer["trustedTenantsOnly"], true)
		deployment := w.deploy(w.ada)
		w.settle(deployment)
		unseen(w.bob)
		trust(false)
		unseen(w.ada)
		got := w.want(200, w.ada, "GET", Base+"/deployments/"+string(deployment), nil).data.(map[string]any)
		same(t, "what it has", got["status"], "running")
		w.refused("NOT_FOUND", op, "PUT", OperatorBase+"/accounts/acc_none/trust", map[string]any{"trusted": true})
		w.refused("INVALID_REQUEST", op, "PUT", at+"/trust", map[string]any{})
	})
}
