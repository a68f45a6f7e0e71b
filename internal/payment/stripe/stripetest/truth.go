package stripetest

import "slices"

// Payment is money that the server took, with what became of it. Amounts are in cents.
type Payment struct {
	// Intent is its ID, and TopUp and Kind what its metadata says; "" for what others made.
	Intent, TopUp, Kind string
	Received            int64
	Refunds             []Refund
	Disputes            []Dispute
}

// Refund is a refund of a payment. ByID is what its metadata says; "" for one that was made by
// hand.
type Refund struct {
	ID, ByID, Status string
	Amount           int64
}

// Dispute is a dispute about a payment.
type Dispute struct {
	ID, Status string
	Amount     int64
}

// Payments returns everything that was paid, oldest first: what the books of others are compared
// with.
func (s *Server) Payments() []Payment {
	s.mu.Lock()
	defer s.mu.Unlock()
	out, at := []Payment{}, map[string]int{}
	for _, id := range s.kinds["payment_intent"] {
		o := s.objects[id]
		if o["status"] != "succeeded" {
			continue
		}
		meta, _ := o["metadata"].(object)
		at[id] = len(out)
		out = append(out, Payment{
			Intent: id, TopUp: text(meta["billet_top_up"]), Kind: text(meta["billet_kind"]),
			Received: o["amount_received"].(int64),
		})
	}
	for _, id := range s.kinds["refund"] {
		o := s.objects[id]
		meta, _ := o["metadata"].(object)
		p := &out[at[text(o["payment_intent"])]]
		p.Refunds = append(p.Refunds, Refund{
			ID: id, ByID: text(meta["billet_refund"]), Status: text(o["status"]), Amount: o["amount"].(int64),
		})
	}
	for _, id := range s.kinds["dispute"] {
		o := s.objects[id]
		p := &out[at[text(o["payment_intent"])]]
		p.Disputes = append(p.Disputes, Dispute{ID: id, Status: text(o["status"]), Amount: o["amount"].(int64)})
	}
	return out
}

// Page is a page on which a customer may still pay.
type Page struct{ Session, TopUp string }

// OpenPages returns the pages that are open and not paid, of top-ups for which no other was, oldest
// first. A customer who pays two pages of one top-up pays twice.
func (s *Server) OpenPages() []Page {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []Page
	taken := map[string]bool{}
	for _, id := range s.kinds["checkout.session"] {
		o := s.objects[id]
		i := s.objects[text(o["payment_intent"])]
		if o["status"] == "complete" || i != nil && i["status"] == "requires_action" {
			taken[text(o["client_reference_id"])] = true
		}
	}
	for _, id := range s.kinds["checkout.session"] {
		o := s.objects[id]
		open := o["status"] == "open" && o["expires_at"].(int64) > s.now().Unix()
		if topUp := text(o["client_reference_id"]); open && !taken[topUp] {
			out = append(out, Page{id, topUp})
		}
	}
	return out
}

// Processing returns the sessions, and the intents of saved methods, whose payment takes days: see
// Settle.
func (s *Server) Processing() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []string
	for _, id := range slices.Concat(s.kinds["checkout.session"], s.kinds["payment_intent"]) {
		i := s.objects[id]
		if i["object"] == "checkout.session" {
			i = s.objects[text(i["payment_intent"])]
		} else if meta, _ := i["metadata"].(object); text(meta["billet_kind"]) != "charge" {
			continue
		}
		if i != nil && i["status"] == "processing" {
			out = append(out, id)
		}
	}
	return out
}

// Charged reports whether a saved method was charged for a top-up, successfully or not, and its
// payment takes no days.
func (s *Server) Charged(topUp string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.ContainsFunc(s.kinds["payment_intent"], func(id string) bool {
		meta, _ := s.objects[id]["metadata"].(object)
		return text(meta["billet_top_up"]) == topUp && text(meta["billet_kind"]) == "charge" &&
			s.objects[id]["status"] != "processing"
	})
}

// TryRefund is Refund for a payment that may be refunded or disputed already; "" if it was refused.
func (s *Server) TryRefund(intent string, amount int64) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, fail := s.refund(s.objects[intent], amount, object{})
	if fail != nil {
		return ""
	}
	return text(r["id"])
}
