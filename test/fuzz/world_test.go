package fuzz_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/app"
	"github.com/billetcloud/billet/internal/provider/sim"
	"github.com/billetcloud/billet/test/servertest"
)

// fuzzer is one run.
type fuzzer struct {
	dice
	t      *testing.T
	seed   uint64
	server *servertest.Server
	wire   *wire
	doc    *document

	callers []*caller // the first ones are called most
	demo    app.Demo
	user    *caller
	chief   *caller // the operator
	token   string  // of the newest invitation
	offers  []map[string]any
	inbox   string    // accepts most webhook requests
	now     time.Time // the server's last known time

	owner map[string]string              // the account of each id that was shown to a tenant
	pools map[string]map[string][]string // ids by account and kind
	ids   map[string]bool                // request ids of answers

	armed    bool // the upstream has faults: the marketplace may be unavailable
	sent     int
	faults   int
	statuses map[string]int // by operation and status
}

// caller is a set of credentials.
type caller struct {
	name    string
	account string // "" for none
	key     string // an API key
	cookie  string // of a session
	useless bool   // no operation that needs a key succeeds with it
}

const (
	plenty = "1000000"
	// operators replaces an account where all accounts' things are shown.
	operators = "operators"
	// wanted is how many ids of a kind are remembered: the oldest are dropped.
	wanted = 60
)

func begin(t *testing.T, seed uint64, args []string) *fuzzer {
	t.Helper()
	f := &fuzzer{
		dice: dice{
			rand.New(rand.NewPCG(seed, 7)),
		}, t: t, seed: seed, owner: map[string]string{}, pools: map[string]map[string][]string{},
		ids: map[string]bool{}, statuses: map[string]int{},
	}
	f.server = servertest.StartIn(
		t,
		directory(t),
		append(args, "--sim", "--sim-machines", "banner", "--demo", "--trusted-proxies", "127.0.0.1",
			"--webhook-allow-http", "--webhook-allow-networks", "127.0.0.0/8")...)
	f.inbox = newInbox(t)
	f.wire = &wire{address: strings.TrimPrefix(f.server.URL, "http://")}
	t.Cleanup(f.wire.close)
	f.doc = read(t, f.server.Call("", "GET", "=/openapi.json", nil).Body)
	text, err := os.ReadFile(filepath.Join(f.server.Dir, "demo.json"))
	if err == nil {
		err = json.Unmarshal(text, &f.demo)
	}
	if err != nil {
		t.Fatal(err)
	}
	limits := []string{"--read-limit", plenty, "--write-limit", plenty, "--deploy-limit", plenty}
	ada, key := f.server.Key(plenty+"0", limits...)
	bob, bobs := f.server.Key("5000", limits...)
	poor, poors := f.server.Key("0", limits...)
	add := func(name, account, key string, useless bool) {
		f.callers = append(f.callers, &caller{name: name, account: account, key: key, useless: useless})
	}
	add("ada", ada, key, false)
	add("bob", bob, bobs, false)
	add("poor", poor, poors, false)
	add("ada's ordinary key", ada, f.server.KeyOf(ada), false)
	add("bob's reader", bob, f.server.KeyOf(bob, append(limits, "--scopes", "offers:read,volumes:read")...), false)
	add("a key for elsewhere", bob, f.server.KeyOf(bob, append(limits, "--networks", "192.0.2.0/24")...), true)
	add("a key that expires", bob, f.server.KeyOf(bob, append(limits, "--expires-in", "1h")...), false)
	add("a mistyped key", "", key[:len(key)-1]+"_", true)
	add("a key that never was", "", "pk_live_"+strings.Repeat("a", 49), true)
	f.chief = &caller{
		name: "the operator", account: operators,
		key: f.server.KeyOf(ada, append(limits, "--scopes", "operator:read,operator:write")...),
	}
	f.user = &caller{name: "the user of the demo"}
	f.callers = append(f.callers, f.user)
	f.signIn()
	f.offers = f.list("/offers?available=true&limit=100")
	for i, o := range f.offers { // the first has all scopes
		if o["id"] == "off_abc123" {
			f.offers[0], f.offers[i] = f.offers[i], f.offers[0]
		}
	}
	if len(f.offers) < 5 {
		t.Fatalf("%d offers", len(f.offers))
	}
	f.travel(time.Second)
	return f
}

// newInbox returns an endpoint for webhooks.
func newInbox(t *testing.T) string {
	var n atomic.Uint64
	s := httptest.NewServer(http.HandlerFunc(func(out http.ResponseWriter, _ *http.Request) {
		switch n := n.Add(1); {
		case n%300 == 0:
			out.WriteHeader(http.StatusGone)
		case n%10 == 0:
			http.Error(out, "not now", http.StatusInternalServerError)
		}
	}))
	t.Cleanup(s.Close)
	return s.URL
}

// directory returns a data directory in memory if the system has such: no run depends on the speed
// of a disk.
func directory(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "billet-fuzz-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// list reads a whole page as the first user.
func (f *fuzzer) list(path string) (out []map[string]any) {
	f.t.Helper()
	a := f.server.Call(f.callers[0].key, "GET", path, nil)
	for _, x := range a.List {
		out = append(out, x.(map[string]any))
	}
	if a.Status != 200 {
		f.t.Fatalf("%s: %d %s", path, a.Status, a.Body)
	}
	return out
}

// signIn creates a session for the user.
func (f *fuzzer) signIn() {
	f.t.Helper()
	body := map[string]string{"email": f.demo.Email, "password": f.demo.Password}
	a := f.server.Call("", "POST", "=/api/v1/account/sessions", body, "X-Forwarded-For", f.address())
	f.user.cookie, _, _ = strings.Cut(a.Header.Get("Set-Cookie"), ";")
	if a.Status != 201 {
		f.t.Fatalf("sign in: %d %s", a.Status, a.Body)
	}
	if f.user.account != "" {
		return
	}
	a = f.server.Call("", "GET", "=/api/v1/account/me", nil, "Cookie", f.user.cookie)
	mine, _ := a.Data["account"].(map[string]any)
	if f.user.account, _ = mine["id"].(string); f.user.account == "" {
		f.t.Fatalf("who is signed in: %d %s", a.Status, a.Body)
	}
}

// address returns one of many client addresses, so that one address's limit does not limit all.
func (f *fuzzer) address() string {
	return fmt.Sprintf("198.%d.%d.%d", 18+f.IntN(2), f.IntN(256), f.IntN(256))
}

// travel advances the server's clock.
func (f *fuzzer) travel(by time.Duration) {
	f.t.Helper()
	s, err := app.SimAdvance(f.t.Context(), f.server.Dir, by)
	if err != nil {
		f.t.Fatalf("advance by %s: %v", by, err)
	}
	f.now = s.Now
}

// weather injects faults into the upstream, or clears them.
func (f *fuzzer) weather() {
	f.t.Helper()
	if f.in(3) {
		f.clear()
		return
	}
	kind := pick(
		f.dice,
		[]sim.FaultKind{
			sim.FaultUnavailable, sim.FaultLostAnswer, sim.FaultRateLimited, sim.FaultNoCapacity,
			sim.FaultGarbled, sim.FaultFailProvisioning,
		},
	)
	f.armed = true
	if _, err := app.SimAddFault(
		f.t.Context(), f.server.Dir,
		sim.Fault{Kind: kind, Percent: 30, ForSeconds: 3600, Seed: f.Uint64() >> 1},
	); err != nil {
		f.t.Fatal(err)
	}
}

// resume ends the suspension of the account in the request's path.
func (f *fuzzer) resume(r *request) {
	f.t.Helper()
	of, _, _ := strings.Cut(strings.TrimPrefix(r.path, "/api/v1/operator/accounts/"), "/")
	f.server.Run("account", "resume", of)
}

func (f *fuzzer) clear() {
	f.t.Helper()
	if _, err := app.SimClearFaults(f.t.Context(), f.server.Dir); err != nil {
		f.t.Fatal(err)
	}
	f.travel(5 * time.Minute) // until every provider was polled again
	f.armed = false
}

// anID matches an id that belongs to one account, or that only an operator sees.
var anID = regexp.MustCompile(`^(dep|ssh|vol|whk|whd|key|txn|evt|ses|inv|psk|aud|acc|iss|quo|bud|ivc|top|crd|mac|prm|prl|adj|svc|ann)_[a-z0-9]{1,36}$`)

// remember stores the ids of an answer, and finds those of other accounts.
func (f *fuzzer) remember(account string, v any) (foreign []string) {
	switch v := v.(type) {
	case map[string]any:
		for _, k := range sortedKeys(v) {
			foreign = append(foreign, f.remember(account, v[k])...)
		}
	case []any:
		for _, x := range v {
			foreign = append(foreign, f.remember(account, x)...)
		}
	case string:
		m := anID.FindStringSubmatch(v)
		if all := account == operators; m == nil || all != ofOperators[m[1]] {
			return nil
		} else if all {
			if slices.Contains(f.pools[account][m[1]], v) {
				return nil
			}
		} else if of, known := f.owner[v]; known {
			if of != account {
				return []string{v}
			}
			return nil
		} else {
			f.owner[v] = account
		}
		if f.pools[account] == nil {
			f.pools[account] = map[string][]string{}
		}
		pool := append(f.pools[account][m[1]], v)
		f.pools[account][m[1]] = pool[max(0, len(pool)-wanted):]
	}
	return foreign
}

// ofOperators are the kinds of ids that belong to no account, or that name one.
var ofOperators = map[string]bool{
	"acc": true, "iss": true, "mac": true, "prm": true, "prl": true, "adj": true, "svc": true, "ann": true,
}

// known returns an id of the kind that belongs to the caller, rarely one of another account; "" if
// there is none.
func (f *fuzzer) known(r *request, kind string) string {
	account := r.who.account
	if forOperators(r.op) {
		account = operators
	} else if f.in(25) {
		account = pick(f.dice, f.callers[:3]).account
	}
	pool := f.pools[account][kind]
	if len(pool) == 0 {
		return ""
	}
	if f.in(2) { // the newest are most likely to exist
		pool = pool[max(0, len(pool)-5):]
	}
	return pick(f.dice, pool)
}

// forOperators reports whether the operation shows all accounts' things.
func forOperators(o *operation) bool { return strings.HasPrefix(o.Path, "/api/v1/operator/") }

// foreign returns an id in the value that belongs to another account than the caller's, or "".
func (f *fuzzer) foreign(who *caller, v any) string {
	switch v := v.(type) {
	case map[string]any:
		for _, k := range sortedKeys(v) {
			if x := f.foreign(who, v[k]); x != "" {
				return x
			}
		}
	case []any:
		for _, x := range v {
			if x := f.foreign(who, x); x != "" {
				return x
			}
		}
	case string:
		if of, known := f.owner[v]; known && of != who.account {
			return v
		}
	}
	return ""
}
