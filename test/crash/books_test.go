package crash_test

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"

	"github.com/billetcloud/billet/internal/payment/stripe/stripetest"
)

// books are what the database has of payments.
type books struct {
	topUps  map[string]bookedTopUp
	refunds map[string]bookedRefund
	// credits are the amounts by key, and entries those of the statements by the sum of the key.
	credits map[string]credit
	entries map[string][]credit
	issues  []string
	sum     int64 // of all entries of the ledger
}

type bookedTopUp struct {
	account, intent, returnURL, method, problem string
	automatic                                   bool
}

type bookedRefund struct {
	topUp, reference, status string
	amount                   int64
}

type credit struct {
	account string
	amount  int64
}

func (b *books) readBooks(each func(query string, row func(scan func(...any) error) error)) {
	b.topUps, b.refunds = map[string]bookedTopUp{}, map[string]bookedRefund{}
	b.credits, b.entries = map[string]credit{}, map[string][]credit{}
	each(
		`SELECT id, account_id, COALESCE(intent, ''), return_url, method_id, problem, automatic FROM top_up`,
		func(scan func(...any) error) error {
			var id string
			var t bookedTopUp
			var automatic int
			err := scan(&id, &t.account, &t.intent, &t.returnURL, &t.method, &t.problem, &automatic)
			t.automatic = automatic == 1
			b.topUps[id] = t
			return err
		},
	)
	each(
		`SELECT id, top_up_id, COALESCE(reference, ''), status, amount FROM top_up_refund`,
		func(scan func(...any) error) error {
			var id string
			var f bookedRefund
			err := scan(&id, &f.topUp, &f.reference, &f.status, &f.amount)
			b.refunds[id] = f
			return err
		},
	)
	each(`SELECT dedupe, account_id, amount FROM wallet_credit`, func(scan func(...any) error) error {
		var key string
		var c credit
		err := scan(&key, &c.account, &c.amount)
		b.credits[key] = c
		return err
	})
	each(
		`SELECT reference, account_id, amount FROM wallet_transaction WHERE reference IS NOT NULL`,
		func(scan func(...any) error) error {
			var sum string
			var c credit
			err := scan(&sum, &c.account, &c.amount)
			b.entries[sum] = append(b.entries[sum], c)
			return err
		},
	)
	each(
		`SELECT detail FROM issue WHERE kind = 'payment_mismatch'`,
		func(scan func(...any) error) error {
			var detail string
			err := scan(&detail)
			b.issues = append(b.issues, detail)
			return err
		},
	)
	each(`SELECT CAST(COALESCE(SUM(amount), 0) AS BIGINT) FROM wallet_entry`, func(scan func(...any) error) error {
		return scan(&b.sum)
	})
}

// due is what the wallets must have, by what Stripe has.
type due struct {
	want map[string]credit // by key, of what has one possible key
	net  map[string]credit // by object of Stripe: the sum of its keys
	keys map[string]string // objects of Stripe by key
	// paid and refunded are the payments of top-ups and the refunds at Stripe of those made here.
	paid, refunded map[string]string
}

// checkPayments: what Stripe has is what the wallets have, each payment, refund and dispute once.
func (s *snapshot) checkPayments() {
	h, b := s.h, &s.books
	d := due{map[string]credit{}, map[string]credit{}, map[string]string{}, map[string]string{}, map[string]string{}}
	h.payments, h.automatic, h.refunds, h.disputes = 0, 0, 0, 0
	for _, p := range h.till.fake.Payments() {
		s.checkPayment(&d, p)
	}
	for id, f := range b.refunds {
		if d.refunded[id] == "" { // Stripe has refused it
			d.keys["refund:"+id], d.keys["refund-failed:"+id] = id, id
			d.net[id] = credit{b.topUps[f.topUp].account, 0}
			if f.status != "failed" {
				h.fault("%s is %s, and Stripe has none: %+v", id, f.status, f)
			}
		}
	}
	s.checkCredits(d)
	for id, t := range b.topUps {
		if t.problem != "" || t.intent != d.paid[id] {
			h.fault("%s has the payment %q, Stripe has %q; problem %q", id, t.intent, d.paid[id], t.problem)
		}
	}
	for _, detail := range b.issues {
		// An event that is old, because the server was down, may meet a trouble of Stripe.
		if !strings.Contains(detail, "A refund of") && !strings.Contains(detail, "cannot be processed") {
			h.fault("an issue was opened without a reason: %s", detail)
		}
	}
	if b.sum != 0 {
		h.fault("the ledger's entries sum to %d", b.sum)
	}
	s.checkTries()
	if out, err := h.server.TryRun("ledger", "verify"); err != nil {
		h.fault("ledger verify: %v %s", err, out)
	}
}

// checkPayment checks a payment of Stripe and adds what is due for it.
func (s *snapshot) checkPayment(d *due, p stripetest.Payment) {
	h := s.h
	t, known := s.topUps[p.TopUp]
	if !known || d.paid[p.TopUp] != "" || t.automatic != (p.Kind == "charge") {
		h.fault("%+v was paid for %q, %+v, and before %q", p, p.TopUp, t, d.paid[p.TopUp])
	}
	d.paid[p.TopUp] = p.Intent
	h.payments, h.refunds, h.disputes = h.payments+1, h.refunds+len(p.Refunds), h.disputes+len(p.Disputes)
	if t.automatic {
		h.automatic++
	}
	received, _, _ := ours(p)
	d.want["payment:stripe:"+p.Intent] = credit{t.account, received}
	for _, f := range p.Refunds {
		id := f.ByID
		if id == "" {
			id = s.refundOf(f.ID)
		}
		if d.refunded[id] != "" {
			h.fault("%s was refunded twice at Stripe, by %s and %s", id, d.refunded[id], f.ID)
		}
		s.checkRefund(id, p.TopUp, f)
		d.refunded[id] = f.ID
		d.keys["refund:"+id], d.keys["refund:stripe:"+f.ID], d.keys["refund-failed:"+id] = f.ID, f.ID, f.ID
		d.net[f.ID] = credit{t.account, -f.Amount * microsInCent}
		if f.Status == "failed" {
			d.net[f.ID] = credit{t.account, 0}
		}
	}
	for _, x := range p.Disputes {
		d.keys["dispute:stripe:"+x.ID], d.keys["dispute-won:stripe:"+x.ID] = x.ID, x.ID
		d.net[x.ID] = credit{t.account, -x.Amount * microsInCent}
		if x.Status == "won" {
			d.net[x.ID] = credit{t.account, 0}
		}
	}
}

// refundOf finds the record of a refund that was made at Stripe by hand.
func (b *books) refundOf(reference string) string {
	for id, f := range b.refunds {
		if f.reference == reference {
			return id
		}
	}
	return ""
}

// checkRefund compares a refund at Stripe with its record.
func (s *snapshot) checkRefund(id, topUp string, f stripetest.Refund) {
	want := bookedRefund{topUp, f.ID, f.Status, f.Amount * microsInCent}
	if got := s.refunds[id]; got != want {
		s.h.fault("Stripe has the refund %+v, the server %q, %+v", want, id, got)
	}
}

// checkCredits compares the keys of the wallets with what is wanted, and the statements with the
// keys.
func (s *snapshot) checkCredits(d due) {
	h := s.h
	sums := map[string]int64{}
	for key, c := range s.credits {
		if e := s.entries[sum256(key)]; !slices.Equal(e, []credit{c}) {
			h.fault("%s is %+v, and in the statement %+v", key, c, e)
		}
		object, known := d.keys[key]
		switch {
		case d.want[key] != credit{}:
			if d.want[key] != c {
				h.fault("%s is %+v in the wallet, and at Stripe %+v", key, c, d.want[key])
			}
			delete(d.want, key)
		case known:
			sums[object] += c.amount
			if d.net[object].account != c.account {
				h.fault("%s is %+v in the wallet, and at Stripe of %+v", key, c, d.net[object])
			}
		case strings.Contains(key, ":stripe:") || strings.HasPrefix(key, "refund"):
			h.fault("%s is %+v in the wallet, and nothing at Stripe", key, c)
		}
	}
	for key, c := range d.want {
		h.fault("%s is not in the wallet, and at Stripe %+v", key, c)
	}
	for object, c := range d.net {
		if sums[object] != c.amount {
			h.fault("%s is %d in the wallet, and at Stripe %+v", object, sums[object], c)
		}
	}
}

func sum256(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

// checkTries: each request for a top-up or refund had its effect once, if it was acknowledged or
// had a key, and no other exists.
func (s *snapshot) checkTries() {
	h := s.h
	made := map[string][]string{}
	for id, t := range s.topUps {
		if !t.automatic && t.method == "" {
			name := t.returnURL[strings.LastIndex(t.returnURL, "/")+1:]
			made[name] = append(made[name], id)
		}
	}
	for name, ids := range made {
		if x := h.till.tries[name]; x == nil || len(ids) > 1 || x.answered && x.id != ids[0] {
			h.fault("%v was asked for as %+v", ids, x)
		}
	}
	for name, x := range h.till.tries {
		refund := s.refunds[x.id] != bookedRefund{}
		if x.answered && x.status < 300 && !refund && !slices.Contains(made[name], x.id) {
			h.fault("%+v was acknowledged and does not exist", x)
		}
	}
}
