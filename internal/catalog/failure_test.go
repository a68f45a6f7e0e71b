package catalog_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/catalog"
	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/db/dbtest"
	"github.com/billetcloud/billet/internal/job"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/pricerule"
	"github.com/billetcloud/billet/internal/provider"
)

// A statement that fails fails the operation: nothing half-read is published.
func TestNoFailedStatementIsIgnored(t *testing.T) {
	t.Parallel()
	c := clock.NewFrozen(dbtest.Start)
	d, faults := dbtest.Recorded(t, db.SQLite, c)
	s := storer{&seller{
		slug: "a", offers: []provider.Offer{offer("x"), offer("y")},
		volumes: []provider.VolumePricing{{Region: "oslo-1", PerGBHour: 100, MinSizeGB: 10, MaxSizeGB: 100}},
	}}
	r := newRig(t, d, c, s)
	each := func(name string, f func() error) { t.Helper(); faults.FailEach(t, name, f) }
	sync := func(name string) {
		t.Helper()
		c.Advance(every)
		each("Sync "+name, func() error {
			_, err := r.cat.Sync(t.Context(), job.Subject("provider", "a"))
			return err
		})
		each("Load after "+name, func() error { return r.catalog(s).Load(t.Context()) })
	}
	each("Start", func() error { return r.cat.Start(t.Context()) })
	sync("of the first answer")
	sold, _ := r.cat.Default().List(catalog.Query{})
	s.set(func(s *seller) {
		s.offers = []provider.Offer{offer("x"), offer("z")}
		s.offers[0].HourlyPrice += money.USD
		s.volumes[0].PerGBHour++
	})
	sync("of changes")
	s.set(func(s *seller) { s.err = errors.New("no answer") })
	sync("without an answer")
	c.Advance(time.Hour)
	sync("of a provider that is down")
	faults.FailEachTx(t, "Forget", d, func(ctx context.Context, tx *db.Tx) error { return r.cat.Forget(ctx, tx, "a") })
	faults.FailEachTx(t, "Report", d, func(ctx context.Context, tx *db.Tx) error {
		return r.cat.Report(ctx, tx, catalog.Attempt{
			Deployment: "dep_1", Offer: "off_1", Provider: "a", Outcome: catalog.ReachedSSH,
		})
	})
	each("PriceHistory", func() error {
		_, _, err := r.cat.PriceHistory(t.Context(), d, "acc_x", sold[0].ID, dbtest.Start, c.Now(), c.Now())
		return err
	})
	r.rule(pricerule.Rule{Terms: pricerule.Terms{Hidden: true}})
	each("Load after a rule", func() error { return r.cat.Load(t.Context()) })
	each("Hidden", func() error { _, err := r.cat.Hidden(t.Context(), d); return err })
}
