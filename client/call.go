package client

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"
)

const (
	firstBackoff = 500 * time.Millisecond
	maxBackoff   = 30 * time.Second
	// maxResponse limits the responses that are read into memory, in bytes. The largest page is far
	// smaller.
	maxResponse = 32 << 20
	// maxErrorBody limits what is read of an error response, in bytes.
	maxErrorBody = 1 << 20
)

// request describes a call.
type request struct {
	method string
	// path is relative to the base URL.
	path  string
	query url.Values
	// url is the whole URL, if it is not the base URL with the path.
	url string
	// body is sent as JSON; nil means none. rawBody is sent unchanged instead.
	body    any
	rawBody []byte
	// accept is the media type; "" means JSON.
	accept string
	header http.Header
	// wait is how long the server may wait on purpose, in a long poll.
	wait time.Duration
	// streaming responses are read by the caller: the timeout is for their headers only.
	streaming bool
	// goneIsDone makes NOT_FOUND a success if an earlier attempt may have deleted the resource.
	goneIsDone bool
	// id is the id in the path, and field its name, for validation before the request is sent.
	id, field string
	// raw receives the unchanged response, even an error; nil means none.
	raw *RawResponse
}

// prepared is a request that can be sent several times.
type prepared struct {
	request
	target  string
	payload []byte
	key     string
	ifMatch string
}

func (c *Client) prepare(r request, o callOptions) (*prepared, error) {
	if strings.ContainsFunc(o.ifMatch, func(r rune) bool { return r < ' ' || r > '~' }) {
		return nil, invalid("header.If-Match", "must be the ETag of a response.")
	}
	if r.field != "" {
		if err := checkID(r.field, r.id); err != nil {
			return nil, err
		}
	}
	p := &prepared{request: r, target: c.base + r.path, payload: r.rawBody, ifMatch: o.ifMatch}
	if r.url != "" {
		p.target = r.url
	}
	if len(r.query) > 0 {
		p.target += "?" + r.query.Encode()
	}
	if r.body != nil {
		var err error
		if p.payload, err = json.Marshal(r.body); err != nil {
			return nil, fmt.Errorf("client: %s %s: %w", r.method, r.path, err)
		}
	}
	if p.key = o.key; r.method == http.MethodGet || r.method == http.MethodHead {
		p.key = ""
	} else {
		// Repeating other methods has the same effect, unless the first effect changed the ETag.
		if p.key == "" && (r.method == http.MethodPost && honorsKey(p.target) || o.ifMatch != "") {
			p.key = rand.Text()
		} else if len(p.key) > 255 || strings.ContainsFunc(p.key, func(r rune) bool { return r <= ' ' || r > '~' }) {
			return nil, invalid("header.Idempotency-Key", "must have 1 to 255 visible ASCII characters.")
		}
	}
	return p, nil
}

// refusesKey matches the paths of a POST that cannot have an Idempotency-Key: those for signing in
// and for the setup of a server, the simulator's, and those that ask another server and change
// nothing here.
var refusesKey = regexp.MustCompile(
	`/api/v1/(account/|setup/|operator/(simulator/|settings/(mail-test|payments-check)$|provider-accounts/[^/]+/check$))`)

// honorsKey reports whether a POST to the URL can have an Idempotency-Key.
func honorsKey(target string) bool { return !refusesKey.MatchString(target) }

// checkID rejects ids that would change the path: an empty id would request the list, and ".."
// another resource.
func checkID(field, id string) *Error {
	if id == "" || len(id) > 100 || strings.ContainsFunc(id, func(r rune) bool {
		return r != '_' && r != '-' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
	}) {
		return invalid(field, "%q is not an ID.", id)
	}
	return nil
}

// do makes a call with retries and passes the response body to take, whose error is final.
func (c *Client) do(ctx context.Context, r request, options []CallOption, take func([]byte) error) error {
	body, err := c.send(ctx, r, options)
	if err != nil || body == nil {
		return err
	}
	defer func() { _ = body.Close() }()
	b, err := io.ReadAll(body)
	if err == nil {
		err = take(b)
	}
	if err != nil {
		return fmt.Errorf("client: %s %s: %w", r.method, r.path, err)
	}
	return nil
}

// send makes a call with retries. Unless the request is streaming, the returned body is in memory.
// A nil body without an error means that the resource was deleted already.
func (c *Client) send(ctx context.Context, r request, options []CallOption) (io.ReadCloser, error) {
	var o callOptions
	for _, set := range options {
		set(&o)
	}
	var out Response
	if o.response != nil {
		defer func() { *o.response = out }()
	}
	p, err := c.prepare(r, o)
	if err != nil {
		return nil, err
	}
	out.IdempotencyKey = p.key
	var last error
	uncertain := false // whether an earlier attempt may have had an effect
	for {
		out.Attempts++
		body, err := c.attempt(ctx, p, &out)
		switch {
		case err == nil:
			return body, nil
		case r.goneIsDone && uncertain && errors.Is(err, ErrNotFound):
			return nil, nil
		case ctx.Err() != nil:
			return nil, ended(ctx, r, last)
		}
		if last = err; out.Attempts > c.maxRetries || !retryable(err) {
			return nil, err
		}
		uncertain = uncertain || !hadNoEffect(err)
		wait, ok := c.pause(ctx, out.Attempts, err)
		if !ok {
			return nil, err
		}
		c.onRetry(Retry{Method: r.method, Path: r.path, Attempt: out.Attempts, Wait: wait, Err: err})
		if c.sleep(ctx, wait) != nil {
			return nil, ended(ctx, r, last)
		}
	}
}

// ended returns the error of a call whose context has ended.
func ended(ctx context.Context, r request, last error) error {
	err := ctx.Err()
	if err == nil { // Config.Sleep can return early
		err = context.Canceled
	}
	if last != nil {
		return fmt.Errorf("client: %s %s: %w; last attempt: %w", r.method, r.path, err, last)
	}
	return fmt.Errorf("client: %s %s: %w", r.method, r.path, err)
}

// attempt sends a request once.
func (c *Client) attempt(ctx context.Context, p *prepared, out *Response) (io.ReadCloser, error) {
	limit := c.timeout + p.wait
	try, cancel := context.WithCancel(ctx)
	timer := time.AfterFunc(limit, cancel)
	done := func() {
		timer.Stop()
		cancel()
	}
	failed := func(err error) error {
		done()
		if ctx.Err() == nil && try.Err() != nil && errors.Is(err, context.Canceled) {
			err = fmt.Errorf("no response within %s", limit)
		}
		if u, is := errors.AsType[*url.Error](err); is {
			err = u.Err // the rest is in the message below
		}
		return fmt.Errorf("client: %s %s: %w", p.method, p.path, err)
	}
	req, err := c.httpRequest(try, p)
	if err != nil {
		return nil, failed(&permanent{err})
	}
	if p.raw != nil {
		*p.raw = RawResponse{} // discard the response of an earlier attempt
	}
	resp, err := c.http.Do(req)
	if err != nil {
		out.read(http.Header{}, 0)
		return nil, failed(err)
	}
	out.read(resp.Header, resp.StatusCode)
	success := resp.StatusCode >= 200 && resp.StatusCode < 300
	if success && p.streaming {
		if !timer.Stop() {
			_ = resp.Body.Close()
			return nil, failed(context.Canceled)
		}
		return &openBody{resp.Body, cancel}, nil
	}
	defer func() { _ = resp.Body.Close() }()
	limitBytes := int64(maxResponse)
	if !success {
		limitBytes = maxErrorBody
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, limitBytes+1))
	if p.raw != nil {
		*p.raw = RawResponse{resp.StatusCode, resp.Header, body}
	}
	switch {
	case !success:
		done()
		return nil, refused(resp, body, c.retryAfter(resp.Header)) // the status is enough, even if the body is cut off
	case err != nil:
		return nil, failed(err)
	case int64(len(body)) > limitBytes:
		return nil, failed(&permanent{errors.New("the response is too large")})
	}
	done()
	return io.NopCloser(bytes.NewReader(body)), nil
}

// httpRequest builds the HTTP request for an attempt.
func (c *Client) httpRequest(ctx context.Context, p *prepared) (*http.Request, error) {
	var body io.Reader
	if p.payload != nil {
		body = bytes.NewReader(p.payload)
	}
	req, err := http.NewRequestWithContext(ctx, p.method, p.target, body)
	if err != nil {
		return nil, err
	}
	for name, values := range p.header {
		req.Header[name] = values
	}
	if c.key != "" {
		req.Header.Set("Authorization", "Bearer "+c.key)
	}
	req.Header.Set("User-Agent", c.agent)
	req.Header.Set("Accept", cmp.Or(p.accept, "application/json"))
	if p.payload != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if p.ifMatch != "" {
		req.Header.Set("If-Match", p.ifMatch)
	}
	if p.key != "" {
		req.Header.Set("Idempotency-Key", p.key)
	}
	return req, nil
}

// openBody cancels its request when it is closed.
type openBody struct {
	io.ReadCloser
	cancel context.CancelFunc
}

// Close closes the body and cancels the request.
func (b *openBody) Close() error {
	b.cancel()
	return b.ReadCloser.Close()
}

// permanent is an error that a retry cannot fix.
type permanent struct{ error }

func (p *permanent) Unwrap() error { return p.error }

// retryable reports whether a retry can succeed.
func retryable(err error) bool {
	if e, is := errors.AsType[*Error](err); is {
		switch e.StatusCode {
		case http.StatusTooManyRequests,
			http.StatusBadGateway,
			http.StatusServiceUnavailable,
			http.StatusGatewayTimeout:
			return true
		}
		return false
	}
	if _, is := errors.AsType[*permanent](err); is {
		return false
	}
	if _, is := errors.AsType[*tls.CertificateVerificationError](err); is {
		return false
	}
	return true
}

// hadNoEffect reports whether a failed attempt certainly had no effect.
func hadNoEffect(err error) bool {
	if e, is := errors.AsType[*Error](err); is {
		return e.StatusCode == http.StatusTooManyRequests
	}
	n, is := errors.AsType[*net.OpError](err)
	return is && n.Op == "dial"
}

// pause returns how long to wait after that many failed attempts. It is false if a retry would be
// later than MaxRetryAfter or the context's deadline: then the known error is more useful than a
// timeout.
func (c *Client) pause(ctx context.Context, failed int, err error) (time.Duration, bool) {
	backoff := min(firstBackoff<<min(failed-1, 10), maxBackoff)
	wait := backoff/2 + time.Duration(c.jitter()*float64(backoff/2))
	if e, is := errors.AsType[*Error](err); is && e.RetryAfter > 0 {
		if e.RetryAfter > MaxRetryAfter {
			return 0, false
		}
		// Spread clients that wait for the same second.
		wait = e.RetryAfter + time.Duration(c.jitter()*float64(firstBackoff))
	}
	if deadline, has := ctx.Deadline(); has && c.now().Add(wait).After(deadline) {
		return 0, false
	}
	return wait, true
}

// retryAfter parses the Retry-After header, a number of seconds or a date. It returns 0 if it is
// neither.
func (c *Client) retryAfter(h http.Header) time.Duration {
	text := h.Get("Retry-After")
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		return time.Duration(min(max(n, 0), int64(24*365*time.Hour/time.Second))) * time.Second
	}
	if at, err := http.ParseTime(text); err == nil {
		return max(0, at.Sub(c.now()))
	}
	return 0
}

// envelope is the body of a success.
type envelope[T any] struct {
	Success    bool         `json:"success"`
	Data       T            `json:"data"`
	Pagination Pagination   `json:"pagination"`
	Warnings   []FieldError `json:"warnings"`
}

func open[T any](body []byte) (envelope[T], error) {
	var e envelope[T]
	if err := json.Unmarshal(body, &e); err != nil {
		return e, fmt.Errorf("cannot decode the response: %w", err)
	}
	if !e.Success {
		return e, errors.New("this is not a response of Billet; check the address")
	}
	return e, nil
}

// one makes a call that returns one object.
func one[T any](ctx context.Context, c *Client, r request, options []CallOption) (*T, error) {
	var data *T
	err := c.do(ctx, r, options, func(body []byte) error {
		e, err := open[*T](body)
		if err == nil && e.Data == nil {
			err = errors.New("the response has no data")
		}
		data = e.Data
		return err
	})
	if err != nil {
		return nil, err
	}
	return data, nil
}
