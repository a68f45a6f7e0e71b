package invoice_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/invoice"
	"github.com/billetcloud/billet/internal/money"
)

// Programs that Billet did not write accept the XML of every kind of document: a schema of EN
// 16931 in the syntax CII, and its business rules.
func TestXMLIsAcceptedByOthers(t *testing.T) {
	dir, err := filepath.Abs(filepath.Join("..", "..", "test", "einvoice"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "node_modules")); err != nil {
		if os.Getenv("BILLET_TEST_REQUIRE_CLIENTS") != "" {
			t.Fatalf("%v; scripts/npm.sh installs it", err)
		}
		t.Skip("scripts/npm.sh installs what this needs")
	}
	args := []string{filepath.Join(dir, "check.mjs")}
	for name, d := range documents(t) {
		path := filepath.Join(t.TempDir(), name+".xml")
		if err := os.WriteFile(path, invoice.RenderXML(t, d), 0o600); err != nil {
			t.Fatal(err)
		}
		args = append(args, path)
	}
	if out, err := exec.CommandContext(t.Context(), "node", args...).CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	// The check itself finds mistakes.
	wrong := documents(t)["domestic"]
	wrong.Totals.Tax += 10_000_000
	path := filepath.Join(t.TempDir(), "wrong.xml")
	if err := os.WriteFile(path, invoice.RenderXML(t, wrong), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), "node", args[0], path).CombinedOutput(); err == nil {
		t.Errorf("a wrong tax is accepted: %s", out)
	}
}

// documents are documents of every kind.
func documents(t *testing.T) map[string]invoice.Document {
	t.Helper()
	rates := []invoice.TaxRate{
		{Country: "DE", From: "2007-01-01", Percent: 1900}, {Country: "FR", From: "2014-01-01", Percent: 550},
		{Country: "NO", From: "2014-01-01", Percent: 0},
	}
	untaxed, small := germany(""), germany("")
	untaxed.ChargesTax = false
	small.ChargesTax, small.Seller.VATID = false, ""
	numbered := small
	numbered.Seller.TaxNumber, numbered.Seller.Registration = "27/123/45678", "HRB 12345"
	from := time.Date(2026, 11, 3, 14, 0, 0, 0, time.UTC)
	line := func(seconds int64, amount money.Micros) invoice.Line {
		return invoice.Line{
			Subject: "dep_1", Name: "train <1>", GPUType: "NVIDIA B200", From: &from, To: new(from.Add(time.Hour)),
			HourlyPrice: 19_920_000, Hours: 1, Seconds: seconds, Charged: amount, Amount: amount,
		}
	}
	usage := []invoice.Line{line(3600, 19_920_000), line(2580, 14_276_001), line(0, 1), line(7200, 39_840_000)}
	party := func(country, vat string) invoice.Buyer {
		p := invoice.Party{Name: "Buyer & Co", City: "Town", Country: country, VATID: vat, Email: "b@example.com"}
		return invoice.Buyer{Party: p, PurchaseOrder: "PO 7"}
	}
	out := map[string]invoice.Document{}
	for _, k := range []struct {
		name  string
		set   invoice.Settings
		buyer invoice.Buyer
		lines []invoice.Line
		debt  money.Micros
	}{
		{"domestic", germany(""), party("DE", ""), usage, 0},
		{"domestic-company", germany(""), party("DE", "DE987654321"), usage, 0},
		{"no-buyer", germany(""), invoice.Buyer{Party: invoice.Party{Name: "Ada"}}, usage, 0},
		{"debt", germany(""), party("DE", ""), usage, 5_000_001},
		{"reverse-charge", germany(""), party("FR", "FRXX999999999"), usage, 0},
		{"other-rate", germany(""), party("FR", ""), usage, 0},
		{"outside", germany(""), party("US", "12-3456789"), usage, 0},
		{"zero-rate", germany(""), party("NO", ""), usage, 0},
		{"exempt", untaxed, party("DE", ""), usage, 0},
		{"no-vat-id", small, party("DE", ""), usage, 0},
		{"tax-number", numbered, party("DE", ""), usage, 0},
		{"empty", germany(""), party("DE", ""), nil, 0},
		{"refund", germany(""), party("DE", ""), []invoice.Line{line(-1020, -5_644_000)}, 0},
		{"mixed", germany(""), party("DE", ""), append([]invoice.Line{line(-1020, -5_644_000)}, usage...), 0},
	} {
		treatment, err := invoice.Treat(k.set, rates, k.buyer.Party, "2026-11-30")
		if err != nil {
			t.Fatal(err)
		}
		d := invoice.Document{
			Summary: invoice.Summary{
				Type: invoice.Invoice, Number: fmt.Sprintf("2026-%06d", len(out)+1), Month: "2026-11", Currency: "USD",
				IssuedAt: time.Date(2026, 12, 1, 1, 0, 0, 0, time.UTC),
			},
			From: time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC), To: time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC),
			Seller: k.set.Seller, Buyer: k.buyer, Lines: k.lines,
		}
		sum := money.Micros(0)
		for _, l := range k.lines {
			sum += l.Amount
		}
		d.Totals = invoice.TotalsOf(sum, treatment, k.debt)
		out[k.name] = d
		if k.name == "domestic" || k.name == "reverse-charge" {
			d.Type, d.CorrectsNumber, d.Reason = invoice.CreditNote, d.Number, "Wrong machine"
			d.Number = "CN-" + d.Number
			out["credit-note-"+k.name] = d
		}
	}
	for _, name := range []string{"domestic", "refund", "other-rate", "credit-note-domestic"} {
		rates := map[string]invoice.Decimal{"EUR": "1", "SEK": "10.9385", "JPY": "164.25", "KWD": "0.33"}
		for code, rate := range rates {
			d := out[name]
			d.TaxConversion = invoice.Converted(code, rate, "1.0961", d.Totals.Tax)
			out[name+"-in-"+code] = d
		}
	}
	return out
}
