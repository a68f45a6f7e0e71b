package upstream

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/billetcloud/billet/internal/provider"
	"golang.org/x/time/rate"
)

const (
	// maxResponse is how many bytes of a response are read.
	maxResponse = 16 << 20
	// maxErrorText is how many characters of an error's body are logged.
	maxErrorText = 500
	// readTries is how often a read is tried.
	readTries = 3
	// maxPause is the longest pause between two tries; after a longer one the next poll asks.
	maxPause = 5 * time.Second
	// defaultRetryAfter is the pause after a 429 that states none.
	defaultRetryAfter = 30 * time.Second
	// maxRetryAfter is the longest Retry-After that is believed.
	maxRetryAfter = time.Hour
)

// Config describes a cloud's API.
type Config struct {
	Account Account
	// BaseURL is the cloud's own, without a trailing slash. Paths of requests are appended to it.
	BaseURL string
	// Authorize puts the credential on a request.
	Authorize func(h http.Header, credential string)
	// Every and Burst are the request budget: one request each Every on average, at most Burst at
	// once.
	Every time.Duration
	Burst int
	// WriteEvery and WriteBurst are the budget of requests that change something, where the cloud
	// counts them separately. Where WriteEvery is 0, all requests share one budget.
	WriteEvery time.Duration
	WriteBurst int
	// Timeout is for one request; 20 s where it is 0.
	Timeout time.Duration
	// Explain reads the body of a request that the cloud refused. It may return nil. What it leaves
	// out of the error is taken from the status and the headers.
	Explain func(status int, body []byte) *provider.Error
}

// Client calls one API with one account. It is safe for concurrent use.
type Client struct {
	c      Config
	base   *url.URL
	http   *http.Client
	reads  *rate.Limiter
	writes *rate.Limiter // the same as reads where there is one budget

	mu     sync.Mutex
	paused time.Time // until then the cloud accepts no requests
}

// NewClient returns a Client. It fails where the base URL is invalid.
func NewClient(c Config) (*Client, error) {
	if c.Account.BaseURL != "" {
		c.BaseURL = c.Account.BaseURL
	}
	c.BaseURL = strings.TrimRight(c.BaseURL, "/")
	base, err := url.Parse(c.BaseURL)
	if err != nil || (base.Scheme != "https" && base.Scheme != "http") || base.Host == "" || base.User != nil {
		return nil, fmt.Errorf(
			"the base URL of %s must be http:// or https:// with a host, without credentials", c.Account.Slug,
		)
	}
	c.Account = c.Account.withDefaults()
	if c.Timeout == 0 {
		c.Timeout = 20 * time.Second
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConnsPerHost = 4
	transport.ResponseHeaderTimeout = c.Timeout
	reads := rate.NewLimiter(rate.Every(c.Every), max(c.Burst, 1))
	writes := reads
	if c.WriteEvery > 0 {
		writes = rate.NewLimiter(rate.Every(c.WriteEvery), max(c.WriteBurst, 1))
	}
	return &Client{
		c: c, base: base, reads: reads, writes: writes,
		http: &http.Client{Transport: transport, Timeout: c.Timeout, CheckRedirect: noRedirect},
	}, nil
}

func noRedirect(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// Request is one request to the API.
type Request struct {
	Method string
	// Path comes after the base URL. Ids in it are escaped already.
	Path  string
	Query url.Values
	// Header is added to our own; its Accept replaces ours, which is application/json.
	Header http.Header
	// Body is sent as JSON where it is not nil.
	Body any
	// Into receives the response where it is not nil. An empty response or null leaves it as it
	// was.
	Into any
	// OwnLimit means that the cloud counts requests of this kind separately: a 429 pauses no
	// others.
	OwnLimit bool
}

// Get reads the path into into.
func (c *Client) Get(ctx context.Context, path string, query url.Values, into any) error {
	return c.Do(ctx, Request{Method: http.MethodGet, Path: path, Query: query, Into: into})
}

// Do sends the request. Every error is a *provider.Error. A GET without a response is retried;
// anything else is sent once.
func (c *Client) Do(ctx context.Context, r Request) error {
	if err := provider.CheckOutsideTx(ctx); err != nil {
		return err
	}
	var content []byte
	if r.Body != nil {
		var err error
		if content, err = json.Marshal(r.Body); err != nil {
			return &provider.Error{Kind: provider.KindRejected, Cause: fmt.Errorf("encode the request: %w", err)}
		}
	}
	tries := 1
	if r.Method == http.MethodGet {
		tries = readTries
	}
	for try := 1; ; try++ {
		err := c.send(ctx, r, content)
		if err == nil || try == tries || ctx.Err() != nil {
			return err
		}
		e, is := errors.AsType[*provider.Error](err)
		if !is || (e.Kind != provider.KindUnavailable && e.Kind != provider.KindThrottled) {
			return err
		}
		pause := max(e.RetryAfter, time.Duration(1+rand.Int64N(int64(500*time.Millisecond)<<(try-1))))
		if pause > maxPause {
			return err
		}
		c.c.Account.Log.DebugContext(ctx, "retrying a read",
			"provider", c.c.Account.Slug, "path", r.Path, "error", err)
		if c.c.Account.Sleep(ctx, pause) != nil {
			return err
		}
	}
}

// wait keeps to the request budget.
func (c *Client) wait(ctx context.Context, method string) error {
	budget := c.writes
	if method == http.MethodGet {
		budget = c.reads
	}
	now := c.c.Account.Now()
	c.mu.Lock()
	pause := c.paused.Sub(now)
	c.mu.Unlock()
	if pause <= 0 {
		reservation := budget.ReserveN(now, 1)
		pause = reservation.DelayFrom(now)
		if deadline, has := ctx.Deadline(); has && pause > time.Until(deadline) {
			reservation.CancelAt(now)
			return throttled(pause, "our own request budget is used up")
		}
	} else if deadline, has := ctx.Deadline(); pause > maxPause || (has && pause > time.Until(deadline)) {
		return throttled(pause, "the cloud asked for a pause")
	}
	if pause > 0 {
		if err := c.c.Account.Sleep(ctx, pause); err != nil {
			return Unavailable("%w", err)
		}
	}
	if err := ctx.Err(); err != nil {
		return Unavailable("%w", err)
	}
	return nil
}

func throttled(retryAfter time.Duration, why string) error {
	return &provider.Error{Kind: provider.KindThrottled, RetryAfter: retryAfter, Cause: errors.New(why)}
}

func (c *Client) send(ctx context.Context, r Request, content []byte) error {
	if err := c.wait(ctx, r.Method); err != nil {
		return err
	}
	target, err := url.Parse(c.c.BaseURL + r.Path)
	if err != nil || target.Host != c.base.Host {
		return &provider.Error{Kind: provider.KindRejected, Cause: errors.New("the path leads to another host")}
	}
	target.RawQuery = r.Query.Encode()
	request, err := http.NewRequestWithContext(ctx, r.Method, target.String(), bytes.NewReader(content))
	if err != nil {
		return &provider.Error{Kind: provider.KindRejected, Cause: err}
	}
	request.Header.Set("Accept", "application/json")
	for name, values := range r.Header {
		request.Header[name] = values
	}
	request.Header.Set("User-Agent", "Billet/"+c.c.Account.Version+" (+https://github.com/billetcloud/billet)")
	if content != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	c.c.Authorize(request.Header, c.c.Account.Credential)
	response, err := c.http.Do(request)
	if err != nil {
		return Unavailable("%w", withoutURL(err))
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxResponse+1))
	if response.StatusCode/100 != 2 {
		return c.refusal(r, response, body)
	}
	if err == nil && len(body) > maxResponse {
		err = fmt.Errorf("the response is larger than %d bytes", maxResponse)
	}
	if err != nil {
		return Unavailable("%w", withoutURL(err))
	}
	return c.decode(r, bytes.TrimSpace(body))
}

// decode reads the body of a success into r.Into.
func (c *Client) decode(r Request, body []byte) error {
	// A page comes from a proxy in front of the API. What became of the request is unknown, even
	// where its response is not read.
	if bytes.HasPrefix(body, []byte("<")) {
		return Unavailable("%s %s: an HTML page instead of a response", r.Method, r.Path)
	}
	if r.Into == nil || len(body) == 0 || string(body) == "null" {
		return nil
	}
	if err := json.Unmarshal(body, r.Into); err != nil {
		return Unavailable("%s %s: malformed response: %w", r.Method, r.Path, err)
	}
	if c.c.Account.Unknown == nil {
		return nil
	}
	strict := json.NewDecoder(bytes.NewReader(body))
	strict.DisallowUnknownFields()
	if err := strict.Decode(reflect.New(reflect.TypeOf(r.Into).Elem()).Interface()); err != nil {
		c.c.Account.Unknown(fmt.Sprintf("%s %s: %s", r.Method, r.Path, strings.TrimPrefix(err.Error(), "json: ")))
	}
	return nil
}

// refusal returns the error of a response that is no success.
func (c *Client) refusal(r Request, response *http.Response, body []byte) *provider.Error {
	now, status := c.c.Account.Now(), response.StatusCode
	e := &provider.Error{}
	if c.c.Explain != nil {
		if explained := c.c.Explain(status, body); explained != nil {
			*e = *explained
		}
	}
	if e.Kind == "" {
		e.Kind = kindOf(status)
	}
	if e.RetryAfter == 0 {
		e.RetryAfter = retryAfter(response.Header.Get("Retry-After"), now)
	}
	e.RetryAfter = min(e.RetryAfter, maxRetryAfter)
	if e.Kind == provider.KindThrottled {
		if e.RetryAfter <= 0 {
			e.RetryAfter = defaultRetryAfter
		}
		c.mu.Lock()
		if until := now.Add(e.RetryAfter); !r.OwnLimit && until.After(c.paused) {
			c.paused = until
		}
		c.mu.Unlock()
	}
	text := strings.TrimSpace(c.redact(string(body))) // before it is cut: part of a credential is a leak, too
	e.Cause = fmt.Errorf("%s %s: %d: %s", r.Method, r.Path, status, provider.Plain(text, maxErrorText))
	return e
}

// redact removes the credential from what a cloud echoes. An echo of a private key is removed as a
// whole.
func (c *Client) redact(text string) string {
	if strings.Contains(text, "PRIVATE KEY") {
		return "(a response that repeats a private key is not shown)"
	}
	if c.c.Account.Credential == "" {
		return text
	}
	return strings.ReplaceAll(text, c.c.Account.Credential, "(credential)")
}

func kindOf(status int) provider.Kind {
	switch status {
	case http.StatusUnauthorized, http.StatusForbidden:
		return provider.KindCredentials
	case http.StatusPaymentRequired:
		return provider.KindQuota
	case http.StatusNotFound, http.StatusGone:
		return provider.KindNotFound
	case http.StatusTooManyRequests:
		return provider.KindThrottled
	case http.StatusRequestTimeout, http.StatusTooEarly:
		return provider.KindUnavailable
	case http.StatusMethodNotAllowed, http.StatusNotImplemented:
		return provider.KindUnsupported
	}
	if status/100 == 4 {
		return provider.KindRejected
	}
	return provider.KindUnavailable // also a redirect: the outcome is unknown
}

// retryAfter parses a number of seconds or a date.
func retryAfter(text string, now time.Time) time.Duration {
	if seconds, err := strconv.ParseInt(text, 10, 32); err == nil && seconds > 0 {
		return time.Duration(seconds) * time.Second
	}
	if at, err := http.ParseTime(text); err == nil && at.After(now) {
		return at.Sub(now)
	}
	return 0
}

// withoutURL drops the URL from an error.
func withoutURL(err error) error {
	if e, is := errors.AsType[*url.Error](err); is {
		return e.Err
	}
	return err
}
