package httpapi

import (
	"bytes"
	"context"
	"errors"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/billetcloud/billet/internal/account"
	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/event"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/rest"
)

// events are an account's events, as a list or a stream.
type events struct {
	db      *db.DB
	svc     *event.Service
	streams *streams
}

func (h events) routes(r *rest.Router) {
	rest.CustomList[accountEventsQuery, event.Event](r, rest.Operation{
		Method: http.MethodGet, Path: Base + "/events", ID: "listEvents", Tag: tagEvents,
		Scope:  string(account.ReadDeployments),
		Stream: true, ExtraTime: streamLife, Summary: "List or stream events",
		Errors: []apierr.Code{apierr.EventExpired},
		Description: "With `Accept: application/json` a list, newest first. Otherwise server-sent events, from now " +
			"on, as they are " +
			"committed: `id` is the event's id, `event` its type, `data` the event. The stream begins with the id of " +
			"the newest event. " +
			"Reconnect with `Last-Event-ID`, and the stream resumes exactly after that event: none is lost, none is " +
			"repeated. If later events were deleted because they are too old, the answer is 410 EVENT_EXPIRED: " +
			"read the present state, and stream from now on. A comment is " +
			"sent every 15 seconds. A stream counts as one read, lasts up to an hour, and ends when the key is " +
			"revoked or the session " +
			"ends. An account can have 64 streams at once, and one key or user 16.",
	}, h.serve)
}

type accountEventsQuery struct {
	rest.Paging
	Subject     id.ID        `query:"subject" maxLength:"40" doc:"Events of this deployment, volume or account."`
	Type        []event.Type `query:"type" maxItems:"50" doc:"One or more event types."`
	LastEventID id.ID        `query:"lastEventId" maxLength:"40" doc:"For a stream: resume after this event; evt_0 is the beginning. The header Last-Event-ID takes precedence."`
}

func (q accountEventsQuery) filter() event.Filter {
	return event.Filter{Subject: q.Subject, Types: texts(q.Type)}
}

const (
	// streamLife is the longest duration of a stream. Its reader reconnects, which costs one read,
	// and misses nothing.
	streamLife = time.Hour
	// streamRetry is how long a browser waits before it reconnects.
	streamRetry = 2 * time.Second
	// streamChunk is how many events are read, and kept in memory, at once.
	streamChunk = 100
)

func (h events) serve(
	ctx context.Context, w http.ResponseWriter, c *rest.Call, in *accountEventsQuery, invalid []apierr.FieldError,
) (rest.Answer, error) {
	asList := wantsJSON(c.Request)
	switch {
	case asList && in.LastEventID != "":
		invalid = append(
			invalid,
			apierr.FieldError{Field: "query.lastEventId", Message: "is for a stream; lists have pages."},
		)
	case !asList && in.Given():
		invalid = append(invalid, apierr.FieldError{
			Field: "query.page", Message: "is for a list; send the header Accept: application/json. A stream has no " +
				"pages.",
		})
	}
	if err := apierr.Invalid(invalid).OrNil(); err != nil {
		return rest.Answer{}, err
	}
	if !asList {
		return rest.Answer{}, h.stream(ctx, w, c, in)
	}
	ctx, cancel := context.WithTimeout(ctx, c.Timeout())
	defer cancel()
	return rest.PageOf(c, in, func(p db.Page) ([]event.Event, db.Listed, error) {
		return h.svc.History(ctx, h.db, c.Caller.Account, in.filter(), p)
	})
}

// wantsJSON reports whether the request accepts JSON, and not a stream of events.
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

// stream sends events until the reader leaves, is too slow or loses access, or the server stops. A
// slow reader is waited for and then disconnected: what it has not read stays in the database.
func (h events) stream(ctx context.Context, w http.ResponseWriter, c *rest.Call, in *accountEventsQuery) error {
	at, err := h.position(ctx, c, in.LastEventID)
	if err != nil {
		return err
	}
	leave, err := h.streams.enter("event streams", c, maxEventStreams)
	if err != nil {
		return err
	}
	defer leave()
	c.Wait()
	follower := h.svc.Follow(c.Caller.Account)
	defer follower.Stop()
	recheck, stop := h.streams.recheckCaller(c)
	defer stop()

	header := w.Header()
	header.Set("Content-Type", "text/event-stream")
	header.Set("X-Accel-Buffering", "no") // a proxy that buffers a whole response would never send this one
	w.WriteHeader(http.StatusOK)
	if c.Request.Method == http.MethodHead {
		return nil
	}
	out := http.NewResponseController(w)
	send := func(b []byte) bool {
		// Not every writer has deadlines, those of tests for one; a connection has.
		_ = out.SetWriteDeadline(time.Now().Add(h.streams.patience))
		_, err := w.Write(b)
		return err == nil && out.Flush() == nil
	}
	retry := strconv.FormatInt(streamRetry.Milliseconds(), 10)
	if !send([]byte("retry: " + retry + "\nid: " + string(at.Event) + "\n\n")) {
		return nil
	}
	beat := time.NewTicker(h.streams.beat)
	defer beat.Stop()
	for {
		if at, err = h.sendNew(ctx, follower, at, in.filter(), send); err != nil {
			if err == errReaderGone {
				return nil
			}
			return err
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
		case <-recheck:
			if err := c.Reauthorize(ctx); err != nil {
				return err
			}
		case <-ctx.Done(): // the reader has left, or the stream's time is over
			return nil
		}
	}
}

var errReaderGone = errors.New("the reader of the stream is gone")

// sendNew sends the events after a position and returns the new one.
func (h events) sendNew(
	ctx context.Context, from *event.Follower, at event.Position, f event.Filter, send func([]byte) bool,
) (event.Position, error) {
	for {
		list, next, err := from.Next(ctx, h.db, at, streamChunk)
		if err != nil {
			return at, err
		}
		at = next
		if b := framed(list, f); len(b) > 0 && !send(b) {
			return at, errReaderGone
		}
		if len(list) < streamChunk {
			return at, nil
		}
	}
}

// position is where the stream begins: after the event that the reader names, or now.
func (h events) position(ctx context.Context, c *rest.Call, last id.ID) (event.Position, error) {
	field := "query.lastEventId"
	if headers := c.Request.Header.Values("Last-Event-ID"); len(headers) > 0 {
		field, last = "header.Last-Event-ID", id.ID(headers[0])
		if len(headers) > 1 || !rest.IsID(headers[0]) {
			last = "?"
		}
	}
	if last == "" {
		return h.svc.Now(ctx, h.db, c.Caller.Account)
	}
	if rest.IsID(string(last)) {
		at, found, err := h.svc.Behind(ctx, h.db, c.Caller.Account, last)
		if err != nil || found {
			return at, err
		}
	}
	return event.Position{}, apierr.Invalid([]apierr.FieldError{{
		Field: field,
		Message: "is not an event of this account. Send the id of the last event that you have read, " +
			string(event.Beginning) + " for all events, or nothing for events from now on.",
	}})
}

// framed are the events that match the filter, in the form of the stream.
func framed(list []event.Event, f event.Filter) []byte {
	var b bytes.Buffer
	for _, e := range list {
		if !f.Matches(e) {
			continue
		}
		b.WriteString("id: " + string(e.ID) + "\nevent: " + e.Type + "\ndata: ")
		b.Write(rest.Encode(e)) // compact JSON has no line breaks
		b.WriteString("\n\n")
	}
	return b.Bytes()
}
