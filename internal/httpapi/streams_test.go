package httpapi

import (
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/account"
)

// The callers of all streams are asked for together: each round reads each key once, and then every stream is told to look.
func TestStreamsAskForTheirCallersTogether(t *testing.T) {
	s := newStreams()
	s.recheck = time.Millisecond
	var mu sync.Mutex
	var rounds [][]string
	reread := func(secrets []string) {
		mu.Lock()
		defer mu.Unlock()
		rounds = append(rounds, slices.Sorted(slices.Values(secrets)))
	}
	caller := func(secret string) *call {
		r, err := http.NewRequestWithContext(t.Context(), "GET", "/", nil)
		if err != nil {
			t.Fatal(err)
		}
		if secret == "" {
			return &call{request: r, user: &account.User{}}
		}
		r.Header.Set("Authorization", "Bearer "+secret)
		return &call{request: r, key: &account.Key{}}
	}
	var looks []<-chan struct{}
	var stops []func()
	for i := range 60 {
		look, stop := s.recheckOf(caller([]string{"pk_live_one", "pk_live_two", ""}[i%3]), reread)
		looks, stops = append(looks, look), append(stops, stop)
	}
	for _, look := range looks { // twice, in whatever round
		<-look
		<-look
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
	for ended := false; !ended; { // it ends with the last stream, and begins anew with the next
		s.mu.Lock()
		ended = !s.rechecking
		s.mu.Unlock()
	}
	look, stop := s.recheckOf(caller("pk_live_one"), reread)
	defer stop()
	<-look
}
