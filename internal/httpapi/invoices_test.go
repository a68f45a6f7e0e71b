package httpapi

import (
	"bytes"
	"context"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/wallet"
)

// invoiceOperations set texts that TestNoTextOnAnInvoiceHasHiddenCharacters is about.
var invoiceOperations = []string{
	"createCreditNote", "setBillingDetails", "setInvoiceSettings", "setTaxRates", "addExchangeRates",
	"importExchangeRates",
}

func sellerBody() map[string]any {
	return map[string]any{
		"name": "Example GmbH", "addressLine1": "1 Example Street", "postalCode": "10115", "city": "Berlin",
		"country": "DE", "vatId": "DE123456789",
	}
}

func TestNoTextOnAnInvoiceHasHiddenCharacters(t *testing.T) {
	w := newWorld(t)
	w.configure(func(c *Config) { c.Limiter = allowAll{} })
	operator := w.operator()
	cookie, site := header("Cookie", w.signIn(w.ada)), header("Sec-Fetch-Site", "same-origin")
	party := []string{"name", "addressLine1", "addressLine2", "postalCode", "city", "state", "country", "vatId"}
	for text := range hiddenIn {
		wants := func(r reply, field string) {
			t.Helper()
			if r.status != http.StatusBadRequest || !slices.Contains(r.fields(), field) {
				t.Errorf("%s with %q: %d %s", field, text, r.status, r.body)
			}
		}
		if len([]rune(text)) > 2 {
			for _, f := range append(slices.Clone(party), "email", "purchaseOrder") {
				wants(w.do(tenant{}, "PUT", Base+"/wallet/billing-details", map[string]any{f: text}, cookie, site), f)
			}
		}
		for _, f := range append(slices.Clone(party), "email", "taxNumber", "registration", "bankDetails", "note") {
			seller := sellerBody()
			seller[f] = text
			wants(w.do(operator, "PUT", OperatorBase+"/invoice-settings",
				map[string]any{"chargesTax": true, "seller": seller}), "seller."+f)
		}
		for _, f := range []string{"taxName", "reverseChargeText", "outsideText", "exemptText", "numberFormat",
			"creditNoteFormat", "firstMonth"} {
			wants(w.do(operator, "PUT", OperatorBase+"/invoice-settings",
				map[string]any{"chargesTax": true, "seller": sellerBody(), f: text}), f)
		}
		exchangeRatesRefuse(wants, w, operator, text)
		const note = OperatorBase + "/invoices/ivc_none/credit-note"
		wants(w.do(operator, "POST", note, map[string]any{"reason": text}), "reason")
		wants(w.do(operator, "POST", note, map[string]any{
			"reason": "x", "lines": []map[string]any{{"text": text, "amount": 1}},
		}), "lines[0].text")
	}
}

func TestInvoicesOverTheAPI(t *testing.T) {
	w := newWorld(t)
	operator := w.operator()
	w.want(200, operator, "PUT", OperatorBase+"/tax-rates", map[string]any{"rates": []map[string]any{
		{"country": "DE", "from": "2007-01-01", "percent": 19}, {"country": "CH", "from": "2024-01-01", "percent": 8.1},
	}})
	w.want(200, operator, "PUT", OperatorBase+"/invoice-settings", map[string]any{
		"chargesTax": true, "seller": sellerBody(), "firstMonth": "2028-02",
	})
	cookie, site := header("Cookie", w.signIn(w.ada)), header("Sec-Fetch-Site", "same-origin")
	set := w.do(tenant{}, "PUT", Base+"/wallet/billing-details", map[string]any{
		"name": "Ada & Söhne", "country": "CH", "purchaseOrder": "PO 7",
	}, cookie, site)
	if set.status != 200 {
		t.Fatalf("%d %s", set.status, set.body)
	}
	charge(t, w, w.ada.account)
	preview := w.want(200, w.ada, "GET", Base+"/invoices/preview", nil)
	if !bytes.Contains(preview.body, []byte(`"percent":8.1`)) || !bytes.Contains(preview.body, []byte(`"total":10,`)) {
		t.Errorf("%s", preview.body)
	}
	above := w.want(200, operator, "GET", OperatorBase+"/accounts/"+string(w.ada.account)+"/invoice-preview", nil)
	if !bytes.Equal(above.body, preview.body) {
		t.Errorf("the operator's preview is %s", above.body)
	}
	w.want(404, operator, "GET", OperatorBase+"/accounts/acc_none/invoice-preview", nil)
	w.clock.Advance(2 * time.Hour)
	if _, err := w.c.Invoices.Issue(t.Context(), w.ada.account+"/2028-02"); err != nil {
		t.Fatal(err)
	}
	listed := w.want(200, w.ada, "GET", Base+"/invoices?month=2028-02&type=invoice", nil)
	if len(listed.list) != 1 || !bytes.Contains(listed.body, []byte(`"number":"2028-000001"`)) {
		t.Fatalf("%s", listed.body)
	}
	one := listed.list[0].(map[string]any)["id"].(string)
	at := Base + "/invoices/" + one
	if r := w.want(200, w.ada, "GET", at, nil); !bytes.Contains(r.body, []byte(`"country":"CH","percent":8.1`)) {
		t.Errorf("%s", r.body)
	}
	for format, begins := range map[string]string{"html": "<!doctype html>", "pdf": "%PDF-", "xml": "<?xml"} {
		mine := w.want(200, w.ada, "GET", at+"?format="+format, nil)
		again := w.want(200, operator, "GET", OperatorBase+"/invoices/"+one+"?format="+format, nil)
		if !bytes.HasPrefix(mine.body, []byte(begins)) || !bytes.Equal(mine.body, again.body) {
			t.Errorf("the %s begins with %.20q", format, mine.body)
		}
		if h := mine.header; strings.Contains(h.Get("Content-Security-Policy"), "sandbox") != (format != "pdf") ||
			!strings.Contains(h.Get("Content-Disposition"), `"2028-000001.`+format) {
			t.Errorf("%v", h)
		}
		w.want(404, w.bob, "GET", at+"?format="+format, nil)
	}
	w.want(404, w.bob, "GET", at, nil)
	note := w.want(201, operator, "POST", OperatorBase+"/invoices/"+one+"/credit-note",
		map[string]any{"reason": "Outage", "lines": []map[string]any{{"text": "Half an hour", "amount": 5}}})
	if note.text("number") != "CN-2028-000001" || note.text("corrects") != one ||
		!strings.HasSuffix(note.header.Get("Location"), note.text("id")) {
		t.Errorf("%v %s", note.header, note.body)
	}
	if r := w.do(operator, "POST", OperatorBase+"/invoices/"+one+"/credit-note",
		map[string]any{"reason": "More", "lines": []map[string]any{{"text": "x", "amount": 5.01}}},
	); r.code != "CONFLICT" {
		t.Errorf("%s", r.body)
	}
	w.want(200, w.ada, "GET", Base+"/invoices/"+note.text("id"), nil)
	w.want(404, w.bob, "GET", Base+"/invoices/"+note.text("id"), nil)
	w.want(400, w.ada, "GET", at+"?format=doc", nil)
	if r := w.want(200, w.bob, "GET", Base+"/invoices", nil); len(r.list) != 0 {
		t.Errorf("%s", r.body)
	}
	if r := w.want(200, operator, "GET", OperatorBase+"/invoices?account="+string(w.ada.account),
		nil); len(r.list) != 2 {
		t.Errorf("%s", r.body)
	}
	wantCreditNotes(w, operator, one, note.text("id"))
}

// wantCreditNotes looks for the one credit note of an invoice with the filters of the operator's
// list.
func wantCreditNotes(w *world, operator tenant, one, note string) {
	w.t.Helper()
	for query, want := range map[string]int{
		"corrects=" + one: 1, "corrects=" + note: 0,
		"corrects=" + one + "&account=" + string(w.bob.account): 0, "corrects=" + one + "&month=2028-02": 1,
		"corrects=" + one + "&type=invoice": 0,
	} {
		if r := w.want(200, operator, "GET", OperatorBase+"/invoices?"+query, nil); len(r.list) != want {
			w.t.Errorf("%s: %s", query, r.body)
		}
	}
	w.want(400, operator, "GET", OperatorBase+"/invoices?corrects=2028-000001", nil)
	w.want(400, operator, "GET", OperatorBase+"/invoices?account=ada", nil)
}

// Of two lists that replace the same one, only the first has an effect.
func TestTaxRatesAreReplacedWithIfMatch(t *testing.T) {
	w := newWorld(t)
	operator := w.operator()
	body := func(percent int) map[string]any {
		return map[string]any{"rates": []map[string]any{{"country": "DE", "from": "2007-01-01", "percent": percent}}}
	}
	read := w.want(200, operator, "GET", OperatorBase+"/tax-rates", nil).header.Get("ETag")
	first := w.do(operator, "PUT", OperatorBase+"/tax-rates", body(19), header("If-Match", read))
	if first.status != 200 || first.header.Get("ETag") == "" {
		t.Errorf("%d %v %s", first.status, first.header, first.body)
	}
	if r := w.do(operator, "PUT", OperatorBase+"/tax-rates", body(7), header("If-Match", read)); r.status != 412 {
		t.Errorf("%d %s", r.status, r.body)
	}
	next := first.header.Get("ETag")
	if r := w.do(operator, "PUT", OperatorBase+"/tax-rates", body(7), header("If-Match", next)); r.status != 200 {
		t.Errorf("%d %s", r.status, r.body)
	}
}

// charge charges an account for an hour.
func charge(t *testing.T, w *world, of id.ID) {
	t.Helper()
	from := w.clock.Now().Truncate(time.Second)
	err := w.d.InTx(t.Context(), func(ctx context.Context, tx *db.Tx) error {
		_, _, err := w.c.Wallet.Charge(ctx, tx, wallet.Charge{
			Account: of, Subject: "dep_1", Amount: 10 * money.USD, HourlyPrice: 10 * money.USD, From: from,
			To: from.Add(time.Hour), Description: "an hour", Labels: wallet.Labels{Name: "train"},
		})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// exchangeRatesRefuse tries the text in every field of exchange rates.
func exchangeRatesRefuse(wants func(reply, string), w *world, operator tenant, text string) {
	for _, f := range []string{"currency", "from", "rate", "dollars", "source"} {
		rate := map[string]any{"currency": "EUR", "from": "2028-02-29", "rate": "1", "source": "ECB"}
		rate[f] = text
		body := map[string]any{"rates": []any{rate}}
		wants(w.do(operator, "POST", OperatorBase+"/exchange-rates", body), "rates[0]."+f)
	}
	for _, f := range []string{"csv", "source", "currency", "base", "from", "direction"} {
		table := map[string]any{"csv": "Date,USD\n2028-02-29,1", "source": "ECB", "currency": "EUR"}
		table[f] = text
		wants(w.do(operator, "POST", OperatorBase+"/exchange-rates/import", table), f)
	}
}

func TestExchangeRatesOverTheAPI(t *testing.T) {
	w := newWorld(t)
	operator := w.operator()
	const all = OperatorBase + "/exchange-rates"
	seller := sellerBody()
	seller["taxCurrency"] = "EUR"
	w.want(200, operator, "PUT", OperatorBase+"/tax-rates", map[string]any{"rates": []map[string]any{
		{"country": "DE", "from": "2007-01-01", "percent": 19},
	}})
	w.want(200, operator, "PUT", OperatorBase+"/invoice-settings", map[string]any{
		"chargesTax": true, "seller": seller, "firstMonth": "2028-02",
	})
	charge(t, w, w.ada.account)
	missing := w.want(200, w.ada, "GET", Base+"/invoices/preview", nil)
	if !strings.Contains(missing.text("missingExchangeRate"), "2028-02-29") ||
		!bytes.Contains(missing.body, []byte(`"taxConversion":null`)) {
		t.Errorf("%s", missing.body)
	}
	w.want(200, operator, "POST", all, map[string]any{"rates": []map[string]any{
		{"currency": "EUR", "from": "2028-02-28", "rate": "0.9123", "source": "Bank"},
	}})
	for range 2 {
		imported := w.want(200, operator, "POST", all+"/import", map[string]any{
			"csv": "Date,USD\n2028-02-29,1.0961\n2028-02-27,N/A\n", "source": "ECB",
		})
		if !bytes.Contains(imported.body, []byte(`"count":1,"skipped":1`)) {
			t.Errorf("%s", imported.body)
		}
	}
	if r := w.want(200, operator, "GET", all, nil); len(r.list) != 2 {
		t.Errorf("%s", r.body)
	}
	preview := w.want(200, w.ada, "GET", Base+"/invoices/preview", nil)
	if !bytes.Contains(preview.body, []byte(`"amount":"1.46"`)) || preview.text("missingExchangeRate") != "" {
		t.Errorf("%s", preview.body)
	}
	w.want(200, operator, "DELETE", all+"/xr_eur20280229", nil)
	w.want(404, operator, "DELETE", all+"/xr_eur20280229", nil)
	w.want(400, operator, "POST", all, map[string]any{"rates": []map[string]any{
		{"currency": "EUR", "from": "2028-02-28", "rate": 0.9123, "source": "Bank"},
	}})
}
