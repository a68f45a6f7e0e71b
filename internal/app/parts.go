package app

import (
	"net/http"

	"github.com/billetcloud/billet/internal/catalog"
	"github.com/billetcloud/billet/internal/deployment"
	"github.com/billetcloud/billet/internal/meter"
	"github.com/prometheus/client_golang/prometheus"
)

// Handler is the API, as Run serves it.
func (a *App) Handler() http.Handler { return a.handler }

// Metrics is what /metrics shows.
func (a *App) Metrics() prometheus.Gatherer { return a.metrics }

// Catalog, Deployments and Meter are for programs that fill a server instead of running it.
func (a *App) Catalog() *catalog.Catalog { return a.catalog }

// Deployments is like Catalog.
func (a *App) Deployments() *deployment.Service { return a.deployments }

// Meter is like Catalog.
func (a *App) Meter() *meter.Service { return a.meter }
