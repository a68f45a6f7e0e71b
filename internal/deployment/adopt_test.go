package deployment_test

import (
	"context"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/deployment"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/provider"
)

func (r *testKit) adopt(req deployment.AdoptRequest) (d deployment.Deployment, err error) {
	err = r.tx(func(ctx context.Context, tx *db.Tx) (err error) {
		d, err = r.deployments.Adopt(ctx, tx, req)
		return err
	})
	return d, err
}

// lostMachine launches a machine that the database does not know, and returns what an operator may
// say about it.
func (r *testKit) lostMachine(account id.ID) deployment.AdoptRequest {
	r.t.Helper()
	reference, system := r.ids.New(id.Deployment), "Ubuntu 22.04"
	market, found := r.catalog.For(account).Get(pageOffer)
	if !found {
		r.t.Fatal("no offer")
	}
	m, err := r.fake.simulated.Launch(r.t.Context(), provider.LaunchRequest{
		Reference: reference, Name: "lost", OfferKey: market.Key, Region: market.Region, OperatingSystem: system,
		AuthorizedKeys: []string{publicKey(r.t)},
	})
	r.must(err)
	return deployment.AdoptRequest{
		Reference: reference, Provider: slug, MachineID: m.ID, Account: account, OfferID: pageOffer,
		OperatingSystem: &system, Name: "found again",
	}
}

func TestAdoptedMachineIsBilledFromThenOn(t *testing.T) {
	each(t, func(t *testing.T, r *testKit) {
		a := r.account(money.Dollars(1000))
		req := r.lostMachine(a)
		r.clock.AdvanceTo(r.clock.Now().Add(30 * time.Minute)) // it is ready, and Billet did nothing meanwhile
		d, err := r.adopt(req)
		r.must(err)
		if d.ID != req.Reference || d.Status != deployment.StatusRunning || d.StartedAt == nil {
			t.Fatalf("%+v, want %s running", d, req.Reference)
		}
		r.drain()
		d = r.get(a, d.ID)
		if d.Status != deployment.StatusRunning || d.IPAddress == nil || d.CostToDate != d.HourlyPrice {
			t.Errorf("%+v, want it running, with an address, for an hour", d)
		}
		r.pass(2*time.Hour + time.Minute)
		if d = r.get(a, d.ID); d.CostToDate != d.HourlyPrice.Times(3) || len(r.allIssues()) != 0 ||
			len(r.upstream()) != 1 {
			t.Errorf("%+v, issues %v, upstream %v", d, r.allIssues(), r.upstream())
		}
		_, _, err = r.terminate(a, d.ID, false)
		r.must(err)
		r.await(a, d.ID, deployment.StatusTerminated)
		if len(r.upstream()) != 0 {
			t.Errorf("upstream %v, want nothing", r.upstream())
		}
		r.checkLedger()
	})
}

func TestAdoptRefusesWhatCannotBe(t *testing.T) {
	each(t, func(t *testing.T, r *testKit) {
		rich, poor := r.account(money.Dollars(1000)), r.account(money.Dollars(1))
		req := r.lostMachine(rich)
		for want, change := range map[apierr.Code]func(*deployment.AdoptRequest){
			apierr.InsufficientBalance: func(q *deployment.AdoptRequest) { q.Account = poor },
			apierr.NotFound:            func(q *deployment.AdoptRequest) { q.OfferID = "off_none" },
			apierr.InvalidRequest:      func(q *deployment.AdoptRequest) { q.Provider, q.Name = "basalt", "\x00" },
		} {
			bad := req
			change(&bad)
			if _, err := r.adopt(bad); r.code(err) != want {
				t.Errorf("%+v: %v, want %s", bad, err, want)
			}
		}
		_, err := r.adopt(req)
		r.must(err)
		if _, err := r.adopt(req); r.code(err) != apierr.Conflict {
			t.Errorf("twice: %v", err)
		}
		if w := r.walletOf(poor); w.Held != 0 || w.Balance != money.Dollars(1) {
			t.Errorf("%+v, want nothing charged", w)
		}
		r.checkLedger()
	})
}
