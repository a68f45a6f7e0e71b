package settings_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/db/dbtest"
	"github.com/billetcloud/billet/internal/health"
	"github.com/billetcloud/billet/internal/id"
)

func TestGPUHealth(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		s := newService(t, d, &machine{now: c.Now()})
		if p := current(t, s).GPUHealth.Policies(); p.Of("acme", "off_1") != health.Off {
			t.Errorf("unless set: %+v", p)
		}
		got, err := update(t, d, s, "gpuHealth.policy=report", "gpuHealth.require=acme,OFF_2", "gpuHealth.off=off_3")
		if err != nil {
			t.Fatal(err)
		}
		for offer, want := range map[string]health.Policy{
			"acme/off_1": health.Require, "other/off_1": health.Report, "other/off_2": health.Require,
			"acme/off_3": health.Off,
		} {
			provider, name, _ := strings.Cut(offer, "/")
			if p := got.GPUHealth.Policies().Of(provider, id.ID(name)); p != want {
				t.Errorf("%s: %s, want %s", offer, p, want)
			}
			if p := current(t, s).GPUHealth.Policies().Of(provider, id.ID(name)); p != want {
				t.Errorf("%s as it is stored: %s, want %s", offer, p, want)
			}
		}
		for set, field := range map[string]string{
			"gpuHealth.policy=always": "gpuHealth.policy", "gpuHealth.off=acme": "gpuHealth.require",
			"gpuHealth.report=Not a slug!": "gpuHealth.report",
		} {
			if _, err := update(t, d, s, set); !slices.Contains(fieldsOrNone(t, err), field) {
				t.Errorf("%s: %v", set, err)
			}
		}
	})
}
