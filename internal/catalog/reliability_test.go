package catalog_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/catalog"
	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/db/dbtest"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/provider"
)

// told is what an offer says of launches: basis, deployments, share, median.
func told(o catalog.Offer) string {
	s := fmt.Sprint(o.Reliability.Basis, " ", o.Reliability.Deployments)
	for _, v := range []*float64{o.Reliability.ReachedSSH} {
		if v != nil {
			s += fmt.Sprint(" ", *v)
		}
	}
	if m := o.Reliability.MedianSecondsToSSH; m != nil {
		s += fmt.Sprint(" ", *m)
	}
	return s
}

func TestOffersShowReliability(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		spot := offer("off_spot")
		spot.InstanceType = provider.Spot
		a := &seller{slug: "a", offers: []provider.Offer{offer("off_1"), offer("off_2"), spot}}
		b := &seller{slug: "b", offers: []provider.Offer{offer("off_b")}}
		r := newRig(t, d, c, a, b)
		r.sync("a")
		r.sync("b")
		number := 0
		report := func(offer id.ID, outcome catalog.Outcome, took time.Duration) {
			t.Helper()
			number++
			if err := d.InTx(t.Context(), func(ctx context.Context, tx *db.Tx) error {
				one := catalog.Attempt{Deployment: id.ID(fmt.Sprint("dep_", number)), Offer: offer, Provider: "a",
					InstanceType: provider.BareMetal, Outcome: outcome, Took: took}
				again := one
				again.Outcome, again.Took = catalog.NotReached, time.Hour // which comes too late
				return errors.Join(r.cat.Report(ctx, tx, one), r.cat.Report(ctx, tx, again))
			}); err != nil {
				t.Fatal(err)
			}
		}
		check := func(want map[id.ID]string) {
			t.Helper()
			if err := r.cat.Load(t.Context()); err != nil {
				t.Fatal(err)
			}
			for offer, expected := range want {
				o, found := r.cat.Default().Get(offer)
				if got := told(o); !found || got != expected {
					t.Errorf("%s: %q, not %q", offer, got, expected)
				}
			}
		}
		check(map[id.ID]string{"off_1": "instanceType 0", "off_b": "instanceType 0"})

		start := c.Now()
		report("off_1", catalog.ReachedSSH, 100*time.Second)
		report("off_1", catalog.ReachedSSH, 301*time.Second)
		report("off_2", catalog.NotReached, time.Hour)
		check(map[id.ID]string{"off_1": "instanceType 0"}) // not before they are counted again
		c.Advance(2 * time.Minute)
		check(map[id.ID]string{"off_1": "instanceType 3 0.667 201", "off_2": "instanceType 3 0.667 201",
			"off_spot": "instanceType 0", "off_b": "instanceType 0"})
		edition := r.cat.Edition()
		c.Advance(2 * time.Minute)
		check(nil)
		if edition != r.cat.Edition() {
			t.Error("figures that are the same made another edition")
		}

		for range 5 {
			report("off_2", catalog.NoCapacity, time.Second)
		}
		lacked := c.Now()
		c.Advance(2 * time.Minute)
		check(map[id.ID]string{"off_1": "instanceType 8 0.25 201", "off_2": "offer 6 0", "off_spot": "instanceType 0"})
		see := func(want bool) {
			t.Helper()
			for _, offer := range []id.ID{"off_1", "off_2"} {
				o, _ := r.cat.Default().Get(offer)
				if (o.LastNoCapacityAt != nil) != (want && offer == "off_2") ||
					o.LastNoCapacityAt != nil && !o.LastNoCapacityAt.Equal(lacked) {
					t.Errorf("%s lacked capacity at %v", offer, o.LastNoCapacityAt)
				}
			}
		}
		see(true)
		c.AdvanceTo(lacked.Add(24*time.Hour - time.Microsecond))
		check(nil)
		see(true)
		c.Advance(2 * time.Minute)
		check(map[id.ID]string{"off_2": "offer 6 0"})
		see(false)

		c.AdvanceTo(start.Add(30 * 24 * time.Hour))
		check(map[id.ID]string{"off_1": "instanceType 5 0", "off_2": "offer 5 0"})
		c.Advance(48 * time.Hour)
		check(map[id.ID]string{"off_1": "instanceType 0", "off_2": "instanceType 0"})
		r.sync("a")
		var left int
		if err := d.QueryRow(t.Context(), `SELECT COUNT(*) FROM catalog_attempt`).Scan(&left); err != nil || left != 0 {
			t.Errorf("%d attempts are kept: %v", left, err)
		}
	})
}

// However launches went, an offer's figures are those of its own launches or, where they are few,
// of its kind's.
func TestFiguresMatchSimpleCount(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		vm := offer("off_vm")
		vm.InstanceType = provider.VM
		s := &seller{slug: "a", offers: []provider.Offer{offer("off_1"), offer("off_2"), vm}}
		r := newRig(t, d, c, s)
		r.sync("a")
		kinds := map[id.ID]provider.InstanceType{"off_1": provider.BareMetal, "off_2": provider.BareMetal,
			"off_vm": provider.VM, "off_gone": provider.VM}
		var all []catalog.Attempt
		for i, n := range []int{0, 1, 2, 3, 0, 0, 0, 3, 3, 3, 0, 2, 0} {
			a := catalog.Attempt{Deployment: id.ID(fmt.Sprint("dep_", i)),
				Offer: []id.ID{"off_1", "off_2", "off_vm", "off_gone"}[n], Provider: "a",
				Outcome: []catalog.Outcome{catalog.ReachedSSH, catalog.NotReached, catalog.ReachedSSH,
					catalog.NoCapacity}[i%4], Took: time.Duration(i*i) * time.Second}
			a.InstanceType = kinds[a.Offer]
			all = append(all, a)
			if err := d.InTx(t.Context(), func(ctx context.Context,
				tx *db.Tx) error {
				return r.cat.Report(ctx, tx, a)
			}); err != nil {
				t.Fatal(err)
			}
		}
		c.Advance(2 * time.Minute)
		if err := r.cat.Load(t.Context()); err != nil {
			t.Fatal(err)
		}
		count := func(of func(catalog.Attempt) bool) (n, reached int) {
			for _, a := range all {
				if of(a) {
					n++
					if a.Outcome == catalog.ReachedSSH {
						reached++
					}
				}
			}
			return n, reached
		}
		for offer, kind := range kinds {
			o, found := r.cat.Default().Get(offer)
			if !found {
				continue
			}
			basis := "offer"
			n, reached := count(func(a catalog.Attempt) bool { return a.Offer == offer })
			if n < 5 {
				basis = "instanceType"
				n, reached = count(func(a catalog.Attempt) bool { return a.InstanceType == kind })
			}
			f := o.Reliability
			if f.Basis != basis || f.Deployments != n || f.ReachedSSH == nil ||
				*f.ReachedSSH < float64(reached)/float64(n)-0.0005 ||
				*f.ReachedSSH > float64(reached)/float64(n)+0.0005 {
				t.Errorf("%s: %s, with %d of %d by %s", offer, told(o), reached, n, basis)
			}
		}
	})
}
