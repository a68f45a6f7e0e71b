package upstream

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
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
	// maxAnswer is the most bytes of an answer that are read.
	maxAnswer = 16 << 20
	// maxComplaint is the most characters of an error's body that go to the log.
	maxComplaint = 500
	// readTries is how often a question that changes nothing is put.
	readTries = 3
	// patience is the longest pause between two tries; a cloud that wants more is asked by the next look.
	patience = 5 * time.Second
	// unsaid is the pause after a 429 that names none.
	unsaid = 30 * time.Second
	// longestPause is the longest that a cloud's Retry-After is believed.
	longestPause = time.Hour
)

// Account is an account at an upstream cloud, as the operator has set it up.
type Account struct {
	// Slug is the provider's in our API, Name what people read.
	Slug, Name string
	// BaseURL is where the API is; "" for the cloud's own.
	BaseURL string
	// Credential is the secret.
	Credential string
	// Settings are the adapter's own, by name: a team, a project.
	Settings map[string]string
	// Exclude are slugs of regions that are not sold; one that ends in * stands for all that begin so.
	Exclude []string
	// PrivateAddresses lets machines have addresses that are not on the Internet.
	PrivateAddresses bool
	// Version is Billet's, for the User-Agent.
	Version string
	Log     *slog.Logger
	// Unknown is told of fields in answers that the adapter does not know; nil where nobody wants to hear of them.
	Unknown func(what string)
	// Now and Sleep are of the time in which the cloud lives; those of the system where they are nil.
	Now   func() time.Time
	Sleep func(ctx context.Context, d time.Duration) error
}

// Config is what an adapter says of its cloud's API.
type Config struct {
	Account Account
	// BaseURL is the cloud's own, without a slash at the end. Paths of calls are appended to it.
	BaseURL string
	// Authorize puts the credential on a request.
	Authorize func(h http.Header, credential string)
	// Every and Burst are the request budget: one request each Every on average, at most Burst at once.
	Every time.Duration
	Burst int
	// WriteEvery and WriteBurst are the budget of requests that change something, where the cloud counts them apart; else WriteEvery is 0,
	// and all share one budget.
	WriteEvery time.Duration
	WriteBurst int
	// Timeout is for one request; 20 s where it is 0.
	Timeout time.Duration
	// Explain reads what the cloud says about a request that it did not carry out. It may return nil to leave it to the status.
	// What it does not fill in of the error is taken from the status and the headers.
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
	paused time.Time // until then the cloud wants no requests
}

// NewClient returns a Client. It fails where the base URL is none.
func NewClient(c Config) (*Client, error) {
	if c.Account.BaseURL != "" {
		c.BaseURL = c.Account.BaseURL
	}
	c.BaseURL = strings.TrimRight(c.BaseURL, "/")
	base, err := url.Parse(c.BaseURL)
	if err != nil || (base.Scheme != "https" && base.Scheme != "http") || base.Host == "" || base.User != nil {
		return nil, fmt.Errorf("the base URL of %s must be http:// or https:// with a host, without credentials", c.Account.Slug)
	}
	if c.Account.Now == nil {
		c.Account.Now = time.Now
	}
	if c.Account.Sleep == nil {
		c.Account.Sleep = sleep
	}
	if c.Account.Log == nil {
		c.Account.Log = slog.New(slog.DiscardHandler)
	}
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
		http: &http.Client{Transport: transport, Timeout: c.Timeout, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }},
	}, nil
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// Request is one call of the API.
type Request struct {
	Method string
	// Path comes after the base URL; what an id puts into it is escaped already.
	Path  string
	Query url.Values
	// Header goes beside our own; an Accept of its own replaces ours, which is application/json.
	Header http.Header
	// Body goes as JSON where it is not nil.
	Body any
	// Into is filled with the answer where it is not nil; an empty answer or null leaves it as it was.
	Into any
	// Alone tells that the cloud counts requests of this sort apart: a 429 to it holds up no others.
	Alone bool
}

// Get asks, and fills into with the answer.
func (c *Client) Get(ctx context.Context, path string, query url.Values, into any) error {
	return c.Do(ctx, Request{Method: http.MethodGet, Path: path, Query: query, Into: into})
}

// Do sends the request. Every error is a *provider.Error. A GET is tried again where no answer comes; anything else is sent once.
func (c *Client) Do(ctx context.Context, r Request) error {
	if err := provider.CheckOutsideTx(ctx); err != nil {
		return err
	}
	var content []byte
	if r.Body != nil {
		var err error
		if content, err = json.Marshal(r.Body); err != nil {
			return &provider.Error{Kind: provider.KindRejected, Cause: fmt.Errorf("write the request: %w", err)}
		}
	}
	tries := 1
	if r.Method == http.MethodGet {
		tries = readTries
	}
	for try := 1; ; try++ {
		err := c.once(ctx, r, content)
		if err == nil || try == tries || ctx.Err() != nil {
			return err
		}
		var said *provider.Error
		if !errors.As(err, &said) || (said.Kind != provider.KindUnavailable && said.Kind != provider.KindThrottled) {
			return err
		}
		pause := max(said.RetryAfter, time.Duration(1+rand.Int64N(int64(500*time.Millisecond)<<(try-1))))
		if pause > patience {
			return err
		}
		c.c.Account.Log.DebugContext(ctx, "an upstream did not answer; it is asked again", "provider", c.c.Account.Slug, "path", r.Path, "error", err)
		if c.c.Account.Sleep(ctx, pause) != nil {
			return err
		}
	}
}

// wait keeps to the budget.
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
		place := budget.ReserveN(now, 1)
		pause = place.DelayFrom(now)
		if deadline, has := ctx.Deadline(); has && pause > time.Until(deadline) {
			place.CancelAt(now)
			return &provider.Error{Kind: provider.KindThrottled, RetryAfter: pause, Cause: errors.New("our own request budget is used up")}
		}
	} else if deadline, has := ctx.Deadline(); pause > patience || (has && pause > time.Until(deadline)) {
		return &provider.Error{Kind: provider.KindThrottled, RetryAfter: pause, Cause: errors.New("the upstream wants no requests for a while")}
	}
	if pause > 0 {
		if err := c.c.Account.Sleep(ctx, pause); err != nil {
			return unavailable(err)
		}
	}
	if err := ctx.Err(); err != nil {
		return unavailable(err)
	}
	return nil
}

func (c *Client) once(ctx context.Context, r Request, content []byte) error {
	if err := c.wait(ctx, r.Method); err != nil {
		return err
	}
	target, err := url.Parse(c.c.BaseURL + r.Path)
	if err != nil || target.Host != c.base.Host {
		return &provider.Error{Kind: provider.KindRejected, Cause: errors.New("a path that leads elsewhere")}
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
	answer, err := c.http.Do(request)
	if err != nil {
		return unavailable(scrub(err))
	}
	defer func() { _ = answer.Body.Close() }()
	said, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer+1))
	if answer.StatusCode/100 != 2 {
		return c.refusal(r, answer, said)
	}
	if err == nil && len(said) > maxAnswer {
		err = fmt.Errorf("the answer is larger than %d bytes", maxAnswer)
	}
	if err != nil {
		return unavailable(scrub(err))
	}
	said = bytes.TrimSpace(said)
	if bytes.HasPrefix(said, []byte("<")) { // a page of what stands before the API: nobody knows what became of the request, whether we read answers to it or not
		return unavailable(fmt.Errorf("%s %s: a page instead of an answer", r.Method, r.Path))
	}
	if r.Into == nil || len(said) == 0 || string(said) == "null" {
		return nil
	}
	if err := json.Unmarshal(said, r.Into); err != nil {
		return unavailable(fmt.Errorf("%s %s: an answer that cannot be understood: %w", r.Method, r.Path, err))
	}
	if c.c.Account.Unknown != nil {
		strict := json.NewDecoder(bytes.NewReader(said))
		strict.DisallowUnknownFields()
		if err := strict.Decode(reflect.New(reflect.TypeOf(r.Into).Elem()).Interface()); err != nil {
			c.c.Account.Unknown(fmt.Sprintf("%s %s: %s", r.Method, r.Path, strings.TrimPrefix(err.Error(), "json: ")))
		}
	}
	return nil
}

// refusal is what an answer that is no success means.
func (c *Client) refusal(r Request, answer *http.Response, body []byte) *provider.Error {
	now, status := c.c.Account.Now(), answer.StatusCode
	e := &provider.Error{}
	if c.c.Explain != nil {
		if said := c.c.Explain(status, body); said != nil {
			*e = *said
		}
	}
	if e.Kind == "" {
		e.Kind = kindOf(status)
	}
	if e.RetryAfter == 0 {
		e.RetryAfter = retryAfter(answer.Header.Get("Retry-After"), now)
	}
	e.RetryAfter = min(e.RetryAfter, longestPause)
	if e.Kind == provider.KindThrottled {
		if e.RetryAfter <= 0 {
			e.RetryAfter = unsaid
		}
		c.mu.Lock()
		if until := now.Add(e.RetryAfter); !r.Alone && until.After(c.paused) {
			c.paused = until
		}
		c.mu.Unlock()
	}
	text := strings.TrimSpace(c.hide(string(body))) // before it is cut: a part of the credential is too much
	e.Cause = fmt.Errorf("%s %s: %d: %s", r.Method, r.Path, status, provider.Plain(text, maxComplaint))
	return e
}

// hide takes the credential out of what a cloud echoes, and all of an echo of a request that held a
// private key.
func (c *Client) hide(text string) string {
	if strings.Contains(text, "PRIVATE KEY") {
		return "(an answer that repeats a private key is not shown)"
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
	return provider.KindUnavailable // a redirect too: nobody said what came of the request
}

// retryAfter reads seconds or a date.
func retryAfter(text string, now time.Time) time.Duration {
	if seconds, err := strconv.ParseInt(text, 10, 32); err == nil && seconds > 0 {
		return time.Duration(seconds) * time.Second
	}
	if at, err := http.ParseTime(text); err == nil && at.After(now) {
		return at.Sub(now)
	}
	return 0
}

// scrub leaves the URL out: what went wrong is worth a line, and where to is known.
func scrub(err error) error {
	if e := (*url.Error)(nil); errors.As(err, &e) {
		return e.Err
	}
	return err
}
