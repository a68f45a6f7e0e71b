package httpapi

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"time"

	"github.com/billetcloud/billet/internal/account"
	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/audit"
	"github.com/billetcloud/billet/internal/catalog"
	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/deployment"
	"github.com/billetcloud/billet/internal/event"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/idempotency"
	"github.com/billetcloud/billet/internal/issue"
	"github.com/billetcloud/billet/internal/meter"
	"github.com/billetcloud/billet/internal/oidc"
	"github.com/billetcloud/billet/internal/operator"
	"github.com/billetcloud/billet/internal/pastdue"
	"github.com/billetcloud/billet/internal/quote"
	"github.com/billetcloud/billet/internal/ratelimit"
	"github.com/billetcloud/billet/internal/sshkey"
	"github.com/billetcloud/billet/internal/volume"
	"github.com/billetcloud/billet/internal/wallet"
	"github.com/billetcloud/billet/internal/webhook"
	"github.com/danielgtaylor/huma/v2"
	"github.com/prometheus/client_golang/prometheus"
)

// The base paths of the API.
const (
	Base        = "/api/v1/inventory"
	AccountBase = "/api/v1/account"
	// OperatorBase is the operator's, who sees all accounts.
	OperatorBase = "/api/v1/operator"
)

// requestTimeout is how long a call may take. Long polls have their own time on top.
const requestTimeout = 30 * time.Second

// Config is what the API needs. Every field is required but the last ones.
type Config struct {
	DB  *db.DB
	IDs *id.Maker
	// Clock is the clock of the product, Real the machine's own time, for limits and deadlines.
	Clock    clock.Clock
	Real     func() time.Time
	Log      *slog.Logger
	Registry prometheus.Registerer
	Limiter  ratelimit.Limiter

	Accounts    *account.Service
	Audit       *audit.Service
	Catalog     *catalog.Catalog
	SSHKeys     *sshkey.Service
	Wallet      *wallet.Ledger
	Meter       *meter.Service
	Volumes     *volume.Service
	Deployments *deployment.Service
	Quotes      *quote.Service
	Events      *event.Service
	Webhooks    *webhook.Service
	Issues      *issue.Service
	Operator    *operator.Service
	Idempotency *idempotency.Service

	// Version is that of the server, for the document and the index.
	Version string

	// TrustedProxies may say in X-Forwarded-For and X-Forwarded-Proto, or in Forwarded, for whom they speak; none by default.
	TrustedProxies []netip.Prefix
	// PublicURL is where browsers reach this server, without a path; nil where only the request tells. Passkeys and links are made for it,
	// it is an allowed origin whatever Host a proxy writes, and an https one makes cookies Secure.
	PublicURL *url.URL
	// OIDC is the identity provider that people may sign in with; nil for none. It needs a PublicURL.
	OIDC *oidc.Client
	// DemoEmail tells the sign-in page with what address to try it, "" for none; may be nil.
	DemoEmail func() string
	// Elsewhere serves GETs of paths that are neither below /api nor this package's own: the dashboard's. It returns false, having
	// written nothing, for what it does not have, which is NOT_FOUND then; so is everything where it is nil.
	Elsewhere func(http.ResponseWriter, *http.Request) bool
	// Serves tells what keeps this server from serving, for /readyz; nil where only the database is asked whether it answers.
	Serves func(context.Context) error
	// PastDueTerms are how long deployments and volumes outlast the money.
	PastDueTerms pastdue.Terms
	// Simulator is nil where the providers are real.
	Simulator *Simulator
}

type server struct {
	c           Config
	mux         *http.ServeMux
	paths       map[string]*methods
	own         map[string]bool // paths outside /api that are ours
	doc         *huma.OpenAPI
	metrics     metrics
	crossOrigin *http.CrossOriginProtection
	timeout     time.Duration
	streams     *streams
	ready       ready
	forgotten   forgotten
}

// New returns the handler of the whole API. It panics when a dependency is missing.
func New(c Config) http.Handler { return newServer(c) }

func newServer(c Config) *server {
	if c.DB == nil || c.IDs == nil || c.Clock == nil || c.Real == nil || c.Log == nil || c.Registry == nil || c.Limiter == nil ||
		c.Accounts == nil || c.Audit == nil || c.Catalog == nil || c.SSHKeys == nil || c.Wallet == nil || c.Meter == nil || c.Volumes == nil ||
		c.Deployments == nil || c.Quotes == nil || c.Events == nil || c.Webhooks == nil || c.Issues == nil || c.Operator == nil || c.Idempotency == nil || c.Version == "" {
		panic("httpapi: New needs every field of its Config")
	}
	s := routed(c)
	s.metrics = newMetrics(c.Registry)
	s.serveDocument(s.document())
	s.mux.HandleFunc("/favicon.ico", s.noIcon)
	s.mux.HandleFunc("/", s.nothing)
	return s
}

// Document returns the OpenAPI document as JSON. It needs no database, nor anything else.
func Document(version string) []byte { return routed(Config{Version: version}).document() }

// routed is a server that knows its routes.
func routed(c Config) *server {
	s := &server{
		c: c, mux: http.NewServeMux(), paths: map[string]*methods{}, own: map[string]bool{},
		doc: newDocument(c.Version), crossOrigin: http.NewCrossOriginProtection(), timeout: requestTimeout,
		streams: newStreams(),
	}
	if c.PublicURL != nil {
		// Proxies may rewrite Host, with which browsers' Origin is compared otherwise.
		if err := s.crossOrigin.AddTrustedOrigin(c.PublicURL.Scheme + "://" + c.PublicURL.Host); err != nil {
			panic("httpapi: " + err.Error())
		}
	}
	s.addOffers()
	s.addQuotes()
	s.addDeployments()
	s.addSSHKeys()
	s.addVolumes()
	s.addWallet()
	s.addSessions()
	s.addMe()
	s.addFactors()
	s.addOIDC()
	s.addPeople()
	s.addAPIKeys()
	s.addDeviceAuthorization()
	s.addAudit()
	s.addEvents()
	s.addWebhooks()
	s.addIssues()
	s.addOperator()
	s.addTerminal()
	s.addSimulator()
	s.addService()
	return s
}

// nothing answers a path that nobody serves.
func (s *server) nothing(w http.ResponseWriter, r *http.Request) {
	c := r.Context().Value(callKey{}).(*call)
	s.refuse(w.(*recorder), r, c, errNothing)
}

var errNothing = apierr.New(apierr.NotFound, "There is nothing at this address; see /docs for what there is.")

// missing is the answer for what is not there or belongs to somebody else.
func missing(what string) error {
	return apierr.New(apierr.NotFound, "There is no such %s.", what)
}

// notReady is SERVICE_UNAVAILABLE for a part that does not answer.
func notReady(message string, cause error) *apierr.Error {
	return &apierr.Error{Code: apierr.ServiceUnavailable, Message: message, RetryAfter: 15 * time.Second, Cause: cause}
}

var errNotReady = notReady("The GPU marketplace does not answer at the moment; try again in a little while.", errors.New("no provider has answered"))
