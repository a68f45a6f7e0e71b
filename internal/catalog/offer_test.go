package catalog_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/catalog"
	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/db/dbtest"
	"github.com/billetcloud/billet/internal/provider"
)

func TestOffersOfFailingProviderAreStaleAtOnce(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		a, b := &seller{slug: "a", offers: []provider.Offer{offer("off_a")}},
			&seller{slug: "b", offers: []provider.Offer{offer("off_b")}}
		r := newRig(t, d, c, a, b)
		r.sync("a")
		r.sync("b")
		answered := c.Now()
		see := func(stale, available bool, asOf time.Time) {
			t.Helper()
			o, found := r.cat.Default().Get("off_a")
			if !found || o.Stale != stale || o.Available != available || !o.AsOf.Equal(asOf) {
				t.Errorf("%t %+v", found, o)
			}
			yes := true
			listed, _ := r.cat.Default().List(catalog.Query{Provider: "a", Available: &yes})
			if (len(listed) == 1) != available || available && listed[0].Stale != stale {
				t.Errorf("the filter finds %+v", listed)
			}
			if o, _ := r.cat.Default().Get("off_b"); o.Stale || !o.Available || !r.cat.Ready() {
				t.Errorf("another provider's offer: %+v", o)
			}
		}
		see(false, true, answered)
		a.set(func(s *seller) { s.err = errors.New("down") })
		c.Advance(every)
		r.sync("a")
		see(true, true, answered)
		for range 3 {
			c.Advance(every)
			r.sync("a")
		}
		see(true, false, answered)
		for range 15 {
			c.Advance(every)
			r.sync("a")
		}
		if _, found := r.cat.Default().Get("off_a"); found {
			t.Error("not withdrawn")
		}
		a.set(func(s *seller) { s.err = nil })
		c.Advance(every)
		r.sync("a")
		see(false, true, c.Now())
	})
}

func TestLongestMinimumRuntimeApplies(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		with := func(key string, own time.Duration) provider.Offer {
			o := offer(key)
			o.MinimumRuntime = own
			return o
		}
		a := &seller{slug: "a", offers: []provider.Offer{with("off_1", 0), with("off_2", 20*time.Minute),
			with("off_3", time.Hour+time.Millisecond)}}
		b := &seller{slug: "b", minimum: 2 * time.Hour,
			offers: []provider.Offer{with("off_4", time.Hour), with("off_5", 3*time.Hour), with("off_6", -time.Second),
				with("off_7", 367*24*time.Hour)}}
		r := newRig(t, d, c, a, b)
		r.sync("a")
		r.sync("b")
		for _, from := range []*catalog.Catalog{r.cat, r.catalog(a, b)} {
			if err := from.Load(t.Context()); err != nil {
				t.Fatal(err)
			}
			got := map[string]int{}
			all, _ := from.Default().List(catalog.Query{})
			for _, o := range all {
				got[string(o.ID)] = o.MinimumRuntimeMinutes
			}
			want := map[string]int{"off_1": 25, "off_2": 25, "off_3": 61, "off_4": 120, "off_5": 180}
			for key, minutes := range want {
				if got[key] != minutes {
					t.Errorf("%s: %d minutes, not %d", key, got[key], minutes)
				}
			}
			if len(got) != len(want) {
				t.Errorf("%v", got)
			}
		}
	})
}

func TestPlain(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ text, want string }{
		"short":           {"no answer", "no answer"},
		"NUL and invalid": {"no\x00 answ\xffer", "no answ?er"},
		"limit":           {strings.Repeat("x", 500), strings.Repeat("x", 500)},
		"over the limit":  {strings.Repeat("x", 501), strings.Repeat("x", 500)},
		"whole letters":   {strings.Repeat("x", 499) + "é", strings.Repeat("x", 499)},
	} {
		if got := catalog.Plain(c.text); got != c.want {
			t.Errorf("%s: plain = %q, want %q", name, got, c.want)
		}
	}
}
