package catalog_test

import (
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/catalog"
	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/db/dbtest"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/pricerule"
	"github.com/billetcloud/billet/internal/provider"
)

// What is for trusted tenants only is in no market but theirs, whatever prices an account has.
func TestOnlyTrustedAccountsAreOfferedWhatIsForThem(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		for _, others := range []int{0, 3} { // with and without offers for all
			s := &seller{slug: "a", offers: append([]provider.Offer{}, market(others)...)}
			special := offer("off_special")
			special.TrustedTenantsOnly, special.Region = true, "secret-1"
			s.offers = append(s.offers, special)
			r := newRig(t, d, c, s)
			r.own = func() map[id.ID]int64 { return map[id.ID]int64{"acc_own": 500, "acc_both": 500} }
			r.trust = []id.ID{"acc_trusted", "acc_both"}
			r.sync("a")
			r.load()
			for account, trusted := range map[id.ID]bool{
				"acc_usual": false, "acc_own": false, "acc_trusted": true, "acc_both": true,
			} {
				m, want := r.cat.For(account), others
				if trusted {
					want++
				}
				o, found := m.Get("off_special")
				if list, listed := m.List(catalog.Query{}); found != trusted || o.TrustedTenantsOnly != trusted ||
					len(list) != want || listed != want {
					t.Errorf("%s of %d: found %t, %d of %d offers", account, others, found, len(list), listed)
				}
				for _, place := range m.Regions() {
					if place.Slug == "secret-1" && !trusted {
						t.Errorf("%s is shown the region", account)
					}
				}
			}
			if r.cat.For("acc_both").Key() == r.cat.For("acc_own").Key() {
				t.Error("a trusted account shares the answers of one that is not")
			}
			// The preview of a price rule agrees.
			rule := pricerule.Rule{ID: "prl_1", Terms: pricerule.Terms{FloorPerGPU: 100 * money.USD}}
			for account, want := range map[id.ID]int{"": others, "acc_usual": others, "acc_trusted": others + 1} {
				rule.Account = account
				if e := r.cat.Preview(rule, nil, pricerule.Set{rule}); len(e.Changes) != want {
					t.Errorf("a rule of %q changes %d offers, want %d", account, len(e.Changes), want)
				}
			}
			r.trust = nil
			r.load()
			if _, found := r.cat.For("acc_trusted").Get("off_special"); found {
				t.Error("it is offered to an account that is no longer trusted")
			}
		}
	})
}

func TestPriceHistoryOfTrustedOffersIsForTrustedAccounts(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		s := &seller{slug: "a", offers: append([]provider.Offer{}, market(1)...)}
		special := offer("off_special")
		special.TrustedTenantsOnly = true
		s.offers = append(s.offers, special)
		r := newRig(t, d, c, s)
		r.trust = []id.ID{"acc_trusted"}
		r.sync("a")
		r.load()
		now := c.Now()
		for account, want := range map[id.ID]bool{"acc_usual": false, "acc_trusted": true} {
			_, listed := r.cat.For(account).Get("off_special")
			points, found, err := r.cat.PriceHistory(
				t.Context(), d, account, "off_special", now.Add(-time.Hour), now.Add(time.Hour), now,
			)
			if listed != want || found != want || err != nil || !want && points != nil {
				t.Errorf("%s: listed %t, history %v %t %v; want %t", account, listed, points, found, err, want)
			}
		}
	})
}
