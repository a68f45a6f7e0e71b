package client

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"
)

// TestSilentStreamIsReopened checks that a silent connection is reopened, but not because of a slow
// loop body.
func TestSilentStreamIsReopened(t *testing.T) {
	var opened atomic.Int32
	s := httptest.NewServer(http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		switch opened.Add(1) {
		case 1: // says nothing at all
		case 2:
			_, _ = io.WriteString(out, "id: evt_4\n\n")
		default:
			_, _ = io.WriteString(out, "id: evt_5\ndata: {\"id\":\"evt_5\"}\n\n")
		}
		_ = http.NewResponseController(out).Flush()
		<-r.Context().Done()
	}))
	defer s.Close()
	c, err := New(
		Config{
			BaseURL: s.URL,
			APIKey:  "pk_live_test",
			Sleep:   func(ctx context.Context, _ time.Duration) error { return ctx.Err() },
		},
	)
	if err != nil {
		t.Fatal(err)
	}
	c.streamIdle = 50 * time.Millisecond
	for e, err := range c.Events.Stream(t.Context(), "", EventFilter{}) {
		if err != nil || e.ID != "evt_5" {
			t.Fatalf("%v, %v", e, err)
		}
		break
	}
	if opened.Load() != 3 {
		t.Errorf("opened %d times", opened.Load())
	}
}
