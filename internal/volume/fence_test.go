package volume_test

import (
	"context"
	"maps"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/db/dbtest"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/job"
	"github.com/billetcloud/billet/internal/job/jobtest"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/provider"
	"github.com/billetcloud/billet/internal/volume"
)

// A run whose job another has taken asks the provider for nothing and changes nothing, whatever it
// was about to do.
func TestRunThatLostItsJobDoesNothing(t *testing.T) {
	account, machine := id.ID("acc_1"), id.ID("dep_1")
	for call, begin := range map[string]func(r *rig, v id.ID) error{
		"create": nil,
		"attach": func(r *rig, v id.ID) error {
			_, err := r.attach(v, volume.Target{Deployment: machine, Provider: "voltage-park", Region: "dallas-usa-5"})
			return err
		},
		"detach": func(r *rig, v id.ID) error {
			if _, err := r.attach(v, volume.Target{Deployment: machine, Provider: "voltage-park", Region: "dallas-usa-5"}); err != nil {
				return err
			}
			r.pass(time.Minute)
			_, err := r.do(func(ctx context.Context, tx *db.Tx) (volume.Volume, error) {
				return r.volumes.Detach(ctx, tx, account, v)
			})
			return err
		},
		"delete": func(r *rig, v id.ID) error {
			_, err := r.do(func(ctx context.Context, tx *db.Tx) (volume.Volume, error) {
				return r.volumes.Delete(ctx, tx, account, v)
			})
			return err
		},
		"grow": func(r *rig, v id.ID) error {
			size := int64(200)
			_, err := r.do(func(ctx context.Context, tx *db.Tx) (volume.Volume, error) {
				return r.volumes.Update(ctx, tx, account, v, volume.UpdateRequest{SizeGB: &size})
			})
			return err
		},
	} {
		t.Run(call, func(t *testing.T) {
			dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
				r := newRig(t, d, c)
				r.open(account, money.Dollars(1000))
				r.cloud.machines[machine] = provider.MachineReady
				v, err := r.create(account, "data", 100)
				if err == nil && begin != nil {
					r.pass(time.Minute)
					err = begin(r, v.ID)
				}
				if err != nil {
					t.Fatal(err)
				}
				read := func() volume.Volume {
					v, err := r.volumes.Get(t.Context(), d, account, v.ID)
					if err != nil {
						t.Fatal(err)
					}
					return v
				}
				before, calls := read(), maps.Clone(r.cloud.calls)
				jobtest.Lose(t, d, c, map[job.Kind]job.Handler{volume.KindVolume: r.volumes.Reconcile})
				if after := read(); after.Status != before.Status || r.cloud.calls[call] != calls[call] {
					t.Fatalf(
						"%s became %s, and the provider was asked: before %v, then %v",
						before.Status,
						after.Status,
						calls,
						r.cloud.calls,
					)
				}
				r.pass(time.Minute)
				if r.cloud.calls[call] == calls[call] {
					t.Errorf("the run that has the job did not call %s: %v", call, r.cloud.calls)
				}
			})
		})
	}
}
