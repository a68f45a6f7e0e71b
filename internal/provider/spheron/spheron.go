package spheron

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/provider"
	"github.com/billetcloud/billet/internal/provider/upstream"
)

const (
	baseURL = "https://app.spheron.ai"

	// window is the time for which the cloud counts; requestsAllowed and createsAllowed are what it allows in that time, where the settings
	// say nothing else. What is asked for regularly is far fewer: see Inferred and the test that counts.
	window          = 15 * time.Minute
	requestsAllowed = 100
	createsAllowed  = 10
	// mostAllowed is the most that the settings may say.
	mostAllowed = 1_000_000
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

// The settings.
const (
	teamSetting     = "team"
	requestsSetting = "requests-per-15-minutes"
	createsSetting  = "creates-per-15-minutes"
)

// Adapter is an account at Spheron. It is safe for concurrent use.
type Adapter struct {
	account upstream.Account
	most    int // creates of deployments within window
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
	creates   []time.Time        // of deployments, within window
	noCreates time.Time          // until then the cloud wants none
	known     map[id.ID]*sight   // what we remember of our machines
	homes     map[string]subsite // the region of each slug, by which no two are mixed up
}

// New returns an Adapter; doc.go has the settings. It fails where the account has no credential, or a setting is unknown or has no meaning.
func New(a upstream.Account) (*Adapter, error) {
	if a.Credential == "" {
		return nil, fmt.Errorf("%s needs an API key of Spheron as its credential; make one in the dashboard's settings", a.Slug)
	}
	allowed := map[string]int{requestsSetting: requestsAllowed, createsSetting: createsAllowed}
	for name, value := range a.Settings {
		if _, limit := allowed[name]; limit {
			n, err := strconv.Atoi(value)
			if err != nil || n < 2 || n > mostAllowed {
				return nil, fmt.Errorf("%s: %s must be a whole number from 2 to %d", a.Slug, name, mostAllowed)
			}
			allowed[name] = n
			continue
		}
		if name != teamSetting {
			return nil, fmt.Errorf("%s has the unknown setting %q; there are %s, %s and %s", a.Slug, name, teamSetting, requestsSetting, createsSetting)
		}
		if value == "" {
			return nil, fmt.Errorf("%s has an empty team; give the team's id or leave the setting out", a.Slug)
		}
	}
	every, burst := budget(allowed[requestsSetting])
	client, err := upstream.NewClient(upstream.Config{
		Account: a, BaseURL: baseURL, Every: every, Burst: burst, Timeout: requestLimit, Explain: explain,
		Authorize: func(h http.Header, credential string) { h.Set("Authorization", "Bearer "+credential) },
	})
	if err != nil {
		return nil, err
	}
	s := &Adapter{
		account: a, most: allowed[createsSetting] - 1, client: client, log: a.Log, now: a.Now,
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

// budget keeps a twentieth below what the cloud allows in any window: a burst, and the rest evenly. Of 100 it is 20, and one each 12 s.
func budget(allowed int) (every time.Duration, burst int) {
	burst = max(1, allowed/5)
	return window / time.Duration(max(1, allowed*19/20-burst)), burst
}

// Info returns what does not change while the server runs. Regions are the offers' own, since they come and go.
func (a *Adapter) Info() provider.Info {
	return provider.Info{
		PrivateAddresses: a.account.PrivateAddresses,

		Slug: a.account.Slug, Name: a.account.Name, LaunchLimit: launchLimit, MinimumRuntime: minimumRuntime,
		SyncEvery: syncEvery, PollEvery: pollEvery, SettleTime: settleTime,
	}
}

// TakesHostKey reports true: a host key goes with cloud-init.
func (a *Adapter) TakesHostKey(string) bool { return true }

// payer returns the id of the team that pays, and whether it is older than this call.
func (a *Adapter) payer(ctx context.Context) (team string, remembered bool, err error) {
	if team := a.account.Settings[teamSetting]; team != "" {
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
