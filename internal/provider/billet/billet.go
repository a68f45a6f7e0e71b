package billet

import (
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/billetcloud/billet/internal/provider"
	"github.com/billetcloud/billet/internal/provider/upstream"
)

const (
	api = "/api/v1/inventory"
	// pollEvery is how often a machine that is being prepared is polled. All share one list, which
	// is at most half as old.
	pollEvery = 15 * time.Second
	syncEvery = 5 * time.Minute
	// launchLimit exceeds the other Billet's own limits, which state when a deployment has failed.
	launchLimit = 2 * time.Hour
	// pricingAge is how old the list may be that assigns a region's volumes to a provider.
	pricingAge = time.Hour

	readsSetting  = "reads-per-minute"
	writesSetting = "writes-per-minute"
	maxPerMinute  = 1_000_000
)

// Adapter is an account at another Billet. It is safe for concurrent use.
type Adapter struct {
	account upstream.Account
	client  *upstream.Client
	locks   upstream.KeyedLock
	keys    upstream.Keys // a deploy takes several keys only by id

	deployments *upstream.List[deployment]
	// paged is true where the last list of deployments took several pages.
	paged   atomic.Bool
	volumes *upstream.List[volume]
	pricing *upstream.List[volumePrice]

	warnings upstream.WarnOnce
	memory   upstream.Memory[trace]
}

// trace is what is remembered of a machine. After a restart the list provides it again.
type trace struct {
	id    string
	state provider.MachineState
	// ended is true where its end was requested: how it ended does not matter then.
	ended bool
}

// New returns the Adapter of the account. It fails where a setting is unknown or invalid.
func New(a upstream.Account) (*Adapter, error) {
	a, err := a.Prepare("create one for an account at the other Billet", readsSetting, writesSetting)
	if err != nil {
		return nil, err
	}
	if a.BaseURL == "" {
		return nil, fmt.Errorf(
			"provider %s: set the base URL to that of the other Billet, such as https://gpu.example.com", a.Slug,
		)
	}
	reads, err := a.IntSetting(readsSetting, 60, 1, maxPerMinute)
	if err != nil {
		return nil, err
	}
	writes, err := a.IntSetting(writesSetting, 20, 1, maxPerMinute)
	if err != nil {
		return nil, err
	}
	at := a
	at.Unknown = nil // another version of Billet may have more fields, and those that we use keep their names
	at.BaseURL = strings.TrimSuffix(strings.TrimRight(a.BaseURL, "/"), api) + api
	c := upstream.Config{Account: at, Authorize: upstream.Bearer, Explain: explain}
	c.Every, c.Burst = budget(reads)
	c.WriteEvery, c.WriteBurst = budget(writes)
	client, err := upstream.NewClient(c)
	if err != nil {
		return nil, err
	}
	b := &Adapter{account: a, client: client}
	b.keys = upstream.Keys{Find: b.findKey, Add: b.addKey}
	b.deployments = upstream.NewList(a.Now, b.fetchDeployments)
	b.volumes = newList[volume](b, "/volumes")
	b.pricing = newList[volumePrice](b, "/volumes/pricing")
	return b, nil
}

// budget allows at most that many requests in any minute: a burst, and the rest evenly.
func budget(limit int) (every time.Duration, burst int) {
	burst = max(1, limit/10)
	return time.Minute / time.Duration(max(1, limit-burst)), burst
}

// Info implements provider.Provider. The offers name the regions.
func (b *Adapter) Info() provider.Info {
	return b.account.Info(provider.Info{LaunchLimit: launchLimit, SyncEvery: syncEvery, PollEvery: pollEvery})
}
