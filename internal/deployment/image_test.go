package deployment_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/deployment"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/provider"
)

// TestRefusedReinstallationIsReportedOnce: the machine is kept, and the tenant learns why it has
// nothing on it.
func TestRefusedReinstallationIsReportedOnce(t *testing.T) {
	each(t, func(t *testing.T, r *testKit) {
		a := r.account(money.Dollars(1000))
		d := r.running(a)
		const why = "The image could not be downloaded, or not in time."
		for n := 1; n <= 2; n++ {
			r.fake.set(func() {
				r.fake.changeMachine = func(m provider.Machine) (provider.Machine, error) {
					m.State, m.Detail, m.ImageFault = provider.MachineProvisioning, why, true
					return m, nil
				}
			})
			r.must(r.tx(func(ctx context.Context, tx *db.Tx) error {
				_, err := r.deployments.Reinstall(ctx, tx, a, d.ID, deployment.ReinstallRequest{EraseLocalDisks: true})
				return err
			}))
			r.pass(30 * time.Minute)
			if x := r.get(a, d.ID); x.Status != deployment.StatusRunning || x.PendingAction != nil {
				t.Fatalf("%+v", x)
			}
			told := 0
			events, _, err := r.events.List(t.Context(), r.db, a, d.ID, firstPage)
			r.must(err)
			for _, e := range events {
				if e.Type == "deployment.action_failed" && strings.Contains(fmt.Sprint(e.Data), why) &&
					strings.Contains(fmt.Sprint(e.Data), "reinstall") {
					told++
				}
			}
			if told != n {
				t.Errorf("reported %d times after %d reinstallations", told, n)
			}
		}
	})
}
