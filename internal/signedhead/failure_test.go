package signedhead_test

import (
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/db/dbtest"
	"github.com/billetcloud/billet/internal/signedhead"
)

// A statement that fails fails the operation: no day is signed without the heads of all accounts,
// and nothing is verified that could not be read.
func TestNoFailedStatementIsIgnored(t *testing.T) {
	t.Parallel()
	c := clock.NewFrozen(dbtest.Start)
	d, faults := dbtest.Recorded(t, db.SQLite, c)
	r := newRig(t, d, c)
	r.credit(r.accounts[0])
	faults.FailEach(t, "Start", func() error { return r.signed.Start(t.Context()) })
	faults.FailEach(t, "Sign", func() error {
		_, err := r.signed.Sign(t.Context(), signedhead.Fleet)
		return err
	})
	faults.FailEach(t, "Covering", func() error {
		_, found, err := signedhead.Covering(t.Context(), d, r.accounts[0], 3)
		if found != (err == nil) {
			t.Errorf("found = %t, %v", found, err)
		}
		return err
	})
	faults.FailEach(t, "PublicKeys", func() error { _, err := r.signed.PublicKeys(t.Context(), d); return err })
	faults.FailEach(t, "Newest", func() error { _, _, err := r.signed.Newest(t.Context(), d); return err })
	faults.FailEach(t, "Verify", func() error {
		_, err := signedhead.Verify(t.Context(), d, signedhead.VerifyOptions{Secrets: r.box})
		return err
	})
	c.Advance(time.Hour)
	faults.FailEach(t, "VerifyDaily", func() error {
		_, err := r.signed.VerifyDaily(t.Context(), signedhead.Fleet)
		return err
	})
}
