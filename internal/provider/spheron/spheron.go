package spheron

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/provider"
	"github.com/billetcloud/billet/internal/provider/upstream"
)

const (
	baseURL = "https://app.spheron.ai"

	// window is the time in which the cloud counts requests. By default it allows requestsAllowed
	// requests and createsAllowed creates in it. Regular polling needs far fewer: see the test that
	// counts.
	window          = 15 * time.Minute
	requestsAllowed = 100
	createsAllowed  = 10
	maxAllowed      = 1_000_000 // of the settings
	// requestLimit is for one request: a broker asks others before it responds.
	requestLimit = 30 * time.Second

	launchLimit    = 30 * time.Minute
	minimumRuntime = 20 * time.Minute
	settleTime     = 90 * time.Second
	syncEvery      = 5 * time.Minute
	pollEvery      = time.Minute
	// listAge is how old the list may be from which machines and volumes are answered.
	listAge = pollEvery / 2
	// historyAge is how old the list of all deployments, ended or not, may be.
	historyAge = 2 * time.Minute
	// placesAge is how old the list of the regions with volumes may be.
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
	client  *upstream.Client
	locks   upstream.KeyedLock // of references

	offers  *upstream.List[offer]
	active  *upstream.List[deployment] // those that the cloud counts as active
	history *upstream.List[deployment] // all, ended or not
	volumes *upstream.List[volume]
	places  *upstream.List[place] // the regions with volumes

	warnings upstream.WarnOnce

	mu        sync.Mutex
	team      string             // as the cloud named it; "" for not read yet
	creates   []time.Time        // of deployments, within window
	noCreates time.Time          // until then the cloud accepts none
	known     map[id.ID]*trace   // what is remembered of our machines
	regions   map[string]subsite // by slug, so that no two are confused
}

// New returns the Adapter of the account; doc.go lists the settings. It fails where the account is
// incomplete, or a setting is unknown or invalid.
func New(a upstream.Account) (*Adapter, error) {
	a, err := a.Prepare(
		"create one in the settings of Spheron's dashboard", teamSetting, requestsSetting, createsSetting,
	)
	if err != nil {
		return nil, err
	}
	if team, set := a.Settings[teamSetting]; set && team == "" {
		return nil, a.SettingError(teamSetting, errors.New("is empty; set it to the team's id or leave it out"))
	}
	requests, err := a.IntSetting(requestsSetting, requestsAllowed, 2, maxAllowed)
	if err != nil {
		return nil, err
	}
	creates, err := a.IntSetting(createsSetting, createsAllowed, 2, maxAllowed)
	if err != nil {
		return nil, err
	}
	every, burst := budget(requests)
	client, err := upstream.NewClient(upstream.Config{
		Account: a, BaseURL: baseURL, Every: every, Burst: burst, Timeout: requestLimit, Explain: explain,
		Authorize: upstream.Bearer,
	})
	if err != nil {
		return nil, err
	}
	s := &Adapter{
		account: a, most: creates - 1, client: client, known: map[id.ID]*trace{}, regions: map[string]subsite{},
	}
	s.offers = upstream.NewList(a.Now, s.fetchOffers)
	s.active = upstream.NewList(a.Now, s.fetchActive)
	s.history = upstream.NewList(a.Now, s.fetchHistory)
	s.volumes = upstream.NewList(a.Now, s.fetchVolumes)
	s.places = upstream.NewList(a.Now, s.fetchPlaces)
	return s, nil
}

// budget stays a twentieth below what the cloud allows in any window: a burst, and the rest evenly.
// Of 100 it is 20, and one each 12 s.
func budget(allowed int) (every time.Duration, burst int) {
	burst = max(1, allowed/5)
	return window / time.Duration(max(1, allowed*19/20-burst)), burst
}

// Info implements provider.Provider. The offers name the regions.
func (a *Adapter) Info() provider.Info {
	return a.account.Info(provider.Info{
		LaunchLimit: launchLimit, MinimumRuntime: minimumRuntime,
		SyncEvery: syncEvery, PollEvery: pollEvery, SettleTime: settleTime,
	})
}

// TakesHostKey implements provider.HostKeyTaker: a host key goes with cloud-init.
func (a *Adapter) TakesHostKey(string) bool { return true }

// payer returns the id of the team that pays, and whether it was read before this call.
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
	var response struct {
		Teams *[]struct {
			TeamID                  string `json:"teamId"`
			Current                 bool   `json:"isCurrentTeam"`
			TeamName, Balance, Role unread
		} `json:"teams"`
		Currency unread
	}
	if err := a.client.Get(ctx, "/api/balance", nil, &response); err != nil {
		return "", false, err
	}
	if response.Teams == nil {
		return "", false, upstream.Malformed("the teams", nil)
	}
	for _, t := range *response.Teams {
		if t.Current || len(*response.Teams) == 1 {
			team = cmp.Or(team, t.TeamID)
		}
	}
	if team == "" {
		err := errors.New("the account has no current team; set the setting team")
		return "", false, &provider.Error{Kind: provider.KindCredentials, Cause: err}
	}
	a.mu.Lock()
	a.team = team
	a.mu.Unlock()
	return team, false, nil
}

// refused returns the error of a create. A remembered team may be outdated, so it is read again
// before the error is reported as one of the credential.
func (a *Adapter) refused(err error, remembered bool) error {
	if !provider.IsKind(err, provider.KindCredentials) {
		return err
	}
	a.mu.Lock()
	a.team = ""
	a.mu.Unlock()
	if !remembered {
		return err
	}
	err = fmt.Errorf("the team is read again: %w", err)
	return &provider.Error{Kind: provider.KindThrottled, RetryAfter: time.Second, Cause: err}
}

// warn logs each warning once.
func (a *Adapter) warn(ctx context.Context, message, key, value string) {
	a.warnings.Warn(ctx, a.account.Log, message, "provider", a.account.Slug, key, value)
}
