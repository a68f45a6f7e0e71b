package httpapi

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/billetcloud/billet/internal/account"
	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/db/dbtest"
)

// versioned makes one of each resource that has an ETag, and returns its path with a PATCH of it.
func (w *world) versioned() map[string]string {
	w.t.Helper()
	made := func(at string, body any) string {
		return at + "/" + w.want(201, w.ada, "POST", at, body).text("id")
	}
	return map[string]string{
		made(Base+"/deployments", w.seedBody()): `{"tags":["a"]}`,
		made(Base+"/volumes", map[string]any{
			"name": "v", "sizeGb": 10, "provider": "voltage-park", "region": "dallas-usa-5",
		}): `{"name":"b"}`,
		made(Base+"/ssh-keys", map[string]any{"name": "k", "publicKey": publicKey(w.t)}): `{"name":"b"}`,
		made(Base+"/webhooks", map[string]any{"url": "https://hooks.example/a"}):         `{"description":"b"}`,
	}
}

func TestRouter_IfMatch(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		w := newWorldOn(t, d, c)
		w.configure(func(c *Config) { c.Limiter = allowAll{} })
		for at, change := range w.versioned() {
			read := w.want(200, w.ada, "GET", at, nil)
			first := read.header.Get("ETag")
			if !strings.HasPrefix(first, `"`) {
				t.Fatalf("%s: got ETag %q, want a strong one", at, first)
			}
			same(t, "ETag of a second GET", w.want(200, w.ada, "GET", at, nil).header.Get("ETag"), first)
			changed := w.want(200, w.ada, "PATCH", at, change, header("If-Match", first), header("Idempotency-Key", at))
			second := w.want(200, w.ada, "GET", at, nil).header.Get("ETag")
			if second == first {
				t.Errorf("%s: got the same ETag after a change", at)
			}
			same(t, "ETag of the PATCH", changed.header.Get("ETag"), second)
			again := w.want(200, w.ada, "PATCH", at, change, header("If-Match", first), header("Idempotency-Key", at))
			same(t, "Idempotent-Replayed", again.header.Get("Idempotent-Replayed"), "true")

			for _, match := range []string{first, `W/` + second, `"x"`} {
				w.refused("PRECONDITION_FAILED", w.ada, "PATCH", at, change, header("If-Match", match))
				w.refused("PRECONDITION_FAILED", w.ada, "DELETE", at, nil, header("If-Match", match))
			}
			same(t, "ETag after refusals", w.want(200, w.ada, "GET", at, nil).header.Get("ETag"), second)
			for _, match := range []string{second, `"x", ` + second, `*`} {
				w.want(200, w.ada, "PATCH", at, change, header("If-Match", match))
			}
			for _, match := range []string{"", "x", `"x`, `*, "x"`, `"x" "y"`} {
				r := w.refused("INVALID_REQUEST", w.ada, "PATCH", at, change, header("If-Match", match))
				same(t, "fields", r.fields(), []string{"header.If-Match"})
			}
			w.refused("NOT_FOUND", w.bob, "PATCH", at, change, header("If-Match", second))
			w.refused("NOT_FOUND", w.bob, "PATCH", at, change, header("If-Match", "*"))
		}
	})
}

func TestRouter_IfMatchLetsOneOfManyChangesWin(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		w := newWorldOn(t, d, c)
		w.configure(func(c *Config) { c.Limiter = allowAll{} })
		for at, change := range w.versioned() {
			match := w.want(200, w.ada, "GET", at, nil).header.Get("ETag")
			statuses := make([]int, 8)
			var wg sync.WaitGroup
			for i := range statuses {
				body := strings.NewReplacer(`"a"`, `"a`+string(rune('0'+i))+`"`, `"b"`, `"b`+string(rune('0'+i))+`"`).
					Replace(change)
				r := w.request(w.ada, "PATCH", at, body, header("If-Match", match))
				wg.Go(func() {
					rec := httptest.NewRecorder()
					w.s.ServeHTTP(rec, r)
					statuses[i] = w.examine(w.request(w.ada, "PATCH", at, body), rec.Result()).status
				})
			}
			wg.Wait()
			won, lost := 0, 0
			for _, status := range statuses {
				switch status {
				case 200:
					won++
				case 412:
					lost++
				}
			}
			if won != 1 || lost != len(statuses)-1 {
				t.Errorf("%s: got statuses %v, want one 200 and otherwise 412", at, statuses)
			}
		}
	})
}

func TestRouter_IfMatchIsNeverIgnored(t *testing.T) {
	w := newWorld(t)
	r := w.refused("INVALID_REQUEST", w.ada, "POST", Base+"/ssh-keys",
		map[string]string{"name": "a", "publicKey": publicKey(t)}, header("If-Match", "*"))
	same(t, "fields", r.fields(), []string{"header.If-Match"})
	if list := w.want(200, w.ada, "GET", Base+"/ssh-keys", nil).list; len(list) != 0 {
		t.Errorf("got %v, want no key", list)
	}
}

// Operations that manage their own transactions cannot keep what the headers promise.
func TestRouter_UnmanagedOperationsRefuseConditionsAndKeys(t *testing.T) {
	w := newWorld(t)
	w.configure(func(c *Config) { c.Limiter = allowAll{} })
	w.newUser(w.ada, account.Owner,
		account.UserRequest{Email: "ada@example.com", Password: goodPassword, Operator: true})
	cookie := w.cookie("ada@example.com")
	n := 0
	for _, rt := range w.s.Routes() {
		if rt.Method == http.MethodGet || rt.Replayed() {
			continue
		}
		n++
		at := strings.ReplaceAll(rt.Path, "{id}", "dep_1")
		r := w.by(400, cookie, rt.Method, at, nil, header("Idempotency-Key", "k"), header("If-Match", "*"))
		if rt.OAuth {
			continue // its error has no fields
		}
		for _, field := range []string{"header.Idempotency-Key", "header.If-Match"} {
			if !slices.Contains(r.fields(), field) {
				t.Errorf("%s: got errors of %v, want %s among them", rt.ID, r.fields(), field)
			}
		}
	}
	if n < 10 {
		t.Errorf("got %d operations, want at least 10", n)
	}
}

func TestRouter_IfNoneMatch(t *testing.T) {
	w := newWorld(t)
	w.configure(func(c *Config) { c.Limiter = allowAll{} })
	for at := range w.versioned() {
		tag := w.want(200, w.ada, "GET", at, nil).header.Get("ETag")
		for _, known := range []string{tag, "W/" + tag, `"x", ` + tag, "*"} {
			r := w.want(304, w.ada, "GET", at, nil, header("If-None-Match", known))
			if len(r.body) != 0 || r.header.Get("ETag") != tag || r.header.Get("Content-Type") != "" {
				t.Errorf("%s: got %v %s, want no body and the ETag %s", at, r.header, r.body, tag)
			}
		}
		w.want(200, w.ada, "GET", at, nil, header("If-None-Match", `"x"`))
		w.want(200, w.ada, "GET", at, nil, header("If-None-Match", "x"))
	}
}

func TestRouter_IfMatchOfAnAPIKey(t *testing.T) {
	w := newWorld(t)
	w.configure(func(c *Config) { c.Limiter = allowAll{} })
	owner := w.signIn(w.ada)
	at := AccountBase + "/api-keys"
	at += "/" + w.by(201, owner, "POST", at, map[string]any{"name": "ci"}).text("id")
	first := w.by(200, owner, "GET", at, nil).header.Get("ETag")
	changed := w.by(200, owner, "PATCH", at, `{"spendingLimits":{"maxDeployments":1}}`, header("If-Match", first))
	second := w.by(200, owner, "GET", at, nil).header.Get("ETag")
	same(t, "ETag of the PATCH", changed.header.Get("ETag"), second)
	w.by(412, owner, "PATCH", at, `{"name":"x"}`, header("If-Match", first))
	w.by(200, owner, "PATCH", at, `{"name":"x"}`, header("If-Match", second))
}
