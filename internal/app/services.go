package app

import (
	"context"
	"log/slog"
	"sync/atomic"

	"github.com/billetcloud/billet/internal/announcement"
	"github.com/billetcloud/billet/internal/budget"
	"github.com/billetcloud/billet/internal/catalog"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/deployment"
	"github.com/billetcloud/billet/internal/health"
	"github.com/billetcloud/billet/internal/idempotency"
	"github.com/billetcloud/billet/internal/incident"
	"github.com/billetcloud/billet/internal/invoice"
	"github.com/billetcloud/billet/internal/meter"
	"github.com/billetcloud/billet/internal/pastdue"
	"github.com/billetcloud/billet/internal/provider"
	"github.com/billetcloud/billet/internal/quote"
	"github.com/billetcloud/billet/internal/servicecredit"
	"github.com/billetcloud/billet/internal/sshkey"
	"github.com/billetcloud/billet/internal/volume"
)

// services are what the server has beside the services that most commands use. Of a command they
// know no provider, and do what needs none.
type services struct {
	providers   *provider.Registry
	markups     *markupTable
	catalog     *catalog.Catalog
	meter       *meter.Service
	keys        *sshkey.Service
	volumes     *volume.Service
	quotes      *quote.Service
	deployments *deployment.Service
	pastDue     *pastdue.Service
	budgets     *budget.Service
	invoices    *invoice.Service
	answers     *idempotency.Service
	incidents   *incident.Service
	announced   *announcement.Service
	payments    payments
	owed        *servicecredit.Service
}

func (o *Operator) buildServices(c Config, log *slog.Logger) services {
	providers := provider.NewRegistry()
	s := services{providers: providers, markups: &markupTable{}}
	s.budgets = budget.New(budget.Config{IDs: o.IDs, Clock: o.Clock, Events: o.Events, Jobs: o.Jobs})
	s.meter = meter.New(meter.Config{
		DB: o.DB, Wallet: o.Wallet, Events: o.Events, Jobs: o.Jobs, Admit: s.budgets.AdmitHours,
	})
	s.catalog = catalog.New(catalog.Config{
		DB: o.DB, IDs: o.IDs, Clock: o.Clock, Providers: providers, Jobs: o.Jobs, Log: log, Markup: s.markups.of,
		OwnMarkups: o.Accounts.Markups, Trusted: o.Accounts.Trusted, Rules: o.PriceRules,
		Health: func(ctx context.Context, r db.Reader) (health.Policies, error) {
			now, err := o.Settings.Peek(ctx, r)
			return now.GPUHealth.Policies(), err
		},
	})
	s.keys = sshkey.New(sshkey.Config{DB: o.DB, IDs: o.IDs})
	s.quotes = quote.New(o.IDs)
	s.answers = idempotency.New(idempotency.Config{DB: o.DB, Clock: o.Clock})
	s.volumes = volume.New(volume.Config{
		DB: o.DB, IDs: o.IDs, Clock: o.Clock, Log: log, Catalog: s.catalog, Meter: s.meter, Wallet: o.Wallet,
		Providers: providers, Events: o.Events, Issues: o.Issues, Jobs: o.Jobs,
	})
	probe := c.Probe
	if probe == nil {
		probe = provider.ProbeSSH
	}
	checker := health.NewChecker()
	s.deployments = deployment.New(deployment.Config{
		DB: o.DB, IDs: o.IDs, Clock: o.Clock, Log: log, Catalog: s.catalog, SSHKeys: s.keys, Images: o.Images,
		Volumes: s.volumes,
		Wallet:  o.Wallet, Meter: s.meter, Events: o.Events, Issues: o.Issues, Jobs: o.Jobs, Providers: providers,
		Quotes: s.quotes, Probe: probe, Secrets: o.secrets, CheckGPUs: checker.Check,
		RemoveHealthKey: checker.RemoveKey,
	})
	s.pastDue = pastdue.New(pastdue.Config{
		DB: o.DB, Wallet: o.Wallet, Meter: s.meter, Jobs: o.Jobs,
		Deployments: s.deployments, Volumes: s.volumes, Events: o.Events,
		Terms: o.pastDueTerms(c),
	})
	s.announced = announcement.New(announcement.Config{
		DB: o.DB, IDs: o.IDs, Catalog: s.catalog, Accounts: o.Accounts,
		ProviderAccounts: o.ProviderAccounts, Mail: o.Mail, Jobs: o.Jobs,
	})
	s.invoices = invoice.New(invoice.Config{
		DB: o.DB, IDs: o.IDs, Clock: o.Clock, Accounts: o.Accounts, Wallet: o.Wallet, Events: o.Events, Jobs: o.Jobs,
		Issues: o.Issues,
	})
	s.owed = servicecredit.New(servicecredit.Config{
		DB: o.DB, IDs: o.IDs, Wallet: o.Wallet, Meter: s.meter, Events: o.Events, Settings: o.Settings,
	})
	s.incidents = incident.New(incident.Config{
		DB: o.DB, IDs: o.IDs, Catalog: s.catalog, Accounts: o.ProviderAccounts, Events: o.Events, Jobs: o.Jobs,
	})
	return s
}

// markupTable has the markups of providers in basis points, which can be replaced while the server
// runs.
type markupTable struct {
	now atomic.Pointer[func(slug string) int64]
}

func (t *markupTable) set(markup func(slug string) int64) { t.now.Store(&markup) }

func (t *markupTable) of(slug string) int64 {
	if f := t.now.Load(); f != nil {
		return (*f)(slug)
	}
	return 0
}
