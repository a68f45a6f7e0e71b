package rest

import (
	"context"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/idempotency"
	"github.com/billetcloud/billet/internal/ratelimit"
	"github.com/danielgtaylor/huma/v2"
	"github.com/prometheus/client_golang/prometheus"
)

// RequestTimeout is how long a call may take where Config does not say otherwise. Long polls have
// ExtraTime on top.
const RequestTimeout = 30 * time.Second

// Config is what the router needs. The document alone needs Document, SchemaNames, ForeignNames and
// RolesWith.
type Config struct {
	DB  *db.DB
	IDs *id.Maker
	// Real is the machine's own time, for limits and deadlines.
	Real     func() time.Time
	Log      *slog.Logger
	Registry prometheus.Registerer
	Limiter  ratelimit.Limiter
	// Observe is told of each request when it begins, and returns its context and what is called
	// when it has been answered. It may be nil.
	Observe     func(r *http.Request, request id.ID) (context.Context, func(route, method string, status int))
	Idempotency *idempotency.Service
	// Timeout replaces RequestTimeout.
	Timeout time.Duration

	// Closed refuses a call that was counted, such as every change while the server is being
	// repaired; nil for never.
	Closed func(c *Call) error
	// Authenticate finds out who makes the call and sets its Caller.
	Authenticate func(ctx context.Context, c *Call) error
	// Authorize reports whether the caller may make the call.
	Authorize func(c *Call) error
	// KnownBrowser identifies a browser in which a user has signed in before; "" for others.
	KnownBrowser func(c *Call) string
	// Record writes the audit entry of a call, in the transaction of its change.
	Record func(ctx context.Context, tx *db.Tx, c *Call) error
	// Recorded reports whether the audit log of the account has the entry of that request.
	Recorded func(ctx context.Context, account, request id.ID) (bool, error)

	// TrustedProxies may name the client they speak for, in X-Forwarded-For and X-Forwarded-Proto,
	// or in Forwarded.
	TrustedProxies []netip.Prefix
	// PublicURL is where browsers reach this server, without a path; nil where only the request
	// tells. It is an allowed origin whatever Host a proxy writes, and an https one makes cookies
	// Secure.
	PublicURL *url.URL
	// Elsewhere serves GETs of paths that are neither below /api nor registered: the dashboard's.
	// It returns false, having written nothing, for what it does not have. Everything is NOT_FOUND
	// where it is nil.
	Elsewhere func(http.ResponseWriter, *http.Request) bool

	// Document has the title, tags and security schemes of the OpenAPI document.
	Document *huma.OpenAPI
	// SchemaNames are names of schemas by package and type ("webhook.Endpoint"), where two packages
	// have one name.
	SchemaNames map[string]string
	// ForeignNames explains names of fields and parameters that other clouds have and this API does
	// not.
	ForeignNames map[string]string
	// RolesWith are the roles that have a scope.
	RolesWith func(scope string) []string
}

// Router is the handler of the API.
type Router struct {
	cfg         Config
	mux         *http.ServeMux
	paths       map[string]*methods
	own         map[string]bool // registered paths
	below       []string        // paths of Forms
	doc         *huma.OpenAPI
	metrics     metrics
	crossOrigin *http.CrossOriginProtection
	warned      warnedPeers
}

// New returns a router without operations.
func New(cfg Config) *Router {
	if cfg.Timeout == 0 {
		cfg.Timeout = RequestTimeout
	}
	rr := &Router{
		cfg: cfg, mux: http.NewServeMux(), paths: map[string]*methods{}, own: map[string]bool{},
		crossOrigin: http.NewCrossOriginProtection(),
	}
	rr.doc = newDocument(cfg)
	if cfg.PublicURL != nil {
		// Proxies may rewrite Host, with which a browser's Origin is compared otherwise.
		if err := rr.crossOrigin.AddTrustedOrigin(cfg.PublicURL.Scheme + "://" + cfg.PublicURL.Host); err != nil {
			panic("rest: " + err.Error())
		}
	}
	if cfg.Registry != nil {
		rr.metrics = newMetrics(cfg.Registry)
	}
	rr.mux.HandleFunc("/", rr.unknownEndpoint)
	return rr
}

// Routes returns all registered operations, sorted by path and method.
func (rr *Router) Routes() []*Route {
	var all []*Route
	for _, m := range rr.paths {
		for _, rt := range m.routes {
			all = append(all, rt)
		}
	}
	slices.SortFunc(all, func(a, b *Route) int {
		return strings.Compare(a.Path+" "+a.Method, b.Path+" "+b.Method)
	})
	return all
}

// Timeout is how long a call may take.
func (rr *Router) Timeout() time.Duration { return rr.cfg.Timeout }

// unknownEndpoint answers a path that is not registered.
func (rr *Router) unknownEndpoint(w http.ResponseWriter, r *http.Request) {
	rr.refuse(w.(*recorder), callOf(r), errUnknownEndpoint)
}

var errUnknownEndpoint = apierr.New(apierr.NotFound, "Unknown endpoint. See /docs.")

// filePolicy lets a page load and call this server only, and no site frame it: an API key is typed
// into it.
const filePolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// File serves content that does not change while the process runs.
func (rr *Router) File(at, media string, content []byte) {
	rr.own[at] = true
	rr.mux.HandleFunc(at, func(plain http.ResponseWriter, r *http.Request) {
		c, w := callOf(r), plain.(*recorder)
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			rr.refuseMethod(w, c)
			return
		}
		if err := rr.takePage(r.Context(), w, r); err != nil {
			rr.sendError(w, c, err)
			return
		}
		rr.send(w, c, Answer{Status: http.StatusOK, Body: content, Header: map[string]string{
			"Content-Type": media, "Content-Security-Policy": filePolicy, "Referrer-Policy": "no-referrer",
			"Cache-Control": "no-cache", "X-Frame-Options": "DENY", "Cross-Origin-Opener-Policy": "same-origin",
		}})
	})
}

// Content is a file that changes while the process runs, such as an uploaded image.
type Content struct {
	Media, Version string
	Body           []byte
	// MaxAge is how long a client need not ask again.
	MaxAge time.Duration
}

// contentPolicy lets the content do nothing where a browser shows it as a page.
const contentPolicy = "default-src 'none'; style-src 'unsafe-inline'; sandbox; frame-ancestors 'none'"

// Dynamic serves content that find returns, or its error. find is not called inside a transaction.
func (rr *Router) Dynamic(at string, find func(r *http.Request) (Content, error)) {
	rr.own[at] = true
	rr.mux.HandleFunc(at, func(plain http.ResponseWriter, r *http.Request) {
		c, w := callOf(r), plain.(*recorder)
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			rr.refuseMethod(w, c)
			return
		}
		err := rr.takePage(r.Context(), w, r)
		var found Content
		if err == nil {
			found, err = find(r)
		}
		if err != nil {
			rr.sendError(w, c, err)
			return
		}
		rr.send(w, c, c.unlessKnown(Answer{Status: http.StatusOK, Body: found.Body, Header: map[string]string{
			"Content-Type": found.Media, "ETag": `"` + found.Version + `"`,
			"Cache-Control":           "public, max-age=" + seconds(found.MaxAge),
			"Content-Security-Policy": contentPolicy, "Cross-Origin-Resource-Policy": "cross-origin",
		}}))
	})
}

// noIconMaxAge is how long a browser need not ask again for an icon that does not exist.
const noIconMaxAge = 24 * time.Hour

// NoIcon answers browsers, which ask for an icon beside every page unasked, where no dashboard has
// one. It is limited as a probe is: opening the documentation must not use up the limit of an
// address.
func (rr *Router) NoIcon(at string) {
	rr.mux.HandleFunc(at, func(plain http.ResponseWriter, r *http.Request) {
		c, w := callOf(r), plain.(*recorder)
		err := rr.takeProbe(r.Context(), w, r)
		if err == nil {
			w.Header().Set("Cache-Control", "public, max-age="+seconds(noIconMaxAge))
			err = NotFound("icon")
		}
		rr.sendError(w, c, err)
	})
}

// Lookup returns the route that serves a request; nil for none.
func (rr *Router) Lookup(r *http.Request) *Route {
	if r.URL.Path != path.Clean(r.URL.Path) {
		return nil
	}
	_, pattern := rr.mux.Handler(r)
	m := rr.paths[pattern]
	if m == nil {
		return nil
	}
	return m.routes[r.Method]
}
