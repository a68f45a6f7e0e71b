package stripetest

import (
	"fmt"
	"net/http"
	"net/url"
)

// fee is what a payment costs the operator, in cents.
func fee(amount int64) int64 { return amount*29/1000 + 30 }

func (s *Server) createCustomer(form url.Values) (object, *apiError) {
	return s.add("customer", "cus", object{"email": form.Get("email"), "metadata": meta(form, "metadata[")}), nil
}

func (s *Server) createSession(form url.Values) (object, *apiError) {
	if form.Get("mode") != "payment" || form.Get("success_url") == "" {
		return nil, invalid("mode", "parameter_missing", "Missing required param")
	}
	if c := form.Get("customer"); c != "" && s.objects[c] == nil {
		return nil, invalid("customer", "resource_missing", "No such customer: '"+c+"'")
	}
	amount := number(form, "line_items[0][price_data][unit_amount]") * number(form, "line_items[0][quantity]")
	if amount < 50 {
		return nil, invalid("line_items", "amount_too_small", "The amount must be at least 50 cents")
	}
	if in := number(form, "expires_at") - s.now().Unix(); in < 30*60 || in > 24*3600 {
		return nil, invalid("expires_at", "", "The `expires_at` timestamp must be 30 minutes to 24 hours ahead")
	}
	o := s.add("checkout.session", "cs_test", object{
		"mode": "payment", "status": "open", "payment_status": "unpaid", "amount_total": amount,
		"currency": form.Get("line_items[0][price_data][currency]"), "customer": form.Get("customer"),
		"client_reference_id": form.Get("client_reference_id"), "metadata": meta(form, "metadata["),
		"payment_intent": nil, "expires_at": number(form, "expires_at"),
		"success_url": form.Get("success_url"), "cancel_url": form.Get("cancel_url"),
	})
	o["url"] = s.URL + "/pay/" + o["id"].(string)
	o["fake_intent"] = object{
		"metadata": meta(form, "payment_intent_data[metadata]["),
		"save":     form.Get("payment_intent_data[setup_future_usage]"),
	}
	return o, nil
}

func (s *Server) createIntent(form url.Values) (object, *apiError) {
	customer, method := form.Get("customer"), form.Get("payment_method")
	if s.objects[customer] == nil {
		return nil, invalid("customer", "resource_missing", "No such customer: '"+customer+"'")
	}
	if m := s.objects[method]; m == nil || m["customer"] != customer {
		return nil, invalid("payment_method", "", "The provided PaymentMethod was detached. It may not be used again.")
	}
	if number(form, "amount") < 50 {
		return nil, invalid("amount", "amount_too_small", "The amount must be at least 50 cents")
	}
	i := s.newIntent(number(form, "amount"), form.Get("currency"), customer, meta(form, "metadata["))
	card := s.cards[method]
	card.Decline, card.Authenticate = card.DeclineLater, false
	if card.AuthenticateLater {
		s.fail(i, method, "authentication_required", "authentication_required")
		return nil, s.declined(i)
	}
	if !s.attempt(i, method, card) {
		return nil, s.declined(i)
	}
	return i, nil
}

func (s *Server) newIntent(amount int64, currency, customer string, metadata object) object {
	i := s.add("payment_intent", "pi", object{
		"amount": amount, "amount_received": int64(0), "currency": currency, "customer": customer,
		"metadata": metadata, "status": "requires_payment_method", "latest_charge": nil, "payment_method": nil,
		"last_payment_error": nil, "next_action": nil,
	})
	s.emit("payment_intent.created", i)
	return i
}

// declined returns the error of a declined payment, with its intent.
func (s *Server) declined(i object) *apiError {
	fields := clone(i["last_payment_error"].(object))
	fields["payment_intent"] = clone(i)
	return &apiError{status: http.StatusPaymentRequired, fields: fields}
}

func (s *Server) fail(i object, method, code, decline string) {
	message := "Your card was declined."
	if code == "authentication_required" {
		message = "Your card was declined. This transaction requires authentication."
	}
	e := object{"type": "card_error", "code": code, "decline_code": decline, "message": message}
	if m := s.objects[method]; m != nil {
		e["payment_method"] = clone(m)
	}
	i["status"], i["last_payment_error"] = "requires_payment_method", e
	s.emit("payment_intent.payment_failed", i)
}

// attempt charges the card, and reports whether it was not declined.
func (s *Server) attempt(i object, method string, card Card) bool {
	if card.Decline != "" {
		code := "card_declined"
		if card.Decline == "expired_card" {
			code = "expired_card"
		}
		s.fail(i, method, code, card.Decline)
		return false
	}
	i["payment_method"] = method
	switch {
	case card.Authenticate:
		i["status"] = "requires_action"
		i["next_action"] = object{
			"type":            "redirect_to_url",
			"redirect_to_url": object{"url": s.URL + "/pay/3ds", "return_url": ""},
		}
		s.emit("payment_intent.requires_action", i)
	case card.Delayed:
		i["status"] = "processing"
		s.emit("payment_intent.processing", i)
	default:
		s.succeed(i, card)
	}
	return true
}

func (s *Server) succeed(i object, card Card) {
	amount := i["amount"].(int64)
	c := s.add("charge", "ch", object{
		"amount": amount, "amount_refunded": int64(0), "currency": i["currency"], "customer": i["customer"],
		"payment_intent": i["id"], "payment_method": i["payment_method"], "metadata": i["metadata"],
		"status": "succeeded", "refunded": false, "disputed": false, "paid": true,
	})
	b := s.move("charge", "charge", amount, fee(amount), c)
	c["balance_transaction"] = b["id"]
	i["status"], i["amount_received"], i["latest_charge"] = "succeeded", amount, c["id"]
	i["last_payment_error"], i["next_action"] = nil, nil
	s.emit("charge.succeeded", c)
	s.emit("payment_intent.succeeded", i)
	if card.Disputed {
		s.dispute(i, amount)
	}
}

// move adds a balance transaction of an object.
func (s *Server) move(kind, category string, amount, fee int64, source object) object {
	return s.add("balance_transaction", "txn", object{
		"amount": amount, "fee": fee, "net": amount - fee, "currency": "usd", "type": kind, "status": "available",
		"reporting_category": category, "source": source["id"],
	})
}

// Pay pays the open page with a card, as its customer. It returns what the page says: "paid",
// "declined", "authenticate", "processing", or "closed" if the page is not open.
func (s *Server) Pay(session string, card Card) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	o := s.objects[session]
	if o == nil || o["status"] != "open" || o["expires_at"].(int64) <= s.now().Unix() {
		return "closed"
	}
	i, is := s.objects[text(o["payment_intent"])]
	if !is {
		f := o["fake_intent"].(object)
		i = s.newIntent(o["amount_total"].(int64), text(o["currency"]), text(o["customer"]), f["metadata"].(object))
		o["payment_intent"] = i["id"]
	}
	method := s.newMethod(card)
	if o["fake_intent"].(object)["save"] == "off_session" && card.Decline == "" {
		method["customer"] = o["customer"]
	}
	if !s.attempt(i, method["id"].(string), card) {
		return "declined"
	}
	switch i["status"] {
	case "requires_action":
		return "authenticate"
	case "processing":
		s.complete(o, "unpaid")
		return "processing"
	}
	s.complete(o, "paid")
	return "paid"
}

func (s *Server) complete(session object, status string) {
	session["status"], session["payment_status"] = "complete", status
	session["url"] = nil
	s.emit("checkout.session.completed", session)
}

func (s *Server) newMethod(card Card) object {
	last4 := card.Number[len(card.Number)-4:]
	o := object{"customer": nil}
	if card.Delayed {
		o["type"], o["us_bank_account"] = "us_bank_account", object{"bank_name": "Test Bank", "last4": last4}
	} else {
		o["type"] = "card"
		o["card"] = object{"brand": "visa", "last4": last4, "exp_month": 12, "exp_year": 2034, "fingerprint": last4}
	}
	m := s.add("payment_method", "pm", o)
	s.cards[m["id"].(string)] = card
	return m
}

// Authenticate answers the bank's question of a page in which the card asked for it.
func (s *Server) Authenticate(session string, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	o := s.objects[session]
	i := s.objects[text(o["payment_intent"])]
	if i == nil || i["status"] != "requires_action" {
		panic(fmt.Sprintf("stripetest: %s does not wait for authentication", session))
	}
	if !ok {
		i["next_action"] = nil
		s.fail(i, text(i["payment_method"]), "payment_intent_authentication_failure", "")
		return
	}
	s.succeed(i, s.cards[text(i["payment_method"])])
	s.complete(o, "paid")
}

// Settle ends a payment of a session, or of the intent of a saved method, that was processing, days
// later.
func (s *Server) Settle(session string, ok bool) {
	if !s.TrySettle(session, ok) {
		panic(fmt.Sprintf("stripetest: %s is not processing", session))
	}
}

// TrySettle is Settle for a payment that may have ended; it reports whether it had not.
func (s *Server) TrySettle(id string, ok bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	session, i := s.objects[id], s.objects[id]
	if session["object"] == "checkout.session" {
		i = s.objects[text(session["payment_intent"])]
	} else {
		session = nil
	}
	if i == nil || i["status"] != "processing" {
		return false
	}
	if !ok {
		s.fail(i, text(i["payment_method"]), "payment_intent_payment_attempt_failed", "")
		if session != nil {
			s.emit("checkout.session.async_payment_failed", session)
		}
		return true
	}
	s.succeed(i, s.cards[text(i["payment_method"])])
	if session != nil {
		session["payment_status"] = "paid"
		s.emit("checkout.session.async_payment_succeeded", session)
	}
	return true
}

// Expire ends open pages whose time is up.
func (s *Server) Expire() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, id := range s.kinds["checkout.session"] {
		if o := s.objects[id]; o["status"] == "open" && o["expires_at"].(int64) <= s.now().Unix() {
			s.endSession(o)
		}
	}
}

func (s *Server) expire(id string) (object, *apiError) {
	o, fail := s.get("checkout.session", id)
	if fail != nil || o["status"] != "open" {
		return nil, invalid("session", "", "Only open Checkout Sessions can be expired")
	}
	s.endSession(o)
	return o, nil
}

func (s *Server) endSession(o object) {
	o["status"], o["url"] = "expired", nil
	if i := s.objects[text(o["payment_intent"])]; i != nil {
		i["status"] = "canceled"
		s.emit("payment_intent.canceled", i)
	}
	s.emit("checkout.session.expired", o)
}

func (s *Server) detach(id string) (object, *apiError) {
	m, fail := s.get("payment_method", id)
	if fail != nil || m["customer"] == nil {
		return nil, invalid("payment_method", "resource_missing", "The payment method is not attached")
	}
	before := m["customer"]
	m["customer"] = nil
	s.emitChange("payment_method.detached", m, object{"customer": before})
	return m, nil
}

// DetachCard removes a saved card by hand, as the operator can at Stripe.
func (s *Server) DetachCard(method string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, fail := s.detach(method); fail != nil {
		panic(text(fail.fields["message"]))
	}
}

// ReplaceCard is the card network's update of a saved card: another card under the same ID.
func (s *Server) ReplaceCard(method string, card Card) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.objects[method]
	m["card"].(object)["last4"] = card.Number[len(card.Number)-4:]
	m["card"].(object)["exp_year"] = 2039
	s.cards[method] = card
	s.emit("payment_method.automatically_updated", m)
}
