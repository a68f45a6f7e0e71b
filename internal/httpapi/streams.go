package httpapi

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/billetcloud/billet/internal/apierr"
)

// share is how many calls that go on for long may be open at once, in each process: of an account, and of one API key or user of it, so that one
// key cannot shut out the others.
type share struct{ account, one int }

var (
	maxEventStreams = share{64, 16}
	maxTerminals    = share{32, 8}
)

// streams are the calls that go on for long: how many each account has, and how they are looked after, in real time.
type streams struct {
	// beat is how often something is sent although nothing happens, so that both ends and all proxies know that the other lives.
	beat time.Duration
	// recheck is how often the caller is asked for again.
	recheck time.Duration
	// patience is how long a reader may take to accept what is sent.
	patience time.Duration
	// idle is how long a terminal may be silent.
	idle time.Duration
	// heartbeat is how often both ends of a terminal are told that the connection lives, and pong how long the
	// client may take to answer that it does.
	heartbeat, pong time.Duration

	mu   sync.Mutex
	open map[string]int
	// waiting are the streams whose callers are asked for again together, with the secrets of their keys; "" for a user's.
	waiting    map[chan struct{}]string
	rechecking bool // whether somebody looks after them
}

func newStreams() *streams {
	return &streams{beat: 15 * time.Second, recheck: 2 * time.Second, patience: 10 * time.Second, idle: terminalIdle, heartbeat: terminalHeartbeat, pong: terminalPong, open: map[string]int{}, waiting: map[chan struct{}]string{}}
}

// enter counts one more of that kind for the caller, until leave is called. It answers RATE_LIMIT_EXCEEDED where the caller or the
// account has most already.
func (s *streams) enter(kind string, c *call, most share) (leave func(), err error) {
	mine, whose := kind+"/"+string(c.keyID()), "This API key"
	if c.key == nil {
		mine, whose = kind+"/"+string(c.account)+"/"+string(c.user.ID), "You"
	}
	all := kind + "/" + string(c.account)
	s.mu.Lock()
	defer s.mu.Unlock()
	full := func(who, of string, limit int) error {
		has := " has "
		if who == "You" {
			has = " have "
		}
		e := apierr.New(apierr.RateLimitExceeded, "%s%s%d %s open, which is the most at once. Close one, then try again.", who, has, limit, kind)
		e.RetryAfter, e.Details = 5*time.Second, map[string]any{"limit": limit, "of": of}
		return e
	}
	switch {
	case s.open[mine] >= most.one:
		return nil, full(whose, "caller", most.one)
	case s.open[all] >= most.account:
		return nil, full("This account", "account", most.account)
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

func milliseconds(d time.Duration) string { return strconv.FormatInt(d.Milliseconds(), 10) }

// recheckOf returns a channel that tells the stream of that call when to ask for its caller again: each time after reread has read the
// keys of all streams together, so that asking then costs no query each. stop must be called.
func (s *streams) recheckOf(c *call, reread func(secrets []string)) (look <-chan struct{}, stop func()) {
	secret := ""
	if c.key != nil {
		secret, _ = credential(c.request) // it was read before
	}
	mine := make(chan struct{}, 1)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.waiting[mine] = secret
	if !s.rechecking {
		s.rechecking = true
		go s.recheckAll(reread)
	}
	return mine, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.waiting, mine)
	}
}

// recheckAll goes on until there is no stream left.
func (s *streams) recheckAll(reread func(secrets []string)) {
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
		reread(slices.Collect(maps.Keys(secrets)))
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

// rereadKeys has the keys of streams read with a query for many. What cannot be read now each stream asks for by itself.
func (s *server) rereadKeys(secrets []string) {
	ctx, cancel := context.WithTimeout(context.Background(), requestTimeout)
	defer cancel()
	if err := s.c.Accounts.Reread(ctx, s.c.DB, secrets); err != nil {
		s.c.Log.WarnContext(ctx, "the keys of the streams of events could not be read together", "error", err)
	}
}
