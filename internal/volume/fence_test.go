package volume_test

import (
	"testing"
	"time"

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
	for call, begin := range map[string]func(r *testKit, v id.ID){
		"create": nil,
		"attach": func(r *testKit, v id.ID) { r.done(r.attach(v, target1)) },
		"detach": func(r *testKit, v id.ID) {
			r.done(r.attach(v, target1))
			r.Pass(time.Minute)
			r.done(r.detach(v))
		},
		"delete": func(r *testKit, v id.ID) { r.done(r.delete(v)) },
		"grow":   func(r *testKit, v id.ID) { r.done(r.grow(v, 200)) },
	} {
		t.Run(call, func(t *testing.T) {
			each(t, func(t *testing.T, r *testKit) {
				r.open(acc, money.Dollars(1000))
				r.machine(dep1, provider.MachineReady)
				v := r.done(r.create(acc, "data", 100)).ID
				if begin != nil {
					r.Pass(time.Minute)
					begin(r, v)
				}
				before, calls := r.get(v).Status, r.cloud.calls[call]
				jobtest.Lose(t, r.DB, r.Clock, map[job.Kind]job.Handler{volume.KindVolume: r.volumes.Reconcile})
				r.wantStatus(v, before)
				if got := r.cloud.calls[call]; got != calls {
					t.Fatalf("a run that lost its job called %s %d times", call, got-calls)
				}
				r.Pass(time.Minute)
				if r.cloud.calls[call] == calls {
					t.Errorf("the run that has the job did not call %s: %v", call, r.cloud.calls)
				}
			})
		})
	}
}
