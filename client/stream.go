package client

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"strconv"
	"strings"
	"time"
)

const (
	// streamIdle is how long a stream may be silent before it is opened anew. The server sends something every 15 seconds.
	streamIdle = 50 * time.Second
	// streamRetry is how long is waited before a stream that broke off is opened anew, where the server names no time.
	streamRetry = 2 * time.Second
	// maxStreamLine is the longest line that is read.
	maxStreamLine = 4 << 20
)

// errStreamEnded is a stream that broke off, or came to its planned end.
var errStreamEnded = errors.New("the stream of events ended")

// Stream follows events as they are committed, each once and in their order: those after lastEventID, or, where that is empty, from now on. A stream that
// breaks off is opened again after the last event, so nothing is lost and nothing comes twice; Config.OnRetry is told.
//
// It goes on until the loop is left, the context ends, or the server refuses: that error is yielded last. While the server cannot be reached it
// tries again for ever, at ever longer intervals up to half a minute. Keep the ID of the last event that was dealt with to go on after it in
// another process. A stream costs one read whenever it is opened, and an account may have 32.
func (s *EventService) Stream(ctx context.Context, lastEventID string, filter EventFilter, options ...CallOption) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		var o callOptions
		for _, set := range options {
			set(&o)
		}
		t := &stream{c: s.c, last: lastEventID, retry: streamRetry}
		r := request{method: http.MethodGet, path: "/events", query: queryOf(filter), accept: "text/event-stream", endless: true}
		for failed := 0; ; {
			r.header = http.Header{}
			if t.last != "" {
				r.header.Set("Last-Event-ID", t.last)
			}
			opened, err := t.read(ctx, r, &o, yield)
			switch {
			case err == nil: // the loop was left
				return
			case ctx.Err() != nil:
				yield(Event{}, ended(ctx, r, nil))
				return
			case !passes(err):
				yield(Event{}, err)
				return
			}
			wait, worthwhile := t.retry+time.Duration(s.c.jitter()*float64(firstBackoff)), true
			if opened {
				failed = 0
			} else {
				failed++
				wait, worthwhile = s.c.pause(ctx, failed, err)
			}
			if !worthwhile {
				yield(Event{}, err)
				return
			}
			s.c.onRetry(Retry{Method: r.method, Path: r.path, Attempt: max(failed, 1), Wait: wait, Err: err})
			if s.c.sleep(ctx, wait) != nil {
				yield(Event{}, ended(ctx, r, err))
				return
			}
		}
	}
}

// stream is where the reader of a stream stands.
type stream struct {
	c     *Client
	last  string
	retry time.Duration
}

// read opens the stream once and yields its events. The error is nil when the loop was left; opened tells whether the server accepted it.
func (t *stream) read(ctx context.Context, r request, o *callOptions, yield func(Event, error) bool) (opened bool, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	p, err := t.c.prepare(r, *o)
	if err != nil {
		return false, err
	}
	out := Response{Attempts: 1}
	body, err := t.c.once(ctx, p, &out)
	if o.response != nil {
		*o.response = out
	}
	if err != nil {
		return false, err
	}
	defer func() { _ = body.Close() }()
	silent := time.AfterFunc(t.c.streamIdle, cancel)
	defer silent.Stop()

	lines := bufio.NewScanner(body)
	lines.Buffer(nil, maxStreamLine)
	var id, data string
	named, has := false, false
	for lines.Scan() {
		silent.Reset(t.c.streamIdle)
		line := lines.Text()
		if line != "" {
			name, value, _ := strings.Cut(line, ":")
			value = strings.TrimPrefix(value, " ")
			switch name {
			case "id":
				id, named = value, true
			case "data":
				if has {
					data += "\n"
				}
				data, has = data+value, true
			case "retry":
				if n, err := strconv.ParseUint(value, 10, 32); err == nil {
					t.retry = min(max(time.Duration(n)*time.Millisecond, time.Second), maxBackoff)
				}
			}
			continue
		}
		// An empty line ends a message. What is cut off before it did not happen yet: it comes again.
		if has {
			var e Event
			if err := json.Unmarshal([]byte(data), &e); err != nil {
				return true, &permanent{fmt.Errorf("client: a message of the stream is no event: %w", err)}
			}
			silent.Stop() // the loop may take its time
			if !yield(e, nil) {
				return true, nil
			}
			silent.Reset(t.c.streamIdle)
		}
		if named {
			t.last = id
		}
		id, data, named, has = "", "", false, false
	}
	if err := lines.Err(); errors.Is(err, bufio.ErrTooLong) {
		return true, &permanent{fmt.Errorf("client: a message of the stream is longer than %d bytes: %w", maxStreamLine, io.ErrShortBuffer)}
	} else if err != nil {
		return true, fmt.Errorf("client: %w: %w", errStreamEnded, err)
	}
	return true, fmt.Errorf("client: %w", errStreamEnded)
}
