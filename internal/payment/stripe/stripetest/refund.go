package stripetest

import (
	"net/http"
	"net/url"
)

func (s *Server) createRefund(form url.Values) (object, *apiError) {
	i, fail := s.get("payment_intent", form.Get("payment_intent"))
	if fail != nil {
		return nil, invalid("payment_intent", "resource_missing", "No such payment_intent")
	}
	return s.refund(i, number(form, "amount"), meta(form, "metadata["))
}

func (s *Server) refund(i object, amount int64, metadata object) (object, *apiError) {
	c := s.objects[text(i["latest_charge"])]
	if c == nil {
		return nil, invalid("payment_intent", "", "This PaymentIntent does not have a successful charge to refund.")
	}
	if c["disputed"] == true {
		return nil, &apiError{status: http.StatusBadRequest, fields: object{
			"type": "invalid_request_error", "code": "charge_disputed", "message": "The charge is disputed.",
		}}
	}
	left := c["amount"].(int64) - c["amount_refunded"].(int64)
	if amount > left || left == 0 {
		return nil, &apiError{status: http.StatusBadRequest, fields: object{
			"type": "invalid_request_error", "code": "charge_already_refunded",
			"message": "Refund amount is greater than unrefunded amount on charge.",
		}}
	}
	r := s.add("refund", "re", object{
		"amount": amount, "currency": "usd", "charge": c["id"], "payment_intent": i["id"], "metadata": metadata,
		"status": "succeeded", "reason": "requested_by_customer",
	})
	if s.cards[text(c["payment_method"])].RefundsPend {
		r["status"], r["pending_reason"] = "pending", "insufficient_funds"
	}
	r["balance_transaction"] = s.move("refund", "refund", -amount, 0, r)["id"]
	c["amount_refunded"] = c["amount_refunded"].(int64) + amount
	c["refunded"] = c["amount_refunded"] == c["amount"]
	s.emit("refund.created", r)
	s.emit("charge.refunded", c)
	return r, nil
}

// Refund refunds a payment by hand, as the operator can at Stripe. It returns the refund's ID.
func (s *Server) Refund(intent string, amount int64) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, fail := s.refund(s.objects[intent], amount, object{})
	if fail != nil {
		panic(text(fail.fields["message"]))
	}
	return text(r["id"])
}

// EndRefund ends a refund, which fails if ok is false, also after it had succeeded.
func (s *Server) EndRefund(id string, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.objects[id]
	delete(r, "pending_reason")
	if ok {
		r["status"] = "succeeded"
		s.emit("refund.updated", r)
		return
	}
	amount := r["amount"].(int64)
	r["status"], r["failure_reason"] = "failed", "lost_or_stolen_card"
	r["failure_balance_transaction"] = s.move("refund_failure", "refund_failure", amount, 0, r)["id"]
	c := s.objects[text(r["charge"])]
	c["amount_refunded"], c["refunded"] = c["amount_refunded"].(int64)-amount, false
	s.emit("refund.failed", r)
}

// Dispute disputes an amount of a payment, in cents. It returns the dispute's ID.
func (s *Server) Dispute(intent string, amount int64) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return text(s.dispute(s.objects[intent], amount)["id"])
}

func (s *Server) dispute(i object, amount int64) object {
	c := s.objects[text(i["latest_charge"])]
	c["disputed"] = true
	d := s.add("dispute", "du", object{
		"amount": amount, "currency": "usd", "charge": c["id"], "payment_intent": i["id"], "reason": "fraudulent",
		"status": "needs_response", "is_charge_refundable": false, "metadata": object{},
		"evidence_details": object{"due_by": s.now().Unix() + 7*24*3600},
	})
	s.move("adjustment", "dispute", -amount, 1500, d)
	s.emit("charge.dispute.created", d)
	s.emit("charge.dispute.funds_withdrawn", d)
	return d
}

// CloseDispute ends a dispute.
func (s *Server) CloseDispute(id string, won bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := s.objects[id]
	d["status"] = "lost"
	if won {
		d["status"] = "won"
		s.move("adjustment", "dispute_reversal", d["amount"].(int64), 0, d)
		s.emit("charge.dispute.funds_reinstated", d)
	}
	s.emit("charge.dispute.closed", d)
}
