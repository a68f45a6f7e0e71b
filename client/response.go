package client

import (
	"net/http"
	"strconv"
	"time"
)

// Rate is the state of the rate limit for the kind of the call: read, write or deploy.
type Rate struct {
	// Limit is the number of requests per minute, Remaining how many are left.
	Limit, Remaining int
	// Reset is when the limit is reset, to the second; zero if the server did not report it.
	Reset time.Time
}

// Response is the metadata of a response.
type Response struct {
	// StatusCode is the HTTP status of the last response; 0 if there was none.
	StatusCode int
	// RequestID identifies the last request in the server's log.
	RequestID string
	// Rate is the state of the rate limit.
	Rate Rate
	// Replayed reports whether the response is that of an earlier request with the same
	// Idempotency-Key.
	Replayed bool
	// ETag is the version of the resource in the response, for WithIfMatch; "" if it has none.
	ETag string
	// IdempotencyKey is the key that was sent with a POST. With it, a failed call can be repeated
	// within 24 hours without taking effect twice.
	IdempotencyKey string
	// Attempts is the number of attempts, from 1.
	Attempts int
}

func (r *Response) read(h http.Header, status int) {
	r.StatusCode, r.RequestID, r.Replayed = status, h.Get("X-Request-Id"), h.Get("Idempotent-Replayed") == "true"
	r.ETag, r.Rate = h.Get("ETag"), Rate{}
	r.Rate.Limit, _ = strconv.Atoi(h.Get("X-RateLimit-Limit"))
	r.Rate.Remaining, _ = strconv.Atoi(h.Get("X-RateLimit-Remaining"))
	if at, err := strconv.ParseInt(h.Get("X-RateLimit-Reset"), 10, 64); err == nil {
		r.Rate.Reset = time.Unix(at, 0).UTC()
	}
}

// CallOption is an option of a call.
type CallOption func(*callOptions)

type callOptions struct {
	response *Response
	key      string
	ifMatch  string
}

// WithResponse stores the metadata of the response in r, even if the call fails. With several
// requests, as in iterators and waits, it is that of the last one.
func WithResponse(r *Response) CallOption { return func(o *callOptions) { o.response = r } }

// WithIdempotencyKey sets the Idempotency-Key: 1 to 255 visible ASCII characters. For 24 hours, the
// server returns the same response to the same key and request, even from another process. By
// default, each POST that honors a key has a random one, and each call with WithIfMatch.
func WithIdempotencyKey(key string) CallOption { return func(o *callOptions) { o.key = key } }

// WithIfMatch makes a change only if the resource still has the ETag of an earlier Response. The
// error is ErrPreconditionFailed if it was changed since. Updates and deletions support it.
func WithIfMatch(etag string) CallOption { return func(o *callOptions) { o.ifMatch = etag } }
