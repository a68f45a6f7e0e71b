package quota_test

import (
	"context"
	"testing"

	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/db/dbtest"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/quota"
	"github.com/google/go-cmp/cmp"
)

func TestLimits_Check(t *testing.T) {
	t.Parallel()
	tooMany, tooMuch, negative := int64(quota.Most+1), money.Micros(quota.Most+1), int64(-1)
	for name, c := range map[string]struct {
		limits quota.Limits
		want   []apierr.FieldError
	}{
		"none":    {quota.Limits{}, nil},
		"nothing": {quota.Limits{Machines: new(int64(0)), HourlySpend: new(money.Micros(0))}, nil},
		"largest": {quota.Limits{Machines: new(int64(quota.Most)), HourlySpend: new(money.Micros(quota.Most))}, nil},
		"every limit is wrong": {
			quota.Limits{
				Machines: &tooMany, GPUs: &negative, HourlySpend: &tooMuch, Volumes: &negative, VolumeGB: &tooMany,
			},
			[]apierr.FieldError{
				{Field: "machines", Message: "must be from 0 to 1000000000000."},
				{Field: "gpus", Message: "must be from 0 to 1000000000000."},
				{Field: "hourlySpend", Message: "must be from 0 to $1000000.00/h."},
				{Field: "volumes", Message: "must be from 0 to 1000000000000."},
				{Field: "volumeGb", Message: "must be from 0 to 1000000000000 GB."},
			},
		},
	} {
		if diff := cmp.Diff(c.want, c.limits.Check()); diff != "" {
			t.Errorf("%s: Check (-want +got):\n%s", name, diff)
		}
	}
}

func TestLimits_Admit(t *testing.T) {
	t.Parallel()
	limits := quota.Limits{
		Machines: new(int64(2)), HourlySpend: new(money.Dollars(10)), VolumeGB: new(int64(500)),
	}
	const ask = ". Terminate or delete something, or ask the operator for a higher quota."
	for name, c := range map[string]struct {
		limits     quota.Limits
		used, want quota.Usage
		message    string
		details    map[string]any
	}{
		"no limits":     {quota.Limits{}, quota.Usage{Machines: 50}, quota.Usage{Machines: 50}, "", nil},
		"limit not set": {limits, quota.Usage{GPUs: 50}, quota.Usage{GPUs: 50}, "", nil},
		"up to the limit": {
			limits, quota.Usage{Machines: 1}, quota.Usage{Machines: 1, HourlySpend: money.Dollars(10)}, "", nil,
		},
		"nothing is wanted": {limits, quota.Usage{Machines: 3, VolumeGB: 900}, quota.Usage{HourlySpend: 1}, "", nil},
		"one more": {
			limits, quota.Usage{Machines: 2}, quota.Usage{Machines: 1},
			"The request exceeds a quota of the account (machines: 2 of 2 in use, 1 more requested)" + ask,
			map[string]any{"quota": "machines", "limit": int64(2), "used": int64(2), "requested": int64(1)},
		},
		"two limits": {
			limits, quota.Usage{HourlySpend: money.Dollars(9), VolumeGB: 400},
			quota.Usage{HourlySpend: money.USD + 1, VolumeGB: 101},
			"The request exceeds a quota of the account (hourly spend: $9.00/h of $10.00/h in use, $1.000001/h more " +
				"requested; size of all volumes: 400 GB of 500 GB in use, 101 GB more requested)" + ask,
			map[string]any{
				"quota": "hourlySpend", "limit": money.Dollars(10), "used": money.Dollars(9),
				"requested": money.USD + 1,
			},
		},
	} {
		err := c.limits.Admit(c.used, c.want)
		if c.message == "" {
			if err != nil {
				t.Errorf("%s: Admit = %v, want nil", name, err)
			}
			continue
		}
		want := &apierr.Error{Code: apierr.QuotaExceeded, Message: c.message, Details: c.details}
		if diff := cmp.Diff(error(want), err); diff != "" {
			t.Errorf("%s: Admit (-want +got):\n%s", name, diff)
		}
	}
}

func TestOwnLimitsPrecedeTheDefaults(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, _ *clock.Simulated) {
		of := func(account id.ID, want quota.Limits) {
			t.Helper()
			got, err := quota.Of(t.Context(), d, "acc_"+account)
			if diff := cmp.Diff(want, got); diff != "" || err != nil {
				t.Errorf("Of %s: %v (-want +got):\n%s", account, err, diff)
			}
		}
		of("a", quota.Limits{})
		defaults := quota.Limits{
			Machines: new(int64(1)), GPUs: new(int64(2)), HourlySpend: new(money.Dollars(3)), Volumes: new(int64(4)),
			VolumeGB: new(int64(5)),
		}
		own := quota.Limits{
			Machines: new(int64(10)), GPUs: new(int64(20)), HourlySpend: new(money.Dollars(30)),
			Volumes: new(int64(40)), VolumeGB: new(int64(50)),
		}
		set := func(f func(ctx context.Context, tx *db.Tx) error) {
			t.Helper()
			if err := d.InTx(t.Context(), f); err != nil {
				t.Fatal(err)
			}
		}
		set(func(ctx context.Context, tx *db.Tx) error { return quota.SetDefaults(ctx, tx, defaults) })
		set(func(ctx context.Context, tx *db.Tx) error {
			return quota.Set(ctx, tx, "acc_a", quota.Limits{GPUs: new(int64(0))})
		})
		set(func(ctx context.Context, tx *db.Tx) error { return quota.Set(ctx, tx, "acc_b", own) })
		of("a", quota.Limits{
			Machines: defaults.Machines, GPUs: new(int64(0)), HourlySpend: defaults.HourlySpend,
			Volumes: defaults.Volumes, VolumeGB: defaults.VolumeGB,
		})
		of("b", own)
		of("c", defaults)
		if got, err := quota.Defaults(t.Context(), d); !cmp.Equal(got, defaults) || err != nil {
			t.Errorf("Defaults = %+v, %v", got, err)
		}
		got, others, err := quota.Get(t.Context(), d, "acc_c")
		if !cmp.Equal(got, quota.Limits{}) || !cmp.Equal(others, defaults) || err != nil {
			t.Errorf("Get of an account without own limits = %+v, %+v, %v", got, others, err)
		}
	})
}

func TestWrongLimitsAreNotSet(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, _ *clock.Simulated) {
		err := d.InTx(t.Context(), func(ctx context.Context, tx *db.Tx) error {
			return quota.SetDefaults(ctx, tx, quota.Limits{GPUs: new(int64(-1))})
		})
		if err == nil || apierr.CodeOf(err) != apierr.InvalidRequest {
			t.Errorf("SetDefaults = %v, want INVALID_REQUEST", err)
		}
		if got, err := quota.Defaults(t.Context(), d); !cmp.Equal(got, quota.Limits{}) || err != nil {
			t.Errorf("Defaults = %+v, %v, want none", got, err)
		}
	})
}

func TestNoFailedStatementIsIgnored(t *testing.T) {
	t.Parallel()
	d, faults := dbtest.Recorded(t, db.SQLite, clock.NewFrozen(dbtest.Start))
	faults.FailEachTx(t, "Set", d, func(ctx context.Context, tx *db.Tx) error {
		return quota.Set(ctx, tx, "acc_a", quota.Limits{GPUs: new(int64(1))})
	})
	faults.FailEach(t, "Of", func() error { _, err := quota.Of(t.Context(), d, "acc_a"); return err })
	faults.FailEach(t, "Defaults", func() error { _, err := quota.Defaults(t.Context(), d); return err })
}
