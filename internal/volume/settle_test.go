package volume_test

import (
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/provider"
	"github.com/billetcloud/billet/internal/volume"
)

// A provider that would make two volumes of one reference is not asked twice before it is known
// that the first request came to nothing.
func TestUnansweredCreateIsSettledBeforeARetry(t *testing.T) {
	asked := func(r *rig, op string) (n int) {
		r.cloud.set(func(c *cloud) { n = c.calls[op] })
		return n
	}
	begin := func(t *testing.T, r *rig, answer trouble) volume.Volume {
		t.Helper()
		r.cloud.set(func(c *cloud) { c.settle = time.Minute })
		r.open(acc, money.Dollars(10))
		r.cloud.failing(answer, "create")
		v, err := r.create(acc, "datasets", 100)
		if err != nil {
			t.Fatal(err)
		}
		r.drain()
		return v
	}
	t.Run("it took effect", func(t *testing.T) {
		engines(t, func(t *testing.T, r *rig) {
			v := begin(t, r, trouble{silent, true})
			r.pass(10 * time.Second)
			r.expect(v.ID, volume.StatusAvailable)
			if n := asked(r, "create"); n != 1 {
				t.Errorf("asked for %d times", n)
			}
		})
	})
	t.Run("it took effect late", func(t *testing.T) {
		engines(t, func(t *testing.T, r *rig) {
			v := begin(t, r, trouble{silent, false})
			r.pass(50 * time.Second)
			r.cloud.set(func(c *cloud) { c.volumes[v.ID] = provider.Volume{Reference: v.ID, SizeGB: 100} })
			r.pass(time.Minute)
			r.expect(v.ID, volume.StatusAvailable)
			if n := asked(r, "create"); n != 1 {
				t.Errorf("asked for %d times", n)
			}
		})
	})
	t.Run("it did not", func(t *testing.T) {
		engines(t, func(t *testing.T, r *rig) {
			v := begin(t, r, trouble{silent, false})
			r.serve() // a restart forgets nothing
			r.pass(
				118 * time.Second,
			) // a minute in which the request may have waited to go out, and one in which it may take effect
			if n := asked(r, "create"); n != 1 {
				t.Errorf("asked for %d times while the first may still take effect", n)
			}
			r.cloud.failing(trouble{})
			r.pass(10 * time.Second)
			r.expect(v.ID, volume.StatusAvailable)
			if n := asked(r, "create"); n != 2 {
				t.Errorf("asked for %d times", n)
			}
		})
	})
	t.Run("it is answered and not yet shown", func(t *testing.T) {
		engines(t, func(t *testing.T, r *rig) {
			r.cloud.set(func(c *cloud) { c.making = true })
			v := begin(t, r, trouble{})
			r.cloud.failing(trouble{&provider.Error{Kind: provider.KindNotFound}, false}, "volume")
			r.pass(50 * time.Second)
			r.cloud.failing(trouble{})
			r.cloud.set(func(c *cloud) { c.making = false })
			r.pass(time.Minute)
			r.expect(v.ID, volume.StatusAvailable)
			if n := asked(r, "create"); n != 1 {
				t.Errorf("asked for %d times", n)
			}
		})
	})
	t.Run("the provider says that it made nothing", func(t *testing.T) {
		engines(t, func(t *testing.T, r *rig) {
			v := begin(t, r, trouble{&provider.Error{Kind: provider.KindThrottled, RetryAfter: 7 * time.Second}, false})
			r.cloud.failing(trouble{})
			r.pass(8 * time.Second)
			r.expect(v.ID, volume.StatusAvailable)
		})
	})
	t.Run("it is deleted meanwhile", func(t *testing.T) {
		engines(t, func(t *testing.T, r *rig) {
			v := begin(t, r, trouble{silent, false})
			if _, err := r.delete(v.ID); err != nil {
				t.Fatal(err)
			}
			r.pass(110 * time.Second)
			r.expect(v.ID, volume.StatusDeleting)
			r.cloud.set(
				func(c *cloud) { c.volumes[v.ID] = provider.Volume{Reference: v.ID} },
			) // it lands after the first delete
			r.pass(20 * time.Second)
			r.expect(v.ID, volume.StatusDeleted)
			r.cloud.set(func(c *cloud) {
				if len(c.volumes) != 0 {
					t.Errorf("left upstream: %v", c.volumes)
				}
			})
			if w := r.money(); w.Available != money.Dollars(10) {
				t.Errorf("%+v", w)
			}
		})
	})
	t.Run("it is deleted while it is about to be asked for", func(t *testing.T) {
		engines(t, func(t *testing.T, r *rig) {
			r.cloud.set(func(c *cloud) { c.settle = time.Minute })
			r.open(acc, money.Dollars(10))
			v, err := r.create(acc, "datasets", 100)
			if err != nil {
				t.Fatal(err)
			}
			r.cloud.set(func(c *cloud) {
				c.meanwhile = func() { // while the question is on its way
					if _, err := r.delete(v.ID); err != nil {
						t.Error(err)
					}
				}
			})
			r.drain()
			r.expect(v.ID, volume.StatusDeleted)
			if n := asked(r, "create"); n != 0 {
				t.Errorf("created %d times after it was deleted, want 0", n)
			}
		})
	})
}
