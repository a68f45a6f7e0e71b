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
	// Key is the API key that the cloud takes.
	Key = "sai_pk_of_a_test"
	// Team is the account's current team, OtherTeam another of the account's.
	Team      = "team_1"
	OtherTeam = "team_2"

	window  = 15 * time.Minute
	minimum = 20 * time.Minute
	// boot is for how long a machine is deploying; its address is there after a second.
	boot = 90 * time.Second
)

// Cloud is a fake of Spheron.
type Cloud struct {
	upstreamtest.Fake

	offers   []Group
	pageMost int
	machines map[string]*machine
	volumes  map[string]*volume
	made     int // machines ever
	requests []time.Time
	creates  []time.Time
	most     struct{ requests, creates int } // in any window
	team     string                          // the current one
	envelope string
	lingers  time.Duration
	lag      time.Duration
	bodies   []map[string]any // of deploys that were taken
}

// Serve starts one that ends with the test.
func Serve(t testing.TB) *Cloud {
	t.Helper()
	c := &Cloud{offers: catalogue(), pageMost: 4, machines: map[string]*machine{}, volumes: map[string]*volume{}, team: Team}
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
			status, said := c.door(r)
			if status == 0 {
				status, said = h(r)
			}
			upstreamtest.WriteJSON(w, status, said)
		})
	}
	c.Fake.Serve(t, upstreamtest.Config{
		Account: upstream.Account{Slug: "spheron", Name: "Spheron", Credential: Key}, Handler: mux, Tick: c.tick, Machines: c.live,
	})
	return c
}

// CurrentTeam makes another team the account's only one.
func (c *Cloud) CurrentTeam(team string) { c.Do(func() { c.team = team }) }

// Envelope has lists of deployments come under that name; "" for the bare array.
func (c *Cloud) Envelope(name string) { c.Do(func() { c.envelope = name }) }

// Lingers has machines go on for so long after their end was taken on.
func (c *Cloud) Lingers(d time.Duration) { c.Do(func() { c.lingers = d }) }

// Lag has new machines appear only after that time, on the lists and by themselves.
func (c *Cloud) Lag(d time.Duration) { c.Do(func() { c.lag = d }) }

// PageMost is the most groups that a page has.
func (c *Cloud) PageMost(n int) { c.Do(func() { c.pageMost = n }) }

// SetOffers has the cloud sell these groups.
func (c *Cloud) SetOffers(groups []Group) { c.Do(func() { c.offers = groups }) }

// Allow has the account's limits be so many requests and creates in 15 minutes, as the cloud grants some.
func (c *Cloud) Allow(requests, creates int) {
	c.Do(func() { c.most.requests, c.most.creates = requests, creates })
}

// Deploys returns the bodies of the deploys that were taken.
func (c *Cloud) Deploys() (bodies []map[string]any) {
	c.Do(func() { bodies = append(bodies, c.bodies...) })
	return bodies
}

// door refuses what never gets to a handler. The limiter counts everything, as one that stands before the API does.
func (c *Cloud) door(r *http.Request) (int, any) {
	if agent := r.UserAgent(); agent == "" || strings.HasPrefix(agent, "Go-http-client") || strings.HasPrefix(agent, "Python-urllib") {
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

// limit counts one more, or says how long to wait.
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
	return http.StatusTooManyRequests, map[string]any{"error": "Too many requests", "code": "RATE_LIMIT_EXCEEDED", "retryAfter": math.Ceil(wait.Seconds())}
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
		{"teamId": "team_0", "teamName": "Of somebody else", "balance": 0, "isCurrentTeam": false, "role": "member"},
		{"teamId": c.team, "teamName": "Main", "balance": balance, "isCurrentTeam": true, "role": "owner"},
	}}
}
