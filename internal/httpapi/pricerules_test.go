package httpapi

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/db/dbtest"
)

// offersSeen returns the offers and prices that an account sees in the list.
func (w *world) offersSeen(who tenant) (out string) {
	for _, o := range w.want(200, who, "GET", Base+"/offers", nil).list {
		m := o.(map[string]any)
		out += fmt.Sprint(m["id"], "=", m["hourlyPrice"], " ")
	}
	return strings.TrimSpace(out)
}

// What a price rule says is in every price that the account sees, at once, and is what it pays.
// What it hides is as if it were not sold.
func TestAnAccountSeesAndPaysThePriceOfItsRule(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		w := newWorldOn(t, d, c)
		w.configure(func(c *Config) { c.Limiter = allowAll{} })
		w.clock.Advance(time.Second)
		op, at := w.operator(), OperatorBase+"/price-rules"
		usual := "off_plain=1.99 off_sold=20 off_abc123=23.92 off_dear=2000"
		same(t, "before", w.offersSeen(w.ada), usual)
		rule := w.want(201, op, "POST", at, map[string]any{
			"gpuType": "nvidia b200", "accountId": w.ada.account, "percent": 10, "fixedPerGpu": 0.1, "roundUpTo": 0.5,
		})
		hide := w.want(201, op, "POST", at, map[string]any{"gpuType": "NVIDIA H100", "hidden": true, "position": 1})
		same(t, "position", hide.data.(map[string]any)["position"], 1.0)

		// 23.92 + 10 % is 26.312, plus 8 × 0.1 is 27.112, rounded up 27.5.
		const ruled = 27.5
		for range 2 { // the second answer is a kept one
			own := w.offersSeen(w.ada)
			if !strings.Contains(own, "off_abc123=27.5") || strings.Contains(own, "off_plain") {
				t.Errorf("the account sees %s", own)
			}
			theirs := w.offersSeen(w.bob)
			if !strings.Contains(theirs, "off_abc123=23.92") || strings.Contains(theirs, "off_plain") {
				t.Errorf("another account sees %s", theirs)
			}
		}
		one := w.want(200, w.ada, "GET", Base+"/offers/off_abc123", nil).data.(map[string]any)
		same(t, "one offer", one["hourlyPrice"], ruled)
		history := w.want(200, w.ada, "GET", Base+"/offers/off_abc123/price-history", nil)
		points := history.data.(map[string]any)["points"].([]any)
		same(t, "history", points[len(points)-1].(map[string]any)["hourlyPrice"], ruled)
		capacity := w.want(200, w.ada, "POST", Base+"/offers/check", map[string]any{"gpuType": "NVIDIA B200"})
		same(t, "capacity", capacity.data.(map[string]any)["totalHourlyPrice"], ruled)
		quote := w.want(201, w.ada, "POST", Base+"/quotes", map[string]any{"offerId": "off_abc123"})
		same(t, "quote", quote.data.(map[string]any)["hourlyPrice"], ruled)
		deployment := w.deploy(w.ada)
		w.settle(deployment)
		path := Base + "/deployments/" + string(deployment)
		same(t, "deployment", w.want(200, w.ada, "GET", path, nil).data.(map[string]any)["hourlyPrice"], ruled)
		same(t, "money", w.want(200, w.ada, "GET", Base+"/wallet", nil).data.(map[string]any)["available"], 1000-ruled)

		// Hidden is as unknown, word for word.
		for _, call := range []struct {
			method, path string
			body         func(offer string) any
		}{
			{"GET", Base + "/offers/%s", func(string) any { return nil }},
			{"GET", Base + "/offers/%s/price-history", func(string) any { return nil }},
			{"POST", Base + "/quotes", func(o string) any { return map[string]any{"offerId": o} }},
			{"POST", Base + "/deployments", func(o string) any {
				return map[string]any{"offerId": o, "name": "n", "ssh_public_key": publicKey(t)}
			}},
			{"POST", Base + "/deployments", func(o string) any {
				return map[string]any{
					"candidates": []any{map[string]any{"offerId": o}}, "name": "n", "ssh_public_key": publicKey(t),
				}
			}},
		} {
			said := func(offer string) string {
				target := call.path
				if strings.Contains(target, "%s") {
					target = fmt.Sprintf(target, offer)
				}
				r := w.do(w.ada, call.method, target, call.body(offer))
				delete(r.error, "requestId")
				return fmt.Sprint(r.status, " ", strings.ReplaceAll(fmt.Sprint(r.error), offer, "…"))
			}
			if hidden, unknown := said("off_plain"), said("off_nothere"); hidden != unknown || hidden[0] != '4' {
				t.Errorf("%s %s says %s for a hidden offer, and %s for an unknown one", call.method, call.path, hidden,
					unknown)
			}
		}
		for _, list := range []string{"/gpu-types", "/offers?gpuType=NVIDIA+H100", "/offers?search=h100"} {
			if r := w.want(200, w.ada, "GET", Base+list, nil); strings.Contains(fmt.Sprint(r.list), "H100") {
				t.Errorf("%s shows what is hidden: %s", list, r.body)
			}
		}
		for _, p := range w.want(200, w.ada, "GET", Base+"/providers", nil).list {
			same(t, "lowest price", p.(map[string]any)["lowestHourlyPrice"], ruled)
		}

		// Another price later changes neither the quote nor what runs.
		w.want(200, op, "PATCH", at+"/"+rule.text("id"), map[string]any{"percent": 50})
		same(t, "after a change", w.want(200, w.ada, "GET", Base+"/offers/off_abc123",
			nil).data.(map[string]any)["hourlyPrice"], 37.0)
		same(t, "what runs", w.want(200, w.ada, "GET", path, nil).data.(map[string]any)["hourlyPrice"], ruled)
		body := w.seedBody()
		body["quoteId"] = quote.text("quoteId")
		delete(body, "offerId")
		same(
			t,
			"by the quote",
			w.want(201, w.ada, "POST", Base+"/deployments", body).data.(map[string]any)["hourlyPrice"],
			ruled,
		)
		w.want(200, op, "DELETE", at+"/"+rule.text("id"), nil)
		w.want(200, op, "DELETE", at+"/"+hide.text("id"), nil)
		same(t, "afterwards", w.offersSeen(w.bob), usual)
	})
}

func TestPriceRulesOverTheAPI(t *testing.T) {
	w := newWorld(t)
	w.configure(func(c *Config) { c.Limiter = allowAll{} })
	op, at := w.operator(), OperatorBase+"/price-rules"
	first := w.want(201, op, "POST", at, map[string]any{"provider": "voltage-park", "percent": 12.5}).text("id")
	second := w.want(201, op, "POST", at, map[string]any{"floorPerGpu": 1.5}).text("id")
	order := func() (out []string) {
		for _, r := range w.want(200, op, "GET", at, nil).list {
			out = append(out, r.(map[string]any)["id"].(string))
		}
		return out
	}
	same(t, "order", order(), []string{first, second})
	read := w.want(200, op, "GET", at+"/"+second, nil)
	moved := w.want(200, op, "PATCH", at+"/"+second, map[string]any{"position": 1},
		header("If-Match", read.header.Get("ETag")))
	same(t, "position", moved.data.(map[string]any)["position"], 1.0)
	same(t, "floor", moved.data.(map[string]any)["floorPerGpu"], 1.5)
	same(t, "order", order(), []string{second, first})
	w.refused("PRECONDITION_FAILED", op, "DELETE", at+"/"+second, nil, header("If-Match", read.header.Get("ETag")))

	preview := w.want(200, op, "POST", at+"/preview", map[string]any{"hidden": true, "position": 1})
	p := preview.data.(map[string]any)
	same(t, "preview", fmt.Sprint(p["offers"], p["matching"], p["decided"], p["changed"]), "4 4 4 4")
	if c := p["changes"].([]any)[0].(map[string]any); c["priceAfter"] != nil || c["priceBefore"] == nil ||
		c["cost"] == nil {
		t.Errorf("the first change is %v", c)
	}
	same(t, "a preview stores nothing", order(), []string{second, first})
	stored := w.want(200, op, "POST", at+"/preview", map[string]any{"id": first})
	same(t, "a rule behind one that is for all", stored.data.(map[string]any)["decided"], 0.0)

	for field, wrong := range map[string]any{
		"percent": 1000.01, "fixedPerGpu": -1000.5, "floorPerGpu": -1, "roundUpTo": 100.01, "position": 0,
		"accountId": "acc_none", "provider": strings.Repeat("x", 129), "gpuType": "a\u0000", "hidden": true,
	} {
		for _, path := range []string{at, at + "/preview"} {
			body := map[string]any{"percent": 1, field: wrong}
			r := w.refused("INVALID_REQUEST", op, "POST", path, body)
			same(t, "fields of "+field, r.fields(), []string{field})
		}
	}
	w.refused("INVALID_REQUEST", op, "PATCH", at+"/"+first, map[string]any{})
	for _, call := range [][2]string{{"GET", "/prl_none"}, {"PATCH", "/prl_none"}, {"DELETE", "/prl_none"}} {
		var body any
		if call[0] == "PATCH" {
			body = map[string]any{"percent": 1}
		}
		w.refused("NOT_FOUND", op, call[0], at+call[1], body)
	}
	w.refused("NOT_FOUND", op, "POST", at+"/preview", map[string]any{"id": "prl_none"})
	w.refused("INSUFFICIENT_SCOPE", w.ada, "GET", at, nil)
	w.refused("INSUFFICIENT_SCOPE", w.ada, "POST", at, map[string]any{"percent": 1})
}
