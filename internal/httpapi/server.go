package httpapi

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"reflect"
	"time"

	"github.com/billetcloud/billet/internal/account"
	"github.com/billetcloud/billet/internal/adjustment"
	"github.com/billetcloud/billet/internal/announcement"
	"github.com/billetcloud/billet/internal/audit"
	"github.com/billetcloud/billet/internal/budget"
	"github.com/billetcloud/billet/internal/catalog"
	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/console"
	"github.com/billetcloud/billet/internal/credit"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/deployment"
	"github.com/billetcloud/billet/internal/event"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/idempotency"
	"github.com/billetcloud/billet/internal/incident"
	"github.com/billetcloud/billet/internal/invoice"
	"github.com/billetcloud/billet/internal/issue"
	"github.com/billetcloud/billet/internal/mail"
	"github.com/billetcloud/billet/internal/meter"
	"github.com/billetcloud/billet/internal/oidc"
	"github.com/billetcloud/billet/internal/operator"
	"github.com/billetcloud/billet/internal/osimage"
	"github.com/billetcloud/billet/internal/pastdue"
	"github.com/billetcloud/billet/internal/payment"
	"github.com/billetcloud/billet/internal/payment/demo"
	"github.com/billetcloud/billet/internal/payment/transfer"
	"github.com/billetcloud/billet/internal/pricerule"
	"github.com/billetcloud/billet/internal/promo"
	"github.com/billetcloud/billet/internal/quote"
	"github.com/billetcloud/billet/internal/rack"
	"github.com/billetcloud/billet/internal/ratelimit"
	"github.com/billetcloud/billet/internal/rest"
	"github.com/billetcloud/billet/internal/servicecredit"
	"github.com/billetcloud/billet/internal/settings"
	"github.com/billetcloud/billet/internal/setup"
	"github.com/billetcloud/billet/internal/signedhead"
	"github.com/billetcloud/billet/internal/signup"
	"github.com/billetcloud/billet/internal/sshkey"
	"github.com/billetcloud/billet/internal/volume"
	"github.com/billetcloud/billet/internal/wallet"
	"github.com/billetcloud/billet/internal/webhook"
	"github.com/prometheus/client_golang/prometheus"
)

// The base paths of the API.
const (
	Base        = "/api/v1/inventory"
	AccountBase = "/api/v1/account"
	// OperatorBase is the operator's, who sees all accounts.
	OperatorBase = "/api/v1/operator"
)

// Config is what the API needs. Every field is required, except those that say otherwise.
type Config struct {
	DB  *db.DB
	IDs *id.Maker
	// Clock is the clock of the product, Real the machine's own time, for limits and deadlines.
	Clock    clock.Clock
	Real     func() time.Time
	Log      *slog.Logger
	Registry prometheus.Registerer
	Limiter  ratelimit.Limiter
	// Observe is told of each request; see rest.Config. It may be nil.
	Observe func(r *http.Request, request id.ID) (context.Context, func(route, method string, status int))

	Accounts    *account.Service
	Audit       *audit.Service
	Catalog     *catalog.Catalog
	SSHKeys     *sshkey.Service
	Images      *osimage.Service
	Wallet      *wallet.Ledger
	Credits     *credit.Service
	PromoCodes  *promo.Service
	SignedHeads *signedhead.Service
	Meter       *meter.Service
	Volumes     *volume.Service
	Deployments *deployment.Service
	PriceRules  *pricerule.Service
	Quotes      *quote.Service
	Events      *event.Service
	Webhooks    *webhook.Service
	Budgets     *budget.Service
	Invoices    *invoice.Service
	Payments    *payment.Service
	// DemoPayments and Transfers serve the pages of their processors; DemoPayments is nil without
	// simulated payments.
	DemoPayments *demo.Processor
	Transfers    *transfer.Processor
	// CheckPayments asks Stripe whether it accepts what the settings have, and returns what it
	// refuses. It returns payment.ErrUnsupported where nothing is stored. It may be nil.
	CheckPayments func(ctx context.Context) (live bool, refused, err error)
	Issues        *issue.Service
	Incidents     *incident.Service
	// Machines are the operator's own servers.
	Machines *rack.Service
	Consoles *console.Service
	// Announcements are the operator's.
	Announcements *announcement.Service
	Operator      *operator.Service
	Adjustments   *adjustment.Service
	SignUp        *signup.Service
	Setup         *setup.Service
	Idempotency   *idempotency.Service
	Settings      *settings.Service
	Mail          *mail.Service

	// ServiceCredits are for machines that did not work.
	ServiceCredits *servicecredit.Service

	// Version is that of the server, for the document and the index.
	Version string

	// Timeout is how long a call may take; rest.RequestTimeout if it is 0.
	Timeout time.Duration
	// TrustedProxies may name the client they speak for, in X-Forwarded-For and X-Forwarded-Proto,
	// or in Forwarded; none by default.
	TrustedProxies []netip.Prefix
	// PublicURL is where browsers reach this server, without a path; nil where only the request
	// tells. Passkeys and links are made for it, it is an allowed origin whatever Host a proxy
	// writes, and an https one makes cookies Secure.
	PublicURL *url.URL
	// OIDC is the identity provider that users may sign in with; nil for none. It needs a
	// PublicURL.
	OIDC *oidc.Client
	// DemoEmail is the address that the sign-in page suggests, "" for none; may be nil.
	DemoEmail func() string
	// DemoPassword is the password of that user, which the sign-in page has on the server's own
	// machine only; "" for none; may be nil.
	DemoPassword func() string
	// Elsewhere serves GETs of paths that are neither below /api nor this package's own: the
	// dashboard's. It returns false, having written nothing, for what it does not have. Everything
	// is NOT_FOUND where it is nil.
	Elsewhere func(http.ResponseWriter, *http.Request) bool
	// Serves reports what keeps this server from serving, for /readyz; nil where only the database
	// is checked.
	Serves func(context.Context) error
	// Recovering reports whether the database was restored and its operator still compares it with
	// the providers: tenants change nothing then. It may be nil.
	Recovering func() bool
	// PastDueTerms are how long deployments and volumes outlast the money.
	PastDueTerms pastdue.Terms
	// ProviderAccounts is nil where a test needs none.
	ProviderAccounts *ProviderAccounts
	// Simulator is nil where the providers are real.
	Simulator *Simulator
}

// server is the API with what tests adjust.
type server struct {
	*rest.Router
	streams *streams
}

// New returns the handler of the whole API.
func New(cfg Config) *rest.Router { return newServer(cfg).Router }

func newServer(cfg Config) *server {
	s := register(cfg)
	s.File("/openapi.json", "application/json", s.Document())
	serveDocs(s.Router)
	s.NoIcon("/favicon.ico")
	return s
}

// Document returns the OpenAPI document as JSON. It needs no database, nor anything else.
func Document(version string) []byte { return register(Config{Version: version}).Document() }

// register returns a server with all operations.
func register(cfg Config) *server {
	auth := authenticator{
		db: cfg.DB, accounts: cfg.Accounts, deployments: cfg.Deployments, volumes: cfg.Volumes,
	}
	entries := auditLog{db: cfg.DB, log: cfg.Log, entries: cfg.Audit, accounts: cfg.Accounts}
	s := &server{streams: newStreams(cfg.DB, cfg.Log, cfg.Accounts), Router: rest.New(rest.Config{
		DB: cfg.DB, IDs: cfg.IDs, Real: cfg.Real, Log: cfg.Log, Registry: cfg.Registry, Limiter: cfg.Limiter,
		Observe:     cfg.Observe,
		Idempotency: cfg.Idempotency, Timeout: cfg.Timeout,
		Closed:       readOnly(cfg.Recovering),
		Authenticate: auth.authenticate, Authorize: auth.authorize, KnownBrowser: auth.knownBrowser,
		Record: entries.record, Recorded: entries.recorded,
		TrustedProxies: cfg.TrustedProxies, PublicURL: cfg.PublicURL, Elsewhere: cfg.Elsewhere,
		Document: newDocument(cfg.Version), SchemaNames: schemaNames, ForeignNames: foreignNames, RolesWith: rolesWith,
	})}
	s.OpenAPI().Components.Schemas.RegisterTypeAlias(reflect.TypeFor[invoice.BasisPoints](), reflect.TypeFor[rate]())
	where := site{router: s.Router, publicURL: cfg.PublicURL}
	start := sessionStarter{db: cfg.DB, clock: cfg.Clock, accounts: cfg.Accounts, audit: entries, mail: cfg.Mail}
	for _, resource := range []interface{ routes(r *rest.Router) }{
		offers{db: cfg.DB, clock: cfg.Clock, catalog: cfg.Catalog},
		quotes{db: cfg.DB, catalog: cfg.Catalog, quotes: cfg.Quotes, wallet: cfg.Wallet},
		deployments{db: cfg.DB, svc: cfg.Deployments, events: cfg.Events},
		sshKeys{db: cfg.DB, svc: cfg.SSHKeys},
		images{db: cfg.DB, svc: cfg.Images},
		volumes{db: cfg.DB, svc: cfg.Volumes, deployments: cfg.Deployments, catalog: cfg.Catalog},
		walletResource{
			db: cfg.DB, clock: cfg.Clock, ledger: cfg.Wallet, credits: cfg.Credits, meter: cfg.Meter,
			terms: cfg.PastDueTerms, accounts: cfg.Accounts, settings: cfg.Settings,
		},
		tenantMetrics{db: cfg.DB, ledger: cfg.Wallet, meter: cfg.Meter, deployments: cfg.Deployments},
		signIn{
			db: cfg.DB, accounts: cfg.Accounts, audit: entries, start: start, signUp: cfg.SignUp, site: where,
			oidc: cfg.OIDC, demoEmail: cfg.DemoEmail, demoPassword: cfg.DemoPassword, settings: cfg.Settings,
			setup: cfg.Setup,
		},
		firstRun{accounts: cfg.Accounts, svc: cfg.Setup, site: where, start: start},
		sessions{db: cfg.DB, accounts: cfg.Accounts, operator: cfg.Operator},
		me{db: cfg.DB, accounts: cfg.Accounts, mail: cfg.Mail},
		factors{db: cfg.DB, accounts: cfg.Accounts, site: where, mail: cfg.Mail},
		oidcSignIn{db: cfg.DB, accounts: cfg.Accounts, audit: entries, start: start, client: cfg.OIDC},
		members{db: cfg.DB, accounts: cfg.Accounts},
		invitations{
			db: cfg.DB, accounts: cfg.Accounts, audit: entries, auth: auth, start: start, site: where,
			operator: cfg.Operator,
		},
		registrations{db: cfg.DB, accounts: cfg.Accounts, svc: cfg.SignUp, mail: cfg.Mail, start: start},
		apiKeys{db: cfg.DB, clock: cfg.Clock, accounts: cfg.Accounts},
		deviceAuthorizations{
			db: cfg.DB, log: cfg.Log, accounts: cfg.Accounts, site: where, keys: apiKeys{db: cfg.DB},
		},
		entries,
		events{db: cfg.DB, svc: cfg.Events, streams: s.streams},
		webhooks{db: cfg.DB, svc: cfg.Webhooks},
		budgets{db: cfg.DB, svc: cfg.Budgets},
		credits{db: cfg.DB, svc: cfg.Credits, operator: cfg.Operator},
		promoCodes{db: cfg.DB, log: cfg.Log, svc: cfg.PromoCodes, accounts: cfg.Accounts},
		invoices{db: cfg.DB, svc: cfg.Invoices},
		operatorInvoices{db: cfg.DB, svc: cfg.Invoices},
		exchangeRates{db: cfg.DB, svc: cfg.Invoices},
		topUps{db: cfg.DB, svc: cfg.Payments, receipts: cfg.Invoices, log: cfg.Log},
		operatorTopUps{db: cfg.DB, svc: cfg.Payments, transfers: cfg.Transfers},
		paymentsCheck{db: cfg.DB, check: cfg.CheckPayments},
		paymentPages{
			svc: cfg.Payments, settings: cfg.Settings, demo: cfg.DemoPayments, transfers: cfg.Transfers, log: cfg.Log,
			recovering: cfg.Recovering,
		},
		issues{db: cfg.DB, svc: cfg.Issues, accounts: cfg.Accounts, deployments: cfg.Deployments},
		operatorAccounts{
			db: cfg.DB, svc: cfg.Operator, adjustments: cfg.Adjustments, accounts: cfg.Accounts, audit: cfg.Audit,
			ledger: cfg.Wallet, site: where,
		},
		adjustments{db: cfg.DB, svc: cfg.Adjustments},
		operatorSettings{svc: cfg.Settings},
		public{
			db: cfg.DB, clock: cfg.Clock, real: cfg.Real, settings: cfg.Settings, catalog: cfg.Catalog,
			incidents: cfg.Incidents, announcements: cfg.Announcements, serves: cfg.Serves, cache: &publicCache{},
			signed: cfg.SignedHeads,
		},
		priceRules{db: cfg.DB, svc: cfg.PriceRules, catalog: cfg.Catalog, accounts: cfg.Accounts},
		views{db: cfg.DB, svc: cfg.Operator, accounts: cfg.Accounts},
		operatorResources{db: cfg.DB, svc: cfg.Operator},
		quotas{db: cfg.DB, svc: cfg.Operator},
		serviceCredits{db: cfg.DB, svc: cfg.ServiceCredits},
		announcements{db: cfg.DB, clock: cfg.Clock, svc: cfg.Announcements},
		machines{db: cfg.DB, svc: cfg.Machines, deployments: cfg.Deployments},
		mails{db: cfg.DB, svc: cfg.Mail, accounts: cfg.Accounts},
		operations{db: cfg.DB, clock: cfg.Clock, svc: cfg.Operator, meter: cfg.Meter},
		providerAccounts{
			db: cfg.DB, live: cfg.ProviderAccounts, catalog: cfg.Catalog, deployments: cfg.Deployments,
		},
		terminals{db: cfg.DB, deployments: cfg.Deployments, events: cfg.Events, streams: s.streams},
		consoles{
			db: cfg.DB, log: cfg.Log, deployments: cfg.Deployments, sessions: cfg.Consoles, events: cfg.Events,
			streams: s.streams,
		},
		simulator{db: cfg.DB, sim: cfg.Simulator},
		service{version: cfg.Version, real: cfg.Real, db: cfg.DB, serves: cfg.Serves, ready: &readiness{}},
	} {
		resource.routes(s.Router)
	}
	addEventTypes(s.OpenAPI())
	return s
}

var errNoOffers = rest.Unavailable("The marketplace is temporarily unavailable. Try again shortly.",
	errors.New("no provider has answered"))
