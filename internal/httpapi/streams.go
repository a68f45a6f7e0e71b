package httpapi

import (
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
}

func newStreams() *streams {
	return &streams{beat: 15 * time.Second, recheck: 2 * time.Second, patience: 10 * time.Second, idle: terminalIdle, heartbeat: terminalHeartbeat, pong: terminalPong, open: map[string]int{}}
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
