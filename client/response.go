package client

import (
	"net/http"
	"strconv"
	"time"
)

// Rate is what is left of the requests of this minute, of the kind that the call was: read, write or deploy.
type Rate struct {
	// Limit is how many there are in a minute, Remaining how many are left.
	Limit, Remaining int
	// Reset is when the limit is fresh again, to the second; the zero time where the server did not say.
	Reset time.Time
}

// Response is what is known of an answer beside its data.
type Response struct {
	// StatusCode is the HTTP status of the last answer; 0 where there was none.
	StatusCode int
	// RequestID names the last request in the server's log.
	RequestID string
	// Rate is what is left in this minute.
	Rate Rate
	// Replayed tells that the server gave the answer of an earlier request with the same Idempotency-Key.
	Replayed bool
	// IdempotencyKey is the key that was sent; empty but for a POST. With it a call that failed can be made again, within 24 hours, without
	// an effect twice.
	IdempotencyKey string
	// Attempts is how often it was tried, from 1.
	Attempts int
}

func (r *Response) read(h http.Header, status int) {
	r.StatusCode, r.RequestID, r.Replayed = status, h.Get("X-Request-Id"), h.Get("Idempotent-Replayed") == "true"
	r.Rate = Rate{}
	r.Rate.Limit, _ = strconv.Atoi(h.Get("X-RateLimit-Limit"))
	r.Rate.Remaining, _ = strconv.Atoi(h.Get("X-RateLimit-Remaining"))
	if at, err := strconv.ParseInt(h.Get("X-RateLimit-Reset"), 10, 64); err == nil {
		r.Rate.Reset = time.Unix(at, 0).UTC()
	}
}

// CallOption is an option of one call.
type CallOption func(*callOptions)

type callOptions struct {
	response *Response
	key      string
}

// WithResponse writes what is known of the answer into r, also where the call fails. Of a call that makes several requests, as
// iterators and waits do, it is the last one's.
func WithResponse(r *Response) CallOption { return func(o *callOptions) { o.response = r } }

// WithIdempotencyKey gives the Idempotency-Key of a POST: 1 to 255 visible ASCII characters. The server gives the same answer to
// the same key and request for 24 hours, also to another process. Without it each call makes a random key. Calls that
// are no POST leave it out.
func WithIdempotencyKey(key string) CallOption { return func(o *callOptions) { o.key = key } }
