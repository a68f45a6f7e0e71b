package shadeformtest

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/billetcloud/billet/internal/provider/upstream"
	"github.com/billetcloud/billet/internal/provider/upstream/upstreamtest"
)

// credential is the key that the cloud accepts.
const credential = "shade-key-of-the-fake"

// Cloud is the fake.
type Cloud struct {
	upstreamtest.Fake
	upstreamtest.Instances[machine]

	serial int
	keys   []sshKey
}

// Serve starts a Cloud that ends with the test.
func Serve(t testing.TB) *Cloud {
	t.Helper()
	c := &Cloud{}
	c.Instances = upstreamtest.NewInstances[machine](&c.Fake, life)
	// The account has a key of the cloud's, as every account does.
	const managed = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAcloudsOwnKeyAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
	c.keys = []sshKey{{ID: c.id(), Name: "Shadeform Managed Key", PublicKey: managed, IsDefault: true}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/instances/types", c.types)
	mux.HandleFunc("GET /v1/instances", c.list)
	mux.HandleFunc("POST /v1/instances/create", c.create)
	mux.HandleFunc("GET /v1/instances/{id}/info", c.info)
	mux.HandleFunc("POST /v1/instances/{id}/restart", c.restart)
	mux.HandleFunc("POST /v1/instances/{id}/delete", c.delete)
	mux.HandleFunc("GET /v1/sshkeys", c.listKeys)
	mux.HandleFunc("POST /v1/sshkeys/add", c.addKey)
	c.Fake.Serve(t, upstreamtest.Config{
		Account: upstream.Account{Slug: "shadeform", Name: "Shadeform", BaseURL: "/v1", Credential: credential},
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			switch {
			case r.Header.Get("X-Api-Key") != credential || c.Revoked:
				http.Error(w, "Unauthorized", http.StatusUnauthorized) // plain text: only 409 has a form
			case strings.HasSuffix(r.URL.Path, "/"):
				http.NotFound(w, r)
			default:
				mux.ServeHTTP(w, r)
			}
		}),
		Tick: c.Tick, Machines: c.IDs,
	})
	return c
}

// PublicKeys returns the uploaded keys.
func (c *Cloud) PublicKeys() (all []string) {
	c.Do(func() {
		for _, k := range c.keys[1:] {
			all = append(all, k.PublicKey)
		}
	})
	return all
}

// PlantKey adds a key of that name to the account.
func (c *Cloud) PlantKey(name, public string) {
	c.Do(func() { c.keys = append(c.keys, sshKey{ID: c.id(), Name: name, PublicKey: public}) })
}

// id returns a new id of the form of a UUID.
func (c *Cloud) id() string {
	c.serial++
	return fmt.Sprintf("5b1adef0-0000-4000-8000-%012d", c.serial)
}
