package catalog_test

import (
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/db/dbtest"
	"github.com/billetcloud/billet/internal/job"
)

func TestCatalog_Unknown(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		r := newRig(t, d, c, &seller{slug: "a"})
		other := r.catalog() // a replica that knows no provider
		check := func(when, slug string, want job.Outcome) {
			t.Helper()
			got, err := other.Sync(t.Context(), job.Subject("provider", slug))
			if err != nil || got != want {
				t.Errorf("%s: got %+v, %v, want %+v", when, got, err, want)
			}
		}
		check("never configured", "b", job.Done())
		if err := r.cat.Start(t.Context(), "a"); err != nil {
			t.Fatal(err)
		}
		check("just added", "a", job.At(c.Now().Add(10*time.Second)))
		c.Advance(23 * time.Hour)
		r.sync("a")
		c.Advance(23 * time.Hour)
		check("asked by another replica", "a", job.At(c.Now().Add(10*time.Second)))
		c.Advance(2 * time.Hour)
		check("asked by none for a day", "a", job.Done())
	})
}
