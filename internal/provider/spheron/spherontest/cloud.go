package spherontest

import (
	"fmt"
	"math"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/provider/upstream"
	"github.com/billetcloud/billet/internal/provider/upstream/upstreamtest"
)

const (
	// Key is the API key that the cloud accepts.
	Key = "sai_pk_of_a_test"
	// Team is the account's current team, OtherTeam another of the account's.
	Team      = "team_1"
	OtherTeam = "team_2"

	window  = 15 * time.Minute
	minimum = 20 * time.Minute
	// boot is how long a machine is deploying; it has its address after a second.
	boot = 90 * time.Second
)

// Cloud is a fake of Spheron.
type Cloud struct {
	upstreamtest.Fake

	offers   []Group
	pageMost int
	machines map[string]*machine
	volumes  map[string]*volume
	created  int // machines ever
	requests []time.Time
	creates  []time.Time
	most     struct{ requests, creates int } // in any window
	team     string                          // the current one
	envelope string
	endTakes time.Duration
	bodies   []map[string]any // of accepted deploys
}

// Serve starts one that ends with the test.
func Serve(t testing.TB) *Cloud {
	t.Helper()
	c := &Cloud{
		offers: catalog(), pageMost: 4, machines: map[string]*machine{}, volumes: map[string]*volume{}, team: Team,
	}
	c.most.requests, c.most.creates = 100, 10
	mux := http.NewServeMux()
	for pattern, h := range map[string]func(*http.Request) (int, any){
		"GET /api/providers":            c.providers,
		"GET /api/gpu-offers":           c.listOffers,
		"GET /api/balance":              c.balance,
		"GET /api/deployments":          c.listMachines,
		"POST /api/deployments":         c.deploy,
		"GET /api/deployments/{id}":     c.oneMachine,
		"PATCH /api/deployments/{id}":   c.rename,
		"DELETE /api/deployments/{id}":  c.terminate,
		"GET /api/volumes":              c.listVolumes,
		"POST /api/volumes":             c.createVolume,
		"GET /api/volumes/regions":      c.volumeRegions,
		"GET /api/volumes/{id}":         c.oneVolume,
		"PATCH /api/volumes/{id}":       c.growVolume,
		"DELETE /api/volumes/{id}":      c.deleteVolume,
		"POST /api/volumes/{id}/attach": c.attachVolume,
		"POST /api/volumes/{id}/detach": c.detachVolume,
	} {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			status, body := c.gate(r)
			if status == 0 {
				status, body = h(r)
			}
			upstreamtest.WriteJSON(w, status, body)
		})
	}
	c.Fake.Serve(t, upstreamtest.Config{
		Account: upstream.Account{Slug: "spheron", Name: "Spheron", Credential: Key},
		Handler: mux, Tick: c.tick, Machines: c.machineIDs,
	})
	return c
}

// CurrentTeam makes another team the account's current one.
func (c *Cloud) CurrentTeam(team string) { c.Do(func() { c.team = team }) }

// Envelope puts lists of deployments under that name; "" for the bare array.
func (c *Cloud) Envelope(name string) { c.Do(func() { c.envelope = name }) }

// EndTakes makes machines run on for that long after their end was accepted.
func (c *Cloud) EndTakes(d time.Duration) { c.Do(func() { c.endTakes = d }) }

// PageMost sets the most groups of a page.
func (c *Cloud) PageMost(n int) { c.Do(func() { c.pageMost = n }) }

// Allow sets the account's limits of requests and creates in 15 minutes.
func (c *Cloud) Allow(requests, creates int) {
	c.Do(func() { c.most.requests, c.most.creates = requests, creates })
}

// Deploys returns the bodies of the accepted deploys.
func (c *Cloud) Deploys() (bodies []map[string]any) {
	c.Do(func() { bodies = append(bodies, c.bodies...) })
	return bodies
}

// gate refuses what never reaches a handler. The limiter counts every request, as one in front of
// the API does.
func (c *Cloud) gate(r *http.Request) (int, any) {
	agent := r.UserAgent()
	if agent == "" || strings.HasPrefix(agent, "Go-http-client") || strings.HasPrefix(agent, "Python-urllib") {
		return http.StatusForbidden, map[string]any{"error": "Forbidden"}
	}
	if wait := c.limit(&c.requests, c.most.requests); wait > 0 {
		return tooMany(wait)
	}
	open := r.Method == http.MethodGet && (r.URL.Path == "/api/providers" || r.URL.Path == "/api/gpu-offers")
	if key := r.Header.Get("Authorization"); (key != "" || !open) && (key != "Bearer "+Key || c.Revoked) {
		return http.StatusUnauthorized, map[string]any{"error": map[string]any{"message": "Invalid API key"}}
	}
	return 0, nil
}

// limit counts one more, or returns how long to wait.
func (c *Cloud) limit(counted *[]time.Time, most int) time.Duration {
	now, kept := c.Clock.Now(), (*counted)[:0]
	for _, at := range *counted {
		if now.Sub(at) < window {
			kept = append(kept, at)
		}
	}
	if *counted = kept; len(kept) >= most {
		return window - now.Sub(kept[0])
	}
	*counted = append(kept, now)
	return 0
}

func tooMany(wait time.Duration) (int, any) {
	return http.StatusTooManyRequests, map[string]any{
		"error": "Too many requests", "code": "RATE_LIMIT_EXCEEDED", "retryAfter": math.Ceil(wait.Seconds()),
	}
}

func refuse(status int, format string, args ...any) (int, any) {
	return status, map[string]any{"error": fmt.Sprintf(format, args...)}
}

func (c *Cloud) balance(*http.Request) (int, any) {
	balance := 120.5
	if c.NoQuota {
		balance = 0.4
	}
	return http.StatusOK, map[string]any{"currency": "USD", "teams": []map[string]any{
		{"teamId": "team_0", "teamName": "Of another owner", "balance": 0, "isCurrentTeam": false, "role": "member"},
		{"teamId": c.team, "teamName": "Main", "balance": balance, "isCurrentTeam": true, "role": "owner"},
	}}
}
