package invoice_test

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/db/dbtest"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/invoice"
	"github.com/billetcloud/billet/internal/money"
)

func (k *kit) receipt(p invoice.Payment, f invoice.Format) []byte {
	k.Helper()
	content, err := k.svc.Receipt(k.Context(), p, f)
	k.Must(err)
	return content
}

// A receipt has the same bytes after the seller and the buyer have changed, and however many read
// it first.
func TestReceiptNeverChanges(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		k := newKit(t, d, c)
		of := k.tenant("Ada & Söhne")
		p := invoice.Payment{
			ID: k.IDs.New(id.TopUp), Account: of, Amount: 1_234_500_000, How: "Card", At: c.Now().UTC(),
		}
		p.TopUp = p.ID
		var all [8][]byte
		var group sync.WaitGroup
		for i := range all {
			group.Go(func() {
				content, err := k.svc.Receipt(t.Context(), p, invoice.PDF)
				if err != nil {
					t.Error(err)
				}
				all[i] = content
			})
		}
		group.Wait()
		for _, content := range all {
			if !bytes.HasPrefix(content, []byte("%PDF")) || !bytes.Equal(content, all[0]) {
				t.Fatal("two requests got different receipts")
			}
		}
		html := k.receipt(p, invoice.HTML)
		for _, text := range []string{
			"Receipt " + string(p.ID), "$1,234.50", "Ada &amp; Söhne", "Example GmbH", "Card", "not a tax document",
		} {
			if !strings.Contains(string(html), text) {
				t.Errorf("the receipt lacks %q", text)
			}
		}
		if strings.Contains(string(html), "Lines") {
			t.Error("the receipt has the lines of an invoice")
		}
		set := germany(c.Now().Format("2006-01"))
		set.Seller.Name = "Other GmbH"
		k.set(set)
		k.buyer(of, invoice.Buyer{Party: invoice.Party{Name: "Bob", Country: "DE"}})
		if !bytes.Equal(k.receipt(p, invoice.HTML), html) || !bytes.Equal(k.receipt(p, invoice.PDF), all[0]) {
			t.Error("the receipt changed with the seller and the buyer")
		}

		refund := p
		refund.ID, refund.Amount, refund.Reason = k.IDs.New(id.Refund), money.Dollars(5), "Paid twice"
		var r invoice.Receipt
		k.Must(json.Unmarshal(k.receipt(refund, invoice.JSON), &r))
		if !r.Refund || r.TopUp != p.TopUp || r.Amount != money.Dollars(5) || r.Seller.Name != "Other GmbH" {
			t.Errorf("the receipt of the refund is %+v", r)
		}
		shown := string(k.receipt(refund, invoice.HTML))
		for _, text := range []string{"Refund receipt", "$5.00", "Paid twice", string(p.TopUp), "Bob"} {
			if !strings.Contains(shown, text) {
				t.Errorf("the receipt of the refund lacks %q", text)
			}
		}
		if !slices.Equal(k.receipt(p, invoice.PDF), all[0]) {
			t.Error("a refund changed the receipt of the payment")
		}
	})
}
