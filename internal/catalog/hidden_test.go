package catalog_test

import (
	"context"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/catalog"
	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/db/dbtest"
	"github.com/billetcloud/billet/internal/pricerule"
	"github.com/billetcloud/billet/internal/provider"
)

// Everyone may ask for the public status, so it does not read all offers each time.
func TestHiddenPlacesAreReadOnceForEachVersion(t *testing.T) {
	for _, engine := range []db.Engine{db.SQLite, db.Postgres} {
		t.Run(string(engine), func(t *testing.T) {
			c := clock.NewFrozen(dbtest.Start)
			d, recorder := dbtest.Recorded(t, engine, c)
			a := &seller{slug: "a", offers: []provider.Offer{offer("1")}}
			r := newRig(t, d, c, a)
			r.rule(pricerule.Rule{Match: pricerule.Match{Provider: "a"}, Terms: pricerule.Terms{Hidden: true}})
			for round := range 2 {
				c.Advance(every)
				r.sync("a")
				if err := r.cat.Load(t.Context()); err != nil {
					t.Fatal(err)
				}
				recorder.Take()
				for range 3 {
					if h, err := r.cat.Hidden(t.Context(), d); err != nil || !h.Provider("a") {
						t.Errorf("hidden: %v, %v", h, err)
					}
				}
				if asked := recorder.Take(); len(asked) != 1 {
					t.Errorf("version %d: %d queries: %v", round, len(asked), asked)
				}
				a.offers = append(a.offers, offer("2"))
			}
		})
	}
}

// The public must not learn of places whose every offer a rule hides, whatever they sell now.
func TestHiddenPlaces(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		at := func(key, region, gpu string) provider.Offer {
			o := offer(key)
			o.Region, o.GPUType = region, gpu
			return o
		}
		a := &seller{slug: "a", offers: []provider.Offer{
			at("1", "dallas-usa-5", "NVIDIA B200"), at("2", "oslo-1", "NVIDIA H100"),
		}}
		b := &seller{slug: "b", offers: []provider.Offer{at("3", "oslo-1", "NVIDIA H100")}}
		empty := &seller{slug: "empty"}
		r := newRig(t, d, c, a, b, empty)
		sync := func() {
			c.Advance(every)
			for _, slug := range []string{"a", "b", "empty"} {
				r.sync(slug)
			}
		}
		hidden := func() catalog.Hidden {
			t.Helper()
			if err := r.cat.Load(t.Context()); err != nil {
				t.Fatal(err)
			}
			h, err := r.cat.Hidden(t.Context(), d)
			if err != nil {
				t.Fatal(err)
			}
			return h
		}
		check := func(what string, h catalog.Hidden, providers, regions map[string]bool) {
			t.Helper()
			for slug, want := range providers {
				if got := h.Provider(slug); got != want {
					t.Errorf("%s: provider %s is hidden: %t, want %t", what, slug, got, want)
				}
			}
			for region, want := range regions {
				if got := h.Region("a", region); got != want {
					t.Errorf("%s: region %s of a is hidden: %t, want %t", what, region, got, want)
				}
			}
		}
		none := map[string]bool{"a": false, "b": false, "empty": false}
		places := map[string]bool{"dallas-usa-5": false, "oslo-1": true, "unknown-1": false}
		sync()
		check("without rules", hidden(), none, map[string]bool{"dallas-usa-5": false, "oslo-1": false})
		r.rule(pricerule.Rule{
			Match: pricerule.Match{Account: "acc_x"}, Terms: pricerule.Terms{Hidden: true},
		})
		check("with a rule for one account", hidden(), none, map[string]bool{"oslo-1": false})
		r.rule(pricerule.Rule{Match: pricerule.Match{GPUType: "nvidia h100"}, Terms: pricerule.Terms{Hidden: true}})
		byGPU := map[string]bool{"a": false, "b": true, "empty": false}
		check("by the GPU type", hidden(), byGPU, places)
		a.offers, b.offers = nil, nil // withdrawn, as during a long outage
		sync()
		check("without offers", hidden(), byGPU, places)
		if err := d.InTx(t.Context(), func(ctx context.Context, tx *db.Tx) error {
			return r.cat.Forget(ctx, tx, "b")
		}); err != nil {
			t.Fatal(err)
		}
		check("once its account was removed", hidden(), byGPU, places)
		c.Advance(time.Second)
		r.rule(pricerule.Rule{Match: pricerule.Match{Provider: "empty"}, Terms: pricerule.Terms{Hidden: true}})
		check("before the first offer", hidden(), map[string]bool{"a": false, "empty": true}, places)
	})
}
