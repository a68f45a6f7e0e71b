package httpapi

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/billetcloud/billet/internal/fault"
	"github.com/billetcloud/billet/internal/id"
)

// How many calls that go on for long an account may have at once, in each process.
const (
	maxEventStreams = 32
	maxTerminals    = 16
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
	// waiting are the streams whose callers are asked for again together, with the secrets of their keys; "" for a person's.
	waiting    map[chan struct{}]string
	rechecking bool // whether somebody looks after them
}

func newStreams() *streams {
	return &streams{beat: 15 * time.Second, recheck: 2 * time.Second, patience: 10 * time.Second, idle: terminalIdle, heartbeat: terminalHeartbeat, pong: terminalPong, open: map[string]int{}, waiting: map[chan struct{}]string{}}
}

// enter counts one more of that kind for the account, until leave is called. It answers RATE_LIMIT_EXCEEDED where there are most already.
func (s *streams) enter(kind string, account id.ID, most int) (leave func(), err error) {
	key := kind + "/" + string(account)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open[key] >= most {
		e := fault.New(fault.RateLimitExceeded, "This account has %d %s open, which is the most at once. Close one, then try again.", most, kind)
		e.RetryAfter = 5 * time.Second
		return nil, e
	}
	s.open[key]++
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.open[key]--; s.open[key] == 0 {
			delete(s.open, key)
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
