package lambdatest

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/provider/upstream"
	"github.com/billetcloud/billet/internal/provider/upstream/upstreamtest"
)

const (
	// credential is the key that the cloud accepts.
	credential = "secret_fake_lambda_key"
	// Token is the secret of every machine's notebook. It must not appear anywhere.
	Token = "notebook-token-of-the-fake"
	// requestEvery and launchEvery are the shortest allowed intervals.
	requestEvery = 800 * time.Millisecond // a second, less the delays of a busy test machine
	launchEvery  = 12 * time.Second
)

// Cloud is the fake.
type Cloud struct {
	upstreamtest.Fake
	upstreamtest.Instances[machine]

	serial     int
	keys       []sshKey
	lastLaunch time.Time
	last       time.Time
	tooSoon    int  // requests
	acting     bool // an action is in progress on every machine
}

// Serve starts a Cloud that ends with the test.
func Serve(t testing.TB) *Cloud {
	t.Helper()
	c := &Cloud{}
	c.Instances = upstreamtest.NewInstances[machine](&c.Fake, life)
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
	mux.HandleFunc(
		"/", func(w http.ResponseWriter, _ *http.Request) { refuse(w, http.StatusNotFound, "global/not-found") },
	)
	c.Fake.Serve(t, upstreamtest.Config{
		Account: upstream.Account{Slug: "lambda", Name: "Lambda", BaseURL: "/api/v1", Credential: credential},
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			now := c.Clock.Now()
			if now.Sub(c.last) < requestEvery {
				c.tooSoon++
			}
			c.last = now
			if r.Header.Get("Authorization") != "Bearer "+credential || c.Revoked {
				refuse(w, http.StatusUnauthorized, "global/invalid-api-key")
				return
			}
			mux.ServeHTTP(w, r)
		}),
		Tick: c.Tick, Machines: c.IDs,
	})
	return c
}

// Acting puts an action in progress on every machine, which makes the cloud refuse another.
func (c *Cloud) Acting(on bool) { c.Do(func() { c.acting = on }) }

// TooSoon returns how many requests came less than a second after the one before.
func (c *Cloud) TooSoon() (n int) {
	c.Do(func() { n = c.tooSoon })
	return n
}

// UserData returns the user data of the machine, and the family of its image.
func (c *Cloud) UserData(machine string) (text, family string) {
	c.Do(func() { text, family = c.Find(machine).Of.userData, c.Find(machine).Of.family })
	return text, family
}

// PublicKeys returns the account's keys.
func (c *Cloud) PublicKeys() (all []string) {
	c.Do(func() {
		for _, k := range c.keys {
			all = append(all, k.PublicKey)
		}
	})
	return all
}

// PlantKey adds a key of that name to the account.
func (c *Cloud) PlantKey(name, public string) {
	c.Do(func() { c.keys = append(c.keys, sshKey{ID: c.id(), Name: name, PublicKey: public}) })
}

// id returns a new id of 32 hexadecimal digits.
func (c *Cloud) id() string {
	c.serial++
	return fmt.Sprintf("0920582c7ff041399e34%012x", c.serial)
}

func write(w http.ResponseWriter, data any) {
	upstreamtest.WriteJSON(w, http.StatusOK, map[string]any{"data": data})
}

func refuse(w http.ResponseWriter, status int, code string) {
	upstreamtest.WriteJSON(w, status, map[string]any{"error": map[string]string{
		"code": code, "message": "No.", "suggestion": "Do something else.", "request_id": "r-1",
	}})
}

// read decodes a body strictly, or answers 400.
func read(w http.ResponseWriter, r *http.Request, into any) bool {
	if upstreamtest.ReadJSON(r, into) != nil {
		refuse(w, http.StatusBadRequest, "global/invalid-parameters")
		return false
	}
	return true
}
