package voltagepark

import (
	"context"
	"fmt"
	"regexp"
	"slices"
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
	// listAge is how old the lists may be from which machines and volumes are answered.
	listAge = pollEvery / 2
	// believed is how long what we requested counts for more than a list that does not show it yet.
	believed = 2 * time.Minute
	// every and burst are the request budget; the setting requests-per-minute replaces every.
	every        = 1100 * time.Millisecond
	burst        = 10
	maxPerMinute = 60_000 // of the setting
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
	storage  []string          // the regions that have storage; none for all

	offers   *upstream.List[provider.Offer]
	machines *upstream.List[machine]
	volumes  *upstream.List[volume]
	locks    upstream.KeyedLock
	warnings upstream.WarnOnce

	mu      sync.Mutex
	created map[id.ID]creation               // machines that the list may not show yet
	ending  map[string]time.Time             // when the end of a machine was requested
	power   map[string]powerRequest          // the last for each machine
	last    map[string]provider.MachineState // of the machines on the last list
	names   map[string]place                 // of locations
	named   time.Time                        // when names was read; zero for never
	hosts   map[string]bool                  // locations that have had VMs
}

// creation is a machine that was just created.
type creation struct {
	id string
	vm bool
	at time.Time
}

func (c creation) machine(reference id.ID) machine {
	return machine{id: c.id, vm: c.vm, reference: reference, state: provider.MachineProvisioning, created: c.at}
}

// powerRequest is a request to switch a machine on or off.
type powerRequest struct {
	on bool
	at time.Time
}

var (
	uuidForm = regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)
	userForm = regexp.MustCompile(`^[a-z_][a-z0-9_-]{0,31}$`)
)

// New returns the Adapter of the account; doc.go lists the settings. It fails where the account is
// incomplete, or a setting is unknown or invalid.
func New(a upstream.Account) (*Adapter, error) {
	a, err := a.Prepare("create an API token on the Developers page of Voltage Park's dashboard",
		"vm-user", "products", "region-names", "storage-regions", "requests-per-minute")
	if err != nil {
		return nil, err
	}
	v := &Adapter{
		account: a, vmUser: "user", products: []string{productMetal, productVM}, regions: map[string]string{},
		created: map[id.ID]creation{}, ending: map[string]time.Time{}, power: map[string]powerRequest{},
		last: map[string]provider.MachineState{}, names: map[string]place{}, hosts: map[string]bool{},
	}
	for name, value := range a.Settings {
		if err := v.set(name, strings.TrimSpace(value)); err != nil {
			return nil, a.SettingError(name, err)
		}
	}
	pause := every
	perMinute, err := a.IntSetting("requests-per-minute", 0, 1, maxPerMinute)
	if err != nil {
		return nil, err
	}
	if perMinute > 0 {
		pause = time.Minute / time.Duration(perMinute)
	}
	v.client, err = upstream.NewClient(upstream.Config{
		Account: a, BaseURL: baseURL, Every: pause, Burst: burst, Explain: explain, Authorize: upstream.Bearer,
	})
	if err != nil {
		return nil, err
	}
	v.offers = upstream.NewList(a.Now, v.fetchOffers)
	v.machines = upstream.NewList(a.Now, v.fetchMachines)
	v.volumes = upstream.NewList(a.Now, v.fetchVolumes)
	return v, nil
}

func (a *Adapter) set(name, value string) error {
	switch name {
	case "vm-user":
		if !userForm.MatchString(value) {
			return fmt.Errorf("%.40q is not a user name", value)
		}
		a.vmUser = value
	case "products":
		a.products = split(value)
		if len(a.products) == 0 {
			return fmt.Errorf("must name %s, %s or both; leave it out for both", productMetal, productVM)
		}
		for _, p := range a.products {
			if p != productMetal && p != productVM {
				return fmt.Errorf("%.40q must be %s or %s", p, productMetal, productVM)
			}
		}
	case "region-names":
		return a.setRegionNames(split(value))
	case "storage-regions":
		a.storage = split(value)
		for _, slug := range a.storage {
			if !provider.ValidSlug(slug) {
				return fmt.Errorf("%.80q is not a region's slug", slug)
			}
		}
	}
	return nil
}

func (a *Adapter) setRegionNames(pairs []string) error {
	taken := map[string]bool{}
	for _, pair := range pairs {
		location, slug, _ := strings.Cut(pair, "=")
		location, slug = strings.ToLower(strings.TrimSpace(location)), strings.TrimSpace(slug)
		switch {
		case !uuidForm.MatchString(location) || !provider.ValidSlug(slug) || uuidForm.MatchString(slug):
			return fmt.Errorf(
				"%.80q must be <location id>=<slug>; a slug has lower-case letters, digits and inner hyphens", pair,
			)
		case taken[slug] || a.regions[location] != "":
			return fmt.Errorf("%.80q names a location or a slug twice", pair)
		}
		a.regions[location], taken[slug] = slug, true
	}
	return nil
}

// split returns the parts of a comma-separated list.
func split(list string) (out []string) {
	for _, w := range strings.Split(list, ",") {
		if w = strings.TrimSpace(w); w != "" {
			out = append(out, w)
		}
	}
	return out
}

// Info implements provider.Provider. The offers name the regions.
func (a *Adapter) Info() provider.Info {
	return a.account.Info(provider.Info{
		LaunchLimit: 45 * time.Minute, SyncEvery: syncEvery, PollEvery: pollEvery, SettleTime: settleTime,
	})
}

// TakesHostKey reports true for VMs. Which field of bare metal takes cloud-init is uncertain, and a
// deploy without cloud-init must not depend on it.
func (a *Adapter) TakesHostKey(offerKey string) bool { return strings.HasPrefix(offerKey, "vm/") }

func (a *Adapter) sells(product string) bool { return slices.Contains(a.products, product) }

// region returns the slug of a location.
func (a *Adapter) region(location string) string {
	if slug := a.regions[location]; slug != "" {
		return slug
	}
	return location
}

// location returns the id of a region's location, or "".
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

func (a *Adapter) unknownStatus(ctx context.Context, kind, status string) {
	a.warnings.UnknownStatus(ctx, a.account, kind, status)
}
