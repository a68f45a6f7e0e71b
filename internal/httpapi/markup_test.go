package httpapi

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/db/dbtest"
	"github.com/billetcloud/billet/internal/id"
)

// What an account with a markup of its own sees is what it pays, and the margins tell what it cost.
func TestAnAccountPaysItsOwnMarkup(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		w := newWorldOn(t, d, c)
		w.configure(func(c *Config) { c.Limiter = allowAll{} })
		w.clock.Advance(time.Second)
		op, at := w.operator(), OperatorBase+"/accounts/"+string(w.ada.account)
		offers := func(who tenant, query string) (out string) {
			for _, o := range w.want(200, who, "GET", Base+"/offers"+query, nil).list {
				m := o.(map[string]any)
				out += fmt.Sprint(m["id"], "=", m["hourlyPrice"], " ")
			}
			return strings.TrimSpace(out)
		}
		usual := "off_plain=1.99 off_sold=20 off_abc123=23.92 off_dear=2000"
		same(t, "before", offers(w.ada, ""), usual)
		same(t, "markup before", w.want(200, op, "GET", at, nil).data.(map[string]any)["markupPercent"], "<nil>")

		made := w.want(200, op, "PUT", at+"/markup", map[string]any{"percent": 25.5}).data.(map[string]any)
		same(t, "markup", made["markupPercent"], 25.5)
		if err := w.c.Catalog.Load(t.Context()); err != nil {
			t.Fatal(err)
		}
		for range 2 { // the second answer is a kept one
			same(t, "own", offers(w.ada, ""), "off_plain=2.49745 off_sold=25.1 off_abc123=30.0196 off_dear=2510")
			same(t, "another's", offers(w.bob, ""), usual)
		}
		same(t, "own up to 25", offers(w.ada, "?maxHourlyPrice=25"), "off_plain=2.49745")
		same(
			t,
			"another's up to 25",
			offers(w.bob, "?maxHourlyPrice=25"),
			"off_plain=1.99 off_sold=20 off_abc123=23.92",
		)
		for _, list := range []string{"/providers", "/regions"} {
			same(
				t,
				list,
				w.want(200, w.ada, "GET", Base+list, nil).list[0].(map[string]any)["lowestHourlyPrice"],
				2.49745,
			)
			same(t, list, w.want(200, w.bob, "GET", Base+list, nil).list[0].(map[string]any)["lowestHourlyPrice"], 1.99)
		}
		for _, f := range w.want(200, w.ada, "GET", Base+"/gpu-types", nil).list {
			if f := f.(map[string]any); f["gpuType"] == "NVIDIA B200" {
				same(t, "B200", f["lowestHourlyPrice"], 30.0196)
			}
		}
		same(
			t,
			"one offer",
			w.want(200, w.ada, "GET", Base+"/offers/off_abc123", nil).data.(map[string]any)["hourlyPrice"],
			30.0196,
		)
		history := w.want(200, w.ada, "GET", Base+"/offers/off_abc123/price-history",
			nil).data.(map[string]any)["points"].([]any)
		same(t, "history", history[0].(map[string]any)["hourlyPrice"], 30.0196)
		volumes := func(who tenant) float64 {
			return w.want(200, who, "GET", Base+"/volumes/pricing",
				nil).list[0].(map[string]any)["hourlyPricePerGb"].(float64)
		}
		if own, theirs := volumes(w.ada), volumes(w.bob); fmt.Sprintf(
			"%.6f",
			own,
		) != fmt.Sprintf(
			"%.6f",
			theirs*1.255,
		) {
			t.Errorf("a GB costs the account %g, others %g", own, theirs)
		}

		body := w.seedBody()
		body["maxHourlyPrice"] = 30
		w.refused("CONFLICT", w.ada, "POST", Base+"/deployments", body)
		running := func(who tenant) id.ID {
			deployment := w.deploy(who)
			w.settle(deployment)
			return deployment
		}
		own, theirs := running(w.ada), running(w.bob)
		same(
			t,
			"own",
			w.want(200, w.ada, "GET", Base+"/deployments/"+string(own), nil).data.(map[string]any)["hourlyPrice"],
			30.0196,
		)
		same(
			t,
			"theirs",
			w.want(200, w.bob, "GET", Base+"/deployments/"+string(theirs), nil).data.(map[string]any)["hourlyPrice"],
			23.92,
		)
		same(
			t,
			"money of the account",
			w.want(200, w.ada, "GET", Base+"/wallet", nil).data.(map[string]any)["available"],
			1000-30.0196,
		)

		w.clock.Advance(30 * time.Minute)
		rows := map[string]map[string]any{}
		for _, r := range w.want(200, op, "GET", OperatorBase+"/margins?by=account",
			nil).data.(map[string]any)["rows"].([]any) {
			rows[r.(map[string]any)["key"].(string)] = r.(map[string]any)
		}
		// Both cost us 1,801 seconds at $23.92: one more has begun.
		for who, want := range map[id.ID]string{w.ada.account: "15.018139 11.966644 3.051495",
			w.bob.account: "11.966644 11.966644 0"} {
			r := rows[string(who)]
			same(t, "margin", fmt.Sprint(r["revenue"], " ", r["cost"], " ", r["margin"]), want)
		}

		w.want(200, op, "PUT", at+"/markup", map[string]any{"percent": nil})
		if err := w.c.Catalog.Load(t.Context()); err != nil {
			t.Fatal(err)
		}
		same(t, "afterwards", offers(w.ada, ""), usual)
		same(
			t,
			"what runs keeps its price",
			w.want(200, w.ada, "GET", Base+"/deployments/"+string(own), nil).data.(map[string]any)["hourlyPrice"],
			30.0196,
		)

		for _, wrong := range []any{-1, 1000.01, 2.345, "10"} {
			w.refused("INVALID_REQUEST", op, "PUT", at+"/markup", map[string]any{"percent": wrong})
		}
		w.refused("INVALID_REQUEST", op, "PUT", at+"/markup", map[string]any{})
		w.refused("NOT_FOUND", op, "PUT", OperatorBase+"/accounts/acc_none/markup", map[string]any{"percent": 1})
		w.refused("INSUFFICIENT_SCOPE", w.ada, "PUT", at+"/markup", map[string]any{"percent": 0})
		entries := w.want(
			200,
			tenant{},
			"GET",
			AccountBase+"/audit?action=setMarkup",
			nil,
			header("Cookie", w.signIn(w.ada)),
		)
		same(t, "audit", len(entries.list), 2)
	})
}
