package transfer_test

import (
	"context"
	"errors"
	"net/url"
	"sync"
	"testing"

	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/db/dbtest"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/payment"
	"github.com/billetcloud/billet/internal/payment/transfer"
)

// TestOneTransferConfirmsOneTopUp: however the bank's reference is typed, and also at once.
func TestOneTransferConfirmsOneTopUp(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		p := transfer.New(transfer.Config{DB: d, Clock: c, Site: func() *url.URL { return &url.URL{Host: "h"} }})
		expect := func(topUp id.ID) {
			if _, err := p.Checkout(t.Context(), payment.CheckoutRequest{TopUp: topUp, Amount: money.USD}); err != nil {
				t.Fatal(err)
			}
		}
		confirm := func(topUp id.ID, bankID string) error {
			return d.InTx(t.Context(), func(ctx context.Context, tx *db.Tx) error {
				_, err := p.Confirm(ctx, tx, topUp, money.USD, bankID)
				return err
			})
		}
		conflict := func(err error) bool {
			e, is := errors.AsType[*apierr.Error](err)
			return is && e.Code == apierr.Conflict
		}
		expect("top_1")
		expect("top_2")
		if err := confirm("top_1", "Bank 1a"); err != nil {
			t.Fatal(err)
		}
		if err := confirm("top_1", " BANK1A "); err != nil {
			t.Errorf("the same confirmation again: %v", err)
		}
		for _, same := range []string{"Bank 1a", "bank1a", " BANK 1A\u00a0", "b a n k 1 a"} {
			if err := confirm("top_2", same); !conflict(err) {
				t.Errorf("%q: got %v, want CONFLICT", same, err)
			}
		}
		for round := range 10 {
			topUps := []id.ID{"top_a", "top_b", "top_c"}
			errs := make([]error, len(topUps))
			var wg sync.WaitGroup
			for i := range topUps {
				topUps[i] += id.ID('0' + rune(round))
				expect(topUps[i])
			}
			for i, topUp := range topUps {
				wg.Go(func() { errs[i] = confirm(topUp, "at once "+string(topUp[len(topUp)-1:])) })
			}
			wg.Wait()
			confirmed := 0
			for _, err := range errs {
				if err == nil {
					confirmed++
				} else if !conflict(err) {
					t.Errorf("at once: got %v, want CONFLICT", err)
				}
			}
			if confirmed != 1 {
				t.Errorf("one transfer confirmed %d top-ups", confirmed)
			}
		}
	})
}
