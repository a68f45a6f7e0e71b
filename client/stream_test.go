package client_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/billetcloud/billet/client"
)

func event(id string) string {
	return "id: " + id + "\nevent: deployment.running\ndata: " +
		`{"id":"` + id + `","type":"deployment.running","subject":"dep_1","data":{"amount":1.25},` +
		`"createdAt":"2028-02-29T00:00:00Z"}` + "\n\n"
}

// flows sends a part of a stream and ends it.
func flows(text string) http.HandlerFunc {
	return say(http.StatusOK, text, "Content-Type", "text/event-stream")
}

func follow(t *testing.T, w *world, last string, most int) (ids string, err error) {
	t.Helper()
	filter := client.EventFilter{Subject: "dep_1", Types: []string{"a", "b"}}
	for e, err := range w.Events.Stream(t.Context(), last, filter) {
		if err != nil {
			return ids, err
		}
		if ids += e.ID + " "; strings.Count(ids, " ") == most {
			return ids, nil
		}
	}
	return ids, nil
}

func TestStreamResumes(t *testing.T) {
	w := answers(
		t,
		nil,
		flows(
			"retry: 4000\nid: evt_5\n\n: still here\n\n"+event("evt_6")+strings.TrimSuffix(event("evt_7"), "\n"),
		), // cut before the empty line
		lost,
		refusal(503, "SERVICE_UNAVAILABLE", "Retry-After", "9"),
		flows("id: evt_6\n\n"+event("evt_7")),
		flows(strings.ReplaceAll(event("evt_8"), "\n", "\r\n")+event("evt_9")),
	)
	ids, err := follow(t, w, "", 4)
	if err != nil || ids != "evt_6 evt_7 evt_8 evt_9 " {
		t.Fatalf("%s, %v", ids, err)
	}
	var after []string
	for _, r := range w.asked {
		after = append(after, r.Header.Get("Last-Event-ID"))
		if q := r.URL.Query(); q.Get("subject") != "dep_1" || q.Get("type") != "a,b" ||
			r.Header.Get("Accept") != "text/event-stream" {
			t.Errorf("asked %s", r.URL)
		}
	}
	if got := strings.Join(after, " "); got != " evt_6 evt_6 evt_6 evt_7" {
		t.Errorf("went on after %q", got)
	}
	if len(w.slept) != 4 || w.slept[0] < 4*time.Second || w.slept[0] > 5*time.Second || w.slept[2] < 9*time.Second ||
		len(w.retries) != 4 {
		t.Errorf("paused %v", w.slept)
	}
}

// TestStreamWithoutEventsResumes checks that a stream resumes at the id that the server sent first,
// so that events during an outage are not lost.
func TestStreamWithoutEventsResumes(t *testing.T) {
	w := answers(t, nil, flows("id: evt_5\n\n"), flows(event("evt_6")))
	if ids, err := follow(t, w, "", 1); err != nil || ids != "evt_6 " ||
		w.asked[1].Header.Get("Last-Event-ID") != "evt_5" {
		t.Errorf("%s, %v", ids, err)
	}
	w = answers(t, nil, flows(event("evt_1")))
	if ids, err := follow(t, w, client.BeginningOfEvents, 1); err != nil || ids != "evt_1 " ||
		w.asked[0].Header.Get("Last-Event-ID") != "evt_0" {
		t.Errorf("%s, %v", ids, err)
	}
}

func TestStreamSurvivesOutage(t *testing.T) {
	steps := []http.HandlerFunc{flows(event("evt_1"))}
	for range 20 {
		steps = append(steps, refusal(502, ""))
	}
	w := answers(t, nil, append(steps, flows(event("evt_2")))...)
	if ids, err := follow(t, w, "", 2); err != nil || ids != "evt_1 evt_2 " {
		t.Errorf("%s, %v", ids, err)
	}
	if last := w.slept[len(w.slept)-1]; last > 30*time.Second || last < 15*time.Second {
		t.Errorf("paused %s after 20 failures", last)
	}
}

func TestStreamEndsWithPermanentError(t *testing.T) {
	w := answers(t, nil, flows(event("evt_1")), refusal(401, "REVOKED_API_KEY"))
	if ids, err := follow(t, w, "", 9); !errors.Is(err, client.ErrRevokedAPIKey) || ids != "evt_1 " {
		t.Errorf("%s, %v", ids, err)
	}
	w = answers(t, nil, flows("data: {\n\n"))
	if _, err := follow(t, w, "", 9); err == nil || len(w.asked) != 1 {
		t.Errorf("what is no event: %v", err)
	}
	w = answers(t, nil, flows("data: "+strings.Repeat("x", 5<<20)+"\n\n"))
	if _, err := follow(t, w, "", 9); !errors.Is(err, io.ErrShortBuffer) {
		t.Errorf("5 MiB in a line: %v", err)
	}
}

func TestStreamEndsWithContextAndLoop(t *testing.T) {
	left := make(chan struct{}, 2)
	open := func(out http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(out, event("evt_1"))
		_ = http.NewResponseController(out).Flush()
		<-r.Context().Done()
		left <- struct{}{}
	}
	w := answers(t, nil, open)
	if ids, err := follow(t, w, "", 1); err != nil || ids != "evt_1 " {
		t.Errorf("%s, %v", ids, err)
	}
	<-left // the connection ends with the loop
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var last error
	for _, err := range w.Events.Stream(ctx, "", client.EventFilter{}) {
		last = err
		cancel()
	}
	if !errors.Is(last, context.Canceled) {
		t.Error(last)
	}
	<-left
}
