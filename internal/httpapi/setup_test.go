package httpapi

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/account"
	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/db/dbtest"
	"github.com/billetcloud/billet/internal/setup"
)

const setupPath = "/api/v1/setup"

// code returns a new setup code, beside the earlier ones.
func (w *world) code() (code string) {
	w.t.Helper()
	w.tx(func(ctx context.Context, tx *db.Tx) error {
		c, err := w.c.Setup.AddCode(ctx, tx)
		code = c.Text
		return err
	})
	return code
}

func firstOperator(code string) map[string]any {
	return map[string]any{"code": code, "name": "Grace", "email": "Grace@example.com", "password": goodPassword}
}

func TestFirstRun(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		w := newWorldOn(t, d, c)
		state := w.want(200, tenant{}, "GET", setupPath, nil).data.(map[string]any)
		same(t, "needed before", state["needed"], true)
		methods := w.want(200, tenant{}, "GET", AccountBase+"/sign-in", nil).data.(map[string]any)
		same(t, "setup of the sign-in page before", methods["setup"], true)
		same(t, "name of the installation", methods["name"], "Billet")

		code := strings.ToLower(w.code())
		cookie := cookieOf(w.want(201, tenant{}, "POST", setupPath+"/operator", firstOperator(code)))
		me := w.by(200, cookie, "GET", AccountBase+"/me", nil).data.(map[string]any)
		user := me["user"].(map[string]any)
		if user["email"] != "grace@example.com" || user["operator"] != true || me["role"] != "owner" {
			t.Errorf("got %v as %v, want grace@example.com, operator and owner", user, me["role"])
		}
		w.by(200, cookie, "GET", OperatorBase+"/settings", nil)
		w.by(200, cookie, "GET", Base+"/wallet", nil)

		state = w.want(200, tenant{}, "GET", setupPath, nil).data.(map[string]any)
		same(t, "needed after", state["needed"], false)
		methods = w.want(200, tenant{}, "GET", AccountBase+"/sign-in", nil).data.(map[string]any)
		same(t, "setup of the sign-in page after", methods["setup"], false)
		w.refused("CONFLICT", tenant{}, "POST", setupPath+"/operator", firstOperator(code))
		err := w.d.InTx(t.Context(), func(ctx context.Context, tx *db.Tx) error {
			_, err := w.c.Setup.AddCode(ctx, tx)
			return err
		})
		if err == nil || !strings.Contains(err.Error(), "already set up") {
			t.Errorf("a code for a server with a user: got %v, want a refusal", err)
		}
	})
}

func TestFirstRunRefusals(t *testing.T) {
	w := newWorld(t)
	w.configure(func(c *Config) { c.Limiter = allowAll{} })
	old := w.code()
	code := w.code()
	faults := func(body map[string]any, want ...string) {
		t.Helper()
		r := w.refused("INVALID_REQUEST", tenant{}, "POST", setupPath+"/operator", body)
		got := r.fields()
		slices.Sort(got)
		same(t, fmt.Sprint(body), got, want)
	}
	bad := map[string]any{"code": code, "name": "", "email": "grace", "password": "short"}
	faults(bad, "email", "name", "password")
	faults(firstOperator("AAAA-BBBB-CCCC-DDDD"), "code")
	w.clock.Advance(setup.CodeLifetime - time.Second)
	next := w.code()
	w.clock.Advance(time.Second)
	r := w.refused("INVALID_REQUEST", tenant{}, "POST", setupPath+"/operator", firstOperator(code))
	if !strings.Contains(string(r.body), "has expired") || !strings.Contains(string(r.body), "billetd setup-code") {
		t.Errorf("an expired code: got %s, want what to do", r.body)
	}
	w.tx(func(ctx context.Context, tx *db.Tx) error {
		_, err := w.c.Setup.ReplaceCode(ctx, tx)
		return err
	})
	for _, replaced := range []string{old, code, next} {
		faults(firstOperator(replaced), "code")
	}
	if strings.Contains(w.log.String(), code) {
		t.Error("the log has a code that a request had")
	}
}

// After ten wrong codes a network is refused every code, and other networks are not.
func TestSetupCodesAreNotGuessed(t *testing.T) {
	w := newWorld(t)
	w.configure(func(c *Config) { c.Limiter = allowAll{} })
	code := w.code()
	try := func(code, address string) reply {
		t.Helper()
		return w.do(tenant{}, "POST", setupPath+"/operator", firstOperator(code), from(address))
	}
	for range 10 {
		if r := try("AAAA-BBBB-CCCC-DDDD", "192.0.2.1"); r.code != "INVALID_REQUEST" {
			t.Fatalf("a wrong code: got %d %s", r.status, r.body)
		}
	}
	if r := try(code, "192.0.2.1"); r.code != "RATE_LIMIT_EXCEEDED" || r.header.Get("Retry-After") == "" {
		t.Errorf("after ten wrong codes: got %d %s, want RATE_LIMIT_EXCEEDED", r.status, r.body)
	}
	if r := try(code, "192.0.2.2"); r.status != http.StatusCreated {
		t.Errorf("from another network: got %d %s, want 201", r.status, r.body)
	}
}

// Of many browsers with codes, the same or others, one creates the operator.
func TestOneBrowserWinsTheSetup(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		w := newWorldOn(t, d, c)
		w.configure(func(c *Config) { c.Limiter = allowAll{} })
		codes := []string{w.code(), w.code()}
		var wg sync.WaitGroup
		answers := make([]reply, 6)
		for i := range answers {
			body := firstOperator(codes[i%2])
			body["email"] = fmt.Sprintf("operator%d@example.com", i)
			wg.Go(func() {
				answers[i] = w.do(tenant{}, "POST", setupPath+"/operator", body, from(fmt.Sprintf("192.0.2.%d", i+1)))
			})
		}
		wg.Wait()
		created := 0
		for _, r := range answers {
			switch {
			case r.status == http.StatusCreated:
				created++
			case r.code != "CONFLICT" && r.code != "INVALID_REQUEST":
				t.Errorf("a browser that lost: got %d %s", r.status, r.body)
			}
		}
		users, _, err := w.c.Accounts.ListUsers(t.Context(), w.d, db.Page{Number: 1, Limit: 10})
		if err != nil || created != 1 || len(users) != 1 {
			t.Errorf("got %d answers and %d users, %v; want one of each", created, len(users), err)
		}
	})
}

// The newest codes work, however often servers have started.
func TestSetupCodesAreFew(t *testing.T) {
	w := newWorld(t)
	first := w.code()
	var last string
	for range setup.MaxCodes {
		w.clock.Advance(time.Second)
		last = w.code()
	}
	w.refused("INVALID_REQUEST", tenant{}, "POST", setupPath+"/operator", firstOperator(first))
	w.want(201, tenant{}, "POST", setupPath+"/operator", firstOperator(last))
}

// A user of a command ends the setup, too.
func TestCommandsEndTheSetup(t *testing.T) {
	w := newWorld(t)
	code := w.code()
	w.newUser(w.ada, account.Owner, account.UserRequest{Email: "ada@example.com", Password: goodPassword})
	w.refused("CONFLICT", tenant{}, "POST", setupPath+"/operator", firstOperator(code))
}

// The demo's password is on the server's own machine only.
func TestDemoPasswordStaysOnTheMachine(t *testing.T) {
	w := newWorld(t)
	w.configure(func(c *Config) {
		c.DemoEmail = func() string { return "demo@billet.test" }
		c.DemoPassword = func() string { return "demo password" }
	})
	host := func(name string) option { return func(r *http.Request) { r.Host = name } }
	for _, c := range []struct {
		name    string
		options []option
		want    string
	}{
		{"here", []option{from("127.0.0.1"), host("127.0.0.1:8080")}, "demo password"},
		{"here by name", []option{from("127.0.0.1"), host("localhost:8080")}, "demo password"},
		{"here by IPv6", []option{from("[::1]"), host("[::1]:8080")}, "demo password"},
		{"from elsewhere", []option{from("192.0.2.1"), host("localhost:8080")}, ""},
		{"a name that leads here", []option{from("127.0.0.1"), host("evil.example:8080")}, ""},
		{"through a proxy that tells nothing", []option{
			from("127.0.0.1"), host("127.0.0.1:8080"), func(r *http.Request) { r.ProtoMajor, r.ProtoMinor = 1, 0 },
		}, ""},
		{
			"through a proxy",
			[]option{from("127.0.0.1"), host("localhost:8080"), header("X-Forwarded-For", "192.0.2.1")}, "",
		},
	} {
		r := w.want(200, tenant{}, "GET", AccountBase+"/sign-in", nil, c.options...)
		demo := r.data.(map[string]any)["demo"].(map[string]any)
		same(t, c.name, demo["password"], c.want)
	}
}

// A proxy on the server's own machine that speaks HTTP/1.1 and adds no header is not told apart
// from a browser there, but then the server has a public URL.
func TestDemoPasswordIsNotOnAPublicServer(t *testing.T) {
	for public, want := range map[string]string{
		"https://gpu.example.com": "", "http://192.0.2.7:8080": "", "http://localhost:8080": "demo password",
		"http://127.0.0.1:8080": "demo password",
	} {
		w := newWorld(t)
		w.configure(func(c *Config) {
			c.DemoEmail = func() string { return "demo@billet.test" }
			c.DemoPassword = func() string { return "demo password" }
			at, err := url.Parse(public)
			if err != nil {
				t.Fatal(err)
			}
			c.PublicURL = at
		})
		here := func(r *http.Request) { r.Host = "127.0.0.1:8080" }
		r := w.want(200, tenant{}, "GET", AccountBase+"/sign-in", nil, from("127.0.0.1"), here)
		demo := r.data.(map[string]any)["demo"].(map[string]any)
		same(t, public, demo["password"], want)
	}
}
