package deployment_test

import (
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/catalog"
	"github.com/billetcloud/billet/internal/deployment"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/provider"
)

// otherOffers returns offers of other providers than Voltage Park that are available, each of
// another provider.
func (r *testKit) otherOffers(n int) []catalog.Offer {
	r.t.Helper()
	yes, seen := true, map[string]bool{slug: true}
	all, _ := r.catalog.Default().List(catalog.Query{Available: &yes, Page: firstPage})
	var out []catalog.Offer
	for _, o := range all {
		if !seen[o.Provider] && len(out) < n {
			seen[o.Provider] = true
			out = append(out, o)
		}
	}
	if len(out) < n {
		r.t.Fatalf("%d offers elsewhere", len(out))
	}
	return out
}

// among is a request for the page's offer, or else one of the others.
func requestAmong(t *testing.T, others ...catalog.Offer) deployment.CreateRequest {
	req := request(t)
	req.Provider, req.GPUType, req.GPUCount = nil, nil, nil
	req.Region, req.InstanceType, req.OperatingSystem = nil, nil, nil
	req.Candidates, req.OfferID = []deployment.Candidate{{OfferID: req.OfferID}}, ""
	for _, o := range others {
		req.Candidates = append(
			req.Candidates,
			deployment.Candidate{OfferID: o.ID, OperatingSystem: &o.OperatingSystems[0]},
		)
	}
	return req
}

func TestNextCandidateMakesOneMachine(t *testing.T) {
	for name, c := range map[string]struct {
		arrange func(p *fakeProvider)
		cause   deployment.Cause
	}{
		"no capacity": {launchFails(provider.KindNoCapacity), deployment.CauseNoCapacity},
		"refused":     {launchFails(provider.KindRejected), deployment.CauseRejected},
		"our key":     {launchFails(provider.KindCredentials), deployment.CauseRejected},
		"no answer":   {launchFails(provider.KindUnavailable), deployment.CauseTimedOut},
		"made, and no answer": {func(p *fakeProvider) {
			p.answerErr = &provider.Error{Kind: provider.KindUnavailable}
			p.changeMachine = func(m provider.Machine) (provider.Machine, error) {
				m.State = provider.MachineProvisioning
				return m, nil
			}
		}, deployment.CauseTimedOut},
		"never ready": {func(p *fakeProvider) {
			p.changeMachine = func(m provider.Machine) (provider.Machine, error) {
				if m.State == provider.MachineReady {
					m.State = provider.MachineProvisioning
				}
				return m, nil
			}
		}, deployment.CauseTimedOut},
		"broken": {func(p *fakeProvider) {
			p.changeMachine = func(m provider.Machine) (provider.Machine, error) {
				m.State = provider.MachineFailed
				return m, nil
			}
		}, deployment.CauseRejected},
	} {
		t.Run(name, func(t *testing.T) {
			each(t, func(t *testing.T, r *testKit) {
				a, next := r.account(money.Dollars(1000)), r.otherOffers(1)[0]
				page, _ := r.catalog.Default().Get("off_abc123")
				r.fake.set(func() { c.arrange(r.fake) })
				d, err := r.create(a, requestAmong(t, next))
				r.must(err)
				if w := r.walletOf(a); w.Held != max(page.HourlyPrice, next.HourlyPrice) {
					t.Errorf("%s held for %s or %s", w.Held, page.HourlyPrice, next.HourlyPrice)
				}
				r.pass(20 * time.Minute) // the first one's limit
				d = r.await(a, d.ID, deployment.StatusRunning)
				if d.OfferID != next.ID || d.Provider != next.Provider || d.HourlyPrice != next.HourlyPrice ||
					d.GPUType != next.GPUType ||
					d.Region != next.Region {
					t.Errorf("%+v, want offer %+v", d, next)
				}
				if len(d.Attempts) != 1 || d.Attempts[0].OfferID != "off_abc123" || d.Attempts[0].Cause != c.cause ||
					d.Attempts[0].Reason == "" {
					t.Errorf("attempts %+v, want one by %s", d.Attempts, c.cause)
				}
				if w := r.walletOf(a); w.Held != 0 || w.Balance != money.Dollars(1000)-next.HourlyPrice {
					t.Errorf("%+v after the first hour at %s", w, next.HourlyPrice)
				}
				if all := r.upstream(); len(all) != 1 || all[0] != d.ID {
					t.Errorf("upstream: %v", all)
				}
				r.checkLedger()
				r.pass(30 * time.Minute)
				_, _, err = r.terminate(a, d.ID, false)
				r.must(err)
				r.await(a, d.ID, deployment.StatusTerminated)
				if all := r.upstream(); len(all) != 0 {
					t.Errorf("left upstream: %v", all)
				}
			})
		})
	}
}

func TestFailedCandidatesCostNothing(t *testing.T) {
	each(t, func(t *testing.T, r *testKit) {
		a, next := r.account(money.Dollars(1000)), r.otherOffers(1)[0]
		r.fake.set(func() { r.fake.launchErr = &provider.Error{Kind: provider.KindNoCapacity} })
		d, err := r.create(a, requestAmong(t, next))
		r.must(err)
		r.sshErr = errNoSSH // which no machine anywhere gets past
		r.pass(20 * time.Minute)
		d = r.await(a, d.ID, deployment.StatusFailed)
		if len(d.Attempts) != 1 || d.OfferID != next.ID || d.StatusCause != deployment.CauseTimedOut {
			t.Errorf("%+v", d)
		}
		r.pass(10 * time.Minute)
		if w := r.walletOf(a); w.Held != 0 || w.Balance != money.Dollars(1000) || len(r.upstream()) != 0 {
			t.Errorf("%+v, upstream %v", w, r.upstream())
		}
		r.checkLedger()
	})
}

func TestTerminateBetweenTwoCandidates(t *testing.T) {
	each(t, func(t *testing.T, r *testKit) {
		a, next := r.account(money.Dollars(1000)), r.otherOffers(1)[0]
		r.fake.set(func() { r.fake.launchErr = &provider.Error{Kind: provider.KindUnavailable} })
		req, end := requestAmong(t, next), r.clock.Now().Add(26*time.Minute)
		req.AutoTerminateAt = &end
		d, err := r.create(a, req)
		r.must(err)
		r.pass(5 * time.Minute)
		r.serve() // a restart in between
		r.sshErr = errNoSSH
		r.pass(25 * time.Minute)
		d = r.await(a, d.ID, deployment.StatusTerminated)
		if w := r.walletOf(a); w.Held != 0 || w.Balance != money.Dollars(1000) || len(r.upstream()) != 0 {
			t.Errorf("%+v, upstream %v, %+v", w, r.upstream(), d)
		}
	})
}

func TestUnavailableCandidatesAreSkipped(t *testing.T) {
	each(t, func(t *testing.T, r *testKit) {
		a, others := r.account(money.Dollars(1000)), r.otherOffers(2)
		req := requestAmong(t, others...)
		most := max(others[0].HourlyPrice, others[1].HourlyPrice) // the page's offer is dearer
		req.MaxHourlyPrice = &most
		d, err := r.create(a, req)
		r.must(err)
		if d.OfferID != others[0].ID || len(d.Attempts) != 1 || d.Attempts[0].Cause != "too_expensive" {
			t.Errorf("%+v", d)
		}
		least := money.Micros(1)
		req.MaxHourlyPrice = &least
		if _, err := r.create(a, req); r.code(err) != apierr.OfferUnavailable {
			t.Errorf("none can be had: %v", err)
		}
	})
}

func TestContradictoryCandidatesAreRefused(t *testing.T) {
	each(t, func(t *testing.T, r *testKit) {
		a, other := r.account(money.Dollars(1000)), r.otherOffers(1)[0]
		for name, change := range map[string]func(req *deployment.CreateRequest){
			"twice": func(req *deployment.CreateRequest) {
				req.Candidates = append(req.Candidates, req.Candidates[0])
			},
			"and an offer": func(req *deployment.CreateRequest) { req.OfferID = other.ID },
			"too many": func(req *deployment.CreateRequest) {
				req.Candidates = make([]deployment.Candidate, deployment.MaxCandidates+1)
			},
			"another provider": func(req *deployment.CreateRequest) { p := slug; req.Provider = &p },
			"no system": func(req *deployment.CreateRequest) {
				system := "Plan 9"
				req.Candidates[1].OperatingSystem = &system
			},
		} {
			req := requestAmong(t, other)
			change(&req)
			if _, err := r.create(a, req); r.code(err) != apierr.InvalidRequest {
				t.Errorf("%s: %v", name, err)
			}
		}
		req := requestAmong(t, other)
		req.Candidates[1].OfferID = "off_nowhere"
		if _, err := r.create(a, req); r.code(err) != apierr.NotFound {
			t.Errorf("an offer that there is not: %v", err)
		}
	})
}

func TestQuoteFixesThePriceOfOneDeployment(t *testing.T) {
	each(t, func(t *testing.T, r *testKit) {
		a, b := r.account(money.Dollars(1000)), r.account(money.Dollars(1000))
		q := r.quote(a, "off_abc123")
		r.fake.set(func() { r.fake.price = q.HourlyPrice + money.Dollars(10) })
		r.pass(5 * time.Minute) // the sync sees it
		if o, _ := r.catalog.Default().Get("off_abc123"); o.HourlyPrice != q.HourlyPrice+money.Dollars(10) {
			t.Fatalf("the offer costs %s", o.HourlyPrice)
		}
		req := request(t)
		req.Quote = q.ID
		if _, err := r.create(b, req); r.code(err) != apierr.NotFound {
			t.Errorf("another account's quote: %v, want NOT_FOUND", err)
		}
		most := q.HourlyPrice
		req.MaxHourlyPrice = &most
		d, err := r.create(a, req)
		r.must(err)
		d = r.await(a, d.ID, deployment.StatusRunning)
		if d.HourlyPrice != q.HourlyPrice || d.CostToDate != q.HourlyPrice {
			t.Errorf("quoted at %s, and costs %s, %s so far", q.HourlyPrice, d.HourlyPrice, d.CostToDate)
		}
		if _, err := r.create(a, req); r.code(err) != apierr.InvalidRequest {
			t.Errorf("the same quote again: %v", err)
		}
		late := r.quote(a, "off_abc123")
		r.pass(11 * time.Minute)
		req.Quote, req.MaxHourlyPrice, req.OfferID = late.ID, nil, ""
		if _, err := r.create(a, req); r.code(err) != apierr.InvalidRequest {
			t.Errorf("an expired quote: %v", err)
		}
		r.checkLedger()
	})
}
