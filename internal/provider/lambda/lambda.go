package lambda

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"

	"github.com/billetcloud/billet/internal/provider"
	"github.com/billetcloud/billet/internal/provider/upstream"
)

const (
	baseURL = "https://cloud.lambda.ai/api/v1"
	// requestEvery keeps to one request a second, with a margin for the network.
	requestEvery = 1100 * time.Millisecond
	// launchEvery keeps to one launch in 12 seconds.
	launchEvery = 12500 * time.Millisecond
	// pollEvery makes any number of machines that are being prepared cost 6 requests a minute.
	pollEvery = 20 * time.Second
	// settleTime is how long a launch without a response may still take effect.
	settleTime = 2 * time.Minute
	// offersAge is how old the types and images may be that a launch is checked against.
	offersAge = 5 * time.Minute
)

// Adapter is an account at Lambda. It is safe for concurrent use.
type Adapter struct {
	*upstream.Fleet
	account upstream.Account
	client  *upstream.Client
	offers  *upstream.List[provider.Offer]
	keys    upstream.Keys // known by their names

	mu         sync.Mutex
	nextLaunch time.Time
	seen       map[string]map[string]wireRegion // by type and region: where it was in stock once
}

// New returns the Adapter of the account. It makes no request; an error says what to fix.
func New(a upstream.Account) (*Adapter, error) {
	a, err := a.Prepare("create one on Lambda's API keys page")
	if err != nil {
		return nil, err
	}
	x := &Adapter{account: a, seen: map[string]map[string]wireRegion{}}
	x.client, err = upstream.NewClient(upstream.Config{
		Account: a, BaseURL: baseURL, Authorize: upstream.Bearer,
		Every: requestEvery, Burst: 1, Timeout: 40 * time.Second, Explain: explain,
	})
	if err != nil {
		return nil, err
	}
	x.Fleet = upstream.NewFleet(upstream.FleetConfig{
		Account: a, PollEvery: pollEvery, SettleTime: settleTime, List: x.list, Get: x.get, End: x.end,
	})
	x.keys = upstream.Keys{Find: x.findKey, Add: x.addKey}
	x.offers = upstream.NewList(a.Now, x.fetchOffers)
	return x, nil
}

// Info implements provider.Provider.
func (a *Adapter) Info() provider.Info {
	return a.account.Info(provider.Info{
		LaunchLimit: 45 * time.Minute, SyncEvery: 5 * time.Minute, PollEvery: pollEvery, SettleTime: settleTime,
	})
}

// TakesHostKey implements provider.HostKeyTaker: a host key goes with the user data.
func (a *Adapter) TakesHostKey(string) bool { return true }

// mayLaunch returns KindThrottled where it is too early for a launch. With take, the next launch
// has to wait for this one.
func (a *Adapter) mayLaunch(take bool) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := a.account.Now()
	if wait := a.nextLaunch.Sub(now); wait > 0 {
		return &provider.Error{
			Kind: provider.KindThrottled, RetryAfter: wait,
			Cause: errors.New("the cloud allows one launch in 12 seconds"),
		}
	}
	if take {
		a.nextLaunch = now.Add(launchEvery)
	}
	return nil
}

// addKey uploads a key. It always sends the text, without which the cloud would generate a pair.
func (a *Adapter) addKey(ctx context.Context, name, public string) (string, error) {
	var made struct {
		Data struct {
			Name string `json:"name"`
		} `json:"data"`
	}
	body := map[string]string{"name": name, "public_key": public}
	err := a.client.Do(ctx, upstream.Request{Method: http.MethodPost, Path: "/ssh-keys", Body: body, Into: &made})
	if err == nil && made.Data.Name != name {
		return "", upstream.Malformed("the key's name", nil)
	}
	return made.Data.Name, err
}

// findKey returns the name of the key with that material, or "". A name that two keys share is not
// used.
func (a *Adapter) findKey(ctx context.Context, line string) (string, error) {
	var response struct {
		Data *[]struct {
			Name      string `json:"name"`
			PublicKey string `json:"public_key"`
		} `json:"data"`
	}
	if err := a.client.Get(ctx, "/ssh-keys", nil, &response); err != nil {
		return "", upstream.ListError(err)
	}
	if response.Data == nil {
		return "", upstream.Malformed("the keys", nil)
	}
	found, ambiguous := "", map[string]bool{}
	for _, k := range *response.Data {
		ambiguous[k.Name] = ambiguous[k.Name] || !upstream.SameKey(k.PublicKey, line)
	}
	for _, k := range *response.Data {
		if k.Name != "" && !ambiguous[k.Name] {
			found = k.Name
		}
	}
	return found, nil
}
