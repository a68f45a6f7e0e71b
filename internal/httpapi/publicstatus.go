package httpapi

import (
	"context"
	"sync"
	"time"

	"github.com/billetcloud/billet/internal/announcement"
	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/catalog"
	"github.com/billetcloud/billet/internal/incident"
	"github.com/billetcloud/billet/internal/rest"
)

const (
	// priceAge and statusAge are how long clients need not ask again.
	priceAge, statusAge = 30 * time.Second, 15 * time.Second
	// keepStatus is how long a status is reused for all callers.
	keepStatus = 10 * time.Second
	// statusTime limits how long making a status may take: others wait for it.
	statusTime = 3 * time.Second
	// incidentsShown is how long an incident is shown after its end.
	incidentsShown = 30 * 24 * time.Hour
)

// publicPrices are the current prices, by GPU type.
type publicPrices struct {
	Currency string               `json:"currency" example:"USD" doc:"Currency of all prices: USD."`
	GPUTypes []catalog.PriceGroup `json:"gpuTypes" doc:"What is offered, by GPU type: available ones with a low price first."`
}

// publicCache has what was made last, for everyone who asks.
type publicCache struct {
	mu      sync.Mutex
	edition catalog.Edition
	prices  *publicPrices
	status  *publicStatus
	at      time.Time // when status was made
	// failure is why the last try to make it failed, at failedAt; nil if it did not.
	failure  error
	failedAt time.Time
}

func (h public) prices(ctx context.Context, c *rest.Call, _ *rest.NoInput) (publicPrices, error) {
	now, err := h.settings.Current(ctx)
	if err != nil {
		return publicPrices{}, err
	}
	if !now.PublicPages.Prices {
		return publicPrices{}, errNotPublic
	}
	cacheFor(c, priceAge)
	h.cache.mu.Lock()
	defer h.cache.mu.Unlock()
	edition := h.catalog.Edition()
	if h.cache.prices == nil || h.cache.edition != edition {
		h.cache.prices, h.cache.edition = &publicPrices{"USD", h.catalog.Default().PriceList()}, edition
	}
	return *h.cache.prices, nil
}

var errNotPublic = apierr.New(apierr.NotFound, "This page is not public. The operator can publish it.")

// serverStatus is whether this cloud serves.
type serverStatus struct {
	Status string `json:"status" enum:"operational,degraded" doc:"operational, or degraded if the server cannot change anything now, such as while its database does not answer."`
}

// providerStatus is a provider on the status page.
type providerStatus struct {
	Slug    string         `json:"slug" doc:"Provider slug."`
	Name    string         `json:"name" doc:"Name of the provider."`
	Status  catalog.Status `json:"status" doc:"up, degraded (it did not answer the last request) or down."`
	Paused  bool           `json:"paused" doc:"Whether the operator paused it, so that nothing new is launched there."`
	AsOf    *time.Time     `json:"asOf" doc:"Time of its last answer; null if it never answered."`
	Regions []regionStatus `json:"regions" doc:"Regions with offers, or with launches in the last 30 days."`
}

// regionStatus is a region on the status page.
type regionStatus struct {
	Slug            string  `json:"slug" doc:"Region slug."`
	Name            string  `json:"name" doc:"Display name of the region."`
	Country         *string `json:"country" doc:"ISO 3166-1 alpha-2 code."`
	AvailableOffers int     `json:"availableOffers" doc:"Number of available offers."`
	catalog.Launches
}

// publicIncident is an incident with the name of its provider.
type publicIncident struct {
	incident.Incident
	ProviderName string `json:"providerName" doc:"Name of the provider."`
}

// publicStatus is the state of this cloud and its providers.
type publicStatus struct {
	AsOf      time.Time        `json:"asOf" doc:"When this was found out."`
	Server    serverStatus     `json:"server" doc:"State of this cloud itself."`
	Providers []providerStatus `json:"providers" doc:"Providers, by slug."`
	// Announcements are those for all accounts.
	Announcements []announcement.Notice `json:"announcements" doc:"What is announced to all accounts at present: the most important first."`
	Incidents     []publicIncident      `json:"incidents" doc:"Incidents that last, and then those that ended in the last 30 days: newest first, at most 100."`
}

func (h public) status(ctx context.Context, c *rest.Call, _ *rest.NoInput) (publicStatus, error) {
	cache := h.cache
	cache.mu.Lock()
	defer cache.mu.Unlock()
	// Everyone waits here. Those who come within keepStatus after a failure do not try again, and
	// so do not wait for one failure after the other.
	if age := h.real().Sub(cache.failedAt); cache.failure == nil || age < 0 || age >= keepStatus {
		cache.failure = h.renewStatus(ctx)
		cache.failedAt = h.real()
	}
	switch {
	case cache.failure == nil && cache.status == nil:
		return publicStatus{}, errNotPublic
	case cache.failure == nil:
		cacheFor(c, statusAge)
		return *cache.status, nil
	case cache.status == nil:
		return publicStatus{}, cache.failure
	}
	last := *cache.status // what was known last says more than a page that cannot be shown
	last.Server.Status = "degraded"
	return last, nil
}

// renewStatus makes the cached status if it is old, and deletes it if the page is not public.
func (h public) renewStatus(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), statusTime)
	defer cancel()
	now, err := h.settings.Current(ctx)
	if err != nil {
		return err
	}
	if !now.PublicPages.Status {
		h.cache.status = nil
		return nil
	}
	real := h.real()
	if age := real.Sub(h.cache.at); h.cache.status != nil && age >= 0 && age < keepStatus {
		return nil
	}
	made, err := h.makeStatus(ctx)
	if err == nil {
		h.cache.status, h.cache.at = &made, real
	}
	return err
}

// makeStatus reads the status, without the providers and regions that price rules hide. The number
// of queries does not depend on what there is.
func (h public) makeStatus(ctx context.Context) (publicStatus, error) {
	at := h.clock.Now()
	recent, err := h.incidents.Recent(ctx, h.db, at.Add(-incidentsShown))
	if err != nil {
		return publicStatus{}, err
	}
	out := publicStatus{AsOf: at, Server: serverStatus{"operational"}, Incidents: []publicIncident{}}
	if h.serves != nil && h.serves(ctx) != nil {
		out.Server.Status = "degraded"
	}
	if out.Announcements, err = h.announcements.ForEveryone(ctx, h.db, at); err != nil {
		return publicStatus{}, err
	}
	market := h.catalog.Default()
	hidden, err := h.catalog.Hidden(ctx, h.db)
	if err != nil {
		return publicStatus{}, err
	}
	names, paused := map[string]string{}, map[string]bool{}
	for _, i := range recent {
		if i.Kind == incident.Paused && i.EndedAt == nil {
			paused[i.Provider] = true
		}
	}
	byProvider := map[string][]regionStatus{}
	for _, r := range market.Regions() {
		launches := market.Launches(r.Provider, r.Slug)
		if r.Offers == 0 && launches.Deployments == 0 || hidden.Region(r.Provider, r.Slug) {
			continue
		}
		byProvider[r.Provider] = append(byProvider[r.Provider], regionStatus{
			Slug: r.Slug, Name: r.Name, Country: r.Country, AvailableOffers: r.AvailableOffers, Launches: launches,
		})
	}
	out.Providers = []providerStatus{}
	for _, p := range market.Providers() {
		if hidden.Provider(p.Slug) {
			continue
		}
		names[p.Slug] = p.Name
		regions := byProvider[p.Slug]
		if regions == nil {
			regions = []regionStatus{}
		}
		out.Providers = append(out.Providers, providerStatus{
			Slug: p.Slug, Name: p.Name, Status: p.Status, Paused: paused[p.Slug], AsOf: p.AsOf, Regions: regions,
		})
	}
	for _, i := range recent {
		if hidden.Provider(i.Provider) {
			continue
		}
		name := names[i.Provider]
		if name == "" { // it was removed since
			name = i.Provider
		}
		out.Incidents = append(out.Incidents, publicIncident{i, name})
	}
	return out, nil
}
