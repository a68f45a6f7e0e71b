package voltagepark

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/provider"
	"github.com/billetcloud/billet/internal/provider/upstream"
)

const (
	baseURL = "https://cloud-api.voltagepark.com/api/v1"

	pollEvery  = 30 * time.Second
	syncEvery  = time.Minute
	settleTime = 90 * time.Second
	// believed is for how long what we have asked for counts more than a list that does not show it yet.
	believed = 2 * time.Minute
	// every and burst are the request budget, where the setting requests-per-minute does not replace every.
	every = 1100 * time.Millisecond
	burst = 10
	// mostRequests is the most that requests-per-minute may be.
	mostRequests = 60_000
)

// The products, as the setting names them.
const (
	productMetal = "bare-metal"
	productVM    = "vm"
)

// Adapter is Voltage Park as a provider. It is safe for concurrent use.
type Adapter struct {
	account  upstream.Account
	client   *upstream.Client
	vmUser   string
	products []string
	regions  map[string]string // slugs by location id, as the operator has them
	storing  []string          // the regions that reach the storage; none for all
	every    time.Duration     // between two requests, on average

	offers   *upstream.List[provider.Offer]
	machines *upstream.List[machine]
	storage  *upstream.List[volume]
	turns    upstream.Turns
	told     upstream.Once

	mu     sync.Mutex
	made   map[id.ID]birth                  // machines that the list has perhaps not shown yet
	ending map[string]time.Time             // when the end of a machine was asked for
	wishes map[string]wish                  // what was last asked of a machine's power
	last   map[string]provider.MachineState // of the machines on the last list
	names  map[string]place                 // of locations
	named  time.Time                        // when names was asked for; zero for never
	hosts  map[string]bool                  // locations that have had VMs
}

// birth is a machine that was made a moment ago.
type birth struct {
	id string
	vm bool
	at time.Time
}

// wish is what was asked of a machine's power.
type wish struct {
	on bool
	at time.Time
}

var (
	uuidForm = regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)
	userForm = regexp.MustCompile(`^[a-z_][a-z0-9_-]{0,31}$`)
)

// New returns the adapter of an account; doc.go has the settings. It fails where the account is not complete, or a setting is unknown or has no meaning.
func New(a upstream.Account) (*Adapter, error) {
	if a.Credential == "" {
		return nil, fmt.Errorf("%s needs an API token; the dashboard's Developers page makes one", a.Slug)
	}
	if a.Now == nil {
		a.Now = time.Now
	}
	if a.Log == nil {
		a.Log = slog.New(slog.DiscardHandler)
	}
	v := &Adapter{
		account: a, vmUser: "user", products: []string{productMetal, productVM}, regions: map[string]string{}, every: every,
		made: map[id.ID]birth{}, ending: map[string]time.Time{}, wishes: map[string]wish{}, last: map[string]provider.MachineState{},
		names: map[string]place{}, hosts: map[string]bool{},
	}
	for name, value := range a.Settings {
		if err := v.set(name, strings.TrimSpace(value)); err != nil {
			return nil, fmt.Errorf("setting %s of %s: %w", name, a.Slug, err)
		}
	}
	client, err := upstream.NewClient(upstream.Config{
		Account: a, BaseURL: baseURL, Every: v.every, Burst: burst, Explain: explain,
		Authorize: func(h http.Header, credential string) { h.Set("Authorization", "Bearer "+credential) },
	})
	if err != nil {
		return nil, err
	}
	v.client = client
	v.offers = upstream.NewList(a.Now, v.fetchOffers)
	v.machines = upstream.NewList(a.Now, v.fetchMachines)
	v.storage = upstream.NewList(a.Now, v.fetchVolumes)
	return v, nil
}

func (a *Adapter) set(name, value string) error {
	switch name {
	case "vm-user":
		if !userForm.MatchString(value) {
			return fmt.Errorf("%.40q is no user name", value)
		}
		a.vmUser = value
	case "products":
		a.products = words(value)
		for _, p := range a.products {
			if p != productMetal && p != productVM {
				return fmt.Errorf("%.40q is none of %s and %s", p, productMetal, productVM)
			}
		}
		if len(a.products) == 0 {
			return fmt.Errorf("names no product; leave it out for %s and %s", productMetal, productVM)
		}
	case "region-names":
		taken := map[string]bool{}
		for _, pair := range words(value) {
			location, slug, _ := strings.Cut(pair, "=")
			location, slug = strings.ToLower(strings.TrimSpace(location)), strings.TrimSpace(slug)
			switch {
			case !uuidForm.MatchString(location) || !provider.ValidSlug(slug) || uuidForm.MatchString(slug):
				return fmt.Errorf("%.80q is not <location id>=<slug>; a slug has lower-case letters, digits and inner hyphens", pair)
			case taken[slug] || a.regions[location] != "":
				return fmt.Errorf("%.80q names a location or a slug twice", pair)
			}
			a.regions[location], taken[slug] = slug, true
		}
	case "storage-regions":
		a.storing = words(value)
		for _, slug := range a.storing {
			if !provider.ValidSlug(slug) {
				return fmt.Errorf("%.80q is no region's slug", slug)
			}
		}
	case "requests-per-minute":
		n, err := strconv.Atoi(value)
		if err != nil || n < 1 || n > mostRequests {
			return fmt.Errorf("%.40q is no whole number from 1 to %d", value, mostRequests)
		}
		a.every = time.Minute / time.Duration(n)
	default:
		return fmt.Errorf("there is no such setting; there are vm-user, products, region-names, storage-regions and requests-per-minute")
	}
	return nil
}

// words are the parts of a list with commas.
func words(list string) (out []string) {
	for _, w := range strings.Split(list, ",") {
		if w = strings.TrimSpace(w); w != "" {
			out = append(out, w)
		}
	}
	return out
}

// Info returns the cloud's limits. Its regions stand on its offers.
func (a *Adapter) Info() provider.Info {
	return provider.Info{
		PrivateAddresses: a.account.PrivateAddresses,

		Slug: a.account.Slug, Name: a.account.Name, LaunchLimit: 45 * time.Minute,
		SyncEvery: syncEvery, PollEvery: pollEvery, SettleTime: settleTime,
	}
}

// TakesHostKey reports true for VMs. The field of bare metal that takes cloud-init is not certain, and a
// deploy without a cloud-init text of the tenant's must not depend on it.
func (a *Adapter) TakesHostKey(offerKey string) bool { return strings.HasPrefix(offerKey, "vm/") }

func (a *Adapter) sells(product string) bool { return slices.Contains(a.products, product) }

// region is the slug of a location, for ever the same.
func (a *Adapter) region(location string) string {
	if slug := a.regions[location]; slug != "" {
		return slug
	}
	return location
}

// location is the id behind a region's slug; "" for none.
func (a *Adapter) location(region string) string {
	for location, slug := range a.regions {
		if slug == region {
			return location
		}
	}
	if uuidForm.MatchString(region) && a.regions[region] == "" {
		return region
	}
	return ""
}

// unknown logs a word of the cloud's that we do not know, once.
func (a *Adapter) unknown(ctx context.Context, what, word string) {
	a.told.Warn(ctx, a.account.Log, "the upstream has a status that is not known; the last one is kept", "provider", a.account.Slug, "of", what, "status", word)
}
