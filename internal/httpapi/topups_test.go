package httpapi

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/billetcloud/billet/internal/account"
	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/db/dbtest"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/job"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/payment"
	"github.com/billetcloud/billet/internal/payment/demo"
	"github.com/billetcloud/billet/internal/payment/transfer"
	"github.com/billetcloud/billet/internal/settings"
)

// pay adds simulated payments, and bank transfers if the settings say so.
func (w *world) pay(jobs *job.Queue, ids *id.Maker) {
	site := func() *url.URL { return &url.URL{Scheme: "https", Host: "gpu.example.com"} }
	w.c.DemoPayments = demo.New(demo.Config{DB: w.d, Clock: w.clock, Site: site})
	w.c.Transfers = transfer.New(transfer.Config{DB: w.d, Clock: w.clock, Site: site})
	w.c.Payments = payment.New(payment.Config{
		DB: w.d, IDs: ids, Clock: w.clock, Log: w.c.Log, Wallet: w.c.Wallet, Credits: w.c.Credits,
		Events: w.c.Events, Issues: w.c.Issues,
		Jobs: jobs, Confirm: w.c.Transfers.Confirm, Site: site,
		Offer: func(ctx context.Context, r db.Reader) (payment.Offer, error) {
			set, err := w.c.Settings.Peek(ctx, r)
			name := payment.Demo
			if set.Payments.Processor == settings.BankTransfer {
				name = payment.Transfer
			}
			return payment.Offer{Name: name, Limits: payment.Limits{
				Minimum: set.Payments.Minimum, Maximum: set.Payments.Maximum,
			}}, err
		},
		Processors: func(_ context.Context, name string) (payment.Processor, bool, error) {
			switch name {
			case payment.Demo:
				return w.c.DemoPayments, true, nil
			case payment.Transfer:
				return w.c.Transfers, true, nil
			}
			return nil, false, payment.ErrUnsupported
		},
	})
}

const topUpsPath = Base + "/wallet/top-ups"

// form posts a form as a browser does, or reads the page for nil.
func (w *world) form(page string, form url.Values) *httptest.ResponseRecorder {
	w.t.Helper()
	u, err := url.Parse(page)
	if err != nil {
		w.t.Fatal(err)
	}
	r := httptest.NewRequest(http.MethodGet, u.Path, nil)
	if form != nil {
		r = httptest.NewRequest(http.MethodPost, u.Path, strings.NewReader(form.Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	out := httptest.NewRecorder()
	w.s.ServeHTTP(out, r)
	return out
}

// payer is a key that may top up.
func (w *world) payer(of tenant) tenant {
	w.t.Helper()
	var secret string
	var key account.Key
	err := w.d.InTx(w.t.Context(), func(ctx context.Context, tx *db.Tx) (err error) {
		key, secret, err = w.c.Accounts.CreateKey(ctx, tx, of.account, account.KeyRequest{
			Name: "payer", Scopes: []account.Scope{account.ReadWallet, account.WriteWallet},
		})
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return tenant{of.account, key, secret}
}

func (w *world) balance(of tenant) money.Micros {
	w.t.Helper()
	b, err := w.c.Wallet.Get(w.t.Context(), w.d, of.account)
	if err != nil {
		w.t.Fatal(err)
	}
	return b.Balance
}

// checkReceipt checks the receipt of Ada's top-up of $50.
func (w *world) checkReceipt(t *testing.T, one string) {
	t.Helper()
	r := w.want(200, w.ada, "GET", one+"/receipt", nil)
	same(t, "amount", dig(r.data, "amount"), any(50.0))
	same(t, "paid by", r.text("paidBy"), "Simulated payment")
	file := w.do(w.ada, "GET", one+"/receipt?format=pdf", nil)
	same(t, "type", file.header.Get("Content-Type"), "application/pdf")
	same(t, "again", string(w.do(w.ada, "GET", one+"/receipt?format=pdf", nil).body), string(file.body))
	html := w.do(w.ada, "GET", one+"/receipt?format=html", nil)
	if !strings.Contains(string(html.body), "$50.00") {
		t.Errorf("the receipt is %s", html.body)
	}
	w.refused("NOT_FOUND", w.bob, "GET", one+"/receipt", nil)
	w.refused("NOT_FOUND", w.ada, "GET", one+"/receipt?refund=ref_1", nil)
	w.refused("INVALID_REQUEST", w.ada, "GET", one+"/receipt?format=xml", nil)
	other := w.want(201, w.payer(w.ada), "POST", topUpsPath, map[string]any{"amount": 50})
	w.refused("CONFLICT", w.ada, "GET", topUpsPath+"/"+other.text("id")+"/receipt", nil)
}

func TestTopUps(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		w := newWorldOn(t, d, c)
		ada := w.payer(w.ada)
		before := w.balance(w.ada)
		w.refused("INSUFFICIENT_SCOPE", w.ada, "POST", topUpsPath, map[string]any{"amount": 50})
		for _, wrong := range []any{9.99, 10_000.01, 50.001} {
			w.refused("INVALID_REQUEST", ada, "POST", topUpsPath, map[string]any{"amount": wrong})
		}
		w.refused("INVALID_REQUEST", ada, "POST", topUpsPath, map[string]any{"amount": 50, "returnUrl": "javascript:x"})

		body := map[string]any{"amount": 50, "savePaymentMethod": true, "returnUrl": "https://e.example/x?y=1"}
		made := w.want(201, ada, "POST", topUpsPath, body, header("Idempotency-Key", "k"))
		page, one := made.text("checkoutUrl"), topUpsPath+"/"+made.text("id")
		again := w.want(201, ada, "POST", topUpsPath, body, header("Idempotency-Key", "k"))
		same(t, "repeated", again.text("checkoutUrl"), page)
		same(t, "top-ups", len(w.want(200, ada, "GET", topUpsPath, nil).data.([]any)), 1)
		w.refused("NOT_FOUND", w.bob, "GET", one, nil)

		if shown := w.form(page, nil).Body.String(); !strings.Contains(shown, "simulated. No money moves") ||
			!strings.Contains(shown, "$50.00") || !strings.Contains(shown, "https://e.example/x?topUp=top_") {
			t.Error(shown)
		}
		same(t, "another token", w.form(page+"x", nil).Code, 404)
		same(t, "another action", w.form(page, url.Values{"action": {"steal"}}).Code, 400)
		same(t, "declined", w.form(page, url.Values{"action": {"decline"}}).Code, 303)
		same(t, "failure", w.want(200, ada, "GET", one, nil).text("failureCode"), "card_declined")
		for range 2 {
			same(t, "paid", w.form(page, url.Values{"action": {"pay"}, "card": {"4242"}}).Code, 303)
		}
		same(t, "canceled afterwards", w.form(page, url.Values{"action": {"cancel"}}).Code, 303)
		same(t, "status", w.want(200, ada, "GET", one, nil).text("status"), "succeeded")
		same(t, "balance", w.balance(w.ada)-before, money.Dollars(50))

		w.checkReceipt(t, one)

		saved := w.want(200, ada, "GET", Base+"/wallet/payment-methods", nil).data.([]any)
		method := saved[0].(map[string]any)
		same(t, "card", method["last4"], "4242")
		auto := Base + "/wallet/auto-top-up"
		set := map[string]any{"enabled": true, "threshold": 20, "amount": 50, "monthlyLimit": 100}
		w.refused("CONFLICT", w.payer(w.bob), "PUT", auto, set)
		w.want(200, ada, "PUT", auto, set)
		w.refused("NOT_FOUND", w.payer(w.bob), "DELETE", Base+"/wallet/payment-methods/"+method["id"].(string), nil)
		w.want(200, ada, "DELETE", Base+"/wallet/payment-methods/"+method["id"].(string), nil)
		same(t, "stopped", w.want(200, ada, "GET", auto, nil).text("stoppedReason"),
			"There is no saved payment method.")
	})
}

// refunded is a paid top-up of $50 of which $20 were refunded.
func (w *world) refunded(t *testing.T, of tenant) (topUp, refund string) {
	t.Helper()
	made := w.want(201, w.payer(of), "POST", topUpsPath, map[string]any{"amount": 50})
	same(t, "paid", w.form(made.text("checkoutUrl"), url.Values{"action": {"pay"}, "card": {"4242"}}).Code, 303)
	refund = w.want(201, w.operator(), "POST", OperatorBase+"/top-ups/"+made.text("id")+"/refund",
		map[string]any{"amount": 20, "reason": "Paid twice"}).text("id")
	if _, err := w.c.Payments.PayBack(t.Context(), id.ID(refund)); err != nil {
		t.Fatal(err)
	}
	return made.text("id"), refund
}

func TestReceiptOfRefund(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		w := newWorldOn(t, d, c)
		topUp, refund := w.refunded(t, w.ada)
		receipt := topUpsPath + "/" + topUp + "/receipt"
		r := w.want(200, w.ada, "GET", receipt+"?refund="+refund, nil)
		same(t, "id", r.text("id"), refund)
		same(t, "top-up", r.text("topUpId"), topUp)
		same(t, "refund", dig(r.data, "refund"), any(true))
		same(t, "amount", dig(r.data, "amount"), any(20.0))
		same(t, "reason", r.text("reason"), "Paid twice")
		same(t, "receipt of the top-up", dig(w.want(200, w.ada, "GET", receipt, nil).data, "amount"), any(50.0))

		others, other := w.refunded(t, w.bob)
		w.refused("NOT_FOUND", w.bob, "GET", receipt+"?refund="+refund, nil)
		w.refused("NOT_FOUND", w.ada, "GET", receipt+"?refund="+other, nil)
		w.refused("NOT_FOUND", w.ada, "GET", topUpsPath+"/"+others+"/receipt?refund="+other, nil)
	})
}

// TestReceiptNamesProcessor checks what a receipt says about a payment with Stripe, which takes
// other methods than cards, too.
func TestReceiptNamesProcessor(t *testing.T) {
	at := dbtest.Start
	paid := payment.TopUp{ID: "top_1", Processor: "stripe", Received: money.Dollars(50), CompletedAt: &at}
	p, err := paymentOf(paid, "")
	if err != nil {
		t.Fatal(err)
	}
	same(t, "paid by", p.How, "Stripe")
}

func TestPaymentPageRefusesOtherSites(t *testing.T) {
	w := newWorld(t)
	made := w.want(201, w.payer(w.ada), "POST", topUpsPath, map[string]any{"amount": 50})
	page, _ := url.Parse(made.text("checkoutUrl"))
	r := httptest.NewRequest(http.MethodPost, page.Path, strings.NewReader("action=pay"))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Sec-Fetch-Site", "cross-site")
	out := httptest.NewRecorder()
	w.s.ServeHTTP(out, r)
	same(t, "status", out.Code, 403)
}

func TestOperatorConfirmsTransfer(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		w := newWorldOn(t, d, c)
		op, ada := w.operator(), w.payer(w.ada)
		w.refused("INVALID_REQUEST", op, "PATCH", OperatorBase+"/settings",
			map[string]any{"payments": map[string]any{"processor": "transfer"}})
		w.want(200, op, "PATCH", OperatorBase+"/settings", map[string]any{"payments": map[string]any{
			"processor": "transfer", "bankRecipient": "Example Cloud", "bankAccount": "DE02120300000000202051",
		}})
		before := w.balance(w.ada)
		made := w.want(201, ada, "POST", topUpsPath, map[string]any{"amount": 100})
		page := w.form(made.text("checkoutUrl"), nil).Body.String()
		listed := w.want(200, op, "GET", OperatorBase+"/top-ups?status=pending&account="+string(w.ada.account), nil).
			data.([]any)[0].(map[string]any)
		reference := listed["reference"].(string)
		if !transfer.Valid(reference) || !strings.Contains(page, transfer.Shown(reference)) ||
			!strings.Contains(page, "DE02120300000000202051") {
			t.Error(reference, page)
		}
		same(t, "posted", w.form(made.text("checkoutUrl"), url.Values{"action": {"pay"}}).Code, 405)

		at := OperatorBase + "/top-ups/" + made.text("id")
		confirm := map[string]any{"amount": 98.5, "reference": "BANK-1"}
		w.refused("INVALID_REQUEST", op, "POST", at+"/confirm", map[string]any{"amount": 0, "reference": "x"})
		for range 2 { // twice is once
			same(t, "received", w.want(200, op, "POST", at+"/confirm", confirm).data.(map[string]any)["received"], 98.5)
		}
		w.refused("CONFLICT", op, "POST", at+"/confirm", map[string]any{"amount": 99, "reference": "BANK-1"})
		same(t, "balance", w.balance(w.ada)-before, 98*money.USD+money.USD/2)
		second := w.want(201, ada, "POST", topUpsPath, map[string]any{"amount": 100}).text("id")
		w.refused("CONFLICT", op, "POST", OperatorBase+"/top-ups/"+second+"/confirm", confirm)

		w.refused("CONFLICT", op, "POST", at+"/refund", map[string]any{"amount": 98.51, "reason": "wrong amount"})
		w.want(201, op, "POST", at+"/refund", map[string]any{"amount": 8.5, "reason": "asked for"})
		same(t, "balance", w.balance(w.ada)-before, money.Dollars(90))

		w.refused("INVALID_REQUEST", op, "POST", at+"/close", map[string]any{"reason": ""})
		closing := OperatorBase + "/top-ups/" + second + "/close"
		w.refused("CONFLICT", op, "POST", closing, map[string]any{"reason": "no money"})
		w.refused("NOT_FOUND", op, "POST", OperatorBase+"/top-ups/top_none/close", map[string]any{"reason": "x"})
		if err := d.InTx(t.Context(), func(ctx context.Context, tx *db.Tx) error {
			_, err := tx.Exec(ctx, `UPDATE top_up SET problem = 'wrong' WHERE id = $1`, second)
			return err
		}); err != nil {
			t.Fatal(err)
		}
		closed := w.want(200, op, "POST", closing, map[string]any{"reason": "refunded"})
		same(t, "closed", closed.text("status"), "failed")
		same(t, "shown", w.want(200, ada, "GET", topUpsPath+"/"+second, nil).text("failureMessage"), "refunded")

		got := w.want(200, op, "GET", at, nil).data.(map[string]any)
		for field, want := range map[string]any{
			"received": 98.5, "refunded": 8.5, "refundable": 90.0, "payment": reference, "bankReference": "BANK-1",
			"accountId": string(w.ada.account), "disputes": []any{},
		} {
			if !reflect.DeepEqual(got[field], want) {
				t.Errorf("%s is %v, want %v", field, got[field], want)
			}
		}
		refund := got["allRefunds"].([]any)[0].(map[string]any)
		same(t, "reason", refund["reason"], "asked for")
		w.refused("NOT_FOUND", op, "GET", OperatorBase+"/top-ups/top_none", nil)
	})
}

func TestOperatorFindsTopUps(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		w := newWorldOn(t, d, c)
		op := w.operator()
		demo := w.want(201, w.payer(w.ada), "POST", topUpsPath, map[string]any{"amount": 50}).text("id")
		w.want(200, op, "PATCH", OperatorBase+"/settings", map[string]any{"payments": map[string]any{
			"processor": "transfer", "bankRecipient": "Example Cloud", "bankAccount": "DE02120300000000202051",
		}})
		ada := w.want(201, w.payer(w.ada), "POST", topUpsPath, map[string]any{"amount": 60}).text("id")
		bob := w.want(201, w.payer(w.bob), "POST", topUpsPath, map[string]any{"amount": 70}).text("id")
		if _, err := d.Handle().ExecContext(t.Context(),
			`UPDATE top_up SET problem = 'It was paid in "EUR".' WHERE id = '`+demo+`'`); err != nil {
			t.Fatal(err)
		}
		found := func(query string) (ids []string) {
			for _, r := range w.want(200, op, "GET", OperatorBase+"/top-ups?"+query, nil).data.([]any) {
				ids = append(ids, r.(map[string]any)["id"].(string))
			}
			return ids
		}
		reference := w.want(200, op, "GET", OperatorBase+"/top-ups/"+bob, nil).text("reference")
		typed := url.QueryEscape(strings.ToLower(transfer.Shown(reference)))
		for query, want := range map[string][]string{
			"":                              {bob, ada, demo},
			"processor=transfer":            {bob, ada},
			"processor=demo&status=pending": {demo},
			"status=succeeded":              nil,
			"problem=true":                  {demo},
			"problem=false":                 {bob, ada, demo},
			"problem=true&processor=stripe": nil,
			"reference=" + typed:            {bob},
			"reference=" + typed + "&status=succeeded":                 nil,
			"reference=" + typed + "&account=" + string(w.ada.account): nil,
			"account=" + string(w.ada.account):                         {ada, demo},
			"account=" + string(w.ada.account) + "&problem=true":       {demo},
			"account=" + string(w.ada.account) + "&processor=transfer": {ada},
		} {
			if got := found(query); !slices.Equal(got, want) {
				t.Errorf("%s: %v, want %v", query, got, want)
			}
		}
		w.refused("INVALID_REQUEST", op, "GET", OperatorBase+"/top-ups?processor=cash", nil)
	})
}

func TestCheckPayments(t *testing.T) {
	w := newWorld(t)
	op := w.operator()
	const path = OperatorBase + "/settings/payments-check"
	w.refused("CONFLICT", op, "POST", path, nil)
	for _, refused := range []error{nil, errors.New("stripe: read Events: not permitted")} {
		w.configure(func(c *Config) {
			c.CheckPayments = func(context.Context) (bool, error, error) { return true, refused, nil }
		})
		got := w.want(200, op, "POST", path, nil).data.(map[string]any)
		same(t, "ok", got["ok"], refused == nil)
		same(t, "live", got["live"], true)
		if refused != nil {
			same(t, "message", got["message"], refused.Error())
		}
	}
}

func TestPaymentEventsNeedASignature(t *testing.T) {
	w := newWorld(t)
	for body, want := range map[string]int{"{}": 404, strings.Repeat("x", 512<<10+1): 413} {
		r := httptest.NewRequest(http.MethodPost, PaymentHook+"stripe", strings.NewReader(body))
		out := httptest.NewRecorder()
		w.s.ServeHTTP(out, r)
		same(t, "status", out.Code, want)
	}
	r := httptest.NewRequest(http.MethodGet, PaymentHook+"stripe", nil)
	out := httptest.NewRecorder()
	w.s.ServeHTTP(out, r)
	same(t, "GET", out.Code, 405)
}
