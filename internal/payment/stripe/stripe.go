package stripe

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/stripe/stripe-go/v85"

	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/payment"
)

const (
	// timeout limits one request as a whole. Callers' deadlines are usually shorter.
	timeout = 20 * time.Second
	// maxResponse is how many bytes of a response are read.
	maxResponse = 16 << 20
)

// Keys of the metadata on every object that is made here.
const (
	metaInstallation = "billet_installation"
	metaTopUp        = "billet_top_up"
	metaAccount      = "billet_account"
	metaAttempt      = "billet_attempt"
	metaKind         = "billet_kind"
	metaRefund       = "billet_refund"

	kindCheckout = "checkout"
	kindCharge   = "charge"
)

// Config configures a Processor.
type Config struct {
	// Key is a restricted or secret key: rk_live_…, sk_live_…, rk_test_… or sk_test_….
	Key string
	// WebhookSecrets verify events: one, or two while one is being replaced.
	WebhookSecrets []string
	// Installation tells this installation's objects from others in the same Stripe account.
	Installation string
	// Name is what the customer buys credit of, on Stripe's page.
	Name string
	// BaseURL replaces Stripe's address in tests; "" for Stripe.
	BaseURL string
	// Now is the real time, with which Stripe's times are compared; nil for the system's.
	Now func() time.Time
}

// Processor is a payment.Processor. It is safe for concurrent use.
type Processor struct {
	c        Config
	backends *stripe.Backends
	live     bool
	failures *failures
}

var _ payment.Processor = (*Processor)(nil)

// New returns a Processor. It sends no request. It fails where a key or secret has the wrong form.
func New(c Config) (*Processor, error) {
	live, err := checkKey(c.Key)
	if err != nil {
		return nil, err
	}
	if err := checkSecrets(c.WebhookSecrets); err != nil {
		return nil, err
	}
	if c.Installation == "" {
		return nil, errors.New("stripe: the installation's ID is missing")
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.BaseURL == "" {
		c.BaseURL = stripe.APIURL
	}
	if c.Name == "" {
		c.Name = "Billet"
	}
	backend := &stripe.BackendConfig{
		URL: stripe.String(strings.TrimRight(c.BaseURL, "/")), HTTPClient: httpClient(),
		EnableTelemetry: stripe.Bool(false), MaxNetworkRetries: stripe.Int64(0),
		LeveledLogger: &stripe.LeveledLogger{Level: stripe.LevelNull},
	}
	// The other backends upload files and connect accounts, which nothing here does.
	backends := &stripe.Backends{API: stripe.GetBackendWithConfig(stripe.APIBackend, backend)}
	return &Processor{c: c, backends: backends, live: live, failures: &failures{first: map[string]time.Time{}}}, nil
}

// api returns the library's client, which is cheap to make. It is no field, because then the linker
// keeps each method of each of Stripe's services: a Processor is used as an interface.
func (p *Processor) api() *stripe.Client {
	return stripe.NewClient(p.c.Key, stripe.WithBackends(p.backends))
}

// Live reports whether the key is one of live mode.
func (p *Processor) Live() bool { return p.live }

func checkKey(key string) (live bool, err error) {
	for _, prefix := range []string{"rk_live_", "sk_live_", "rk_test_", "sk_test_"} {
		if rest, is := strings.CutPrefix(key, prefix); is && rest != "" && !strings.ContainsAny(key, " \t\r\n") {
			return strings.Contains(prefix, "live"), nil
		}
	}
	if strings.HasPrefix(key, "pk_") {
		return false, errors.New("stripe: the key is a publishable key; use a restricted key, which begins with rk_")
	}
	return false, errors.New("stripe: the key must begin with rk_live_, rk_test_, sk_live_ or sk_test_")
}

func checkSecrets(secrets []string) error {
	if len(secrets) == 0 || len(secrets) > 2 {
		return errors.New("stripe: there must be one webhook signing secret, or two while one is being replaced")
	}
	for _, s := range secrets {
		if rest, is := strings.CutPrefix(s, "whsec_"); !is || rest == "" || strings.ContainsAny(s, " \t\r\n") {
			return errors.New("stripe: a webhook signing secret must begin with whsec_")
		}
	}
	return nil
}

// httpClient returns the client of all requests. Like the adapters to clouds, it follows no
// redirects, which would carry the key elsewhere.
func httpClient() *http.Client {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.MaxIdleConnsPerHost = 4
	t.ResponseHeaderTimeout = timeout
	t.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12}
	return &http.Client{
		Transport: guard{t}, Timeout: timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// guard refuses requests inside a transaction, and bounds responses.
type guard struct{ next http.RoundTripper }

var errInsideTx = errors.New("called inside a database transaction; commit first, then call Stripe")

func (g guard) RoundTrip(r *http.Request) (*http.Response, error) {
	if db.InsideTx(r.Context()) {
		return nil, errInsideTx
	}
	resp, err := g.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	resp.Body = bounded{io.LimitReader(resp.Body, maxResponse), resp.Body}
	return resp, nil
}

type bounded struct {
	io.Reader
	io.Closer
}

// Check asks Stripe whether the key is accepted and may read what payments need. It is for the
// operator's settings.
func (p *Processor) Check(ctx context.Context) error {
	var problems []error
	page := stripe.ListParams{Limit: stripe.Int64(1), Single: true}
	for _, read := range []struct {
		what string
		call func() error
	}{
		{"Checkout Sessions", func() error {
			return p.api().V1CheckoutSessions.List(ctx, &stripe.CheckoutSessionListParams{ListParams: page}).Err()
		}},
		{"PaymentIntents", func() error {
			return p.api().V1PaymentIntents.List(ctx, &stripe.PaymentIntentListParams{ListParams: page}).Err()
		}},
		{"Refunds", func() error {
			return p.api().V1Refunds.List(ctx, &stripe.RefundListParams{ListParams: page}).Err()
		}},
		{"Disputes", func() error {
			return p.api().V1Disputes.List(ctx, &stripe.DisputeListParams{ListParams: page}).Err()
		}},
		{"Events", func() error {
			return p.api().V1Events.List(ctx, &stripe.EventListParams{ListParams: page}).Err()
		}},
		{"Balance transactions", func() error {
			params := &stripe.BalanceTransactionListParams{ListParams: page}
			return p.api().V1BalanceTransactions.List(ctx, params).Err()
		}},
		{"Customers", func() error {
			return p.api().V1Customers.List(ctx, &stripe.CustomerListParams{ListParams: page}).Err()
		}},
	} {
		if err := read.call(); err != nil {
			problems = append(problems, problem("read "+read.what, err))
		}
	}
	return errors.Join(problems...)
}

// requestError is what is kept of an error of Stripe: it goes into logs and the rows of jobs. The
// library's error has the whole answer, with names, and secrets of customers' pages.
type requestError struct {
	what                              string
	status                            int
	kind, code, decline, param, about string
	request                           string
	// replayed is true for an internal error that Stripe keeps with the idempotency key.
	replayed bool
}

func (e *requestError) Error() string {
	code := e.code
	if code == "" {
		code = e.kind
	}
	var b strings.Builder
	fmt.Fprintf(&b, "stripe: %s: HTTP %d %s", e.what, e.status, cut(code))
	if e.decline != "" {
		fmt.Fprintf(&b, ", decline code %s", cut(e.decline))
	}
	if e.param != "" {
		fmt.Fprintf(&b, ", parameter %s", cut(e.param))
	}
	if e.about != "" {
		fmt.Fprintf(&b, ": %s", cut(e.about))
	}
	fmt.Fprintf(&b, " (request %s)", cut(e.request))
	return b.String()
}

// problem returns the error of a request for the operator's log. What a customer may read is in
// payment.Failure.
func problem(what string, err error) error {
	e, is := errors.AsType[*stripe.Error](err)
	if !is {
		return fmt.Errorf("stripe: %s: %w", what, err)
	}
	out := &requestError{
		what: what, status: e.HTTPStatusCode, kind: string(e.Type), code: string(e.Code),
		decline: string(e.DeclineCode), param: e.Param, request: e.RequestID, replayed: replayed(err),
	}
	if e.HTTPStatusCode == http.StatusUnauthorized || e.HTTPStatusCode == http.StatusForbidden {
		out.about = e.Msg // about the key, and what it lacks; other messages repeat what was sent
	}
	return out
}

// cut bounds a text that Stripe wrote.
func cut(text string) string {
	const most = 300
	text = strings.Join(strings.Fields(strings.ToValidUTF8(text, "")), " ")
	if r := []rune(text); len(r) > most {
		return string(r[:most]) + "…"
	}
	return text
}

// missing reports whether the error says that the object does not exist.
func missing(err error) bool {
	e, is := errors.AsType[*stripe.Error](err)
	return is && (e.Code == stripe.ErrorCodeResourceMissing || e.HTTPStatusCode == http.StatusNotFound)
}

// refused reports whether Stripe decided against the request: the same request is refused again.
// Wrong keys, missing permissions, conflicts and limits are not decisions about the request.
func refused(err error) (*stripe.Error, bool) {
	e, is := errors.AsType[*stripe.Error](err)
	if !is || e.Type == stripe.ErrorTypeIdempotency {
		return nil, false
	}
	return e, e.HTTPStatusCode == http.StatusBadRequest || e.HTTPStatusCode == http.StatusPaymentRequired ||
		e.HTTPStatusCode == http.StatusNotFound
}

// replayed reports whether the error is an internal one that Stripe keeps with the idempotency key,
// so that the same key gives it again.
func replayed(err error) bool {
	if kept, is := errors.AsType[*requestError](err); is {
		return kept.replayed
	}
	e, is := errors.AsType[*stripe.Error](err)
	return is && e.HTTPStatusCode >= http.StatusInternalServerError && e.LastResponse != nil &&
		e.LastResponse.Header.Get("Idempotent-Replayed") == "true"
}

// internal reports whether Stripe answered with an internal error.
func internal(err error) bool {
	e, is := errors.AsType[*requestError](err)
	return is && e.status >= http.StatusInternalServerError
}

// ours reports whether the metadata names this installation.
func (p *Processor) ours(meta map[string]string) bool {
	return meta[metaInstallation] == p.c.Installation && meta[metaTopUp] != ""
}
