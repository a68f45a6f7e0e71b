package httpapi

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/account"
	"github.com/billetcloud/billet/internal/adjustment"
	"github.com/billetcloud/billet/internal/altcha"
	"github.com/billetcloud/billet/internal/announcement"
	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/audit"
	"github.com/billetcloud/billet/internal/bmc"
	"github.com/billetcloud/billet/internal/budget"
	"github.com/billetcloud/billet/internal/catalog"
	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/console"
	"github.com/billetcloud/billet/internal/credit"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/db/dbtest"
	"github.com/billetcloud/billet/internal/deployment"
	"github.com/billetcloud/billet/internal/event"
	gpuhealth "github.com/billetcloud/billet/internal/health"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/idempotency"
	"github.com/billetcloud/billet/internal/incident"
	"github.com/billetcloud/billet/internal/invoice"
	"github.com/billetcloud/billet/internal/issue"
	"github.com/billetcloud/billet/internal/job"
	"github.com/billetcloud/billet/internal/mail"
	"github.com/billetcloud/billet/internal/meter"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/operator"
	"github.com/billetcloud/billet/internal/osimage"
	"github.com/billetcloud/billet/internal/pricerule"
	"github.com/billetcloud/billet/internal/promo"
	"github.com/billetcloud/billet/internal/provider"
	"github.com/billetcloud/billet/internal/provideraccount"
	"github.com/billetcloud/billet/internal/quote"
	"github.com/billetcloud/billet/internal/rack"
	"github.com/billetcloud/billet/internal/ratelimit"
	"github.com/billetcloud/billet/internal/rest"
	"github.com/billetcloud/billet/internal/secret"
	"github.com/billetcloud/billet/internal/servicecredit"
	"github.com/billetcloud/billet/internal/settings"
	"github.com/billetcloud/billet/internal/setup"
	"github.com/billetcloud/billet/internal/signedhead"
	"github.com/billetcloud/billet/internal/signup"
	"github.com/billetcloud/billet/internal/sshkey"
	"github.com/billetcloud/billet/internal/volume"
	"github.com/billetcloud/billet/internal/wallet"
	"github.com/billetcloud/billet/internal/webhook"
	"github.com/billetcloud/billet/internal/webhook/outbound"
	"github.com/pb33f/libopenapi"
	validator "github.com/pb33f/libopenapi-validator"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/crypto/ssh"
)

// real is the machine's time in these tests: the middle of a window of limits, where it stays.
var real = time.Date(2028, 3, 1, 12, 0, 20, 0, time.UTC)

// world is the handler over real packages, two tenants, and a cloud that does at once what it is
// asked.
type world struct {
	t     testing.TB
	d     *db.DB
	clock *clock.Simulated
	c     Config
	s     *server
	log   *lockedBuffer
	check validator.Validator
	cloud *cloud

	ada, bob tenant

	time    *machineTime
	secrets *secret.Box

	// gpuPolicies are those of the offers: off, unless a test sets others before it loads them.
	gpuPolicies gpuhealth.Policies
	gpus        gpuhealth.Result // of each check
}

// machineTime stands still until a test moves it.
type machineTime struct {
	mu  sync.Mutex
	now time.Time
}

type tenant struct {
	account id.ID
	key     account.Key
	secret  string
}

// lockedBuffer is what the log is written to.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func newWorld(t testing.TB) *world {
	t.Helper()
	c := clock.NewFrozen(dbtest.Start)
	return newWorldOn(t, dbtest.SQLite(t, c), c)
}

func newWorldOn(t testing.TB, d *db.DB, c *clock.Simulated) *world {
	t.Helper()
	w := &world{t: t, d: d, clock: c, time: &machineTime{now: real}, log: &lockedBuffer{}, cloud: newCloud()}
	w.gpus = gpuhealth.NotChecked("There is nothing to check.")
	ids := id.NewMaker(c, rand.Reader)
	log := slog.New(slog.NewJSONHandler(w.log, nil))
	secrets, err := secret.New(make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	jobs, events := job.NewQueue(ids), event.New(ids)
	providers := provider.NewRegistry(w.cloud)
	ledger := wallet.New(wallet.Config{DB: d, IDs: ids})
	budgets := budget.New(budget.Config{IDs: ids, Clock: c, Events: events, Jobs: jobs})
	meters := meter.New(meter.Config{
		DB: d, Wallet: ledger, Events: events, Jobs: jobs, Admit: budgets.AdmitHours,
	})
	accounts := account.New(
		account.Config{
			DB:             d,
			IDs:            ids,
			Rand:           rand.Reader,
			Clock:          c,
			Real:           w.time.Now,
			Secrets:        secrets,
			CheapPasswords: true,
		},
	)
	offers := catalog.New(
		catalog.Config{
			DB:         d,
			IDs:        ids,
			Clock:      c,
			Providers:  providers,
			Jobs:       jobs,
			Log:        log,
			Markup:     func(string) int64 { return 0 },
			OwnMarkups: accounts.Markups,
			Trusted:    accounts.Trusted,
			Rules:      pricerule.New(ids),
			Health: func(context.Context, db.Reader) (gpuhealth.Policies, error) {
				return w.gpuPolicies, nil
			},
		},
	)
	keys := sshkey.New(sshkey.Config{DB: d, IDs: ids})
	images := osimage.New(osimage.Config{
		DB: d, IDs: ids, Check: outbound.New(outbound.Config{Downloads: true}).Check,
	})
	issues := issue.New(issue.Config{IDs: ids, Jobs: jobs, Log: log})
	volumes := volume.New(
		volume.Config{
			DB:        d,
			IDs:       ids,
			Clock:     c,
			Log:       log,
			Catalog:   offers,
			Meter:     meters,
			Wallet:    ledger,
			Providers: providers,
			Events:    events,
			Issues:    issues,
			Jobs:      jobs,
		},
	)
	deployments := deployment.New(deployment.Config{
		DB: d, IDs: ids, Clock: c, Log: log, Catalog: offers, SSHKeys: keys, Images: images,
		Volumes: volumes, Wallet: ledger,
		Meter: meters, Events: events,
		Issues: issues, Jobs: jobs, Providers: providers, Quotes: quote.New(ids),
		CheckGPUs: func(context.Context, gpuhealth.Request) (gpuhealth.Result, error) {
			return w.gpus, nil
		},
		RemoveHealthKey: func(context.Context, []gpuhealth.Target, string) error { return nil },
		Probe:           func(context.Context, provider.Endpoint) (string, error) { return "", nil }, Secrets: secrets,
	})
	webhooks := webhook.New(webhook.Config{
		DB: d, IDs: ids, Clock: c, Real: w.time.Now, Log: log, Events: events, Jobs: jobs, Secrets: secrets,
		Chance: func() float64 { return 0.5 },
		Check:  outbound.New(outbound.Config{}).Check, // and nothing leaves this process:
		Post: func(context.Context, string, map[string]string, []byte) outbound.Response {
			return outbound.Response{Status: 200, Body: "thank you"}
		},
	})
	set := settings.New(settings.Config{DB: d, Real: w.time.Now, Secrets: secrets})
	mails := mail.New(mail.Config{
		DB: d, IDs: ids, Clock: c, Log: log, Settings: set, Accounts: accounts, Jobs: jobs, Secrets: secrets,
		Chance: func() float64 { return 0.5 },
	})
	given := credit.New(credit.Config{DB: d, IDs: ids, Wallet: ledger, Events: events, Jobs: jobs})
	operators := operator.New(operator.Config{
		IDs: ids, Accounts: accounts, Wallet: ledger, Credits: given, Jobs: jobs,
		Deployments: deployments, Volumes: volumes, Events: events, Mail: mails, Audit: audit.New(ids),
	})
	incidents := incident.New(incident.Config{
		DB: d, IDs: ids, Catalog: offers, Accounts: provideraccount.New(secrets, nil), Events: events, Jobs: jobs,
	})
	w.c = Config{
		DB: d, IDs: ids, Clock: c, Real: w.time.Now, Log: log, Registry: prometheus.NewRegistry(),
		Limiter:  ratelimit.NewMemory(w.time.Now),
		Accounts: accounts, Audit: audit.New(ids), Catalog: offers, SSHKeys: keys, Images: images,
		Wallet: ledger, Credits: given,
		SignedHeads: signedhead.New(signedhead.Config{DB: d, Jobs: jobs, Secrets: secrets}),
		Meter:       meters, Volumes: volumes, Deployments: deployments, PriceRules: pricerule.New(ids),
		Quotes: quote.New(ids), Events: events,
		Webhooks: webhooks, Budgets: budgets, Issues: issues, Incidents: incidents,
		Operator: operators, Idempotency: idempotency.New(idempotency.Config{DB: d, Clock: c}), Version: "test",
		Settings: set, Mail: mails,
	}
	w.c.Adjustments = adjustment.New(adjustment.Config{
		DB: d, IDs: ids, Jobs: jobs, Operator: operators, Settings: set,
	})
	w.c.PromoCodes = promo.New(promo.Config{IDs: ids, Accounts: accounts, Credits: given, Settings: set})
	w.c.Invoices = invoice.New(invoice.Config{
		DB: d, IDs: ids, Clock: c, Accounts: accounts, Wallet: ledger, Events: events, Jobs: jobs,
		Issues: issues,
	})
	w.pay(jobs, ids)
	w.c.Announcements = announcement.New(announcement.Config{
		DB: d, IDs: ids, Catalog: offers, Accounts: accounts, Mail: w.c.Mail, Jobs: jobs,
		ProviderAccounts: provideraccount.New(secrets, nil),
	})
	w.c.Machines = rack.New(rack.Config{
		DB: d, IDs: ids, Clock: c, Jobs: jobs, Secrets: secrets, Issues: w.c.Issues, Open: bmc.Open,
		Server: func() (rack.Server, bool) { return rack.Server{}, false },
	})
	w.c.Consoles = console.New(console.Config{DB: d, IDs: ids, Audit: w.c.Audit, Jobs: jobs})
	w.c.ServiceCredits = servicecredit.New(servicecredit.Config{
		DB: d, IDs: ids, Wallet: ledger, Meter: meters, Events: events, Settings: set,
	})
	events.OnEvents(w.c.Mail.EnqueueForEvents)
	w.secrets = secrets
	w.c.SignUp = signup.New(signup.Config{
		DB: d, Accounts: accounts, Operator: operators, Settings: set, Credits: given, Mail: w.c.Mail,
		Altcha:    altcha.New(altcha.Config{Rand: rand.Reader, Now: c.Now, Secrets: secrets}),
		PublicURL: &url.URL{Scheme: "https", Host: "gpu.example.com"},
	})
	stored := provideraccount.New(secrets, nil)
	w.c.Setup = setup.New(setup.Config{DB: d, Accounts: accounts, Operator: operators, Clock: c, Rand: rand.Reader})
	w.c.ProviderAccounts = &ProviderAccounts{
		Stored:  stored,
		Check:   func(context.Context, string) ([]provideraccount.Result, error) { return nil, nil },
		Known:   func(string) bool { return false },
		Brake:   func(context.Context, string, provideraccount.Update) error { return nil },
		Changed: func(context.Context) error { return nil },
		Failed:  func() map[string]error { return nil },
		Remove: func(ctx context.Context, tx *db.Tx, slug string) (provideraccount.Provider, error) {
			p, err := stored.Get(ctx, tx, slug)
			return p, errors.Join(err, stored.Remove(ctx, tx, slug))
		},
	}
	w.s = newServer(w.c)
	if _, err := offers.Sync(t.Context(), "provider/voltage-park"); err != nil {
		t.Fatal(err)
	}
	w.ada, w.bob = w.tenant("Ada"), w.tenant("Bob")
	check, err := documentation()
	if err != nil {
		t.Fatal(err)
	}
	w.check = check
	t.Cleanup(w.checkEvents)
	return w
}

// configure changes the configuration and builds the server again.
func (w *world) configure(change func(c *Config)) {
	change(&w.c)
	w.c.Registry = prometheus.NewRegistry()
	w.s = newServer(w.c)
}

// checkEvents finds events that are not as the table of event types says, whatever the test was
// about.
func (w *world) checkEvents() {
	for _, who := range []tenant{w.ada, w.bob} {
		events, _, err := w.c.Events.History(
			context.Background(),
			w.d,
			who.account,
			event.Filter{},
			db.Page{Number: 1, Limit: 1000},
		)
		if err != nil {
			return // the test has broken its database
		}
		for _, e := range events {
			if e.Data["text"] != nil { // a test's own
				continue
			}
			if err := event.Check(e); err != nil {
				w.t.Error(err)
			}
		}
	}
}

// documentation checks answers against the OpenAPI document.
var documentation = sync.OnceValues(func() (validator.Validator, error) {
	strict, err := closedAnswers(Document("test"))
	if err != nil {
		return nil, err
	}
	document, err := libopenapi.NewDocument(strict)
	if err != nil {
		return nil, err
	}
	v, faults := validator.NewValidator(document)
	return v, errors.Join(faults...)
})

// closedAnswers is the document with schemas that allow nothing that they do not name: clients must
// let new fields pass, and these tests must find a field that is not documented.
func closedAnswers(document []byte) ([]byte, error) {
	var tree any
	if err := json.Unmarshal(document, &tree); err != nil {
		return nil, err
	}
	var shut func(any)
	shut = func(v any) {
		switch v := v.(type) {
		case []any:
			for _, item := range v {
				shut(item)
			}
		case map[string]any:
			if _, has := v["properties"].(map[string]any); has && v["type"] == "object" {
				v["additionalProperties"] = false
			}
			for _, item := range v {
				shut(item)
			}
		}
	}
	shut(tree)
	return json.Marshal(tree)
}

// Now returns the machine's time.
func (m *machineTime) Now() time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.now
}

// passMinute makes all limits fresh.
func (w *world) passMinute() {
	w.time.mu.Lock()
	defer w.time.mu.Unlock()
	w.time.now = w.time.now.Add(time.Minute)
}

// tenant is a new account with a thousand dollars and a key that may do everything.
func (w *world) tenant(name string) (out tenant) {
	w.t.Helper()
	w.tx(func(ctx context.Context, tx *db.Tx) error {
		a, err := w.c.Accounts.Create(ctx, tx, name)
		if err != nil {
			return err
		}
		out.account = a.ID
		if err := w.c.Wallet.Open(ctx, tx, a.ID); err != nil {
			return err
		}
		if _, err := w.c.Wallet.Credit(ctx, tx, wallet.Credit{Account: a.ID, Type: wallet.TypeTopUp,
			Amount: money.Dollars(1000), Description: "paid in", Dedupe: "test/" + name}); err != nil {
			return err
		}
		out.key, out.secret, err = w.c.Accounts.CreateKey(ctx, tx, a.ID, account.KeyRequest{Name: name})
		return err
	})
	return out
}

func (w *world) tx(f func(ctx context.Context, tx *db.Tx) error) {
	w.t.Helper()
	if err := w.d.InTx(w.t.Context(), f); err != nil {
		w.t.Fatal(err)
	}
}

// reply is an answer, taken apart.
type reply struct {
	status int
	header http.Header
	body   []byte
	data   any
	list   []any
	code   string
	error  map[string]any
}

// fields are the names of the faulty fields.
func (r reply) fields() []string {
	details, _ := r.error["details"].(map[string]any)
	list, _ := details["fields"].([]any)
	out := []string{}
	for _, f := range list {
		out = append(out, f.(map[string]any)["field"].(string))
	}
	return out
}

func (r reply) text(name string) string {
	m, _ := r.data.(map[string]any)
	s, _ := m[name].(string)
	return s
}

type option func(*http.Request)

func header(name, value string) option {
	return func(r *http.Request) { r.Header.Set(name, value) }
}

func from(address string) option {
	return func(r *http.Request) { r.RemoteAddr = address + ":40000" }
}

// do makes a request as the tenant ("" for no caller) and checks of the answer what holds for every
// answer.
func (w *world) do(who tenant, method, target string, body any, options ...option) reply {
	w.t.Helper()
	rec := httptest.NewRecorder()
	w.s.ServeHTTP(rec, w.request(who, method, target, body, options...))
	return w.examine(w.request(who, method, target, body, options...), rec.Result())
}

func (w *world) request(who tenant, method, target string, body any, options ...option) *http.Request {
	w.t.Helper()
	var reader io.Reader
	switch b := body.(type) {
	case nil:
	case string:
		reader = strings.NewReader(b)
	default:
		text, err := json.Marshal(b)
		if err != nil {
			w.t.Fatal(err)
		}
		reader = bytes.NewReader(text)
	}
	r := httptest.NewRequest(method, target, reader)
	r.Header.Set("Accept", "application/json") // and not a stream, where there is one
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	if who.secret != "" {
		r.Header.Set("Authorization", "Bearer "+who.secret)
	}
	for _, o := range options {
		o(r)
	}
	return r
}

func (w *world) examine(r *http.Request, resp *http.Response) reply {
	w.t.Helper()
	// A client has canonicalized the names already; a recorder has not.
	recorded := resp.Request == nil
	//lint:ignore SA1008 the page's own spelling is what is wanted
	if recorded && len(resp.Header["X-RateLimit-Limit"]) != 1 {
		w.t.Errorf(
			"%s %s: X-RateLimit-Limit is not there, or not spelled as on the page: %v",
			r.Method,
			r.URL,
			resp.Header,
		)
	}
	for name, values := range resp.Header { // as a client of net/http reads them from the wire
		resp.Header[http.CanonicalHeaderKey(name)] = values
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	out := reply{status: resp.StatusCode, header: resp.Header, body: body}
	what := r.Method + " " + r.URL.Path
	if !id.ID(resp.Header.Get("X-Request-Id")).Valid(id.Request) {
		w.t.Errorf("%s: request id %q", what, resp.Header.Get("X-Request-Id"))
	}
	w.examineLimits(what, out)
	if r.Method == http.MethodHead {
		if len(body) != 0 {
			w.t.Errorf("%s has a body", what)
		}
		return out
	}
	if media := resp.Header.Get("Content-Type"); media != "application/json" || r.URL.Path == "/openapi.json" {
		return out
	}
	if rt := w.oauthRoute(r); rt != nil && resp.StatusCode != http.StatusMethodNotAllowed {
		return w.examineOAuth(r, resp, out, rt)
	}
	var envelope struct {
		Success    *bool          `json:"success"`
		Data       any            `json:"data"`
		Error      map[string]any `json:"error"`
		Pagination map[string]any `json:"pagination"`
	}
	if err := json.Unmarshal(body, &envelope); err != nil || envelope.Success == nil {
		w.t.Fatalf("%s: no envelope: %s (%v)", what, body, err)
	}
	if good := resp.StatusCode < 400; *envelope.Success != good || good == (envelope.Error != nil) {
		w.t.Errorf("%s: status %d with %s", what, resp.StatusCode, body)
	}
	out.data, out.error = envelope.Data, envelope.Error
	w.examineError(what, out)
	out.list, _ = envelope.Data.([]any)
	out.code, _ = envelope.Error["code"].(string)
	if rt := w.s.Lookup(r); rt != nil && rt.ID != "injected" {
		if out.code != "" && !slices.Contains(rt.Codes(), apierr.Code(out.code)) {
			w.t.Errorf("%s answers %s, which the document does not say of it", what, out.code)
		}
		w.examineDocumented(r, resp, body)
	}
	return out
}

// examineLimits checks the headers about rate limits, which every response has.
func (w *world) examineLimits(what string, r reply) {
	w.t.Helper()
	for _, h := range []string{"Limit", "Remaining", "Reset"} {
		if _, err := strconv.ParseInt(r.header.Get("X-RateLimit-"+h), 10, 64); err != nil {
			w.t.Errorf("%s: X-RateLimit-%s: %v", what, h, err)
		}
	}
	limit, left := r.header.Get("X-RateLimit-Limit"), r.header.Get("X-RateLimit-Remaining")
	if got, want := r.header.Get("RateLimit-Policy"), `"minute";q=`+limit+`;w=60`; got != want {
		w.t.Errorf("%s: got RateLimit-Policy %q, want %q", what, got, want)
	}
	if got, want := r.header.Get("RateLimit"), `"minute";r=`+left+`;t=`; !strings.HasPrefix(got, want) {
		w.t.Errorf("%s: got RateLimit %q, want %s…", what, got, want)
	}
	if wait := r.header.Get("Retry-After"); (r.status == 429 || r.status == 503) != (wait != "") && r.status != 400 {
		w.t.Errorf("%s: status %d with Retry-After %q", what, r.status, wait)
	}
}

// examineError checks what every error has.
func (w *world) examineError(what string, r reply) {
	w.t.Helper()
	if r.error == nil {
		return
	}
	// A replayed response has the id of the request that was answered first.
	if request := r.error["requestId"]; request != r.header.Get("X-Request-Id") &&
		r.header.Get("Idempotent-Replayed") == "" {
		w.t.Errorf("%s: got requestId %v, want %s", what, request, r.header.Get("X-Request-Id"))
	}
	retryable, is := r.error["retryable"].(bool)
	waits := r.header.Get("Retry-After") != ""
	if !is || waits && !retryable {
		w.t.Errorf("%s: got retryable %v with Retry-After %q", what, r.error["retryable"], r.header.Get("Retry-After"))
	}
}

// examineDocumented checks a response against the document.
func (w *world) examineDocumented(r *http.Request, resp *http.Response, body []byte) {
	w.t.Helper()
	resp.Body = io.NopCloser(bytes.NewReader(body))
	if good, faults := w.check.ValidateHttpResponse(r, resp); !good {
		for _, f := range faults {
			w.t.Errorf("%s %s: status %d is not as documented: %s; %s; %v\n%s",
				r.Method, r.URL.Path, resp.StatusCode, f.Message, f.Reason, f.SchemaValidationErrors, body)
		}
	}
}

// oauthRoute is the OAuth endpoint that serves the request; nil for none.
func (w *world) oauthRoute(r *http.Request) *rest.Route {
	if rt := w.s.Lookup(r); rt != nil && rt.OAuth {
		return rt
	}
	return nil
}

// examineOAuth checks a response of an OAuth endpoint, which has no envelope.
func (w *world) examineOAuth(r *http.Request, resp *http.Response, out reply, rt *rest.Route) reply {
	w.t.Helper()
	var body map[string]any
	if err := json.Unmarshal(out.body, &body); err != nil {
		w.t.Fatalf("%s %s: no JSON object: %s (%v)", r.Method, r.URL.Path, out.body, err)
	}
	out.code, _ = body["error"].(string)
	if failed := resp.StatusCode >= 400; failed != (out.code != "") || failed != (body["error_description"] != nil) {
		w.t.Errorf("%s %s: status %d with %s", r.Method, r.URL.Path, resp.StatusCode, out.body)
	}
	general := []apierr.Code{
		apierr.InvalidOAuthRequest,
		apierr.SlowDown,
		apierr.ServerError,
		apierr.TemporarilyUnavailable,
	}
	if code := apierr.Code(out.code); code != "" && !slices.Contains(append(general, rt.Errors...), code) {
		w.t.Errorf("%s %s: undocumented error %s", r.Method, r.URL.Path, code)
	}
	out.data, out.error = body, body
	w.examineDocumented(r, resp, out.body)
	return out
}

// want makes a request and fails the test where the status is another.
func (w *world) want(status int, who tenant, method, target string, body any, options ...option) reply {
	w.t.Helper()
	r := w.do(who, method, target, body, options...)
	if r.status != status {
		w.t.Fatalf("%s %s: status %d, want %d: %s", method, target, r.status, status, r.body)
	}
	return r
}

// refused makes a request and fails the test where the code is another.
func (w *world) refused(code string, who tenant, method, target string, body any, options ...option) reply {
	w.t.Helper()
	r := w.do(who, method, target, body, options...)
	if r.code != code {
		w.t.Errorf("%s %s: status %d, want %s: %s", method, target, r.status, code, r.body)
	}
	return r
}

// publicKey is a new key, as a line.
func publicKey(t testing.TB) string {
	t.Helper()
	public, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	k, err := ssh.NewPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(k))) + " user@machine"
}

// page's own deployment request, with a key that exists.
func (w *world) seedBody() map[string]any {
	return map[string]any{
		"provider": "voltage-park", "offerId": "off_abc123", "gpuType": "NVIDIA B200", "gpuCount": 8,
		"region":          "dallas-usa-5",
		"operatingSystem": "Ubuntu 22.04", "instanceType": "BARE_METAL", "ssh_public_key": publicKey(w.t),
		"name": "my-training-run",
	}
}

func (w *world) deploy(who tenant) id.ID {
	w.t.Helper()
	return id.ID(w.want(http.StatusCreated, who, "POST", Base+"/deployments", w.seedBody()).text("id"))
}

// settle lets the background work on a deployment come to rest.
func (w *world) settle(d id.ID) {
	w.t.Helper()
	for range 4 {
		if _, err := w.c.Deployments.Reconcile(w.t.Context(), d); err != nil {
			w.t.Fatal(err)
		}
	}
}

func same(t *testing.T, what string, got, want any) {
	t.Helper()
	if g, w := fmt.Sprint(got), fmt.Sprint(want); g != w {
		t.Errorf("%s: %s, want %s", what, g, w)
	}
}
