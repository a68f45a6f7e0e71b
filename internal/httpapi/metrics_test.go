package httpapi

import (
	"bytes"
	"strings"
	"testing"

	"github.com/billetcloud/billet/internal/account"
	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/db/dbtest"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// scraped reads the metrics of a tenant as Prometheus does: the value of each series of a metric,
// by the values of its labels in the order of their names.
func (w *world) scraped(who tenant) map[string]map[string]float64 {
	w.t.Helper()
	r := w.do(who, "GET", Base+"/metrics?format=prometheus", nil)
	if r.status != 200 || !strings.HasPrefix(r.header.Get("Content-Type"), "text/plain; version=0.0.4") {
		w.t.Fatalf("%d %v %s", r.status, r.header, r.body)
	}
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(bytes.NewReader(r.body))
	if err != nil {
		w.t.Fatalf("%v in\n%s", err, r.body)
	}
	out := map[string]map[string]float64{}
	for name, family := range families {
		out[name] = map[string]float64{}
		for _, m := range family.Metric {
			out[name][strings.Join(labelValues(m), " | ")] = m.GetGauge().GetValue()
		}
	}
	return out
}

func labelValues(m *dto.Metric) (values []string) {
	for _, l := range m.Label {
		values = append(values, l.GetValue())
	}
	return values
}

// TestTenantsScrapeTheirOwnAccount: machines and money of the key's account, nothing of another's,
// for keys with both scopes only.
func TestTenantsScrapeTheirOwnAccount(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		w := newWorldOn(t, d, c)
		idle := w.scraped(w.ada)
		same(t, "statuses from the start", idle["billet_account_deployments"],
			"map[deploying:0 pending:0 running:0 stopped:0 terminating:0]")
		if _, has := idle["billet_runway_seconds"]; has {
			t.Error("an account without machines has a runway")
		}
		own := w.deploy(w.ada)
		w.settle(own)
		view := w.want(200, w.ada, "GET", Base+"/metrics", nil)
		one := view.data.(map[string]any)["deployments"].([]any)[0].(map[string]any)
		same(t, "the machine as JSON", one["id"], own)

		got := w.scraped(w.ada)
		wallet := w.want(200, w.ada, "GET", Base+"/wallet", nil).data.(map[string]any)
		price := got["billet_deployment_hourly_price_dollars"][string(own)]
		same(t, "its price", price, one["hourlyPrice"])
		same(t, "its GPUs", got["billet_deployment_gpus"][string(own)], one["gpuCount"])
		same(t, "cost per hour", got["billet_hourly_cost_dollars"][""], wallet["hourlyCost"])
		same(t, "balance", got["billet_balance_dollars"][""], wallet["balance"])
		same(t, "on hold", got["billet_held_dollars"][""], wallet["held"])
		same(t, "available", got["billet_available_dollars"][""], wallet["available"])
		same(t, "statuses", got["billet_account_deployments"][one["status"].(string)], 1)
		if len(got["billet_deployment_info"]) != 1 {
			t.Errorf("%v", got["billet_deployment_info"])
		}
		if left, running := wallet["hoursLeft"].(float64); running {
			same(t, "runway", int(got["billet_runway_seconds"][""]+.5), int(left*3600+.5))
			same(t, "spent", got["billet_spent_dollars"][""], price)
		} else {
			t.Errorf("nothing runs: %v", wallet)
		}

		for name, series := range w.scraped(w.bob) {
			for labels := range series {
				if strings.Contains(labels, string(own)) {
					t.Errorf("another account reads %s{%s}", name, labels)
				}
			}
		}
		for _, scope := range []account.Scope{account.ReadWallet, account.ReadDeployments} {
			w.refused("INSUFFICIENT_SCOPE", w.keyWith(w.ada, scope), "GET", Base+"/metrics", nil)
		}
	})
}
