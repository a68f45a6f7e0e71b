package invoice_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/db/dbtest"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/invoice"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/wallet"
)

func TestMissingBillingDetails(t *testing.T) {
	all := []string{"name", "addressLine1", "city", "country"}
	complete := invoice.Party{Name: "Ada Ltd", AddressLine1: "1 Street", City: "Bonn", Country: "DE"}
	with := func(country, vatID string) invoice.Party {
		p := complete
		p.Country, p.VATID = country, vatID
		return p
	}
	untaxed, none := germany("2028-02"), germany("")
	untaxed.ChargesTax = false
	for _, c := range []struct {
		name  string
		set   invoice.Settings
		buyer invoice.Party
		want  []string
	}{
		{"nothing is set", germany("2028-02"), invoice.Party{}, all},
		{"no invoices are issued", none, invoice.Party{}, nil},
		{"all is set", germany("2028-02"), complete, nil},
		{"another country of the EU", germany("2028-02"), with("FR", ""), []string{"vatId"}},
		{"with a VAT ID", germany("2028-02"), with("FR", "FRXX999999999"), nil},
		{"with a VAT ID of another country", germany("2028-02"), with("FR", "DE123456789"), []string{"vatId"}},
		{"no tax is charged", untaxed, with("FR", ""), nil},
		{"outside the EU", germany("2028-02"), with("US", ""), nil},
	} {
		var got []string
		for _, m := range invoice.Missing(invoice.Buyer{Party: c.buyer}, c.set) {
			if got = append(got, m.Field); m.Required != (m.Field != "vatId") || m.Message == "" {
				t.Errorf("%s: %+v", c.name, m)
			}
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

// An account is asked once, before its first invoice is issued. The preview says the same, what is
// issued does not.
func TestAccountsAreAskedForMissingDetailsOnce(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		k := newKit(t, d, c)
		k.Pass(2 * time.Hour) // into March
		late, complete, idle := k.tenant("Cy Ltd"), k.NewAccount(0), k.tenant("Di Ltd")
		k.buyer(complete, invoice.Buyer{Party: invoice.Party{
			Name: "Bob Inc", AddressLine1: "1 Street", City: "Bonn", Country: "DE",
		}})
		of := k.tenant("Ada Ltd")
		for _, a := range []id.ID{of, complete} {
			k.pay(a, wallet.TypeTopUp, money.USD)
		}
		asked := func(account id.ID) (n int) {
			for _, e := range k.EventTypes(account, account) {
				if e == "billing_details_missing" {
					n++
				}
			}
			return n
		}
		k.Clock.Advance(27 * 24 * time.Hour)
		k.Drain()
		if asked(of) != 0 {
			t.Error("asked too early")
		}
		for range 5 { // into April
			k.Pass(24 * time.Hour)
			if c.Now().Day() == 30 {
				k.pay(late, wallet.TypeTopUp, money.USD)
			}
		}
		preview, err := k.svc.Preview(t.Context(), of)
		k.Must(err)
		details, err := k.svc.BillingDetails(t.Context(), d, of)
		k.Must(err)
		if len(preview.MissingDetails) != 1 || !slices.Equal(preview.MissingDetails, details.Missing) ||
			details.Missing[0].Field != "addressLine1" {
			t.Errorf("%+v and %+v", preview.MissingDetails, details)
		}
		if got := k.all(invoice.Filter{Account: of}); len(got) != 1 || len(got[0].MissingDetails) != 0 {
			t.Errorf("%+v", got)
		}
		for _, a := range []id.ID{of, late} {
			k.pay(a, wallet.TypeTopUp, money.USD)
		}
		for range 33 {
			k.Pass(24 * time.Hour)
		}
		for account, want := range map[id.ID]int{of: 1, late: 1, complete: 0, idle: 0} {
			if n := asked(account); n != want {
				t.Errorf("%s was asked %d times, want %d", account, n, want)
			}
		}
		k.MustTx(func(ctx context.Context, tx *db.Tx) error { // keeps that it was asked
			_, err := k.svc.SetBillingDetails(ctx, tx, of, invoice.Buyer{})
			return err
		})
	})
}
