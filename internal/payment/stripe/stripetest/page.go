package stripetest

import (
	"html/template"
	"net/http"
	"strings"
)

var pageTemplate = template.Must(template.New("").Parse(`<!doctype html>
<html lang="en"><title>Checkout</title>
<h1>Pay {{.Amount}} cents</h1>
<form method="post"><label>Card <select name="card">
{{range .Cards}}<option>{{.Number}}</option>{{end}}
</select></label> <button>Pay</button></form>
<a href="{{.Cancel}}">Cancel</a>
`))

// page is the hosted page of a session. It takes the number of a test card.
func (s *Server) page(w http.ResponseWriter, r *http.Request) {
	session := strings.TrimPrefix(r.URL.Path, "/pay/")
	s.mu.Lock()
	o := s.objects[session]
	if o == nil || o["status"] != "open" {
		s.mu.Unlock()
		http.Error(w, "This page is closed.", http.StatusGone)
		return
	}
	success := strings.ReplaceAll(text(o["success_url"]), "{CHECKOUT_SESSION_ID}", session)
	data := object{"Amount": o["amount_total"], "Cards": allCards, "Cancel": o["cancel_url"]}
	s.mu.Unlock()
	if r.Method != http.MethodPost {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_ = pageTemplate.Execute(w, data)
		return
	}
	for _, card := range allCards {
		if card.Number != r.PostFormValue("card") {
			continue
		}
		switch outcome := s.Pay(session, card); outcome {
		case "paid", "processing":
			http.Redirect(w, r, success, http.StatusSeeOther)
		case "authenticate":
			s.Authenticate(session, true)
			http.Redirect(w, r, success, http.StatusSeeOther)
		default:
			http.Error(w, "Your card was "+outcome+".", http.StatusPaymentRequired)
		}
		return
	}
	http.Error(w, "Unknown card.", http.StatusBadRequest)
}
