package billet

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/provider"
	"github.com/billetcloud/billet/internal/provider/upstream"
)

const (
	api = "/api/v1/inventory"
	// pollEvery is how often a machine on its way is looked at; all share one list, which is at most half that old.
	pollEvery = 15 * time.Second
	syncEvery = 5 * time.Minute
	// launchLimit leaves the other Billet's own limits room: it tells itself when it gives up.
	launchLimit = 2 * time.Hour
	// shelfLife is how long it is kept which provider has the volumes of a region.
	shelfLife = time.Hour

	defaultReads  = 60
	defaultWrites = 20
	mostAMinute   = 1_000_000
)

// Adapter is an account at another Billet. It is safe for concurrent use.
type Adapter struct {
	account upstream.Account
	client  *upstream.Client
	turns   upstream.Turns
	keys    upstream.Keys // several can be given to a deploy only by id

	deployments *upstream.List[deployment]
	// paged tells that the last list of deployments took several pages.
	paged   atomic.Bool
	volumes *upstream.List[volume]
	pricing *upstream.List[volumePrice]

	noted upstream.Once

	mu     sync.Mutex
	traces map[id.ID]trace
}

// trace is what is remembered of a machine; after a restart it is learned again from the list.
type trace struct {
	id    string
	state provider.MachineState
	// ended tells that its end was asked for: how it ended is not told then.
	ended bool
}

// New returns the adapter of that account. It fails where a setting is unknown or malformed.
func New(a upstream.Account) (*Adapter, error) {
	limits := map[string]int{"reads-per-minute": defaultReads, "writes-per-minute": defaultWrites}
	for name, value := range a.Settings {
		n, err := strconv.Atoi(value)
		if _, known := limits[name]; !known {
			return nil, fmt.Errorf("provider %s: there is no setting %q for another Billet; it has reads-per-minute and writes-per-minute", a.Slug, name)
		}
		if err != nil || n < 1 || n > mostAMinute {
			return nil, fmt.Errorf("provider %s: %s must be a whole number from 1, the limit of the API key", a.Slug, name)
		}
		limits[name] = n
	}
	if a.BaseURL == "" {
		return nil, fmt.Errorf("provider %s: set the base URL to where the other Billet is, such as https://gpu.example.com", a.Slug)
	}
	if a.Credential == "" {
		return nil, fmt.Errorf("provider %s: set an API key of an account at the other Billet", a.Slug)
	}
	if a.Now == nil {
		a.Now = time.Now
	}
	if a.Log == nil {
		a.Log = slog.New(slog.DiscardHandler)
	}
	at := a
	at.Unknown = nil // another version of Billet may say more, and nothing that we use changes its name
	at.BaseURL = strings.TrimSuffix(strings.TrimRight(a.BaseURL, "/"), api) + api
	c := upstream.Config{
		Account:   at,
		Authorize: func(h http.Header, credential string) { h.Set("Authorization", "Bearer "+credential) },
		Explain:   explain,
	}
	c.Every, c.Burst = budget(limits["reads-per-minute"])
	c.WriteEvery, c.WriteBurst = budget(limits["writes-per-minute"])
	client, err := upstream.NewClient(c)
	if err != nil {
		return nil, err
	}
	b := &Adapter{account: a, client: client, traces: map[id.ID]trace{}}
	b.keys = upstream.Keys{Find: b.saved, Add: b.save}
	b.deployments = upstream.NewList(a.Now, b.fetchDeployments)
	b.volumes = upstream.NewList(a.Now, func(ctx context.Context) ([]volume, error) {
		list, _, err := all[volume](ctx, b, "/volumes", nil)
		return list, err
	})
	b.pricing = upstream.NewList(a.Now, func(ctx context.Context) ([]volumePrice, error) {
		list, _, err := all[volumePrice](ctx, b, "/volumes/pricing", nil)
		return list, err
	})
	return b, nil
}

// budget spends at most that many requests in any minute: a burst, and the rest evenly.
func budget(limit int) (every time.Duration, burst int) {
	burst = max(1, limit/10)
	return time.Minute / time.Duration(max(1, limit-burst)), burst
}

// Info returns what does not change. The regions are named by the offers.
func (b *Adapter) Info() provider.Info {
	return provider.Info{
		Slug: b.account.Slug, Name: b.account.Name, LaunchLimit: launchLimit, SyncEvery: syncEvery, PollEvery: pollEvery,
		PrivateAddresses: b.account.PrivateAddresses,
	}
}

// note logs a thing that the cloud says and we do not know, once.
func (b *Adapter) note(ctx context.Context, what, word string) {
	b.noted.Warn(ctx, b.account.Log, "an upstream says what is not known of it", "provider", b.account.Slug, "what", what, "word", upstream.Line(word))
}

func (b *Adapter) remembered(reference id.ID) trace {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.traces[reference]
}

func (b *Adapter) remember(reference id.ID, t trace) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.traces[reference] = t
}

func (b *Adapter) forget(reference id.ID) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.traces, reference)
}

func unavailable(format string, args ...any) error {
	return &provider.Error{Kind: provider.KindUnavailable, Cause: fmt.Errorf(format, args...)}
}

func notFound(what string) error {
	return &provider.Error{Kind: provider.KindNotFound, Cause: errors.New(what)}
}
