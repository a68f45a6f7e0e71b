package httpapi

import (
	"context"
	"net/http"

	"github.com/billetcloud/billet/internal/account"
	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/deployment"
	"github.com/billetcloud/billet/internal/meter"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/rest"
	"github.com/billetcloud/billet/internal/wallet"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// maxScraped is how many deployments the metrics have: a time series of each is kept elsewhere.
const maxScraped = 1000

// tenantMetrics is what a tenant's own monitoring reads.
type tenantMetrics struct {
	db          *db.DB
	ledger      *wallet.Ledger
	meter       *meter.Service
	deployments *deployment.Service
}

func (h tenantMetrics) routes(r *rest.Router) {
	rest.CustomRead[metricsQuery, metricsView](r, rest.Operation{
		Method: http.MethodGet, Path: Base + "/metrics", ID: "getMetrics", Tag: tagWallet,
		Scope: string(account.ReadWallet), Media: []string{"text/plain"}, Summary: "Get metrics",
		Description: "The account's deployments that have not ended, at most 1,000, and its money, for monitoring. " +
			"With `format=prometheus`, in Prometheus' text format. An API key needs wallet:read and deployments:read.",
	}, h.get)
}

type metricsQuery struct {
	Format string `query:"format" enum:"json,prometheus" doc:"json if omitted."`
}

// metricsView is the account at one instant.
type metricsView struct {
	Deployments []deployment.Sample `json:"deployments" doc:"Deployments that have not ended, newest first."`
	Balance     money.Micros        `json:"balance" doc:"available plus held, in US dollars."`
	Held        money.Micros        `json:"held" doc:"On hold, in US dollars."`
	Available   money.Micros        `json:"available" doc:"Available balance in US dollars; negative if the account owes money."`
	HourlyCost  money.Micros        `json:"hourlyCost" doc:"US dollars per hour of everything that runs now."`
	HoursLeft   *hours              `json:"hoursLeft" doc:"Hours until available is spent at hourlyCost; null while nothing runs."`
	Spent       money.Micros        `json:"spent" doc:"US dollars charged so far, less refunds."`
}

func (h tenantMetrics) get(
	ctx context.Context, w http.ResponseWriter, c *rest.Call, in *metricsQuery, invalid []apierr.FieldError,
) (rest.Answer, error) {
	if err := apierr.Invalid(invalid).OrNil(); err != nil {
		return rest.Answer{}, err
	}
	if who := callerOf(c); who.key != nil && !who.key.Allows(account.ReadDeployments) {
		return rest.Answer{}, lacksScope(account.ReadDeployments, "This API key lacks the scope "+
			string(account.ReadDeployments)+". Use a key that has it, or add it under Settings → API keys.")
	}
	v, err := h.read(ctx, c)
	if err != nil {
		return rest.Answer{}, err
	}
	if in.Format != "prometheus" {
		return c.Data(v), nil
	}
	registry := prometheus.NewRegistry()
	if err := registry.Register(v); err != nil {
		return rest.Answer{}, err
	}
	promhttp.HandlerFor(registry, promhttp.HandlerOpts{}).ServeHTTP(w, c.Request)
	return rest.Answer{}, nil
}

func (h tenantMetrics) read(ctx context.Context, c *rest.Call) (v metricsView, err error) {
	of := c.Caller.Account
	err = h.db.View(ctx, func(ctx context.Context, tx *db.Tx) error {
		v = metricsView{} // a view may run twice
		w, err := h.ledger.Get(ctx, tx, of)
		if err != nil {
			return err
		}
		v.Balance, v.Held, v.Available = w.Balance, w.Held, w.Available
		if v.Spent, err = h.ledger.Spent(ctx, tx, of); err != nil {
			return err
		}
		rates, err := h.meter.Rates(ctx, tx, of)
		if err != nil {
			return err
		}
		for _, r := range rates {
			v.HourlyCost += r.HourlyPrice
		}
		v.Deployments, err = h.deployments.Samples(ctx, tx, of, maxScraped)
		return err
	})
	v.HoursLeft = hoursLeft(v.Available, v.HourlyCost)
	return v, err
}

// The metrics of a tenant. Labels with texts are on the info metric only.
var (
	deploymentInfo = prometheus.NewDesc("billet_deployment_info", "1 for each deployment that has not ended.",
		[]string{"deployment", "name", "status", "provider", "region", "gpu_type"}, nil)
	deploymentGPUs = prometheus.NewDesc("billet_deployment_gpus", "GPUs of the deployment.",
		[]string{"deployment"}, nil)
	deploymentPrice = prometheus.NewDesc("billet_deployment_hourly_price_dollars", "Price of the deployment per hour.",
		[]string{"deployment"}, nil)
	deploymentsBy = prometheus.NewDesc("billet_account_deployments", "Deployments that have not ended, by status.",
		[]string{"status"}, nil)
	balanceDesc   = prometheus.NewDesc("billet_balance_dollars", "Available balance plus what is on hold.", nil, nil)
	heldDesc      = prometheus.NewDesc("billet_held_dollars", "Money on hold.", nil, nil)
	availableDesc = prometheus.NewDesc("billet_available_dollars", "Available balance.", nil, nil)
	hourlyDesc    = prometheus.NewDesc("billet_hourly_cost_dollars", "Cost per hour of everything that runs.", nil, nil)
	spentDesc     = prometheus.NewDesc("billet_spent_dollars", "Charges so far, less refunds.", nil, nil)
	runwayDesc    = prometheus.NewDesc("billet_runway_seconds",
		"Time until the available balance is spent; absent while nothing runs.", nil, nil)
)

// Describe sends the descriptions.
func (metricsView) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		deploymentInfo, deploymentGPUs, deploymentPrice, deploymentsBy, balanceDesc, heldDesc, availableDesc,
		hourlyDesc, spentDesc, runwayDesc,
	} {
		to <- d
	}
}

// Collect sends the metrics.
func (v metricsView) Collect(to chan<- prometheus.Metric) {
	send := func(d *prometheus.Desc, value float64, labels ...string) {
		to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
	}
	dollars := func(m money.Micros) float64 { return float64(m) / float64(money.USD) }
	by := map[deployment.Status]int{}
	for _, d := range v.Deployments {
		by[d.Status]++
		send(deploymentInfo, 1, string(d.ID), d.Name, string(d.Status), d.Provider, d.Region, d.GPUType)
		send(deploymentGPUs, float64(d.GPUCount), string(d.ID))
		send(deploymentPrice, dollars(d.HourlyPrice), string(d.ID))
	}
	for _, status := range deployment.Sampled {
		send(deploymentsBy, float64(by[status]), string(status))
	}
	send(balanceDesc, dollars(v.Balance))
	send(heldDesc, dollars(v.Held))
	send(availableDesc, dollars(v.Available))
	send(hourlyDesc, dollars(v.HourlyCost))
	send(spentDesc, dollars(v.Spent))
	if v.HoursLeft != nil {
		send(runwayDesc, float64(*v.HoursLeft)*36) // hundredths of an hour
	}
}
