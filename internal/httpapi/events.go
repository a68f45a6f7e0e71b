package httpapi

import (
	"bytes"
	"context"
	"mime"
	"net/http"
	"reflect"
	"strings"
	"time"

	"github.com/billetcloud/billet/internal/account"
	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/event"
	"github.com/billetcloud/billet/internal/id"
)

type accountEventsQuery struct {
	page
	Subject     id.ID        `query:"subject" maxLength:"40" doc:"Only events of this deployment, volume or account."`
	Type        []event.Type `query:"type" maxItems:"50" doc:"One or more types of events."`
	LastEventID id.ID        `query:"lastEventId" maxLength:"40" doc:"Of a stream: go on after this event; evt_0 is the very beginning. The header Last-Event-ID counts where both are sent."`
}

func (q accountEventsQuery) filter() event.Filter {
	return event.Filter{Subject: q.Subject, Types: texts(q.Type)}
}

const (
	// streamLife is how long a stream lasts at the most. Its reader connects again, which costs one read, and misses nothing.
	streamLife = time.Hour
	// streamRetry is what a browser is told to wait before it connects again.
	streamRetry = 2 * time.Second
	// streamChunk is how many events are read, and kept in memory, at once.
	streamChunk = 100
)

func (s *server) addEvents() {
	s.add(spec{
		method: http.MethodGet, path: Base + "/events", id: "listEvents", tag: tagEvents, scope: account.ReadDeployments, stream: true, long: streamLife,
		summary: "What happens, as a stream or a list",
		text: "With `Accept: application/json` a list, newest first. Otherwise server-sent events, from now on, as they are committed: `id` is the event's, `event` its type, " +
			"`data` the event. The stream first names the newest event there is. Connect again with `Last-Event-ID` and it goes on exactly after that one, with nothing lost and nothing twice. " +
			"A comment comes every 15 seconds. A stream counts as one read, lasts up to an hour, and ends when the key is revoked or the session over. An account may have 64 at once, and one key or user 16.",
	}, reflect.TypeFor[accountEventsQuery](), reflect.TypeFor[event.Event](), true, s.events)
}

func (s *server) events(ctx context.Context, w http.ResponseWriter, c *call) (answer, error) {
	in := new(accountEventsQuery)
	d, err := c.route.in.decode(w, c.request, in)
	if err != nil {
		return answer{}, err
	}
	asList := wantsJSON(c.request)
	switch {
	case asList && in.LastEventID != "":
		d.faults = append(d.faults, apierr.FieldError{Field: "query.lastEventId", Message: "is for a stream; lists have pages."})
	case !asList && (in.Page > 1 || in.Limit != nil || in.PerPage != nil || in.Cursor != ""):
		d.faults = append(d.faults, apierr.FieldError{Field: "query.page", Message: "is for a list, which is asked for with the header Accept: application/json; a stream has no pages."})
	}
	if err := apierr.Invalid(d.faults).OrNil(); err != nil {
		return answer{}, err
	}
	if !asList {
		return answer{}, s.stream(ctx, w, c, in)
	}
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	return listed(c, in, func(p db.Page) ([]event.Event, db.Listed, error) {
		return s.c.Events.History(ctx, s.c.DB, c.account, in.filter(), p)
	})
}

// wantsJSON tells whether the request names JSON, and not a stream of events.
func wantsJSON(r *http.Request) bool {
	named := false
	for part := range strings.SplitSeq(strings.Join(r.Header.Values("Accept"), ","), ",") {
		switch kind, _, _ := mime.ParseMediaType(part); kind {
		case "text/event-stream":
			return false
		case "application/json":
			named = true
		}
	}
	return named
}

// stream sends events until the reader leaves, is too slow, may not read any more, or the server stops. A reader that is
// slow is waited for and then cut off: what it has not read stays in the database.
func (s *server) stream(ctx context.Context, w http.ResponseWriter, c *call, in *accountEventsQuery) error {
	at, err := s.position(ctx, c, in.LastEventID)
	if err != nil {
		return err
	}
	leave, err := s.streams.enter("streams of events", c, maxEventStreams)
	if err != nil {
		return err
	}
	defer leave()
	follower := s.c.Events.Follow(c.account)
	defer follower.Stop()
	look, stop := s.streams.recheckOf(c, s.rereadKeys)
	defer stop()

	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("X-Accel-Buffering", "no") // a proxy that collects a whole answer first would never send this one
	w.WriteHeader(http.StatusOK)
	if c.request.Method == http.MethodHead {
		return nil
	}
	out := http.NewResponseController(w)
	send := func(b []byte) bool {
		// Not every writer can, those of tests for one; a connection can.
		_ = out.SetWriteDeadline(time.Now().Add(s.streams.patience))
		_, err := w.Write(b)
		return err == nil && out.Flush() == nil
	}
	if !send([]byte("retry: " + milliseconds(streamRetry) + "\nid: " + string(at.Event) + "\n\n")) {
		return nil
	}
	beat := time.NewTicker(s.streams.beat)
	defer beat.Stop()
	filter := in.filter()
	for {
		for more := true; more; {
			var events []event.Event
			if events, at, err = follower.Next(ctx, s.c.DB, at, streamChunk); err != nil {
				return err
			}
			more = len(events) == streamChunk
			if b := framed(events, filter); len(b) > 0 && !send(b) {
				return nil
			}
		}
		select {
		case _, open := <-follower.Changed:
			if !open { // the server stops
				return nil
			}
		case <-beat.C:
			if !send([]byte(": still here\n\n")) {
				return nil
			}
		case <-look:
			if err := s.still(ctx, c); err != nil {
				return err
			}
		case <-ctx.Done(): // the reader has left, or the stream's time is over
			return nil
		}
	}
}

// position is where the stream begins: after the event that the reader names, or now.
func (s *server) position(ctx context.Context, c *call, given id.ID) (event.Position, error) {
	field := "query.lastEventId"
	if headers := c.request.Header.Values("Last-Event-ID"); len(headers) > 0 {
		field, given = "header.Last-Event-ID", id.ID(headers[0])
		if len(headers) > 1 || !idForm.MatchString(headers[0]) {
			given = "?"
		}
	}
	if given == "" {
		return s.c.Events.Now(ctx, s.c.DB, c.account)
	}
	if idForm.MatchString(string(given)) {
		at, found, err := s.c.Events.Behind(ctx, s.c.DB, c.account, given)
		if err != nil || found {
			return at, err
		}
	}
	return event.Position{}, apierr.Invalid([]apierr.FieldError{{Field: field, Message: "is no event of this account. Send the id of the last event that you have read, " +
		string(event.Beginning) + " for everything from the beginning, or nothing for what happens from now on."}})
}

// framed are the events that the filter lets through as they stand in the stream.
func framed(events []event.Event, f event.Filter) []byte {
	var b bytes.Buffer
	for _, e := range events {
		if !f.Lets(e) {
			continue
		}
		b.WriteString("id: " + string(e.ID) + "\nevent: " + e.Type + "\ndata: ")
		b.Write(encode(e)) // compact JSON has no line breaks
		b.WriteString("\n\n")
	}
	return b.Bytes()
}
