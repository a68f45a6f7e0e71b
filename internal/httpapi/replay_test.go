package httpapi

import (
	"context"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/account"
	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/creator"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/db/dbtest"
	"github.com/billetcloud/billet/internal/rest"
)

func TestParallelDeploysWithOneKeyAreOne(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		w := newWorldOn(t, d, c)
		w.configure(func(c *Config) { c.Limiter = allowAll{} })
		body := w.seedBody()
		replies := make([]reply, 50)
		var wg sync.WaitGroup
		for i := range replies {
			r := w.request(w.ada, "POST", Base+"/deployments", body, header("Idempotency-Key", "launch-1"))
			wg.Go(func() {
				rec := httptest.NewRecorder()
				w.s.ServeHTTP(rec, r)
				replies[i] = w.examine(r, rec.Result())
			})
		}
		wg.Wait()
		firsts := 0
		for _, r := range replies {
			if r.header.Get("Idempotent-Replayed") == "" {
				firsts++
			}
			if r.status != 201 || string(r.body) != string(replies[0].body) ||
				r.header.Get("Location") != replies[0].header.Get("Location") ||
				r.header.Get("Location") == "" {
				t.Errorf("%d %v %s", r.status, r.header, r.body)
			}
		}
		if firsts != 1 {
			t.Errorf("%d answers were not replays", firsts)
		}
		if list := w.want(200, w.ada, "GET", Base+"/deployments", nil).list; len(list) != 1 {
			t.Errorf("%d deployments", len(list))
		}
		if held := w.want(200, w.ada, "GET", Base+"/wallet", nil).data.(map[string]any)["held"]; held != 23.92 {
			t.Errorf("%v held", held)
		}
	})
}

func TestAReplayIsOfTheSameRequestOnly(t *testing.T) {
	w := newWorld(t)
	w.configure(func(c *Config) { c.Limiter = allowAll{} })
	key := publicKey(t)
	at, with := Base+"/ssh-keys", header("Idempotency-Key", "k1")
	first := w.want(201, w.ada, "POST", at, `{"name":"a","publicKey":"`+key+`"}`, with)
	if first.header.Get("Idempotent-Replayed") != "" {
		t.Error("the first answer is a replay")
	}
	again := w.want(201, w.ada, "POST", at, "{ \"publicKey\": \""+key+"\",\n \"name\":\"\\u0061\" }", with)
	if string(again.body) != string(first.body) || again.header.Get("Idempotent-Replayed") != "true" ||
		again.header.Get("Location") != first.header.Get("Location") {
		t.Errorf("%v %s", again.header, again.body)
	}
	w.refused("IDEMPOTENCY_KEY_REUSED", w.ada, "POST", at, `{"name":"b","publicKey":"`+key+`"}`, with)
	w.refused(
		"IDEMPOTENCY_KEY_REUSED",
		w.ada,
		"POST",
		Base+"/volumes",
		map[string]any{"name": "v", "sizeGb": 10, "provider": "voltage-park", "region": "dallas-usa-5"},
		with,
	)
	// Another tenant's equal key is another key.
	if r := w.want(201, w.bob, "POST", at, `{"name":"a","publicKey":"`+key+`"}`, with); r.text(
		"id",
	) == first.text(
		"id",
	) {
		t.Error("another tenant got the answer")
	}
	w.clock.Advance(24 * time.Hour)
	w.refused(
		"CONFLICT",
		w.ada,
		"POST",
		at,
		`{"name":"a","publicKey":"`+key+`"}`,
		with,
	) // it counts again: the name is taken
}

// Whatever changes something honors the key, whichever its method is.
func TestEveryWriteHonorsItsKey(t *testing.T) {
	w := newWorld(t)
	w.configure(func(c *Config) { c.Limiter = allowAll{} })
	at := Base + "/ssh-keys"
	one := at + "/" + w.want(201, w.ada, "POST", at, map[string]string{"name": "a", "publicKey": publicKey(t)}).
		text("id")
	with := header("Idempotency-Key", "k1")
	first := w.want(200, w.ada, "PATCH", one, `{"name":"b"}`, with)
	w.want(200, w.ada, "PATCH", one, `{"name":"c"}`)
	again := w.want(200, w.ada, "PATCH", one, `{"name":"b"}`, with)
	if string(again.body) != string(first.body) || again.header.Get("Idempotent-Replayed") != "true" {
		t.Errorf("%v %s", again.header, again.body)
	}
	same(
		t,
		"the name after the second effect that there must not be",
		w.want(200, w.ada, "GET", one, nil).text("name"),
		"c",
	)
	w.refused("IDEMPOTENCY_KEY_REUSED", w.ada, "PATCH", one, `{"name":"d"}`, with)
	w.refused("IDEMPOTENCY_KEY_REUSED", w.ada, "DELETE", one, nil, with)
	w.want(200, w.ada, "DELETE", one, nil, header("Idempotency-Key", "k2"))
	if r := w.want(200, w.ada, "DELETE", one, nil, header("Idempotency-Key", "k2")); r.header.Get(
		"Idempotent-Replayed",
	) != "true" {
		t.Errorf("%v %s", r.header, r.body)
	}
	w.refused("NOT_FOUND", w.ada, "DELETE", one, nil)
	paths, _ := documented(t)
	routes := w.s.Routes()
	for path, item := range paths {
		for method, op := range item {
			i := slices.IndexFunc(
				routes,
				func(rt *rest.Route) bool { return rt.Path == path && rt.Method == strings.ToUpper(method) },
			)
			takes := slices.ContainsFunc(
				op.Parameters,
				func(p struct{ Name, In string }) bool { return p.Name == "Idempotency-Key" },
			)
			if want := method != "get" && routes[i].Replayed(); takes != want {
				t.Errorf("%s %s: the document has an Idempotency-Key: %v", method, path, takes)
			}
		}
	}
}

func TestWhichAnswersAreKept(t *testing.T) {
	w := newWorld(t)
	w.configure(func(c *Config) { c.Limiter = allowAll{} })
	poor := w.tenant("Carl")
	w.tx(func(ctx context.Context, tx *db.Tx) error {
		return w.c.Wallet.Hold(ctx, tx, holdAll(poor.account))
	})
	at := Base + "/deployments"
	body := w.seedBody()
	first := w.refused("INSUFFICIENT_BALANCE", poor, "POST", at, body, header("Idempotency-Key", "k"))
	again := w.refused("INSUFFICIENT_BALANCE", poor, "POST", at, body, header("Idempotency-Key", "k"))
	if again.header.Get("Idempotent-Replayed") != "true" || string(first.body) != string(again.body) {
		t.Errorf("402: %v %s", again.header, again.body)
	}
	body["offerId"] = "off_none"
	w.refused("NOT_FOUND", w.ada, "POST", at, body, header("Idempotency-Key", "n"))
	if r := w.refused("NOT_FOUND", w.ada, "POST", at, body, header("Idempotency-Key", "n")); r.header.Get(
		"Idempotent-Replayed",
	) != "true" {
		t.Error("a 404 was not kept")
	}
	body["offerId"] = "off_sold"
	delete(body, "gpuType")
	w.refused("OFFER_UNAVAILABLE", w.ada, "POST", at, body, header("Idempotency-Key", "s"))
	if r := w.refused("OFFER_UNAVAILABLE", w.ada, "POST", at, body, header("Idempotency-Key", "s")); r.header.Get(
		"Idempotent-Replayed",
	) != "true" {
		t.Error("a 409 was not kept")
	}
	// A request that was refused for its form may be fixed under the same key.
	body = w.seedBody()
	body["region"] = "elsewhere"
	w.refused("INVALID_REQUEST", w.ada, "POST", at, body, header("Idempotency-Key", "m"))
	delete(body, "region")
	w.want(201, w.ada, "POST", at, body, header("Idempotency-Key", "m"))
}

func TestIdempotencyKeysAreChecked(t *testing.T) {
	w := newWorld(t)
	w.configure(func(c *Config) { c.Limiter = allowAll{} })
	body := map[string]string{"name": "a", "publicKey": publicKey(t)}
	for _, key := range []string{"", strings.Repeat("k", 256), "a b", "ä"} {
		r := w.refused("INVALID_REQUEST", w.ada, "POST", Base+"/ssh-keys", body, header("Idempotency-Key", key))
		same(t, "fields", r.fields(), []string{"header.Idempotency-Key"})
	}
	w.refused(
		"INVALID_REQUEST",
		w.ada,
		"POST",
		Base+"/ssh-keys",
		body,
		func(r *http.Request) { r.Header["Idempotency-Key"] = []string{"a", "b"} },
	)
	w.want(201, w.ada, "POST", Base+"/ssh-keys", body, header("Idempotency-Key", strings.Repeat("k", 255)))
}

// The process ends at any point before the commit: nothing has happened, and the client's next try
// does it. It ends right after the commit, before the answer is out: the next try gets the answer.
func TestACrashLosesAllOrNothing(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		w := newWorldOn(t, d, c)
		crash, made := true, 0
		path := Base + "/injected"
		rest.Write(
			w.s.Router,
			rest.Operation{
				Method: "POST",
				Path:   path,
				ID:     "injected",
				Tag:    tagService,
				Scope:  string(account.WriteSSHKeys),
			},
			func(ctx context.Context, tx *db.Tx, c *rest.Call, _ *rest.NoInput) (health, error) {
				if _, err := w.c.SSHKeys.Create(ctx, tx, c.Caller.Account, "made", publicKey(t),
					creator.ByOperator); err != nil {
					return health{}, err
				}
				if made++; crash {
					panic("the process ends here")
				}
				return health{"ok"}, nil
			},
		)
		r := w.do(w.ada, "POST", path, nil, header("Idempotency-Key", "k"))
		if r.status != 500 {
			t.Fatalf("%d %s", r.status, r.body)
		}
		if list := w.want(200, w.ada, "GET", Base+"/ssh-keys", nil).list; len(list) != 0 {
			t.Fatalf("half of it has happened: %v", list)
		}
		crash = false
		first := w.want(200, w.ada, "POST", path, nil, header("Idempotency-Key", "k"))
		again := w.want(200, w.ada, "POST", path, nil, header("Idempotency-Key", "k"))
		if made != 2 || again.header.Get("Idempotent-Replayed") != "true" ||
			!reflect.DeepEqual(first.body, again.body) {
			t.Errorf("made %d times; %v", made, again.header)
		}
	})
}

func TestARehearsalHasNoEffect(t *testing.T) {
	w := newWorld(t)
	w.refused(
		"INVALID_REQUEST",
		w.ada,
		"POST",
		Base+"/ssh-keys?x=1",
		map[string]string{"name": "a", "publicKey": publicKey(t)},
		header("Idempotency-Key", "k"),
	)
	if list := w.want(200, w.ada, "GET", Base+"/ssh-keys", nil).list; len(list) != 0 {
		t.Errorf("a refused request made %v", list)
	}
}
