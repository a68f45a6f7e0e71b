package volume_test

import (
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/provider"
	"github.com/billetcloud/billet/internal/volume"
)

// A provider that would make two volumes of one reference is not asked twice before it is known
// that the first request had no effect.
func TestUnansweredCreateIsSettledBeforeARetry(t *testing.T) {
	lands := func(r *testKit, v id.ID) { r.orphan(v, provider.Volume{Reference: v, SizeGB: 100}) }
	works := func(r *testKit, _ id.ID) { r.cloud.failing(trouble{}) }
	throttled := &provider.Error{Kind: provider.KindThrottled, RetryAfter: 7 * time.Second}
	type step struct {
		act   func(r *testKit, v id.ID)
		after time.Duration
		want  volume.Status
		asked int // how often the provider has been asked to create it
	}
	for name, c := range map[string]struct {
		answer trouble // of the first create
		making bool
		steps  []step
	}{
		"had its effect": {answer: trouble{silent, true}, steps: []step{
			{nil, 10 * time.Second, volume.StatusAvailable, 1},
		}},
		"has its effect late": {answer: trouble{silent, false}, steps: []step{
			{nil, 50 * time.Second, volume.StatusCreating, 1},
			{lands, time.Minute, volume.StatusAvailable, 1},
		}},
		// The request may wait a minute to be sent, and take effect for another.
		"had no effect": {answer: trouble{silent, false}, steps: []step{
			{func(r *testKit, _ id.ID) { r.restart() }, 118 * time.Second, volume.StatusCreating, 1},
			{works, 10 * time.Second, volume.StatusAvailable, 2},
		}},
		"is answered, but not listed yet": {making: true, steps: []step{
			{func(r *testKit, _ id.ID) {
				r.cloud.failing(trouble{&provider.Error{Kind: provider.KindNotFound}, false}, "volume")
			}, 50 * time.Second, volume.StatusCreating, 1},
			{func(r *testKit, v id.ID) {
				works(r, v)
				r.cloud.set(func(c *cloud) { c.making = false })
			}, time.Minute, volume.StatusAvailable, 1},
		}},
		"certainly had no effect": {answer: trouble{throttled, false}, steps: []step{
			{works, 8 * time.Second, volume.StatusAvailable, 2},
		}},
		"is deleted meanwhile": {answer: trouble{silent, false}, steps: []step{
			{func(r *testKit, v id.ID) { r.done(r.delete(v)) }, 110 * time.Second, volume.StatusDeleting, 1},
			{lands, 20 * time.Second, volume.StatusDeleted, 1}, // after the first delete
		}},
	} {
		t.Run(name, func(t *testing.T) {
			each(t, func(t *testing.T, r *testKit) {
				r.cloud.set(func(cl *cloud) { cl.settle, cl.making = time.Minute, c.making })
				r.open(acc, money.Dollars(10))
				r.cloud.failing(c.answer, "create")
				v := r.done(r.create(acc, "datasets", 100)).ID
				r.Drain()
				for _, s := range c.steps {
					if s.act != nil {
						s.act(r, v)
					}
					r.Pass(s.after)
					r.wantStatus(v, s.want)
					if got := r.cloud.called("create"); got != s.asked {
						t.Fatalf("the provider was asked %d times to create it, want %d", got, s.asked)
					}
				}
				if r.get(v).Status == volume.StatusDeleted {
					r.wantUpstream(0)
					r.wantMoney(money.Dollars(10), 0)
				}
			})
		})
	}
}

// A volume that is deleted while the provider is asked whether it exists is not created.
func TestDeletedVolumeIsNotCreated(t *testing.T) {
	each(t, func(t *testing.T, r *testKit) {
		r.cloud.set(func(c *cloud) { c.settle = time.Minute })
		r.open(acc, money.Dollars(10))
		v := r.done(r.create(acc, "datasets", 100)).ID
		r.cloud.set(func(c *cloud) { c.meanwhile = func() { r.done(r.delete(v)) } })
		r.Drain()
		r.wantStatus(v, volume.StatusDeleted)
		if got := r.cloud.called("create"); got != 0 {
			t.Errorf("the provider was asked %d times to create it, want 0", got)
		}
	})
}
