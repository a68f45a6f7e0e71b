package client

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"
)

// Version is the client's own, as its User-Agent says it.
const Version = "0.1"

// DefaultPath is where the API is below a host.
const DefaultPath = "/api/v1/inventory"

// The limits that hold where Config says nothing else.
const (
	// DefaultMaxRetries is how often a call is tried again.
	DefaultMaxRetries = 4
	// DefaultTimeout is how long one try may take.
	DefaultTimeout = 60 * time.Second
	// MaxRetryAfter is the longest Retry-After that is waited for. Where a server asks for more, its error is returned at once.
	MaxRetryAfter = 2 * time.Minute
)

// Config is what a Client needs. BaseURL and APIKey are required.
type Config struct {
	// BaseURL is the server, such as https://billet.example or http://127.0.0.1:8080. Without a path DefaultPath is added; a path
	// that is given is the whole one. Plain http shows the key to whoever is between: use it for your own machine only.
	BaseURL string
	// APIKey is a key of the account, pk_live_….
	APIKey string
	// HTTPClient makes the requests; nil for one of our own. It is copied, and the copy follows no redirects.
	HTTPClient *http.Client
	// UserAgent is put before the client's own; empty for none.
	UserAgent string
	// Timeout is how long one try may take, beside the time that a long poll waits on purpose; 0 for DefaultTimeout.
	Timeout time.Duration
	// MaxRetries is how often a call is tried again after the first time; 0 for DefaultMaxRetries, negative for never.
	MaxRetries int
	// OnRetry is called before each wait for another try; nil for nobody. It must not block.
	OnRetry func(Retry)
	// Now tells the time; nil for time.Now.
	Now func() time.Time
	// Sleep waits so long, or until the context ends, whose error it returns then; nil for a real wait. Tests give one that does not wait.
	Sleep func(context.Context, time.Duration) error
}

// Retry is what OnRetry is told.
type Retry struct {
	// Method and Path are of the request; the path has no host and no query.
	Method, Path string
	// Attempt is how many tries have failed, from 1.
	Attempt int
	// Wait is how long is waited before the next one.
	Wait time.Duration
	// Err is why the last one failed.
	Err error
}

// ConfigFromEnv returns a Config with BILLET_URL and BILLET_API_KEY of the environment, without spaces around them. What is not set stays empty, and New
// says so.
func ConfigFromEnv() Config {
	return Config{BaseURL: strings.TrimSpace(os.Getenv("BILLET_URL")), APIKey: strings.TrimSpace(os.Getenv("BILLET_API_KEY"))}
}

// String names the server, and never the key.
func (c Config) String() string { return "client.Config(" + c.BaseURL + ")" }

// GoString is String.
func (c Config) GoString() string { return c.String() }

// Client makes calls for one API key. It is safe for concurrent use, and keeps connections: make one, and share it.
type Client struct {
	// Deployments are the machines of the account.
	Deployments *DeploymentService
	// Offers are what can be deployed.
	Offers *OfferService
	// Providers, Regions and GPUTypes sum the offers up.
	Providers *ProviderService
	Regions   *RegionService
	GPUTypes  *GPUTypeService
	// Quotes fix an offer's price for a while.
	Quotes *QuoteService
	// SSHKeys are saved public keys.
	SSHKeys *SSHKeyService
	// Volumes are storage that outlives machines.
	Volumes *VolumeService
	// Wallet is the account's money.
	Wallet *WalletService
	// Events are what happened in the account.
	Events *EventService
	// Webhooks are addresses to which events are sent.
	Webhooks *WebhookService
	// Key is the API key itself.
	Key *KeyService

	base       string
	key        string
	agent      string
	http       *http.Client
	timeout    time.Duration
	maxRetries int
	onRetry    func(Retry)
	now        func() time.Time
	sleep      func(context.Context, time.Duration) error
	jitter     func() float64
	streamIdle time.Duration
}

// New returns a Client. It makes no request; the error says what is wrong in the Config.
func New(config Config) (*Client, error) {
	base, err := baseOf(config.BaseURL)
	if err != nil {
		return nil, err
	}
	if config.APIKey == "" {
		return nil, errors.New("client: the API key is missing; set Config.APIKey or BILLET_API_KEY")
	}
	if strings.ContainsFunc(config.APIKey, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return nil, errors.New("client: the API key has a space or another character that no key has")
	}
	return config.client(base), nil
}

// client makes a Client of a Config that was checked; without a key one for what needs none.
func (config Config) client(base string) *Client {
	c := &Client{
		base: base, key: config.APIKey, agent: strings.TrimSpace(config.UserAgent + " billet-go/" + Version),
		timeout: config.Timeout, maxRetries: config.MaxRetries, onRetry: config.OnRetry, now: config.Now, sleep: config.Sleep,
		jitter: rand.Float64, streamIdle: streamIdle,
	}
	if c.timeout <= 0 {
		c.timeout = DefaultTimeout
	}
	switch {
	case c.maxRetries == 0:
		c.maxRetries = DefaultMaxRetries
	case c.maxRetries < 0:
		c.maxRetries = 0
	}
	if c.onRetry == nil {
		c.onRetry = func(Retry) {}
	}
	if c.now == nil {
		c.now = time.Now
	}
	if c.sleep == nil {
		c.sleep = sleep
	}
	c.http = &http.Client{}
	if config.HTTPClient != nil {
		own := *config.HTTPClient
		c.http = &own
	}
	c.http.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

	c.Deployments, c.Offers, c.Quotes = &DeploymentService{c}, &OfferService{c}, &QuoteService{c}
	c.Providers, c.Regions, c.GPUTypes = &ProviderService{c}, &RegionService{c}, &GPUTypeService{c}
	c.SSHKeys, c.Volumes, c.Wallet = &SSHKeyService{c}, &VolumeService{c}, &WalletService{c}
	c.Events, c.Webhooks = &EventService{c}, &WebhookService{c}
	c.Key = &KeyService{c}
	return c
}

func baseOf(text string) (string, error) {
	if text == "" {
		return "", errors.New("client: the server's address is missing; set Config.BaseURL or BILLET_URL")
	}
	u, err := url.Parse(text)
	// The text is not shown: it may hold a password.
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return "", errors.New("client: the server's address must be like https://billet.example, without a user, a query or a fragment")
	}
	if u.Path = strings.TrimRight(u.Path, "/"); u.Path == "" {
		u.Path = DefaultPath
	}
	u.RawPath = ""
	return u.String(), nil
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// String names the server, and never the key.
func (c *Client) String() string { return fmt.Sprintf("client.Client(%s)", c.base) }

// GoString is String.
func (c *Client) GoString() string { return c.String() }

// Index is what the API's root says of itself.
type Index struct {
	// Name and Version are the server's.
	Name    string `json:"name"`
	Version string `json:"version"`
	// Documentation and OpenAPI are paths of pages about the API.
	Documentation string `json:"documentation"`
	OpenAPI       string `json:"openapi"`
	// Collections are the paths of the API's lists.
	Collections []string `json:"collections"`
}

// Index asks the server for its name and version. The server answers it without looking at the key.
func (c *Client) Index(ctx context.Context, options ...CallOption) (*Index, error) {
	return one[Index](ctx, c, request{method: http.MethodGet}, options)
}
