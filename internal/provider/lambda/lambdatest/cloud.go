package lambdatest

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/provider/providertest"
	"github.com/billetcloud/billet/internal/provider/upstream"
	"github.com/billetcloud/billet/internal/provider/upstream/upstreamtest"
)

const (
	// credential is the key that the cloud takes.
	credential = "secret_fake_lambda_key"
	// Token is the secret of every machine's notebook. It belongs nowhere.
	Token = "notebook-token-of-the-fake"
	// between is how far two requests, or two launches, must lie apart.
	between       = time.Second
	betweenLaunch = 12 * time.Second
)

// Cloud is the fake.
type Cloud struct {
	*upstreamtest.Server

	mu         sync.Mutex
	serial     int
	instances  []*instance
	keys       []sshKey
	soldOut    bool
	overQuota  bool
	revoked    bool
	refusal    *refusal // of launches
	lastLaunch time.Time
	last       time.Time
	hasty      int
	acting     bool // an action is in progress at every machine
}

type refusal struct {
	status int
	body   string
}

// Serve starts a Cloud that ends with the test.
func Serve(t testing.TB) *Cloud {
	t.Helper()
	c := &Cloud{}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/v1/instance-types", c.types)
	mux.HandleFunc("GET /api/v1/images", c.images)
	mux.HandleFunc("GET /api/v1/instances", c.list)
	mux.HandleFunc("GET /api/v1/instances/{id}", c.get)
	mux.HandleFunc("POST /api/v1/instance-operations/launch", c.launch)
	mux.HandleFunc("POST /api/v1/instance-operations/restart", c.restart)
	mux.HandleFunc("POST /api/v1/instance-operations/terminate", c.terminate)
	mux.HandleFunc("GET /api/v1/ssh-keys", c.listKeys)
	mux.HandleFunc("POST /api/v1/ssh-keys", c.addKey)
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { refuse(w, http.StatusNotFound, "global/not-found") })
	c.Server = upstreamtest.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c.mu.Lock()
		defer c.mu.Unlock()
		now := c.Clock.Now()
		if now.Sub(c.last) < between {
			c.hasty++
		}
		c.last = now
		if r.Header.Get("Authorization") != "Bearer "+credential || c.revoked {
			refuse(w, http.StatusUnauthorized, "global/invalid-api-key")
			return
		}
		c.walk()
		mux.ServeHTTP(w, r)
	}))
	t.Cleanup(func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		for _, i := range c.instances {
			i.close()
		}
	})
	return c
}

// Account returns the account that the cloud knows.
func (c *Cloud) Account() upstream.Account {
	return upstream.Account{
		Slug: "lambda", Name: "Lambda", BaseURL: c.URL + "/api/v1", Credential: credential, Version: "test", Now: c.Clock.Now,
		Sleep: func(ctx context.Context, d time.Duration) error { c.Advance(d); return ctx.Err() },
	}
}

// Misbehaviour is what the conformance suite can do to the cloud.
func (c *Cloud) Misbehaviour() *providertest.Cloud {
	return &providertest.Cloud{Trouble: c.Trouble, Calm: c.Calm, SoldOut: c.SoldOut, OverQuota: c.OverQuota, Revoke: c.Revoke, Made: c.Made}
}

// SoldOut takes all capacity away, or gives it back.
func (c *Cloud) SoldOut(is bool) { c.set(&c.soldOut, is) }

// OverQuota has the account at its limit.
func (c *Cloud) OverQuota(is bool) { c.set(&c.overQuota, is) }

// Revoke has the credential refused.
func (c *Cloud) Revoke(is bool) { c.set(&c.revoked, is) }

// Acting has every machine in the midst of an action, which refuses another.
func (c *Cloud) Acting(is bool) { c.set(&c.acting, is) }

func (c *Cloud) set(what *bool, is bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	*what = is
}

// Made returns how many machines there are.
func (c *Cloud) Made() int { return len(c.MachineIDs()) }

// MachineIDs returns the ids of the machines that there are, those that are ending among them.
func (c *Cloud) MachineIDs() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.walk()
	var ids []string
	for _, i := range c.instances {
		if i.status(c.Clock.Now()) != "terminated" {
			ids = append(ids, i.id)
		}
	}
	return ids
}

// Hasty returns how many requests came less than a second after the one before.
func (c *Cloud) Hasty() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.hasty
}

// Port returns where the SSH of the machine at that address answers: 22, but for where the process may not take that.
func (c *Cloud) Port(address string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, i := range c.instances {
		if i.ssh != nil && i.ssh.Address == address {
			return i.ssh.Port
		}
	}
	return 0
}

// Say has the machine show that status from now on, whatever really becomes of it; "" shows its own again.
func (c *Cloud) Say(machine, status string) { c.change(machine, func(i *instance) { i.said = status }) }

// Rename changes a machine's name, as people do at the cloud's own pages.
func (c *Cloud) Rename(machine, name string) { c.change(machine, func(i *instance) { i.name = name }) }

// UserData returns the text that the machine was launched with, and Family the image's.
func (c *Cloud) UserData(machine string) (text, family string) {
	c.change(machine, func(i *instance) { text, family = i.userData, i.family })
	return text, family
}

func (c *Cloud) change(machine string, do func(*instance)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, i := range c.instances {
		if i.id == machine {
			do(i)
		}
	}
}

// RefuseLaunch has the next launch answered with that status and body, and nothing made.
func (c *Cloud) RefuseLaunch(status int, body string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.refusal = &refusal{status, body}
}

// PublicKeys returns the keys that the account has.
func (c *Cloud) PublicKeys() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var all []string
	for _, k := range c.keys {
		all = append(all, k.PublicKey)
	}
	return all
}

// PlantKey gives the account a key of that name.
func (c *Cloud) PlantKey(name, public string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.keys = append(c.keys, sshKey{ID: c.id(), Name: name, PublicKey: public})
}

// id returns a new id of 32 hexadecimal digits.
func (c *Cloud) id() string {
	c.serial++
	return fmt.Sprintf("0920582c7ff041399e34%012x", c.serial)
}

func write(w http.ResponseWriter, data any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{"data": data})
}

func refuse(w http.ResponseWriter, status int, code string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]any{"error": map[string]string{"code": code, "message": "No.", "suggestion": "Do something else.", "request_id": "r-1"}})
}

// read reads a body strictly: a field that is not known, or of another type, or anything after, is refused.
func read(w http.ResponseWriter, r *http.Request, into any) bool {
	d := json.NewDecoder(io.LimitReader(r.Body, 2<<20))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil || d.More() || r.Header.Get("Content-Type") != "application/json" {
		refuse(w, http.StatusBadRequest, "global/invalid-parameters")
		return false
	}
	return true
}
