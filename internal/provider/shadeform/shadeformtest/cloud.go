package shadeformtest

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/provider/providertest"
	"github.com/billetcloud/billet/internal/provider/upstream"
	"github.com/billetcloud/billet/internal/provider/upstream/upstreamtest"
)

// credential is the key that the cloud takes.
const credential = "shade-key-of-the-fake"

// Cloud is the fake.
type Cloud struct {
	*upstreamtest.Server

	mu        sync.Mutex
	serial    int
	instances []*instance
	keys      []sshKey
	soldOut   bool
	overQuota bool
	revoked   bool
	refusal   *refusal // of creates
}

type refusal struct {
	status int
	body   string
}

// Serve starts a Cloud that ends with the test.
func Serve(t testing.TB) *Cloud {
	t.Helper()
	c := &Cloud{}
	// The cloud has a key of its own, as every account does.
	c.keys = []sshKey{{ID: c.id(), Name: "Shadeform Managed Key", PublicKey: "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAcloudsOwnKeyThatNobodyHasAAAAAAAAAAAAAAAA", IsDefault: true}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/instances/types", c.types)
	mux.HandleFunc("GET /v1/instances", c.list)
	mux.HandleFunc("POST /v1/instances/create", c.create)
	mux.HandleFunc("GET /v1/instances/{id}/info", c.info)
	mux.HandleFunc("POST /v1/instances/{id}/restart", c.restart)
	mux.HandleFunc("POST /v1/instances/{id}/delete", c.delete)
	mux.HandleFunc("GET /v1/sshkeys", c.listKeys)
	mux.HandleFunc("POST /v1/sshkeys/add", c.addKey)
	c.Server = upstreamtest.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c.mu.Lock()
		defer c.mu.Unlock()
		if r.Header.Get("X-Api-Key") != credential || c.revoked {
			http.Error(w, "Unauthorized", http.StatusUnauthorized) // plain text: only 409 has a form
			return
		}
		if strings.HasSuffix(r.URL.Path, "/") {
			http.NotFound(w, r)
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
		Slug: "shadeform", Name: "Shadeform", BaseURL: c.URL + "/v1", Credential: credential, Version: "test", Now: c.Clock.Now,
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
		if i.status(c.Clock.Now()) != "deleted" {
			ids = append(ids, i.id)
		}
	}
	return ids
}

// Say has the machine show that status from now on, whatever really becomes of it; "" shows its own again.
func (c *Cloud) Say(machine, status string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, i := range c.instances {
		if i.id == machine {
			i.said = status
		}
	}
}

// RefuseCreate has the next create answered with that status and body, and nothing made.
func (c *Cloud) RefuseCreate(status int, body string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.refusal = &refusal{status, body}
}

// Rename changes a machine's name, as people do at the cloud's own pages.
func (c *Cloud) Rename(machine, name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, i := range c.instances {
		if i.id == machine {
			i.name = name
		}
	}
}

// PublicKeys returns the keys that tenants' machines were launched with, as they were uploaded.
func (c *Cloud) PublicKeys() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var all []string
	for _, k := range c.keys[1:] {
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

// id returns a new id of the form of a UUID.
func (c *Cloud) id() string {
	c.serial++
	return fmt.Sprintf("5b1adef0-0000-4000-8000-%012d", c.serial)
}
