package issue_test

import (
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/issue"
	"github.com/billetcloud/billet/internal/job"
	"github.com/billetcloud/billet/internal/job/jobtest"
	"github.com/billetcloud/billet/internal/provider"
)

func TestRunThatLostItsJobEndsNothing(t *testing.T) {
	each(t, func(t *testing.T, r *testKit) {
		s := orphan(1)
		r.cloud.machines[s.Reference] = true
		r.report(s)
		_, err := r.end(r.only().ID)
		r.must(err)
		end := issue.NewRemover(
			issue.RemoverConfig{DB: r.db, Clock: r.clock, Issues: r.Service, Providers: provider.NewRegistry(r.cloud)},
		).End
		jobtest.Lose(t, r.db, r.clock, map[job.Kind]job.Handler{issue.KindEnd: end})
		if r.cloud.asked != 0 || r.only().State != issue.StateOpen {
			t.Fatalf("asked %d times by a run that lost its job, want 0: %+v", r.cloud.asked, r.only())
		}
		r.pass(time.Minute)
		if len(r.cloud.machines) != 0 {
			t.Error("the run that has the job did not end the machine")
		}
	})
}
