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

// What is counted is what a deploy would find: cheapest first, by stock, and one where a provider
// does not say.
func TestWhetherThereIsCapacity(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		w := newWorldOn(t, d, c)
		ask := func(body map[string]any) map[string]any {
			t.Helper()
			return w.want(200, w.ada, "POST", Base+"/offers/check", body).data.(map[string]any)
		}
		one := ask(map[string]any{})
		same(t, "enough for one", one["enough"], true)
		same(t, "of how many offers", len(one["offers"].([]any)), 1)
		first := one["offers"].([]any)[0].(map[string]any)["offer"].(map[string]any)
		same(t, "the total", one["totalHourlyPrice"], first["hourlyPrice"])
		none := ask(map[string]any{"gpuType": "NVIDIA NOTHING", "count": 3})
		same(t, "enough of nothing", none["enough"], false)
		same(t, "found of nothing", none["found"], 0)
		same(t, "asOf of nothing", none["asOf"], nil)
		many := ask(map[string]any{"count": 10_000})
		same(t, "enough for ten thousand", many["enough"], false)
		if found := many["found"].(float64); found < 1 || found >= 10_000 {
			t.Errorf("found %v of ten thousand", found)
		}
		elsewhere := w.want(
			400,
			w.ada,
			"POST",
			Base+"/offers/check",
			map[string]any{
				"regions":  []string{"DALLAS-usa-5", "nowhere-1", "dallas-usa-4"},
				"provider": "voltage-prak",
			},
		)
		same(t, "names of nothing", elsewhere.fields(), []string{"provider", "regions[1]", "regions[2]"})
		if said := string(elsewhere.body); !strings.Contains(said, "Did you mean voltage-park?") ||
			!strings.Contains(said, "Did you mean dallas-usa-5?") {
			t.Errorf("%s", said)
		}
		lacking := func(body map[string]any) (reasons []string) {
			t.Helper()
			for _, s := range ask(body)["shortfalls"].([]any) {
				s := s.(map[string]any)
				reasons = append(reasons, fmt.Sprint(s["region"], " ", s["reason"], " ", s["found"]))
			}
			return reasons
		}
		b200 := map[string]any{
			"gpuType":  "NVIDIA B200",
			"gpuCount": 8,
			"regions":  []string{"dallas-usa-5"},
			"count":    300,
		}
		if got := lacking(b200); len(got) != 1 || !strings.HasPrefix(got[0], "dallas-usa-5 too_few ") {
			t.Errorf("too many: %v", got)
		}
		b200["maxHourlyPrice"] = 20
		same(t, "at that price", lacking(b200), []string{"dallas-usa-5 too_expensive 0"})
		b200["gpuType"] = "NVIDIA NOTHING"
		same(t, "of nothing", lacking(b200), []string{"dallas-usa-5 no_offer 0"})
		same(t, "where there are enough", lacking(map[string]any{}), []string(nil))
		delete(b200, "regions")
		if got := lacking(b200); len(got) != len(w.want(200, w.ada, "GET", Base+"/regions?limit=100", nil).list) {
			t.Errorf("of all regions: %v", got)
		}
		w.want(400, w.ada, "POST", Base+"/offers/check", map[string]any{"count": 0})
	})
}

// A quote is one account's, for one deployment, at its price.
func TestAQuoteOverTheAPI(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		w := newWorldOn(t, d, c)
		q := w.want(201, w.ada, "POST", Base+"/quotes", map[string]any{"offerId": "off_abc123"}).data.(map[string]any)
		id := q["quoteId"].(string)
		same(t, "the hold", q["hold"], q["hourlyPrice"])
		same(
			t,
			"seen again",
			w.want(200, w.ada, "GET", Base+"/quotes/"+id, nil).data.(map[string]any)["hourlyPrice"],
			q["hourlyPrice"],
		)
		w.want(404, w.bob, "GET", Base+"/quotes/"+id, nil)
		w.want(404, w.ada, "POST", Base+"/quotes", map[string]any{"offerId": "off_nowhere"})
		w.want(409, w.ada, "POST", Base+"/quotes", map[string]any{"offerId": "off_sold"})
		body := map[string]any{
			"quoteId":         id,
			"name":            "quoted",
			"operatingSystem": "Ubuntu 22.04",
			"ssh_public_key":  publicKey(t),
		}
		w.want(404, w.bob, "POST", Base+"/deployments", body)
		made := w.want(201, w.ada, "POST", Base+"/deployments", body).data.(map[string]any)
		same(t, "the price", made["hourlyPrice"], q["hourlyPrice"])
		same(
			t,
			"used by",
			w.want(200, w.ada, "GET", Base+"/quotes/"+id, nil).data.(map[string]any)["usedBy"],
			made["id"],
		)
		w.want(400, w.ada, "POST", Base+"/deployments", body)
		late := w.want(201, w.ada, "POST", Base+"/quotes",
			map[string]any{"offerId": "off_abc123"}).data.(map[string]any)
		w.clock.Advance(11 * time.Minute)
		body["quoteId"] = late["quoteId"]
		w.want(400, w.ada, "POST", Base+"/deployments", body)
	})
}

// The first of several candidates that can be had counts, and what was passed over is told.
func TestCandidatesOverTheAPI(t *testing.T) {
	w := newWorld(t)
	body := map[string]any{
		"name":            "either",
		"operatingSystem": "Ubuntu 22.04",
		"ssh_public_key":  publicKey(t),
		"candidates": []any{
			map[string]any{"offerId": "off_sold"}, map[string]any{"offerId": "off_abc123"},
		},
	}
	made := w.want(201, w.ada, "POST", Base+"/deployments", body).data.(map[string]any)
	same(t, "the offer", made["offerId"], "off_abc123")
	attempts := made["attempts"].([]any)
	same(t, "attempts", len(attempts), 1)
	same(t, "why", attempts[0].(map[string]any)["cause"], "no_capacity")
	body["offerId"] = "off_abc123"
	w.want(400, w.ada, "POST", Base+"/deployments", body)
}

// The balance is the whole account's, so a key of a project does not read it in quotes either.
func TestAQuoteHidesTheBalanceFromAKeyOfAProject(t *testing.T) {
	on(t, func(t *testing.T, w *world) {
		bound, body := w.projectKey("blue"), map[string]any{"offerId": "off_abc123"}
		mine := w.want(201, bound, "POST", Base+"/quotes", body)
		same(t, "available for a key of a project", dig(mine.data, "available"), nil)
		at := Base + "/quotes/" + mine.text("quoteId")
		same(t, "available when it is read", dig(w.want(200, bound, "GET", at, nil).data, "available"), nil)
		if of := dig(w.want(200, w.ada, "GET", at, nil).data, "available"); of != 1000.0 {
			t.Errorf("available for a key of the account: got %v, want 1000", of)
		}
	})
}
