package client

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// silent is a server whose first connection sends nothing, whose second sends an event's id only,
// and whose third sends an event. None of them ends.
type silent struct{ opened int }

func (s *silent) RoundTrip(r *http.Request) (*http.Response, error) {
	s.opened++
	text := []string{"", "id: evt_4\n\n", "id: evt_5\ndata: {\"id\":\"evt_5\"}\n\n"}[min(s.opened, 3)-1]
	body, end := io.Pipe()
	context.AfterFunc(r.Context(), func() { _ = end.CloseWithError(r.Context().Err()) })
	return &http.Response{
		StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"text/event-stream"}}, Request: r,
		Body: struct {
			io.Reader
			io.Closer
		}{io.MultiReader(strings.NewReader(text), body), body},
	}, nil
}

func TestSilentStreamIsReopened(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s silent
		c, err := New(
			Config{
				BaseURL:    "https://billet.test",
				APIKey:     "pk_live_test",
				HTTPClient: &http.Client{Transport: &s},
				Sleep:      func(ctx context.Context, _ time.Duration) error { return ctx.Err() },
			},
		)
		if err != nil {
			t.Fatal(err)
		}
		for e, err := range c.Events.Stream(t.Context(), "", EventFilter{}) {
			if err != nil || e.ID != "evt_5" {
				t.Fatalf("Stream: got %+v, %v, want evt_5", e, err)
			}
			break
		}
		if s.opened != 3 {
			t.Errorf("Stream: got %d connections, want 3", s.opened)
		}
	})
}
