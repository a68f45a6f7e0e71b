package lambda

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/provider"
	"github.com/billetcloud/billet/internal/provider/upstream"
)

const (
	// baseURL is the cloud's own.
	baseURL = "https://cloud.lambda.ai/api/v1"
	// requestEvery keeps to one request a second, with some room for what the network does to the distance.
	requestEvery = 1100 * time.Millisecond
	// launchEvery keeps to one launch in 12 seconds.
	launchEvery = 12500 * time.Millisecond
	// pollEvery has the machines on their way cost 6 requests a minute, however many they are.
	pollEvery = 20 * time.Second
	// settleTime is for how long a launch without an answer may still show up.
	settleTime = 2 * time.Minute
	// offersAge is how old the types and images may be that a launch is checked against.
	offersAge = 5 * time.Minute
)

// Adapter is an account at Lambda. It is safe for concurrent use.
type Adapter struct {
	account upstream.Account
	client  *upstream.Client
	fleet   *upstream.Fleet
	sold    *upstream.List[provider.Offer]
	keys    upstream.Keys // known by their names
	now     func() time.Time

	mu         sync.Mutex
	nextLaunch time.Time
	seen       map[string]map[string]wireRegion // by type and region: where it could once be had
}

// New returns the Adapter of the account. It makes no call; an error says what to mend.
func New(a upstream.Account) (*Adapter, error) {
	for name := range a.Settings {
		return nil, fmt.Errorf("the provider %s has the setting %q, which Lambda does not have; take it away (there are none)", a.Slug, name)
	}
	if a.Credential == "" {
		return nil, fmt.Errorf("the provider %s has no API key; make one on Lambda's page of API keys", a.Slug)
	}
	x := &Adapter{account: a, now: a.Now, seen: map[string]map[string]wireRegion{}}
	if x.now == nil {
		x.now = time.Now
	}
	var err error
	x.client, err = upstream.NewClient(upstream.Config{
		Account: a, BaseURL: baseURL,
		Authorize: func(h http.Header, credential string) { h.Set("Authorization", "Bearer "+credential) },
		Every:     requestEvery, Burst: 1, Timeout: 40 * time.Second,
		Explain: explain,
	})
	if err != nil {
		return nil, err
	}
	x.fleet = upstream.NewFleet(upstream.FleetConfig{
		Account: a, PollEvery: pollEvery, SettleTime: settleTime, List: x.list, Get: x.get, End: x.end,
	})
	x.keys = upstream.Keys{Find: x.findKey, Add: x.addKey}
	x.sold = upstream.NewList(a.Now, x.askOffers)
	return x, nil
}

// Info returns what does not change.
func (a *Adapter) Info() provider.Info {
	return provider.Info{
		PrivateAddresses: a.account.PrivateAddresses,

		Slug: a.account.Slug, Name: a.account.Name,
		LaunchLimit: 45 * time.Minute, SyncEvery: 5 * time.Minute, PollEvery: pollEvery, SettleTime: settleTime,
	}
}

// TakesHostKey reports true: a host key goes with the user data.
func (a *Adapter) TakesHostKey(string) bool { return true }

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

// mayLaunch is KindThrottled where it is too early for a launch. take has the next wait for this one.
func (a *Adapter) mayLaunch(take bool) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := a.now()
	if wait := a.nextLaunch.Sub(now); wait > 0 {
		return &provider.Error{Kind: provider.KindThrottled, RetryAfter: wait, Cause: errors.New("the cloud takes one launch in 12 seconds")}
	}
	if take {
		a.nextLaunch = now.Add(launchEvery)
	}
	return nil
}
