package latitude

import (
	"context"
	"errors"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/billetcloud/billet/internal/provider"
	"github.com/billetcloud/billet/internal/provider/upstream"
)

const (
	baseURL = "https://api.latitude.sh"
	// pollEvery is how often a machine that is being prepared is polled. All share one list, which
	// is at most half as old.
	pollEvery  = 15 * time.Second
	syncEvery  = 5 * time.Minute
	settleTime = 2 * time.Minute
	// launchLimit is far longer than a site that deploys instantly needs: others erase drives
	// first.
	launchLimit = time.Hour
	// staleFor is how long the status "on" may be that of before an installation.
	staleFor = time.Minute
	// catalogAge is how old lists that rarely change may be: sites and operating systems.
	catalogAge = time.Hour
)

// Adapter is an account at Latitude.sh. It is safe for concurrent use.
type Adapter struct {
	account upstream.Account
	project string
	client  *upstream.Client
	locks   upstream.KeyedLock
	keys    upstream.Keys

	servers *upstream.List[server]
	// paged is true where the last list of servers took several pages.
	paged   atomic.Bool
	plans   *upstream.List[plan]
	regions *upstream.List[region]
	systems *upstream.List[system]
	sshKeys *upstream.List[key]

	warnings upstream.WarnOnce
	memory   upstream.Memory[trace]
}

// trace is what is remembered of a machine. None of it is needed after a restart.
type trace struct {
	id          string
	record      string    // the id of its user data
	created     time.Time // when its create was accepted
	ended       time.Time // when its delete was accepted
	state       provider.MachineState
	wiped       time.Time // when its reinstallation was accepted
	moved       bool      // another status than "on" was seen since it was created or wiped
	action      string    // a power action that has not shown yet
	requestedAt time.Time // when the action was requested
}

// of returns the trace where it is that of the server, else a new one.
func (t trace) of(server string) trace {
	if t.id == server {
		return t
	}
	return trace{id: server, record: t.record}
}

// New returns the Adapter of the account. It fails where a setting is missing, unknown or invalid.
func New(a upstream.Account) (*Adapter, error) {
	a, err := a.Prepare("create one for your Latitude.sh team", "project")
	if err != nil {
		return nil, err
	}
	if a.Settings["project"] == "" {
		return nil, a.SettingError("project",
			errors.New("set it to the id or slug of the Latitude.sh project that machines are created in"))
	}
	client, err := upstream.NewClient(upstream.Config{
		Account: a, BaseURL: baseURL,
		Authorize: func(h http.Header, credential string) { h.Set("Authorization", credential) },
		// At most 54 of 60 reads and 19 of 20 writes in any minute.
		Every: 1250 * time.Millisecond, Burst: 6, WriteEvery: 4 * time.Second, WriteBurst: 4,
		Explain: explain,
	})
	if err != nil {
		return nil, err
	}
	l := &Adapter{account: a, project: a.Settings["project"], client: client}
	l.servers = upstream.NewList(a.Now, l.fetchServers)
	l.plans = newList[plan](l, "/plans")
	l.regions = newList[region](l, "/regions")
	l.systems = newList[system](l, "/plans/operating_systems")
	l.sshKeys = upstream.NewList(a.Now, l.fetchKeys)
	l.keys = upstream.Keys{Find: l.findKey, Add: l.addKey}
	return l, nil
}

// Info implements provider.Provider. The offers name the regions.
func (l *Adapter) Info() provider.Info {
	return l.account.Info(provider.Info{
		LaunchLimit: launchLimit, SyncEvery: syncEvery, PollEvery: pollEvery, SettleTime: settleTime,
	})
}

// TakesHostKey implements provider.HostKeyTaker: a host key goes with the user data.
func (l *Adapter) TakesHostKey(string) bool { return true }

// skipped warns once that something in a list is malformed and is left out.
func (l *Adapter) skipped(ctx context.Context, path, id string) {
	l.warnings.Warn(ctx, l.account.Log, "a malformed entry of a cloud's list is skipped",
		"provider", l.account.Slug, "path", path, "id", upstream.CleanText(id))
}
