package shadeform

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/provider"
	"github.com/billetcloud/billet/internal/provider/upstream"
)

const (
	// baseURL is the cloud's own.
	baseURL = "https://api.shadeform.ai/v1"
	// BareMetalOnly is the setting, true or false, that leaves virtual machines out.
	BareMetalOnly = "bare-metal-only"
	// pollEvery has 100 machines on their way cost 12 requests a minute.
	pollEvery = 10 * time.Second
	// settleTime is for how long a create without an answer may still show up.
	settleTime = 2 * time.Minute
	// launchLimit is for types that state no boot time; those that state one have their own.
	launchLimit = 90 * time.Minute
	// offersAge is how old the types may be that a launch is checked against.
	offersAge = 5 * time.Minute
)

// Adapter is an account at Shadeform. It is safe for concurrent use.
type Adapter struct {
	account   upstream.Account
	metalOnly bool
	client    *upstream.Client
	fleet     *upstream.Fleet
	types     *upstream.List[provider.Offer]
	keys      upstream.Keys
}

// New returns the Adapter of the account. It makes no call; an error says which setting to mend.
func New(a upstream.Account) (*Adapter, error) {
	x := &Adapter{account: a}
	for name, value := range a.Settings {
		if name != BareMetalOnly {
			return nil, fmt.Errorf("the provider %s has the setting %q, which Shadeform does not have; take it away (there is %s)", a.Slug, name, BareMetalOnly)
		}
		only, err := strconv.ParseBool(value)
		if err != nil {
			return nil, fmt.Errorf("the setting %s of the provider %s is %q; make it true or false", BareMetalOnly, a.Slug, value)
		}
		x.metalOnly = only
	}
	if a.Credential == "" {
		return nil, fmt.Errorf("the provider %s has no API key; set the one that Shadeform shows under its settings", a.Slug)
	}
	var err error
	x.client, err = upstream.NewClient(upstream.Config{
		Account: a, BaseURL: baseURL,
		Authorize: func(h http.Header, credential string) { h.Set("X-Api-Key", credential) },
		Every:     500 * time.Millisecond, Burst: 5, Timeout: 40 * time.Second,
		Explain: explain,
	})
	if err != nil {
		return nil, err
	}
	x.fleet = upstream.NewFleet(upstream.FleetConfig{
		Account: a, PollEvery: pollEvery, SettleTime: settleTime, List: x.list, Get: x.get, End: x.end,
	})
	x.keys = upstream.Keys{Find: x.findKey, Add: x.addKey}
	x.types = upstream.NewList(a.Now, x.askOffers)
	return x, nil
}

// Info returns what does not change.
func (a *Adapter) Info() provider.Info {
	return provider.Info{
		PrivateAddresses: a.account.PrivateAddresses,

		Slug: a.account.Slug, Name: a.account.Name,
		LaunchLimit: launchLimit, SyncEvery: 5 * time.Minute, PollEvery: pollEvery, SettleTime: settleTime,
	}
}

// Machine answers as provider.Provider's.
func (a *Adapter) Machine(ctx context.Context, reference id.ID) (provider.Machine, error) {
	return a.fleet.Machine(ctx, reference)
}

// Machines answers as provider.Provider's.
func (a *Adapter) Machines(ctx context.Context) ([]provider.Machine, error) {
	return a.fleet.Machines(ctx)
}

// Terminate answers as provider.Provider's.
func (a *Adapter) Terminate(ctx context.Context, reference id.ID) error {
	return a.fleet.Terminate(ctx, reference)
}
