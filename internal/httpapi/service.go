package httpapi

import (
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/rest"
)

// service is what monitoring and newcomers call.
type service struct {
	version string
	real    func() time.Time
	db      *db.DB
	serves  func(context.Context) error
	ready   *readiness
}

// health is the response to probes.
type health struct {
	Status string `json:"status" enum:"ok"`
}

// index lists the collections.
type index struct {
	Name          string   `json:"name"`
	Version       string   `json:"version"`
	Documentation string   `json:"documentation"`
	OpenAPI       string   `json:"openapi"`
	Collections   []string `json:"collections"`
}

func (h service) routes(r *rest.Router) {
	rest.Read(r, rest.Operation{
		Method: http.MethodGet, Path: "/healthz", ID: "getHealth", Tag: tagService, Auth: rest.Public, Rate: rest.Probe,
		Summary: "Check liveness",
		Description: "Checks that the process answers, and nothing else. Restart it on failure. Limited to 600 a " +
			"minute per address.",
	}, h.live)
	rest.Read(r, rest.Operation{
		Method: http.MethodGet, Path: "/readyz", ID: "getReadiness", Tag: tagService, Auth: rest.Public,
		Rate:    rest.Probe,
		Summary: "Check readiness",
		Description: "503 if the database is not writable, a background task of the server is stuck, or the server " +
			"is stopping. Send requests elsewhere on failure. Providers are not checked: an outage of theirs would " +
			"take every server out. Limited as /healthz is.",
	}, h.isReady)
	rest.Read(r, rest.Operation{
		Method: http.MethodGet, Path: Base, ID: "getIndex", Tag: tagService, Auth: rest.Public,
		Summary: "Get the index", Description: "Links to the documentation and the collections.",
	}, h.index)
}

func (h service) live(context.Context, *rest.Call, *rest.NoInput) (health, error) {
	return health{"ok"}, nil
}

func (h service) index(context.Context, *rest.Call, *rest.NoInput) (index, error) {
	out := index{Name: title, Version: h.version, Documentation: "/docs", OpenAPI: "/openapi.json"}
	for _, name := range []string{
		"offers", "providers", "regions", "gpu-types", "deployments", "ssh-keys", "volumes", "wallet", "events",
		"webhooks", "budgets", "invoices",
	} {
		out.Collections = append(out.Collections, Base+"/"+name)
	}
	return out, nil
}

const (
	// pingTimeout is how long a readiness check may take.
	pingTimeout = 2 * time.Second
	// keepReady is how long a result is reused: several monitors may check at once, and each check
	// writes.
	keepReady = time.Second
)

// readiness is the last result of the readiness check.
type readiness struct {
	mu  sync.Mutex
	at  time.Time
	err error
}

func (h service) isReady(ctx context.Context, _ *rest.Call, _ *rest.NoInput) (health, error) {
	h.ready.mu.Lock()
	defer h.ready.mu.Unlock()
	if now := h.real(); h.ready.at.IsZero() || now.Sub(h.ready.at) >= keepReady || now.Before(h.ready.at) {
		h.ready.err = h.check(ctx)
		h.ready.at = h.real()
	}
	return health{"ok"}, h.ready.err
}

// check reports what keeps the server from serving.
func (h service) check(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), pingTimeout)
	defer cancel()
	if h.serves != nil {
		if err := h.serves(ctx); err != nil {
			return err
		}
	} else if err := h.db.Ping(ctx); err != nil {
		return rest.Unavailable("The database does not answer.", err)
	}
	return nil
}
