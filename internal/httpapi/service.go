package httpapi

import (
	"context"
	"net/http"
	"time"
)

// health is the answer of the probes.
type health struct {
	Status string `json:"status" enum:"ok"`
}

// index says where things are.
type index struct {
	Name          string   `json:"name"`
	Version       string   `json:"version"`
	Documentation string   `json:"documentation"`
	OpenAPI       string   `json:"openapi"`
	Collections   []string `json:"collections"`
}

// pingTimeout is how long /readyz looks.
const pingTimeout = 2 * time.Second

func (s *server) addService() {
	read(s, spec{
		method: http.MethodGet, path: "/healthz", id: "getHealth", tag: tagService, door: doorProbe,
		summary: "Is the process alive", text: "Asks nothing else; a failure means: restart it. Limited to 600 a minute and address.",
	}, func(context.Context, *call, *none) (health, error) { return health{"ok"}, nil })

	read(s, spec{
		method: http.MethodGet, path: "/readyz", id: "getReadiness", tag: tagService, door: doorProbe,
		summary: "Can it serve", text: "503 where nothing can be written to the database, a background task of the server stands still, or no provider has answered yet; a failure means: send requests elsewhere. Limited as /healthz.",
	}, func(ctx context.Context, _ *call, _ *none) (health, error) {
		return health{"ok"}, s.isReady(ctx)
	})

	read(s, spec{
		method: http.MethodGet, path: Base, id: "getIndex", tag: tagService, door: doorOpen, summary: "Where things are",
		text: "Names the documentation and the collections.",
	}, func(context.Context, *call, *none) (index, error) {
		return index{
			Name: s.doc.Info.Title, Version: s.c.Version, Documentation: "/docs", OpenAPI: "/openapi.json",
			Collections: []string{Base + "/offers", Base + "/providers", Base + "/regions", Base + "/gpu-types", Base + "/deployments", Base + "/ssh-keys", Base + "/volumes", Base + "/wallet", Base + "/events", Base + "/webhooks"},
		}, nil
	})
}
