package catalog_test

import (
	"testing"

	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/db/dbtest"
	"github.com/billetcloud/billet/internal/health"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/provider"
)

// An offer shows its own policy, or else its provider's, or else the default, at once after a
// change, and to accounts with prices of their own, too.
func TestHealthPolicyOfAnOffer(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		r := newRig(t, d, c)
		r.own = func() map[id.ID]int64 { return map[id.ID]int64{"acc_own": 100} }
		r.cat = r.catalog(&seller{slug: "acme", offers: []provider.Offer{offer("off_one"), offer("off_two")}})
		r.sync("acme")
		r.load()
		for _, step := range []struct {
			policies health.Policies
			one, two health.Policy
		}{
			{health.Policies{}, health.Off, health.Off},
			{health.Policies{Default: health.Report}, health.Report, health.Report},
			{health.Policies{Named: map[string]health.Policy{"acme": health.Require}}, health.Require, health.Require},
			{health.Policies{Named: map[string]health.Policy{
				"acme": health.Require, "off_two": health.Off,
			}}, health.Require, health.Off},
		} {
			r.health = step.policies
			r.load()
			for _, account := range []id.ID{"acc_usual", "acc_own"} {
				one, _ := r.cat.For(account).Get("off_one")
				two, _ := r.cat.For(account).Get("off_two")
				if one.HealthPolicy != step.one || two.HealthPolicy != step.two {
					t.Errorf("%s with %+v: %s, %s", account, step.policies, one.HealthPolicy, two.HealthPolicy)
				}
			}
		}
	})
}
