package webhook_test

import (
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/job"
	"github.com/billetcloud/billet/internal/job/jobtest"
	"github.com/billetcloud/billet/internal/webhook"
)

func TestRunThatLostItsJobSendsNothing(t *testing.T) {
	engines(t, func(t *testing.T, w *world) {
		to := newReceiver(t)
		hook, _ := w.create(ada, webhook.Request{URL: to.URL})
		w.happen(ada, "deployment.created")
		jobtest.Lose(t, w.d, w.clock, map[job.Kind]job.Handler{webhook.KindSend: w.Send})
		if got := to.take(); len(got) != 0 {
			t.Fatalf("%d requests of a run that had lost its job", len(got))
		}
		w.pass(time.Minute)
		if got := to.take(); len(got) != 1 || len(w.deliveries(ada, hook.ID, webhook.Delivered)) != 1 {
			t.Errorf("got %d requests of a run that lost its job", len(got))
		}
	})
}
