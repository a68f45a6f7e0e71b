package spheron

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/provider"
	"github.com/billetcloud/billet/internal/provider/upstream"
)

const (
	baseURL = "https://app.spheron.ai"

	// The cloud allows 100 requests in 15 minutes. At most burst + 15 min/every = 95 leave this process in any 15 minutes, and
	// what is asked for regularly is far fewer: see Inferred and the test that counts.
	every = 12 * time.Second
	burst = 20
	// createsAllowed in createWindow is one less than the cloud allows.
	createsAllowed = 9
	createWindow   = 15 * time.Minute
	// requestLimit is for one request: a broker asks others before it answers.
	requestLimit = 30 * time.Second

	launchLimit    = 30 * time.Minute
	minimumRuntime = 20 * time.Minute
	settleTime     = 90 * time.Second
	syncEvery      = 5 * time.Minute
	pollEvery      = time.Minute
	// listAge is how old the list may be from which machines and volumes are answered.
	listAge = pollEvery / 2
	// historyAge is how old the list of everything that ever was may be, which says that a reference is not known.
	historyAge = 2 * time.Minute
	// placesAge is how old the list of where volumes can be had may be.
	placesAge = 15 * time.Minute
)

// Adapter is an account at Spheron. It is safe for concurrent use.
type Adapter struct {
	account upstream.Account
	log     *slog.Logger
	now     func() time.Time
	client  *upstream.Client
	turns   upstream.Turns // of references

	sold    *upstream.List[offer]
	active  *upstream.List[deployment] // those that the cloud counts as active
	history *upstream.List[deployment] // all that there ever were
	volumes *upstream.List[volume]
	places  *upstream.List[place] // where volumes can be had
	told    upstream.Once

	mu        sync.Mutex
	team      string             // that the cloud named; "" for not asked yet
	creates   []time.Time        // of deployments, within createWindow
	noCreates time.Time          // until then the cloud wants none
	known     map[id.ID]*sight   // what we remember of our machines
	homes     map[string]subsite // the region of each slug, by which no two are mixed up
}

// New returns an Adapter. The account's one setting is "team", the id of the team that pays; without it the account's current team does.
func New(a upstream.Account) (*Adapter, error) {
	if a.Credential == "" {
		return nil, fmt.Errorf("%s needs an API key of Spheron as its credential; make one in the dashboard's settings", a.Slug)
	}
	for name, value := range a.Settings {
		if name != "team" {
			return nil, fmt.Errorf("%s has the unknown setting %q; the only one is team", a.Slug, name)
		}
		if value == "" {
			return nil, fmt.Errorf("%s has an empty team; give the team's id or leave the setting out", a.Slug)
		}
	}
	client, err := upstream.NewClient(upstream.Config{
		Account: a, BaseURL: baseURL, Every: every, Burst: burst, Timeout: requestLimit, Explain: explain,
		Authorize: func(h http.Header, credential string) { h.Set("Authorization", "Bearer "+credential) },
	})
	if err != nil {
		return nil, err
	}
	s := &Adapter{
		account: a, client: client, log: a.Log, now: a.Now,
		known: map[id.ID]*sight{}, homes: map[string]subsite{},
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if s.now == nil {
		s.now = time.Now
	}
	s.sold = upstream.NewList(s.now, s.fetchOffers)
	s.active = upstream.NewList(s.now, s.fetchActive)
	s.history = upstream.NewList(s.now, s.fetchHistory)
	s.volumes = upstream.NewList(s.now, s.fetchVolumes)
	s.places = upstream.NewList(s.now, s.fetchPlaces)
	return s, nil
}

// Info returns what does not change while the server runs. Regions are the offers' own, since they come and go.
func (a *Adapter) Info() provider.Info {
	return provider.Info{
		Slug: a.account.Slug, Name: a.account.Name, LaunchLimit: launchLimit, MinimumRuntime: minimumRuntime,
		SyncEvery: syncEvery, PollEvery: pollEvery, SettleTime: settleTime,
	}
}

// payer returns the id of the team that pays, and whether it is older than this call.
func (a *Adapter) payer(ctx context.Context) (team string, remembered bool, err error) {
	if team := a.account.Settings["team"]; team != "" {
		return team, false, nil
	}
	a.mu.Lock()
	team = a.team
	a.mu.Unlock()
	if team != "" {
		return team, true, nil
	}
	var said struct {
		Teams *[]struct {
			TeamID                  string `json:"teamId"`
			Current                 bool   `json:"isCurrentTeam"`
			TeamName, Balance, Role unread
		} `json:"teams"`
		Currency unread
	}
	if err := a.client.Get(ctx, "/api/balance", nil, &said); err != nil {
		return "", false, err
	}
	if said.Teams == nil {
		return "", false, garbled("the balance without teams")
	}
	for _, t := range *said.Teams {
		if t.Current || len(*said.Teams) == 1 {
			team = cmp.Or(team, t.TeamID)
		}
	}
	if team == "" {
		return "", false, &provider.Error{Kind: provider.KindCredentials, Cause: errors.New("no team of the account is its current one; set team")}
	}
	a.mu.Lock()
	a.team = team
	a.mu.Unlock()
	return team, false, nil
}

// refused looks at why something was not made. A team that was remembered may be out of date, so it is asked for anew before the operator is called.
func (a *Adapter) refused(err error, remembered bool) error {
	if provider.KindOf(err) != provider.KindCredentials {
		return err
	}
	a.mu.Lock()
	a.team = ""
	a.mu.Unlock()
	if !remembered {
		return err
	}
	return &provider.Error{Kind: provider.KindThrottled, RetryAfter: time.Second, Cause: fmt.Errorf("the team is looked up anew: %w", err)}
}

// once logs what is told the first time only.
func (a *Adapter) once(ctx context.Context, message, key, value string) {
	a.told.Warn(ctx, a.log, message, "provider", a.account.Slug, key, value)
}

// garbled is an answer that cannot be understood.
func garbled(what string) error {
	return &provider.Error{Kind: provider.KindUnavailable, Cause: errors.New("an answer that cannot be understood: " + what)}
}

func rejected(message string) error {
	return &provider.Error{Kind: provider.KindRejected, Message: message}
}
