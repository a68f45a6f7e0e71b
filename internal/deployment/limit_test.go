package deployment_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/deployment"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/meter"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/spendlimit"
	"github.com/billetcloud/billet/internal/wallet"
)

// update changes a deployment as a signed-in user does.
func (r *testKit) update(account, d id.ID, u deployment.UpdateRequest) (x deployment.Deployment, err error) {
	err = r.tx(func(ctx context.Context, tx *db.Tx) (err error) {
		x, err = r.deployments.Update(ctx, tx, account, d, u)
		return err
	})
	return x, err
}

// types counts the transactions of a deployment by type.
func (r *testKit) types(account, d id.ID) map[wallet.Type]int {
	out := map[wallet.Type]int{}
	r.must(r.wallet.Export(r.t.Context(), r.db, account, wallet.Filter{Subject: d}, func(t wallet.Transaction) error {
		out[t.Type]++
		return nil
	}))
	return out
}

// The server is down when the limit is due, and the sweep of the meter runs before anything ends
// the deployment: no hour is charged that would pass the limit, not even to be refunded.
func TestLimitsHoldWhileTheServerIsDown(t *testing.T) {
	dollar := money.USD
	for name, tt := range map[string]struct {
		spend   money.Micros // in hours and dollars more
		more    money.Micros
		minutes int64
		end     *time.Duration // autoTerminateAt after the start
		hours   int
		billed  time.Duration
		cause   deployment.Cause
		reason  string
	}{
		"spend":                   {2, 0, 0, nil, 2, 2 * time.Hour, "max_spend", "another hour"},
		"spend with a rest":       {3, dollar, 0, nil, 3, 3 * time.Hour, "max_spend", "maximum spend"},
		"runtime":                 {0, 0, 90, nil, 2, 90 * time.Minute, "max_runtime", "90 minutes"},
		"runtime of whole hours":  {0, 0, 120, nil, 2, 2 * time.Hour, "max_runtime", "120 minutes"},
		"runtime before spend":    {3, 0, 61, nil, 2, 61 * time.Minute, "max_runtime", "61 minutes"},
		"spend before runtime":    {1, 0, 61, nil, 1, time.Hour, "max_spend", "maximum spend"},
		"a plan before the limit": {5, 0, 600, new(2 * time.Hour), 2, 2 * time.Hour, "scheduled", ""},
	} {
		t.Run(name, func(t *testing.T) {
			each(t, func(t *testing.T, r *testKit) {
				a, req := r.account(money.Dollars(1000)), request(t)
				o, _ := r.catalog.Default().Get(pageOffer)
				if tt.spend > 0 {
					req.MaxSpend = new(tt.spend*o.HourlyPrice + tt.more)
				}
				if tt.minutes > 0 {
					req.MaxRuntimeMinutes = &tt.minutes
				}
				d, err := r.create(a, req)
				r.must(err)
				d = r.await(a, d.ID, deployment.StatusRunning)
				if tt.end != nil {
					d, err = r.update(a, d.ID, deployment.UpdateRequest{AutoTerminateAt: new(d.StartedAt.Add(*tt.end))})
					r.must(err)
				}
				due := d.StartedAt.Add(tt.billed)
				if d.EndsAt == nil || !d.EndsAt.Equal(due) {
					t.Errorf("endsAt is %v, want %s", d.EndsAt, due)
				}
				r.clock.Advance(7 * time.Hour) // the server is down
				if _, err := r.meter.Sweep(t.Context(), meter.Fleet); err != nil {
					t.Fatal(err)
				}
				if got := r.types(a, d.ID)["charge"]; got != tt.hours {
					t.Errorf("the sweep charged %d hours, want %d", got, tt.hours)
				}
				r.pass(time.Minute)
				x := r.get(a, d.ID)
				if x.Status != deployment.StatusTerminated || !x.BilledUntil.Equal(due) ||
					x.CostToDate != o.HourlyPrice.Times(int64(tt.hours)) || x.EndsAt != nil {
					t.Errorf("due at %s: %+v", due, x)
				}
				if got := r.types(a, d.ID); got["charge"] != tt.hours || got["refund"] != 0 {
					t.Errorf("transactions: %v", got)
				}
				events, _, err := r.events.List(t.Context(), r.db, a, d.ID, firstPage)
				r.must(err)
				for _, e := range events {
					reason, _ := e.Data["reason"].(string)
					if e.Type == "deployment.terminating" && (e.Data["cause"] != string(tt.cause) ||
						!strings.Contains(strings.ToLower(reason), tt.reason)) {
						t.Errorf("the event says %v", e.Data)
					}
				}
				r.checkLedger()
			})
		})
	}
}

// Limits are moved and lifted while the machine runs. One that is passed already is refused.
func TestLimitsChangeWhileRunning(t *testing.T) {
	each(t, func(t *testing.T, r *testKit) {
		a, req := r.account(money.Dollars(2000)), request(t)
		o, _ := r.catalog.Default().Get(pageOffer)
		price := o.HourlyPrice
		req.MaxSpend, req.MaxRuntimeMinutes = new(2*price), new(int64(600))
		d, err := r.create(a, req)
		r.must(err)
		if d.EndsAt != nil {
			t.Errorf("before the start endsAt is %s", d.EndsAt)
		}
		d = r.await(a, d.ID, deployment.StatusRunning)
		r.pass(90 * time.Minute)
		_, err = r.update(
			a,
			d.ID,
			deployment.UpdateRequest{MaxSpend: new(2*price - 1), MaxRuntimeMinutes: new(int64(89))},
		)
		e := (*apierr.Error)(nil)
		if !errors.As(err, &e) || e.Code != apierr.InvalidRequest ||
			len(e.Details["fields"].([]apierr.FieldError)) != 2 {
			t.Fatalf("limits that are passed: %v", err)
		}
		if d, err = r.update(a, d.ID, deployment.UpdateRequest{MaxSpend: new(4 * price)}); err != nil {
			t.Fatal(err)
		}
		r.pass(time.Hour)
		if d = r.get(a, d.ID); d.Status != deployment.StatusRunning || d.CostToDate != 3*price {
			t.Fatalf("after the limit was raised: %+v", d)
		}
		// It is passed while the server is down, and raised before anything ended the deployment.
		r.clock.AdvanceTo(d.StartedAt.Add(4*time.Hour + time.Minute))
		if _, err := r.meter.Sweep(t.Context(), meter.Fleet); err != nil {
			t.Fatal(err)
		}
		d, err = r.update(a, d.ID, deployment.UpdateRequest{ClearMaxSpend: true})
		r.must(err)
		r.drain()
		if d = r.get(a, d.ID); d.CostToDate != 5*price || d.Status != deployment.StatusRunning {
			t.Fatalf("after the limit was lifted: %+v", d)
		}
		r.pass(6 * time.Hour)
		x := r.get(a, d.ID)
		if x.StatusCause != deployment.CauseConfirmedEnd || x.CostToDate != 10*price ||
			!x.BilledUntil.Equal(d.StartedAt.Add(10*time.Hour)) {
			t.Fatalf("after ten hours: %+v", x)
		}
		_, err = r.update(a, d.ID, deployment.UpdateRequest{MaxSpend: new(100 * price)})
		if r.code(err) != apierr.Conflict {
			t.Errorf("a limit of what has ended: %v", err)
		}
		r.checkLedger()
	})
}

func TestLimitsAreCheckedTogether(t *testing.T) {
	each(t, func(t *testing.T, r *testKit) {
		o, _ := r.catalog.Default().Get(pageOffer)
		for name, tt := range map[string]struct {
			spend   money.Micros
			minutes int64
			want    []string
		}{
			"the least": {o.HourlyPrice, 25, nil},
			"too little": {
				o.HourlyPrice - 1, 24,
				[]string{"maxSpend: must be at least $", "maxRuntimeMinutes: must be at least 25"},
			},
			"nothing": {0, 0, []string{"maxSpend: must be more than 0", "maxRuntimeMinutes: must be from 1"}},
			"too much": {
				deployment.MaxSpendLimit + 1, 6 * 365 * 24 * 60,
				[]string{"maxSpend: must be more than 0 and at most", "maxRuntimeMinutes: must be from 1 to 2628000"},
			},
		} {
			req := request(t)
			req.MaxSpend, req.MaxRuntimeMinutes, req.DryRun = &tt.spend, &tt.minutes, true
			_, err := r.create(r.account(money.Dollars(1000)), req)
			got := ""
			if e := (*apierr.Error)(nil); errors.As(err, &e) {
				for _, f := range e.Details["fields"].([]apierr.FieldError) {
					got += f.Field + ": " + f.Message + "\n"
				}
			}
			for _, w := range tt.want {
				if !strings.Contains(got, w) {
					t.Errorf("%s: the answer %q lacks %q", name, got, w)
				}
			}
			if tt.want == nil && err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		// The minimum runtime of the specification holds also where the offer is gone.
		req, minutes := request(t), int64(24)
		req.OfferID, req.MaxRuntimeMinutes, req.DryRun = "off_gone", &minutes, true
		_, err := r.create(r.account(money.Dollars(1000)), req)
		e, is := errors.AsType[*apierr.Error](err)
		if !is || e.Code != apierr.InvalidRequest || len(e.Details["fields"].([]apierr.FieldError)) != 2 {
			t.Errorf("an offer that is gone and 24 minutes: %v", err)
		}
	})
}

// A key whose daily limit is two hours may start what costs at most two hours, whenever it starts.
func TestLimitsCountForTheKeysSpendingLimits(t *testing.T) {
	each(t, func(t *testing.T, r *testKit) {
		o, _ := r.catalog.Default().Get(pageOffer)
		key := r.ids.New(id.APIKey)
		r.must(r.tx(func(ctx context.Context, tx *db.Tx) error {
			return spendlimit.Set(ctx, tx, key, spendlimit.SpendingLimits{MaxSpendPerDay: new(2 * o.HourlyPrice)})
		}))
		a, req := r.account(money.Dollars(2000)), request(t)
		req.Key, req.DryRun = key, true
		for name, tt := range map[string]struct {
			spend   money.Micros
			minutes int64
			want    apierr.Code
		}{
			"no limit": {0, 0, apierr.KeyLimitReached}, "two hours": {2 * o.HourlyPrice, 0, ""},
			"three hours": {3 * o.HourlyPrice, 0, apierr.KeyLimitReached}, "120 minutes": {0, 120, ""},
			"121 minutes": {0, 121, apierr.KeyLimitReached},
		} {
			req.MaxSpend, req.MaxRuntimeMinutes = nil, nil
			if tt.spend > 0 {
				req.MaxSpend = &tt.spend
			}
			if tt.minutes > 0 {
				req.MaxRuntimeMinutes = &tt.minutes
			}
			if _, err := r.create(a, req); r.code(err) != tt.want {
				t.Errorf("%s: %v, want %q", name, err, tt.want)
			}
		}
	})
}
