package latitude

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/provider"
	"github.com/billetcloud/billet/internal/provider/upstream"
)

const (
	baseURL = "https://api.latitude.sh"
	// pollEvery is how often a machine on its way is looked at; all share one list, which is at most half that old.
	pollEvery  = 15 * time.Second
	syncEvery  = 5 * time.Minute
	settleTime = 2 * time.Minute
	// launchLimit is far beyond the minutes of a site that deploys instantly: others erase drives first.
	launchLimit = time.Hour
	// staleFor is for how long the word "on" may be that of before an installation.
	staleFor = time.Minute
	// shelfLife is how long what hardly ever changes is kept: sites and operating systems.
	shelfLife = time.Hour
)

// Adapter is an account at Latitude.sh. It is safe for concurrent use.
type Adapter struct {
	account upstream.Account
	project string
	client  *upstream.Client
	turns   upstream.Turns
	keying  upstream.Keys

	servers *upstream.List[server]
	// paged tells that the last list of servers took several pages.
	paged   atomic.Bool
	plans   *upstream.List[plan]
	regions *upstream.List[region]
	systems *upstream.List[system]
	keys    *upstream.List[key]

	noted upstream.Once

	mu     sync.Mutex
	traces map[id.ID]*trace
}

// trace is what is remembered of a machine. None of it is needed after a restart.
type trace struct {
	id     string
	record string    // the id of its user data
	made   time.Time // when its create was answered
	ended  time.Time // when its delete was answered
	state  provider.MachineState
	wiped  time.Time // when its reinstallation was answered
	moved  bool      // another word than "on" was seen since it was made or wiped
	wish   string    // a power action that has not shown yet
	wished time.Time
}

// New returns the adapter of that account. It fails where a setting is missing, unknown or malformed.
func New(a upstream.Account) (*Adapter, error) {
	for name := range a.Settings {
		if name != "project" {
			return nil, fmt.Errorf("provider %s: there is no setting %q for Latitude.sh; it has project", a.Slug, name)
		}
	}
	if a.Settings["project"] == "" {
		return nil, fmt.Errorf("provider %s: set project to the id or slug of the Latitude.sh project that machines are made in", a.Slug)
	}
	if a.Credential == "" {
		return nil, fmt.Errorf("provider %s: set the API key of the Latitude.sh team", a.Slug)
	}
	if a.Now == nil {
		a.Now = time.Now
	}
	if a.Log == nil {
		a.Log = slog.New(slog.DiscardHandler)
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
	l := &Adapter{account: a, project: a.Settings["project"], client: client, traces: map[id.ID]*trace{}}
	l.servers = upstream.NewList(a.Now, l.fetchServers)
	l.plans = upstream.NewList(a.Now, func(ctx context.Context) ([]plan, error) { return some[plan](ctx, l, "/plans") })
	l.regions = upstream.NewList(a.Now, func(ctx context.Context) ([]region, error) { return some[region](ctx, l, "/regions") })
	l.systems = upstream.NewList(a.Now, func(ctx context.Context) ([]system, error) { return some[system](ctx, l, "/plans/operating_systems") })
	l.keying = upstream.Keys{Find: l.findKey, Add: l.addKey}
	l.keys = upstream.NewList(a.Now, l.fetchKeys)
	return l, nil
}

// Info returns what does not change. The regions are named by the offers.
func (l *Adapter) Info() provider.Info {
	return provider.Info{
		PrivateAddresses: l.account.PrivateAddresses,

		Slug: l.account.Slug, Name: l.account.Name,
		LaunchLimit: launchLimit, SyncEvery: syncEvery, PollEvery: pollEvery, SettleTime: settleTime,
	}
}

// TakesHostKey reports true: a host key goes with the user data.
func (l *Adapter) TakesHostKey(string) bool { return true }

// note logs a thing that the cloud says and we do not know, once.
func (l *Adapter) note(ctx context.Context, what, word string) {
	l.noted.Warn(ctx, l.account.Log, "an upstream says what is not known of it", "provider", l.account.Slug, "what", what, "word", upstream.Line(word))
}

// recall has f see and change what is remembered of the machine.
func (l *Adapter) recall(reference id.ID, f func(t *trace)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	t := l.traces[reference]
	if t == nil {
		t = &trace{}
		l.traces[reference] = t
	}
	f(t)
}

// remembered returns what is remembered of the machine, if anything is.
func (l *Adapter) remembered(reference id.ID) trace {
	l.mu.Lock()
	defer l.mu.Unlock()
	if t := l.traces[reference]; t != nil {
		return *t
	}
	return trace{}
}

func (l *Adapter) forget(reference id.ID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.traces, reference)
}

func unavailable(format string, args ...any) error {
	return &provider.Error{Kind: provider.KindUnavailable, Cause: fmt.Errorf(format, args...)}
}

func rejected(message string) error {
	return &provider.Error{Kind: provider.KindRejected, Message: message}
}

var errNoMachine = &provider.Error{Kind: provider.KindNotFound, Cause: errors.New("no server has this host name")}
