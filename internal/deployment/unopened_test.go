package deployment_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/deployment"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/provider"
	"github.com/billetcloud/billet/internal/volume"
)

// closeAccount makes the provider's account one that cannot be opened, until the returned function
// is called.
func (r *testKit) closeAccount() (open func()) {
	all := r.providers.All()
	var others []provider.Provider
	for _, p := range all {
		if p.Info().Slug != slug {
			others = append(others, p)
		}
	}
	r.providers.Replace(others...)
	return func() { r.providers.Replace(all...) }
}

// The account cannot be opened any more when the launch is due. The money is free at the launch
// deadline, and nothing keeps the account from being removed.
func TestNothingIsHeldForAnAccountThatCannotBeOpened(t *testing.T) {
	each(t, func(t *testing.T, r *testKit) {
		a := r.account(money.Dollars(1000))
		d, err := r.create(a, request(t))
		r.must(err)
		r.closeAccount()
		r.pass(r.fake.Info().LaunchLimit - time.Minute)
		if x := r.get(a, d.ID); x.Status != deployment.StatusPending || r.walletOf(a).Held == 0 {
			t.Fatalf("before the deadline: %+v, %+v", x, r.walletOf(a))
		}
		r.pass(2 * time.Minute)
		x := r.get(a, d.ID)
		if x.Status != deployment.StatusFailed || x.StatusReason == nil ||
			!strings.Contains(*x.StatusReason, "nothing was launched") {
			t.Errorf("after the deadline: %+v", x)
		}
		if w := r.walletOf(a); w.Held != 0 || w.Balance != money.Dollars(1000) {
			t.Errorf("wallet %+v", w)
		}
		if left, err := deployment.CountByProvider(t.Context(), r.db); err != nil || left[slug] != 0 {
			t.Errorf("%d deployments may have a machine, %v", left[slug], err)
		}
		var reported int
		r.must(r.db.QueryRow(t.Context(), `SELECT COUNT(*) FROM catalog_attempt`).Scan(&reported))
		if reported != 0 {
			t.Errorf("%d launches count for the offer, although none was sent", reported)
		}
		r.checkLedger()
	})
}

// A launch whose answer was lost is asked about as soon as the account can be opened again.
func TestALaunchThatMayHaveBeenSentWaitsForItsAccount(t *testing.T) {
	each(t, func(t *testing.T, r *testKit) {
		a := r.account(money.Dollars(1000))
		r.fake.set(func() { r.fake.answerErr = failure(provider.KindUnavailable) })
		d, err := r.create(a, request(t))
		r.must(err)
		r.drain()
		open := r.closeAccount()
		r.pass(r.fake.Info().LaunchLimit + time.Hour)
		if x := r.get(a, d.ID); x.Status != deployment.StatusDeploying || r.walletOf(a).Held == 0 {
			t.Fatalf("while it cannot be asked: %+v, %+v", x, r.walletOf(a))
		}
		open()
		r.pass(time.Hour)
		if x := r.get(a, d.ID); x.Status != deployment.StatusFailed || r.walletOf(a).Held != 0 {
			t.Errorf("once it can be asked: %+v, %+v", x, r.walletOf(a))
		}
		if left := r.upstream(); len(left) != 0 {
			t.Errorf("machines are left: %v", left)
		}
		r.checkLedger()
	})
}

func TestAVolumeIsNotHeldForAnAccountThatCannotBeOpened(t *testing.T) {
	each(t, func(t *testing.T, r *testKit) {
		a := r.account(money.Dollars(1000))
		var v volume.Volume
		r.must(r.tx(func(ctx context.Context, tx *db.Tx) (err error) {
			v, err = r.volumes.Create(ctx, tx, a, volume.CreateRequest{
				Name: "data", SizeGB: 100, Provider: slug, Region: "dallas-usa-5",
			})
			return err
		}))
		open := r.closeAccount()
		r.pass(14 * time.Minute)
		if r.walletOf(a).Held == 0 {
			t.Fatal("the hold was released too soon")
		}
		r.pass(2 * time.Minute)
		x, err := r.volumes.Get(t.Context(), r.db, a, v.ID)
		if err != nil || x.Status != volume.StatusFailed || r.walletOf(a).Held != 0 {
			t.Errorf("after 16 minutes: %+v, %v, %+v", x, err, r.walletOf(a))
		}
		open()
		r.pass(2 * time.Hour)
		if left, err := volume.CountByProvider(t.Context(), r.db); err != nil || left[slug] != 0 {
			t.Errorf("%d volumes may be left, %v", left[slug], err)
		}
		r.checkLedger()
	})
}
