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

// Version is the version of this package in the User-Agent header.
const Version = "0.1"

// DefaultPath is the path of the API on a server.
const DefaultPath = "/api/v1/inventory"

// The default limits.
const (
	// DefaultMaxRetries is the maximum number of retries of a call.
	DefaultMaxRetries = 4
	// DefaultTimeout limits each attempt.
	DefaultTimeout = 60 * time.Second
	// MaxRetryAfter is the longest Retry-After that a call waits for. If the server requests more,
	// its error is returned at once.
	MaxRetryAfter = 2 * time.Minute
)

// Config configures a Client. BaseURL and APIKey are required.
type Config struct {
	// BaseURL is the server, such as https://billet.example or http://127.0.0.1:8080. DefaultPath
	// is added if it has no path. Plain http sends the API key unencrypted: use it only on the
	// local machine.
	BaseURL string
	// APIKey is an API key of the account, pk_live_….
	APIKey string
	// HTTPClient sends the requests; nil means a new one. It is copied, and the copy does not
	// follow redirects.
	HTTPClient *http.Client
	// UserAgent is added before the client's own User-Agent; "" means none.
	UserAgent string
	// Timeout limits each attempt, in addition to the time that a long poll waits; 0 means
	// DefaultTimeout.
	Timeout time.Duration
	// MaxRetries is the maximum number of retries; 0 means DefaultMaxRetries, negative means none.
	MaxRetries int
	// OnRetry is called before each wait for a retry, if it is not nil. It must not block.
	OnRetry func(Retry)
	// Now returns the current time; nil means time.Now.
	Now func() time.Time
	// Sleep waits for the duration, or until the context ends, and then returns its error; nil
	// means a real wait. Tests can replace it.
	Sleep func(context.Context, time.Duration) error
}

// Retry describes a retry.
type Retry struct {
	// Method and Path identify the request. The path has neither host nor query.
	Method, Path string
	// Attempt is the number of failed attempts, from 1.
	Attempt int
	// Wait is the time until the next attempt.
	Wait time.Duration
	// Err is the error of the last attempt.
	Err error
}

// ConfigFromEnv returns a Config with BILLET_URL and BILLET_API_KEY from the environment, without
// surrounding spaces. A missing variable leaves its field empty, which New reports.
func ConfigFromEnv() Config {
	return Config{
		BaseURL: strings.TrimSpace(os.Getenv("BILLET_URL")), APIKey: strings.TrimSpace(os.Getenv("BILLET_API_KEY")),
	}
}

// String returns the server, never the key.
func (c Config) String() string { return "client.Config(" + c.BaseURL + ")" }

// GoString returns the same as String.
func (c Config) GoString() string { return c.String() }

// Client makes calls with one API key. It is safe for concurrent use and reuses connections: create
// one and share it.
type Client struct {
	// Deployments manages the machines of the account.
	Deployments *DeploymentService
	// Offers finds what can be deployed.
	Offers *OfferService
	// Providers, Regions and GPUTypes summarize the offers.
	Providers *ProviderService
	Regions   *RegionService
	GPUTypes  *GPUTypeService
	// Quotes locks prices of offers.
	Quotes *QuoteService
	// SSHKeys manages saved public keys.
	SSHKeys *SSHKeyService
	// Images manages the account's own disk images.
	Images *ImageService
	// Volumes manages persistent storage.
	Volumes *VolumeService
	// Wallet reads the balance, transactions and costs.
	Wallet *WalletService
	// Announcements lists what the operator announces.
	Announcements *AnnouncementService
	// Public reads what needs no key.
	Public *PublicService
	// Quotas reads how much the account may have at once.
	Quotas *QuotaService
	// TopUps tops up the wallet, and manages automatic top-ups and payment methods.
	TopUps *TopUpService
	// Budgets manages what the account does not want to exceed.
	Budgets *BudgetService
	// Invoices reads invoices and credit notes.
	Invoices *InvoiceService
	// Events lists and streams events of the account.
	Events *EventService
	// Webhooks manages endpoints that receive events.
	Webhooks *WebhookService
	// Key describes the API key in use.
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

// New returns a Client. It makes no request. The error describes what is wrong with the Config.
func New(config Config) (*Client, error) {
	base, err := baseOf(config.BaseURL)
	if err != nil {
		return nil, err
	}
	if config.APIKey == "" {
		return nil, errors.New("client: the API key is missing; set Config.APIKey or BILLET_API_KEY")
	}
	if strings.ContainsFunc(config.APIKey, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return nil, errors.New("client: the API key contains a space or another invalid character")
	}
	return config.client(base), nil
}

// client returns a Client for a valid Config. Without a key it can only make calls that need none.
func (config Config) client(base string) *Client {
	c := &Client{
		base: base, key: config.APIKey, agent: strings.TrimSpace(config.UserAgent + " billet-go/" + Version),
		timeout: config.Timeout, maxRetries: config.MaxRetries, onRetry: config.OnRetry,
		now: config.Now, sleep: config.Sleep,
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
	c.Announcements = &AnnouncementService{c}
	c.Key, c.Quotas, c.Public = &KeyService{c}, &QuotaService{c}, &PublicService{c}
	c.Budgets, c.Images = &BudgetService{c}, &ImageService{c}
	c.Invoices = &InvoiceService{c}
	c.TopUps = &TopUpService{c}
	return c
}

func baseOf(text string) (string, error) {
	if text == "" {
		return "", errors.New("client: the server's address is missing; set Config.BaseURL or BILLET_URL")
	}
	u, err := url.Parse(text)
	// The error omits the address, which can contain a password.
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" ||
		u.Fragment != "" {
		return "", errors.New("client: the server's address must be like https://billet.example, " +
			"without user, query or fragment")
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

// String returns the server, never the key.
func (c *Client) String() string { return fmt.Sprintf("client.Client(%s)", c.base) }

// GoString returns the same as String.
func (c *Client) GoString() string { return c.String() }

// Index describes the API.
type Index struct {
	// Name and Version identify the server.
	Name    string `json:"name"`
	Version string `json:"version"`
	// Documentation and OpenAPI are paths of the documentation.
	Documentation string `json:"documentation"`
	OpenAPI       string `json:"openapi"`
	// Collections are the paths of the lists.
	Collections []string `json:"collections"`
}

// Index returns the name and version of the server. It does not check the key.
func (c *Client) Index(ctx context.Context, options ...CallOption) (*Index, error) {
	return one[Index](ctx, c, request{method: http.MethodGet}, options)
}
