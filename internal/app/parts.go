package app

import (
	"net/http"

	"github.com/billetcloud/billet/internal/catalog"
	"github.com/billetcloud/billet/internal/deployment"
	"github.com/billetcloud/billet/internal/meter"
	"github.com/prometheus/client_golang/prometheus"
)

// Handler returns the API, as Run serves it.
func (a *App) Handler() http.Handler { return a.handler }

// Metrics returns the metrics that /metrics serves.
func (a *App) Metrics() prometheus.Gatherer { return a.metrics }

// Catalog is, like Deployments and Meter, for programs that fill a server with data instead of
// running it.
func (a *App) Catalog() *catalog.Catalog { return a.services.catalog }

// Deployments is like Catalog.
func (a *App) Deployments() *deployment.Service { return a.services.deployments }

// Meter is like Catalog.
func (a *App) Meter() *meter.Service { return a.services.meter }
