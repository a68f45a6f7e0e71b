package client

import (
	"bytes"
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
	"strconv"
	"strings"
	"time"
)

const (
	firstBackoff = 500 * time.Millisecond
	maxBackoff   = 30 * time.Second
	// maxAnswer is the largest answer that is read into memory; the largest page is far below it.
	maxAnswer = 32 << 20
	// maxRefusal is how much is read of an answer that is no success.
	maxRefusal = 1 << 20
)

// request is one call.
type request struct {
	method string
	// path is below the base.
	path  string
	query url.Values
	// at is the whole address, where it is not the path below the base.
	at string
	// body is sent as JSON; nil for none. exact is sent as it is instead.
	body  any
	exact []byte
	// accept is the media type; empty for JSON.
	accept string
	header http.Header
	// wait is how long the server may take on purpose.
	wait time.Duration
	// endless is an answer that is read for longer than a try may take: the limit is for its beginning only.
	endless bool
	// goneIsDone makes NOT_FOUND a success, where an earlier try may have deleted it.
	goneIsDone bool
	// id is what stands in the path, with its field's name, to be checked before anything is sent.
	id, field string
	// raw is told the answer as it is, a refusal too; nil for nobody.
	raw *RawAnswer
}

// prepared is a request that can be sent several times.
type prepared struct {
	request
	url  string
	sent []byte
	key  string
}

func (c *Client) prepare(r request, o callOptions) (*prepared, error) {
	if r.field != "" {
		if err := checkID(r.field, r.id); err != nil {
			return nil, err
		}
	}
	p := &prepared{request: r, url: c.base + r.path, sent: r.exact}
	if r.at != "" {
		p.url = r.at
	}
	if len(r.query) > 0 {
		p.url += "?" + r.query.Encode()
	}
	if r.body != nil {
		var err error
		if p.sent, err = json.Marshal(r.body); err != nil {
			return nil, fmt.Errorf("client: %s %s: %w", r.method, r.path, err)
		}
	}
	if p.key = o.key; r.method == http.MethodGet || r.method == http.MethodHead {
		p.key = ""
	} else {
		if p.key == "" && r.method == http.MethodPost { // the others have the same effect when they are repeated
			p.key = rand.Text()
		} else if len(p.key) > 255 || strings.ContainsFunc(p.key, func(r rune) bool { return r <= ' ' || r > '~' }) {
			return nil, invalid("header.Idempotency-Key", "must have 1 to 255 visible ASCII characters.")
		}
	}
	return p, nil
}

// checkID refuses what would change the path: an empty id would ask for the list, and ".." for something else.
func checkID(field, id string) *Error {
	if id == "" || len(id) > 100 || strings.ContainsFunc(id, func(r rune) bool {
		return r != '_' && r != '-' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
	}) {
		return invalid(field, "%q is no id.", id)
	}
	return nil
}

// do makes a call with its retries and gives the answer's body to take, whose error is final.
func (c *Client) do(ctx context.Context, r request, options []CallOption, take func([]byte) error) error {
	body, err := c.answer(ctx, r, options)
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

// answer makes a call with its retries. Unless the request is endless, its body is in memory. A nil body without an error is what was deleted already.
func (c *Client) answer(ctx context.Context, r request, options []CallOption) (io.ReadCloser, error) {
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
	unknown := false // whether an earlier try may have had its effect
	for {
		out.Attempts++
		body, err := c.once(ctx, p, &out)
		switch {
		case err == nil:
			return body, nil
		case r.goneIsDone && unknown && errors.Is(err, ErrNotFound):
			return nil, nil
		case ctx.Err() != nil:
			return nil, ended(ctx, r, last)
		}
		if last = err; out.Attempts > c.maxRetries || !passes(err) {
			return nil, err
		}
		unknown = unknown || !harmless(err)
		wait, worthwhile := c.pause(ctx, out.Attempts, err)
		if !worthwhile {
			return nil, err
		}
		c.onRetry(Retry{Method: r.method, Path: r.path, Attempt: out.Attempts, Wait: wait, Err: err})
		if c.sleep(ctx, wait) != nil {
			return nil, ended(ctx, r, last)
		}
	}
}

// ended is the error of a call whose context has ended.
func ended(ctx context.Context, r request, last error) error {
	err := ctx.Err()
	if err == nil { // a Sleep of the Config may end by itself
		err = context.Canceled
	}
	if last != nil {
		return fmt.Errorf("client: %s %s: %w; the try before it: %w", r.method, r.path, err, last)
	}
	return fmt.Errorf("client: %s %s: %w", r.method, r.path, err)
}

// once tries a call one time.
func (c *Client) once(ctx context.Context, p *prepared, out *Response) (io.ReadCloser, error) {
	limit := c.timeout + p.wait
	try, cancel := context.WithCancel(ctx)
	timer := time.AfterFunc(limit, cancel)
	failed := func(err error) error {
		timer.Stop()
		cancel()
		if ctx.Err() == nil && try.Err() != nil && errors.Is(err, context.Canceled) {
			err = fmt.Errorf("no answer within %s", limit)
		}
		if u := (*url.Error)(nil); errors.As(err, &u) {
			err = u.Err // the rest of it is said already
		}
		return fmt.Errorf("client: %s %s: %w", p.method, p.path, err)
	}
	var sent io.Reader
	if p.sent != nil {
		sent = bytes.NewReader(p.sent)
	}
	req, err := http.NewRequestWithContext(try, p.method, p.url, sent)
	if err != nil {
		return nil, failed(&permanent{err})
	}
	for name, values := range p.header {
		req.Header[name] = values
	}
	if c.key != "" {
		req.Header.Set("Authorization", "Bearer "+c.key)
	}
	req.Header.Set("User-Agent", c.agent)
	req.Header.Set("Accept", "application/json")
	if p.accept != "" {
		req.Header.Set("Accept", p.accept)
	}
	if p.sent != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if p.key != "" {
		req.Header.Set("Idempotency-Key", p.key)
	}
	if p.raw != nil {
		*p.raw = RawAnswer{} // what an earlier try got is over
	}
	resp, err := c.http.Do(req)
	if err != nil {
		out.read(http.Header{}, 0)
		return nil, failed(err)
	}
	out.read(resp.Header, resp.StatusCode)
	success := resp.StatusCode >= 200 && resp.StatusCode < 300
	if success && p.endless {
		if !timer.Stop() {
			_ = resp.Body.Close()
			return nil, failed(context.Canceled)
		}
		return &openBody{resp.Body, cancel}, nil
	}
	defer func() { _ = resp.Body.Close() }()
	most := int64(maxAnswer)
	if !success {
		most = maxRefusal
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, most+1))
	if p.raw != nil {
		*p.raw = RawAnswer{resp.StatusCode, resp.Header, body}
	}
	switch {
	case !success:
		timer.Stop()
		cancel()
		return nil, refused(resp, body, c.retryAfter(resp.Header)) // the status says what happened, however little of the rest arrived
	case err != nil:
		return nil, failed(err)
	case int64(len(body)) > most:
		return nil, failed(&permanent{errors.New("the answer is too large")})
	}
	timer.Stop()
	cancel()
	return io.NopCloser(bytes.NewReader(body)), nil
}

// openBody ends its request when it is closed.
type openBody struct {
	io.ReadCloser
	cancel context.CancelFunc
}

// Close closes the body.
func (b *openBody) Close() error {
	b.cancel()
	return b.ReadCloser.Close()
}

// permanent is a failure that no other try mends.
type permanent struct{ error }

func (p *permanent) Unwrap() error { return p.error }

// passes tells whether a failure may pass by itself.
func passes(err error) bool {
	if e := (*Error)(nil); errors.As(err, &e) {
		switch e.StatusCode {
		case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
			return true
		}
		return false
	}
	if p := (*permanent)(nil); errors.As(err, &p) {
		return false
	}
	if c := (*tls.CertificateVerificationError)(nil); errors.As(err, &c) {
		return false
	}
	return true
}

// harmless tells whether a try that failed had no effect for certain.
func harmless(err error) bool {
	if e := (*Error)(nil); errors.As(err, &e) {
		return e.StatusCode == http.StatusTooManyRequests
	}
	n := (*net.OpError)(nil)
	return errors.As(err, &n) && n.Op == "dial"
}

// pause is how long to wait after that many failed tries, and whether to wait at all: not for longer than MaxRetryAfter, nor beyond the
// context's deadline, since the error that is known is worth more than one that says that the time is over.
func (c *Client) pause(ctx context.Context, failed int, err error) (time.Duration, bool) {
	backoff := min(firstBackoff<<min(failed-1, 10), maxBackoff)
	wait := backoff/2 + time.Duration(c.jitter()*float64(backoff/2))
	if e := (*Error)(nil); errors.As(err, &e) && e.RetryAfter > 0 {
		if e.RetryAfter > MaxRetryAfter {
			return 0, false
		}
		// A little later, so that many who wait for the same second do not come in the same instant.
		wait = e.RetryAfter + time.Duration(c.jitter()*float64(firstBackoff))
	}
	if deadline, has := ctx.Deadline(); has && c.now().Add(wait).After(deadline) {
		return 0, false
	}
	return wait, true
}

// retryAfter reads the header Retry-After, which is a number of seconds or a date; 0 where it is neither.
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

// envelope is every success.
type envelope[T any] struct {
	Success    bool       `json:"success"`
	Data       T          `json:"data"`
	Pagination Pagination `json:"pagination"`
}

func open[T any](body []byte) (envelope[T], error) {
	var e envelope[T]
	if err := json.Unmarshal(body, &e); err != nil {
		return e, fmt.Errorf("the answer cannot be read: %w", err)
	}
	if !e.Success {
		return e, errors.New("the answer is not as Billet answers; is the address right?")
	}
	return e, nil
}

// one makes a call whose answer is one object.
func one[T any](ctx context.Context, c *Client, r request, options []CallOption) (*T, error) {
	var data *T
	err := c.do(ctx, r, options, func(body []byte) error {
		e, err := open[*T](body)
		if err == nil && e.Data == nil {
			err = errors.New("the answer has no data")
		}
		data = e.Data
		return err
	})
	if err != nil {
		return nil, err
	}
	return data, nil
}
