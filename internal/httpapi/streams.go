package httpapi

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/billetcloud/billet/internal/account"
	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/rest"
)

// share is how many long-lived calls may be open at once, in each process: of an account, and of
// one API key or user of it, so that one key cannot shut out the others.
type share struct{ account, one int }

var (
	maxEventStreams = share{64, 16}
	maxTerminals    = share{32, 8}
	maxConsoles     = share{32, 8}
)

// streams are the long-lived calls: how many each account has, and how they are kept alive and
// rechecked, in real time.
type streams struct {
	// beat is how often something is sent although nothing happens, so that both ends and all
	// proxies know that the connection is alive.
	beat time.Duration
	// recheck is how often the caller is authorized again.
	recheck time.Duration
	// patience is how long a reader may take to accept what is sent.
	patience time.Duration
	// idle is how long a terminal may transfer nothing.
	idle time.Duration
	// heartbeat is how often both ends of a terminal get a sign of life, and pong how long the
	// client may take to answer it.
	heartbeat, pong time.Duration

	// reread reads the keys of streams together.
	reread func(secrets []string)

	mu   sync.Mutex
	open map[string]int
	// waiting are the streams whose callers are authorized again together, with the secrets of
	// their keys; "" for a user's.
	waiting    map[chan struct{}]string
	rechecking bool // whether a goroutine does so
}

func newStreams(d *db.DB, log *slog.Logger, accounts *account.Service) *streams {
	return &streams{
		reread: func(secrets []string) { rereadKeys(d, log, accounts, secrets) },
		beat:   15 * time.Second, recheck: 2 * time.Second, patience: 10 * time.Second,
		idle: terminalIdle, heartbeat: terminalHeartbeat, pong: terminalPong,
		open: map[string]int{}, waiting: map[chan struct{}]string{},
	}
}

// enter counts one more of that kind for the caller, until leave is called. It returns
// RATE_LIMIT_EXCEEDED where the caller or the account has the maximum already.
func (s *streams) enter(kind string, c *rest.Call, most share) (leave func(), err error) {
	mine, subject := kind+"/"+string(c.Caller.Key), "This API key has"
	if c.Caller.Key == "" {
		mine, subject = kind+"/"+string(c.Caller.Account)+"/"+string(callerOf(c).user.ID), "You have"
	}
	all := kind + "/" + string(c.Caller.Account)
	s.mu.Lock()
	defer s.mu.Unlock()
	full := func(subject, of string, limit int) error {
		e := apierr.New(
			apierr.RateLimitExceeded,
			"%s %d %s open, the maximum. Close one and try again.",
			subject,
			limit,
			kind,
		)
		e.RetryAfter, e.Details = 5*time.Second, map[string]any{"limit": limit, "of": of}
		return e
	}
	switch {
	case s.open[mine] >= most.one:
		return nil, full(subject, "caller", most.one)
	case s.open[all] >= most.account:
		return nil, full("This account has", "account", most.account)
	}
	s.open[mine]++
	s.open[all]++
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		for _, key := range []string{mine, all} {
			if s.open[key]--; s.open[key] == 0 {
				delete(s.open, key)
			}
		}
	}, nil
}

// recheckCaller returns a channel that receives when the call is to be authorized again: each time
// after the keys of all streams were read together, so that it costs no query each. stop must be
// called.
func (s *streams) recheckCaller(c *rest.Call) (due <-chan struct{}, stop func()) {
	secret := ""
	if c.Caller.Key != "" {
		secret = c.Caller.Secret
	}
	mine := make(chan struct{}, 1)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.waiting[mine] = secret
	if !s.rechecking {
		s.rechecking = true
		go s.recheckAll()
	}
	return mine, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.waiting, mine)
	}
}

// recheckAll runs until there is no stream left.
func (s *streams) recheckAll() {
	tick := time.NewTicker(s.recheck)
	defer tick.Stop()
	for range tick.C {
		secrets := map[string]bool{}
		s.mu.Lock()
		for _, secret := range s.waiting {
			if secret != "" {
				secrets[secret] = true
			}
		}
		s.mu.Unlock()
		s.reread(slices.Collect(maps.Keys(secrets)))
		s.mu.Lock()
		for stream := range s.waiting {
			select {
			case stream <- struct{}{}:
			default:
			}
		}
		left := len(s.waiting)
		if left == 0 {
			s.rechecking = false
		}
		s.mu.Unlock()
		if left == 0 {
			return
		}
	}
}

// rereadKeys reads the keys of streams together. Where that fails, each stream reads its own.
func rereadKeys(d *db.DB, log *slog.Logger, accounts *account.Service, secrets []string) {
	ctx, cancel := context.WithTimeout(context.Background(), rest.RequestTimeout)
	defer cancel()
	if err := accounts.Reread(ctx, d, secrets); err != nil {
		log.WarnContext(ctx, "reading the keys of event streams together failed", "error", err)
	}
}
