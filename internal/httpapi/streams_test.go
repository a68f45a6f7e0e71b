package httpapi

import (
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/account"
	"github.com/billetcloud/billet/internal/rest"
)

// The callers of all streams are asked for together: each round reads each key once, and then every
// stream is told to check its caller.
func TestStreamsAskForTheirCallersTogether(t *testing.T) {
	s := newStreams(nil, nil, nil)
	s.recheck = time.Millisecond
	var mu sync.Mutex
	var rounds [][]string
	s.reread = func(secrets []string) {
		mu.Lock()
		defer mu.Unlock()
		rounds = append(rounds, slices.Sorted(slices.Values(secrets)))
	}
	call := func(secret string) *rest.Call {
		if secret == "" {
			return &rest.Call{Caller: rest.Caller{Secret: "token", Identity: caller{user: &account.User{}}}}
		}
		return &rest.Call{Caller: rest.Caller{Key: "key_x", Secret: secret}}
	}
	var checks []<-chan struct{}
	var stops []func()
	for i := range 60 {
		check, stop := s.recheckCaller(call([]string{"pk_live_one", "pk_live_two", ""}[i%3]))
		checks, stops = append(checks, check), append(stops, stop)
	}
	for _, check := range checks { // twice, in whatever round
		<-check
		<-check
	}
	for _, stop := range stops {
		stop()
	}
	mu.Lock()
	last := rounds[len(rounds)-1]
	mu.Unlock()
	if !slices.Equal(last, []string{"pk_live_one", "pk_live_two"}) && len(last) != 0 {
		t.Errorf("a round asked for %v", last)
	}
	for ended := false; !ended; { // it ends with the last stream, and begins again with the next
		s.mu.Lock()
		ended = !s.rechecking
		s.mu.Unlock()
	}
	check, stop := s.recheckCaller(call("pk_live_one"))
	defer stop()
	<-check
}
