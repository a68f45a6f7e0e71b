package installation_test

import (
	"context"
	"crypto/rand"
	"testing"

	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/db/dbtest"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/installation"
)

func TestADatabaseKeepsItsName(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		ids := id.NewMaker(c, rand.Reader)
		var names [2]string
		for i := range names {
			if err := d.InTx(t.Context(), func(ctx context.Context, tx *db.Tx) (err error) {
				names[i], err = installation.Name(ctx, tx, ids)
				return err
			}); err != nil {
				t.Fatal(err)
			}
		}
		if names[0] != names[1] || !id.ID(names[0]).Valid(id.Installation) {
			t.Errorf("%q", names)
		}
	})
}
