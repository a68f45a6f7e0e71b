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
	// streamIdle is how long a stream can be silent before it is reopened. The server sends data
	// every 15 seconds.
	streamIdle = 50 * time.Second
	// streamRetry is the wait before an interrupted stream is reopened, if the server sets no time.
	streamRetry = 2 * time.Second
	// maxStreamLine is the maximum length of a line in bytes.
	maxStreamLine = 4 << 20
)

// errStreamEnded is the end of a stream, expected or not.
var errStreamEnded = errors.New("the event stream ended")

// Stream yields events as they are committed, each exactly once and in order: those after
// lastEventID or, if that is "", from now on. An interrupted stream is reopened after the last
// event, so no event is lost or repeated; Config.OnRetry is called.
//
// It ends when the loop ends, the context ends, or the server returns an error, which is yielded
// last. While the server is unreachable, it retries indefinitely with backoff, up to 30 seconds. To
// continue in another process, save the ID of the last processed event. Opening a stream counts as
// one read. An account can have 32 streams.
func (s *EventService) Stream(
	ctx context.Context,
	lastEventID string,
	filter EventFilter,
	options ...CallOption,
) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		var o callOptions
		for _, set := range options {
			set(&o)
		}
		t := &stream{c: s.c, last: lastEventID, retry: streamRetry}
		r := request{
			method:    http.MethodGet,
			path:      "/events",
			query:     queryOf(filter),
			accept:    "text/event-stream",
			streaming: true,
		}
		for failed := 0; ; {
			r.header = http.Header{}
			if t.last != "" {
				r.header.Set("Last-Event-ID", t.last)
			}
			opened, err := t.read(ctx, r, &o, yield)
			switch {
			case err == nil: // the loop ended
				return
			case ctx.Err() != nil:
				yield(Event{}, ended(ctx, r, nil))
				return
			case !retryable(err):
				yield(Event{}, err)
				return
			}
			wait, ok := t.retry+time.Duration(s.c.jitter()*float64(firstBackoff)), true
			if opened {
				failed = 0
			} else {
				failed++
				wait, ok = s.c.pause(ctx, failed, err)
			}
			if !ok {
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

// stream is the state of reading a stream.
type stream struct {
	c     *Client
	last  string
	retry time.Duration
}

// read opens the stream once and yields its events. The error is nil if the loop ended. It reports
// whether the stream was opened.
func (t *stream) read(
	ctx context.Context,
	r request,
	o *callOptions,
	yield func(Event, error) bool,
) (opened bool, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	p, err := t.c.prepare(r, *o)
	if err != nil {
		return false, err
	}
	out := Response{Attempts: 1}
	body, err := t.c.attempt(ctx, p, &out)
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
	hasID, hasData := false, false
	for lines.Scan() {
		silent.Reset(t.c.streamIdle)
		line := lines.Text()
		if line != "" {
			name, value, _ := strings.Cut(line, ":")
			value = strings.TrimPrefix(value, " ")
			switch name {
			case "id":
				id, hasID = value, true
			case "data":
				if hasData {
					data += "\n"
				}
				data, hasData = data+value, true
			case "retry":
				if n, err := strconv.ParseUint(value, 10, 32); err == nil {
					t.retry = min(max(time.Duration(n)*time.Millisecond, time.Second), maxBackoff)
				}
			}
			continue
		}
		// An empty line ends a message. A message that is cut off is sent again.
		if hasData {
			var e Event
			if err := json.Unmarshal([]byte(data), &e); err != nil {
				return true, &permanent{fmt.Errorf("client: invalid event in the stream: %w", err)}
			}
			silent.Stop() // the loop body can take long
			if !yield(e, nil) {
				return true, nil
			}
			silent.Reset(t.c.streamIdle)
		}
		if hasID {
			t.last = id
		}
		id, data, hasID, hasData = "", "", false, false
	}
	if err := lines.Err(); errors.Is(err, bufio.ErrTooLong) {
		return true, &permanent{
			fmt.Errorf("client: an event in the stream is longer than %d bytes: %w", maxStreamLine, io.ErrShortBuffer),
		}
	} else if err != nil {
		return true, fmt.Errorf("client: %w: %w", errStreamEnded, err)
	}
	return true, fmt.Errorf("client: %w", errStreamEnded)
}
