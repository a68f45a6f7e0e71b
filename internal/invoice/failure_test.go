package invoice_test

import (
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/db/dbtest"
	"github.com/billetcloud/billet/internal/invoice"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/wallet"
)

// A statement that fails fails the job, which is retried: a month that could not be read is not
// taken for one without transactions.
func TestNoFailedStatementIsIgnored(t *testing.T) {
	t.Parallel()
	c := clock.NewFrozen(dbtest.Start)
	d, faults := dbtest.Recorded(t, db.SQLite, c)
	k := newKit(t, d, c)
	of := k.tenant("Ada Ltd")
	k.pay(of, wallet.TypeTopUp, 50*money.USD)
	c.Advance(2 * time.Hour)
	faults.FailEach(t, "Month", func() error { _, err := k.svc.Month(t.Context(), invoice.Fleet); return err })
	faults.FailEach(t, "Issue", func() error { _, err := k.svc.Issue(t.Context(), of+"/2028-02"); return err })
	faults.FailEach(t, "Preview", func() error {
		c.Advance(time.Minute) // what was read is kept as long
		_, err := k.svc.Preview(t.Context(), of)
		return err
	})
	k.one(invoice.Filter{})
}
