package httpapi

import (
	"encoding/csv"
	"encoding/json"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/db/dbtest"
)

func TestTheUsageAsATable(t *testing.T) {
	w := newWorld(t)
	d := w.deploy(w.ada)
	w.settle(d)
	r := w.do(w.ada, "GET", Base+"/wallet/usage?format=csv&groupBy=deployment", nil)
	same(t, "table", string(r.body), "deployment,name,cost\n"+string(d)+",my-training-run,23.92\n")
	same(t, "type", r.header.Get("Content-Type"), "text/csv; charset=utf-8; header=present")
}

func TestTheExportForCostTools(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		w := newWorldOn(t, d, c)
		w.configure(func(c *Config) { c.Limiter = allowAll{} })
		started := w.deploy(w.ada)
		w.settle(started)
		w.settle(w.deploy(w.bob))
		w.clock.Advance(30 * time.Minute)
		w.want(200, w.ada, "DELETE", Base+"/deployments/"+string(started), nil)
		w.clock.Advance(time.Second)
		at := Base + "/wallet/usage?to=" + w.clock.Now().UTC().Format(time.RFC3339) + "&format="
		total := dig(w.want(200, w.ada, "GET", Base+"/wallet/usage", nil).data, "total").(float64)
		if total <= 0 || total >= 23.92 {
			t.Fatalf("half an hour cost %v", total)
		}
		for _, version := range []string{"", "&version=1.2", "&version=1.4"} {
			first := w.do(w.ada, "GET", at+"focus"+version, nil)
			same(t, "again", string(w.do(w.ada, "GET", at+"focus"+version, nil).body), string(first.body))
			rows, err := csv.NewReader(strings.NewReader(string(first.body))).ReadAll()
			if err != nil || len(rows) < 2 || rows[0][0] != "BilledCost" {
				t.Fatalf("%d %s (%v)", first.status, first.body, err)
			}
			sum := new(big.Rat)
			for _, row := range rows[1:] {
				cost, _ := new(big.Rat).SetString(row[0])
				sum.Add(sum, cost)
				same(t, "account", row[1], string(w.ada.account))
			}
			if got, _ := sum.Float64(); got != total {
				t.Errorf("the rows sum up to %v, the usage to %v", got, total)
			}
			has := strings.Contains(strings.Join(rows[0], ","), "ServiceProviderName")
			same(t, "columns of "+version, has, version == "&version=1.4")
		}
		lines := w.do(w.ada, "GET", at+"focus-jsonl", nil)
		var row map[string]any
		if err := json.Unmarshal([]byte(strings.SplitN(string(lines.body), "\n", 2)[0]), &row); err != nil {
			t.Fatal(err, string(lines.body))
		}
		same(t, "currency", row["BillingCurrency"], "USD")
		same(t, "resource", row["ResourceId"], string(started))
		before := Base + "/wallet/usage?format=focus&from=2020-01-01T00:00:00Z&to=2020-02-01T00:00:00Z"
		none := w.do(w.bob, "GET", before, nil)
		same(t, "an empty export", strings.Count(string(none.body), "\n"), 1)
		w.want(400, w.ada, "GET", at+"focus&groupBy=day", nil)
		w.want(400, w.ada, "GET", at+"csv&version=1.2", nil)
		w.want(400, w.ada, "GET", at+"focus&version=1.3", nil)
	})
}

func TestTheUsageByDayAndGroup(t *testing.T) {
	w := newWorld(t)
	d := w.deploy(w.ada)
	w.settle(d)
	at := Base + "/wallet/usage?daily=true&groupBy="
	r := w.want(200, w.ada, "GET", at+"provider", nil)
	days, _ := dig(r.data, "days").([]any)
	same(t, "days", len(days), 1)
	same(t, "cost", dig(days[0], "cost"), dig(r.data, "total"))
	day := w.clock.Now().UTC().Format(time.DateOnly)
	same(t, "day", dig(days[0], "day"), any(day))
	table := w.do(w.ada, "GET", at+"member&format=csv", nil)
	same(t, "table", string(table.body), "day,member,name,cost\n"+day+",,,23.92\n")
	same(t, "the days of the forecast", len(dig(w.want(200, w.ada, "GET", Base+"/wallet", nil).data,
		"forecast", "days").([]any)) > 0, true)
	plain := w.want(200, w.ada, "GET", Base+"/wallet/usage?groupBy=provider", nil)
	same(t, "days without daily", len(dig(plain.data, "days").([]any)), 0)
	w.want(200, w.ada, "GET", at+"tag&tagKey=team", nil)
	for query, field := range map[string]string{
		"groupBy=day&daily=true": "query.daily", "daily=true": "query.daily",
		"groupBy=deployment&daily=true": "query.daily",
		"groupBy=tag&daily=true":        "query.daily", "groupBy=project&tagKey=team": "query.tagKey",
		"groupBy=project&daily=true&from=2026-01-01T00:00:00Z&to=2026-12-01T00:00:00Z": "query.daily",
		"format=focus&daily=true": "query.daily",
	} {
		refused := w.want(400, w.ada, "GET", Base+"/wallet/usage?"+query, nil)
		if !strings.Contains(string(refused.body), `"`+field+`"`) {
			t.Errorf("%s: %s", query, refused.body)
		}
	}
}
