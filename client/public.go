package client

import (
	"context"
	"net/http"
	"strings"
	"time"
)

// Site is how a cloud presents itself. What it does not have is nil.
type Site struct {
	Name string `json:"name"`
	// PrimaryColor is the color of buttons and links, TextColor that of text on it, as #rrggbb.
	PrimaryColor   *string `json:"primaryColor"`
	TextColor      *string `json:"textColor"`
	Logo           *Logo   `json:"logo"`
	SupportAddress *string `json:"supportAddress"`
	TermsURL       *string `json:"termsUrl"`
	PrivacyURL     *string `json:"privacyUrl"`
	// PublicPages are the pages that need no key.
	PublicPages PublicPages `json:"publicPages"`
}

// Logo is the logo of a cloud. Its URL is a path on the server.
type Logo struct {
	URL    string `json:"url"`
	Width  int    `json:"width"`
	Height int    `json:"height"`
}

// PublicPages reports which pages need no key.
type PublicPages struct {
	Prices bool `json:"prices"`
	Status bool `json:"status"`
}

// PublicPrices are the current prices, by GPU type.
type PublicPrices struct {
	// Currency is USD.
	Currency string `json:"currency"`
	// GPUTypes has available ones with a low price first.
	GPUTypes []PriceGroup `json:"gpuTypes"`
}

// PriceGroup is everything that is offered with one type of GPU.
type PriceGroup struct {
	GPUType     string `json:"gpuType"`
	GPUMemoryGB int    `json:"gpuMemoryGb"`
	// Offers is the number of offers, AvailableOffers the number of available ones.
	Offers          int `json:"offers"`
	AvailableOffers int `json:"availableOffers"`
	// LowestHourlyPrice and LowestHourlyPricePerGPU are those of available offers; nil if there are
	// none.
	LowestHourlyPrice       *Money `json:"lowestHourlyPrice"`
	LowestHourlyPricePerGPU *Money `json:"lowestHourlyPricePerGpu"`
	// GPUCounts are the numbers of GPUs that a machine can have.
	GPUCounts     []int          `json:"gpuCounts"`
	InstanceTypes []InstanceType `json:"instanceTypes"`
	// Regions are where it is offered, cheapest first.
	Regions []PriceRegion `json:"regions"`
}

// PriceRegion is what a PriceGroup has in one region, with the fields of a PriceGroup.
type PriceRegion struct {
	Provider                string  `json:"provider"`
	ProviderName            string  `json:"providerName"`
	Region                  string  `json:"region"`
	RegionName              string  `json:"regionName"`
	Country                 *string `json:"country"`
	Offers                  int     `json:"offers"`
	AvailableOffers         int     `json:"availableOffers"`
	LowestHourlyPrice       *Money  `json:"lowestHourlyPrice"`
	LowestHourlyPricePerGPU *Money  `json:"lowestHourlyPricePerGpu"`
}

// PublicStatus is the state of a cloud and of its providers.
type PublicStatus struct {
	AsOf      time.Time        `json:"asOf"`
	Server    ServerStatus     `json:"server"`
	Providers []ProviderHealth `json:"providers"`
	// Announcements are for all accounts, the most important first.
	Announcements []Announcement `json:"announcements"`
	// Incidents last, or ended in the last 30 days: newest first.
	Incidents []Incident `json:"incidents"`
}

// ServerState is the state of a cloud itself.
type ServerState string

// The states of a cloud.
const (
	// ServerOperational works.
	ServerOperational ServerState = "operational"
	// ServerDegraded cannot change anything now.
	ServerDegraded ServerState = "degraded"
)

// ServerStatus is the state of the cloud itself.
type ServerStatus struct {
	Status ServerState `json:"status"`
}

// ProviderHealth is a provider on the status page.
type ProviderHealth struct {
	Slug   string         `json:"slug"`
	Name   string         `json:"name"`
	Status ProviderStatus `json:"status"`
	// Paused reports whether nothing new is launched there.
	Paused bool `json:"paused"`
	// AsOf is when it last responded; nil means never.
	AsOf    *time.Time     `json:"asOf"`
	Regions []RegionHealth `json:"regions"`
}

// RegionHealth is how launches in a region went in the last 30 days.
type RegionHealth struct {
	Slug            string  `json:"slug"`
	Name            string  `json:"name"`
	Country         *string `json:"country"`
	AvailableOffers int     `json:"availableOffers"`
	// Deployments is the number of launches, ReachedSSH the share of them that started, and
	// MedianSecondsToSSH the median time to SSH. The latter are nil if there are none.
	Deployments        int      `json:"deployments"`
	ReachedSSH         *float64 `json:"reachedSsh"`
	MedianSecondsToSSH *int     `json:"medianSecondsToSsh"`
}

// IncidentKind is what is wrong with a provider.
type IncidentKind string

// The kinds of incidents.
const (
	// IncidentNoAnswer is a provider that does not answer.
	IncidentNoAnswer IncidentKind = "no_answer"
	// IncidentPaused is a provider at which nothing new is launched.
	IncidentPaused IncidentKind = "paused"
)

// Incident is a period in which a provider did not answer or was paused.
type Incident struct {
	ID           string       `json:"id"`
	Provider     string       `json:"provider"`
	ProviderName string       `json:"providerName"`
	Kind         IncidentKind `json:"kind"`
	StartedAt    time.Time    `json:"startedAt"`
	// EndedAt is nil while it lasts.
	EndedAt *time.Time `json:"endedAt"`
}

// PublicService reads what needs no key.
type PublicService struct{ c *Client }

// Site returns the name, logo and links of the cloud.
func (s *PublicService) Site(ctx context.Context, options ...CallOption) (*Site, error) {
	return one[Site](ctx, s.c, s.request("/site"), options)
}

// Prices returns the current prices. It returns ErrNotFound if they are not public.
func (s *PublicService) Prices(ctx context.Context, options ...CallOption) (*PublicPrices, error) {
	return one[PublicPrices](ctx, s.c, s.request("/prices"), options)
}

// Status returns the state of the cloud and of its providers. It returns ErrNotFound if it is not
// public.
func (s *PublicService) Status(ctx context.Context, options ...CallOption) (*PublicStatus, error) {
	return one[PublicStatus](ctx, s.c, s.request("/status"), options)
}

// Ledger returns the public keys of the ledger's signatures, and its newest signed statement.
func (s *PublicService) Ledger(ctx context.Context, options ...CallOption) (*LedgerKeys, error) {
	return one[LedgerKeys](ctx, s.c, s.request("/ledger"), options)
}

func (s *PublicService) request(path string) request {
	return request{
		method: http.MethodGet, path: path, url: strings.TrimSuffix(s.c.base, "/inventory") + "/public" + path,
	}
}
