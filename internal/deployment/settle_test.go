package deployment_test

import (
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/deployment"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/provider"
)

// A provider that would make two machines of one reference is not asked twice before it is known
// that the first request came to nothing.
func TestUnansweredLaunchIsSettledBeforeARetry(t *testing.T) {
	lost := &provider.Error{Kind: provider.KindUnavailable}
	asked := func(r *testKit) (n int) {
		r.fake.set(func() { n = r.fake.calls["launch"] })
		return n
	}
	t.Run("it took effect", func(t *testing.T) {
		each(t, func(t *testing.T, r *testKit) {
			a := r.account(money.Dollars(1000))
			r.fake.set(func() { r.fake.settleTime, r.fake.answerErr = time.Minute, lost })
			d := r.deploy(a)
			d = r.await(a, d.ID, deployment.StatusRunning)
			if n := asked(r); n != 1 {
				t.Errorf("%d launches", n)
			}
			if up := r.upstream(); len(up) != 1 || up[0] != d.ID {
				t.Errorf("upstream %v", up)
			}
		})
	})
	t.Run("it did not", func(t *testing.T) {
		each(t, func(t *testing.T, r *testKit) {
			a := r.account(money.Dollars(1000))
			r.fake.set(func() { r.fake.settleTime, r.fake.launchErr = time.Minute, lost })
			d := r.deploy(a)
			r.pass(
				119 * time.Second,
			) // a minute in which the request may have waited to go out, and one in which it may take effect
			if n := asked(r); n != 1 {
				t.Errorf("%d launches while the first may still take effect", n)
			}
			r.serve() // a restart forgets nothing
			r.fake.set(func() { r.fake.launchErr = nil })
			r.await(a, d.ID, deployment.StatusRunning)
			if n := asked(r); n != 2 {
				t.Errorf("%d launches", n)
			}
		})
	})
	t.Run("the provider says that it made nothing", func(t *testing.T) {
		each(t, func(t *testing.T, r *testKit) {
			a := r.account(money.Dollars(1000))
			r.fake.set(func() {
				r.fake.settleTime, r.fake.launchErr = time.Hour, &provider.Error{
					Kind:       provider.KindThrottled,
					RetryAfter: 7 * time.Second,
				}
			})
			d := r.deploy(a)
			r.pass(time.Second)
			r.fake.set(func() { r.fake.launchErr = nil })
			r.pass(8 * time.Second)
			r.await(a, d.ID, deployment.StatusRunning)
		})
	})
	t.Run("it is given up meanwhile", func(t *testing.T) {
		each(t, func(t *testing.T, r *testKit) {
			a := r.account(money.Dollars(1000))
			r.fake.set(func() { r.fake.settleTime, r.fake.launchErr, r.fake.pollEvery = time.Hour, lost, time.Minute })
			d := r.deploy(a)
			r.pass(20 * time.Minute)
			r.await(a, d.ID, deployment.StatusFailed)
			if w := r.walletOf(a); w.Balance != money.Dollars(1000) || w.Held != 0 {
				t.Errorf("%+v", w)
			}
			ended := func() (n int) {
				r.fake.set(func() { n = r.fake.calls["terminate"] })
				return n
			}
			before := ended()
			r.pass(30 * time.Minute)
			if now := ended(); now < before+20 {
				t.Errorf("asked to end what may still come %d times in half an hour", now-before)
			}
			r.pass(11 * time.Minute)
			before = ended()
			r.pass(time.Hour)
			if now := ended(); now != before {
				t.Errorf("asked to end it %d times more when nothing can come of it", now-before)
			}
		})
	})
}

// A provider that does not take our key makes nothing, and the tenant is told to go elsewhere; the
// money is free again.
func TestLaunchRefusedForTheOperatorFailsAtOnce(t *testing.T) {
	for _, kind := range []provider.Kind{provider.KindCredentials, provider.KindQuota} {
		t.Run(string(kind), func(t *testing.T) {
			each(t, func(t *testing.T, r *testKit) {
				a := r.account(money.Dollars(1000))
				r.fake.set(func() { r.fake.launchErr = &provider.Error{Kind: kind, Message: "pay your bill"} })
				d := r.deploy(a)
				d = r.await(a, d.ID, deployment.StatusFailed)
				if d.StatusReason == nil || *d.StatusReason == "pay your bill" {
					t.Errorf("the tenant reads %v", d.StatusReason)
				}
				if w := r.walletOf(a); w.Held != 0 || w.Balance != money.Dollars(1000) {
					t.Errorf("%+v", w)
				}
			})
		})
	}
}
