package volume_test

import (
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/enginetest"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/provider"
	"github.com/billetcloud/billet/internal/volume"
)

// valid is a request that is not refused.
func valid() volume.CreateRequest {
	return volume.CreateRequest{Name: "a", SizeGB: 100, Provider: "voltage-park", Region: "dallas-usa-5"}
}

// Each invalid field is named, with what is wrong with it, and all of them at once.
func TestCreate_ReportsEveryProblem(t *testing.T) {
	each(t, func(t *testing.T, r *testKit) {
		r.open(acc, money.Dollars(1))
		type problems map[string]string // what a message contains, by field
		for name, c := range map[string]struct {
			spoil func(*volume.CreateRequest)
			want  problems
		}{
			"empty": {
				func(q *volume.CreateRequest) { *q = volume.CreateRequest{} },
				problems{"name": "missing", "provider": "voltage-park", "region": "required", "sizeGb": "whole number"},
			},
			"unknown provider": {
				func(q *volume.CreateRequest) { q.Provider, q.Name = "aws", "../etc" },
				problems{"name": "path", "provider": "no provider"},
			},
			"provider without volumes": {
				func(q *volume.CreateRequest) { q.Provider = "plain" },
				problems{"provider": "has no volumes"},
			},
			"unknown region": {
				func(q *volume.CreateRequest) { q.Region = "mars" },
				problems{"region": "dallas-usa-5, oslo-1"},
			},
			"too large in the region": {
				func(q *volume.CreateRequest) { q.Region, q.SizeGB = "oslo-1", 101 },
				problems{"sizeGb": "between 10 and 100"},
			},
			"too small": {
				func(q *volume.CreateRequest) { q.SizeGB = 9 },
				problems{"sizeGb": "between 10 and 10000"},
			},
			"negative":    {func(q *volume.CreateRequest) { q.SizeGB = -1 }, problems{"sizeGb": "whole number"}},
			"hidden name": {func(q *volume.CreateRequest) { q.Name = ".ssh" }, problems{"name": "letter or digit"}},
			"space":       {func(q *volume.CreateRequest) { q.Name = "my data" }, problems{"name": "path"}},
			"umlaut":      {func(q *volume.CreateRequest) { q.Name = "größe" }, problems{"name": "path"}},
			"long name": {
				func(q *volume.CreateRequest) { q.Name = strings.Repeat("n", 65) },
				problems{"name": "64"},
			},
		} {
			req := valid()
			c.spoil(&req)
			_, err := r.request(acc, req)
			enginetest.WantError(t, err, apierr.InvalidRequest)
			e, _ := errors.AsType[*apierr.Error](err)
			if len(e.Fields()) != len(c.want) {
				t.Errorf("%s: the fields are %+v, want %v", name, e.Fields(), c.want)
			}
			for _, f := range e.Fields() {
				if want, expected := c.want[f.Field]; !expected || !strings.Contains(f.Message, want) {
					t.Errorf("%s: the message of %s is %q, want one with %q", name, f.Field, f.Message, want)
				}
			}
		}
		if all, total := r.list(db.NewestFirst, enginetest.FirstPage); total != 0 {
			t.Errorf("refused requests created %+v", all)
		}
	})
}

func TestCreate_NeedsMoneyForAnHour(t *testing.T) {
	each(t, func(t *testing.T, r *testKit) {
		r.open(acc, money.Dollars(1))
		r.done(r.request(acc, valid()))
		large := valid()
		large.Name, large.SizeGB = "b", 10_000
		_, err := r.request(acc, large)
		enginetest.WantError(t, err, apierr.InsufficientBalance, "$1.10", "$0.989", "$0.00011 per GB")
		if all, total := r.list(db.NewestFirst, enginetest.FirstPage); total != 1 {
			t.Errorf("%d volumes, want 1: %+v", total, all)
		}
	})
}

func TestCreate_BeforeTheProviderAnswered(t *testing.T) {
	each(t, func(t *testing.T, r *testKit) {
		_, err := r.request(acc, valid()) // no provider at all
		enginetest.WantError(t, err, apierr.ServiceUnavailable)
		_, err = r.catalog.Sync(t.Context(), "provider/plain")
		r.Must(err)
		_, err = r.request(acc, valid())
		enginetest.WantError(t, err, apierr.ServiceUnavailable, "has not reported its prices yet")
		if e, is := errors.AsType[*apierr.Error](err); !is || e.RetryAfter <= 0 {
			t.Errorf("RetryAfter of %v, want a pause", err)
		}
	})
}

func TestFailedVolumeCostsNothing(t *testing.T) {
	noCapacity := &provider.Error{Kind: provider.KindNoCapacity}
	fails := func(op string, err error) func(c *cloud) {
		return func(c *cloud) { c.fault = always(op, trouble{err, false}) }
	}
	for name, c := range map[string]struct {
		set     func(c *cloud)
		waiting bool // until the launch limit
		reason  string
	}{
		"refused":           {fails("create", rejected), false, "Computer says no."},
		"sold out":          {fails("create", noCapacity), false, "refused"},
		"never ready":       {func(c *cloud) { c.making = true }, true, "15 minutes"},
		"create unanswered": {fails("create", silent), true, "15 minutes"},
		"get unanswered":    {fails("volume", silent), true, "15 minutes"},
	} {
		t.Run(name, func(t *testing.T) {
			each(t, func(t *testing.T, r *testKit) {
				r.open(acc, money.Dollars(10))
				r.cloud.set(c.set)
				v := r.done(r.create(acc, "datasets", 100)).ID
				r.Pass(14 * time.Minute)
				if c.waiting {
					r.wantStatus(v, volume.StatusCreating)
				}
				r.Pass(8 * time.Minute)
				got := r.wantStatus(v, volume.StatusFailed)
				if got.StatusReason == nil || !strings.Contains(*got.StatusReason, c.reason) || got.CostToDate != 0 {
					t.Fatalf("the volume is %+v, want the reason %q and no cost", got, c.reason)
				}
				r.wantMoney(money.Dollars(10), 0)
				r.wantLateCreateRemoved(v)
				r.wantMoney(money.Dollars(10), 0)
				r.done(r.create(acc, "datasets", 100)) // the name is free
				if gone := r.done(r.delete(v)); gone.Status != volume.StatusDeleted {
					t.Errorf("Delete of a failed volume = %+v, want it deleted", gone)
				}
			})
		})
	}
}

// wantLateCreateRemoved has a create that was given up take effect, and checks that the volume is
// deleted, and that the deleting ends.
func (r *testKit) wantLateCreateRemoved(v id.ID) {
	r.Helper()
	r.cloud.set(func(c *cloud) {
		c.volumes[v] = provider.Volume{Reference: v}
		c.fault = always("", trouble{})
	})
	r.Pass(2 * time.Hour)
	r.wantUpstream(0)
	calls := r.cloud.calls["delete"]
	r.Pass(24 * time.Hour)
	if got := r.cloud.calls["delete"]; got != calls {
		r.Fatalf("the provider is asked %d times more to delete it", got-calls)
	}
}

// Slugs are lower case, as filters take them, however they were written.
func TestCreate_IgnoresTheCaseOfSlugs(t *testing.T) {
	each(t, func(t *testing.T, r *testKit) {
		r.open(acc, money.Dollars(10))
		v, err := r.request(acc, volume.CreateRequest{
			Name: "datasets", Provider: "Voltage-Park", Region: "OSLO-1", SizeGB: 10,
		})
		if err != nil || v.Provider != "voltage-park" || v.Region != "oslo-1" {
			t.Errorf("%+v, %v", v, err)
		}
	})
}

func TestNamesAreUniqueInAnAccount(t *testing.T) {
	each(t, func(t *testing.T, r *testKit) {
		v := r.available()
		r.open("acc_2", money.Dollars(10))
		r.done(r.create("acc_2", "datasets", 100)) // the name of another account
		_, err := r.create(acc, "datasets", 100)
		enginetest.WantError(t, err, apierr.Conflict, `"datasets"`, string(v))
		other := r.done(r.create(acc, "models", 10)).ID
		_, err = r.rename(other, "datasets")
		enginetest.WantError(t, err, apierr.Conflict, string(v))
	})
}

// race runs f at once for each value, and returns how often it succeeded. Every other call must
// return CONFLICT.
func race[V any](t *testing.T, values []V, f func(V) error) int32 {
	var running sync.WaitGroup
	var won atomic.Int32
	for _, v := range values {
		running.Go(func() {
			if err := f(v); err == nil {
				won.Add(1)
			} else if apierr.CodeOf(err) != apierr.Conflict {
				t.Error(err)
			}
		})
	}
	running.Wait()
	return won.Load()
}

func TestParallelCreatesGiveANameOnce(t *testing.T) {
	each(t, func(t *testing.T, r *testKit) {
		r.open(acc, money.Dollars(10))
		made := race(t, slices.Repeat([]string{"one-name"}, 8), func(name string) error {
			_, err := r.create(acc, name, 10)
			return err
		})
		if made != 1 {
			t.Fatalf("%d volumes have one name, want 1", made)
		}
	})
}
