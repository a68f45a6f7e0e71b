package shadeform

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/billetcloud/billet/internal/provider"
	"github.com/billetcloud/billet/internal/provider/upstream"
)

const (
	baseURL = "https://api.shadeform.ai/v1"
	// BareMetalOnly is the setting, true or false, that leaves virtual machines out.
	BareMetalOnly = "bare-metal-only"
	// pollEvery makes 100 machines that are being prepared cost 12 requests a minute.
	pollEvery = 10 * time.Second
	// settleTime is how long a create without a response may still take effect.
	settleTime = 2 * time.Minute
	// launchLimit is for types that state no boot time; the others have limits of their own.
	launchLimit = 90 * time.Minute
	// offersAge is how old the list of types may be that a launch is checked against.
	offersAge = 5 * time.Minute
)

// Adapter is an account at Shadeform. It is safe for concurrent use.
type Adapter struct {
	*upstream.Fleet
	account   upstream.Account
	metalOnly bool
	client    *upstream.Client
	types     *upstream.List[provider.Offer]
	keys      upstream.Keys
}

// New returns the Adapter of the account. It makes no request; an error says which setting to fix.
func New(a upstream.Account) (*Adapter, error) {
	a, err := a.Prepare("copy the one that Shadeform shows in its settings", BareMetalOnly)
	if err != nil {
		return nil, err
	}
	x := &Adapter{account: a}
	if value, set := a.Settings[BareMetalOnly]; set {
		if x.metalOnly, err = strconv.ParseBool(value); err != nil {
			return nil, a.SettingError(BareMetalOnly, fmt.Errorf("%.40q must be true or false", value))
		}
	}
	x.client, err = upstream.NewClient(upstream.Config{
		Account: a, BaseURL: baseURL,
		Authorize: func(h http.Header, credential string) { h.Set("X-Api-Key", credential) },
		Every:     500 * time.Millisecond, Burst: 5, Timeout: 40 * time.Second,
		Explain: explain,
	})
	if err != nil {
		return nil, err
	}
	x.Fleet = upstream.NewFleet(upstream.FleetConfig{
		Account: a, PollEvery: pollEvery, SettleTime: settleTime, List: x.list, Get: x.get, End: x.end,
	})
	x.keys = upstream.Keys{Find: x.findKey, Add: x.addKey}
	x.types = upstream.NewList(a.Now, x.fetchOffers)
	return x, nil
}

// Info implements provider.Provider.
func (a *Adapter) Info() provider.Info {
	return a.account.Info(provider.Info{
		LaunchLimit: launchLimit, SyncEvery: 5 * time.Minute, PollEvery: pollEvery, SettleTime: settleTime,
	})
}

func (a *Adapter) addKey(ctx context.Context, name, public string) (string, error) {
	body := map[string]string{"name": name, "public_key": public}
	var made struct {
		ID string `json:"id"`
	}
	err := a.client.Do(ctx, upstream.Request{
		Method: http.MethodPost, Path: "/sshkeys/add", Body: body, Into: &made,
	})
	return made.ID, err
}

// findKey returns the id of the key with that material, or "".
func (a *Adapter) findKey(ctx context.Context, line string) (string, error) {
	var response struct {
		Keys *[]struct {
			ID        string `json:"id"`
			PublicKey string `json:"public_key"`
		} `json:"ssh_keys"`
	}
	if err := a.client.Get(ctx, "/sshkeys", nil, &response); err != nil {
		return "", upstream.ListError(err)
	}
	if response.Keys == nil {
		return "", upstream.Malformed("the keys", nil)
	}
	for _, k := range *response.Keys {
		if k.ID != "" && upstream.SameKey(k.PublicKey, line) {
			return k.ID, nil
		}
	}
	return "", nil
}
