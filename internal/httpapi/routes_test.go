package httpapi

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/billetcloud/billet/internal/account"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/rest"
	"github.com/billetcloud/billet/internal/wallet"
	"github.com/billetcloud/billet/test/webauthntest"
)

// holdAll holds a tenant's thousand dollars.
func holdAll(who id.ID) wallet.Hold {
	return wallet.Hold{Account: who, Subject: "dep_elsewhere", Amount: money.Dollars(999), Description: "all of it"}
}

const schemaPrefix = "#/components/schemas/"

type operation struct {
	OperationID string `json:"operationId"`
	Parameters  []struct{ Name, In string }
	RequestBody *struct {
		Content map[string]struct{ Schema map[string]any }
	}
	Responses map[string]any
	Security  []map[string]any
}

func documented(t testing.TB) (paths map[string]map[string]operation, schemas map[string]map[string]any) {
	t.Helper()
	var d struct {
		Paths      map[string]map[string]operation
		Components struct{ Schemas map[string]map[string]any }
	}
	if err := json.Unmarshal(Document("test"), &d); err != nil {
		t.Fatal(err)
	}
	return d.Paths, d.Components.Schemas
}

func TestRoutesAndDocumentAreEqual(t *testing.T) {
	s := register(Config{Version: "test"})
	var served, written []string
	for _, rt := range s.Routes() {
		served = append(served, rt.Method+" "+rt.Path)
	}
	paths, _ := documented(t)
	for path, item := range paths {
		for method := range item {
			written = append(written, strings.ToUpper(method)+" "+path)
		}
	}
	slices.Sort(served)
	slices.Sort(written)
	same(t, "documented", strings.Join(written, "\n"), strings.Join(served, "\n"))
	for _, line := range contractRoutes {
		method, path, _ := strings.Cut(line, " ")
		if !slices.Contains(served, method+" "+Base+path) {
			t.Errorf("%s of the contract is not served", line)
		}
	}
}

// contractRoutes are those of the project's contract.
var contractRoutes = strings.Split(`GET /offers
GET /offers/{offerId}
GET /offers/{offerId}/price-history
GET /providers
GET /regions
GET /gpu-types
POST /deployments
GET /deployments
GET /deployments/{id}
PATCH /deployments/{id}
DELETE /deployments/{id}
GET /deployments/{id}/can-terminate
GET /deployments/{id}/health
POST /deployments/{id}/health-checks
GET /deployments/{id}/events
POST /deployments/{id}/reboot
POST /deployments/{id}/power-on
POST /deployments/{id}/power-off
POST /deployments/{id}/rescue
POST /deployments/{id}/end-rescue
POST /deployments/{id}/reinstall
GET /ssh-keys
POST /ssh-keys
GET /ssh-keys/{id}
PATCH /ssh-keys/{id}
DELETE /ssh-keys/{id}
GET /volumes
POST /volumes
GET /volumes/{id}
PATCH /volumes/{id}
DELETE /volumes/{id}
POST /volumes/{id}/attach
POST /volumes/{id}/detach
GET /volumes/pricing
GET /wallet
GET /wallet/transactions
GET /wallet/usage
GET /wallet/credits
POST /wallet/promo-codes
GET /wallet/top-ups
POST /wallet/top-ups
GET /wallet/top-ups/{id}
GET /wallet/auto-top-up
PUT /wallet/auto-top-up
GET /wallet/payment-methods
DELETE /wallet/payment-methods/{id}
GET /webhooks
POST /webhooks
GET /webhooks/{id}
PATCH /webhooks/{id}
DELETE /webhooks/{id}
GET /budgets
POST /budgets
GET /budgets/{id}
PATCH /budgets/{id}
DELETE /budgets/{id}`, "\n")

// What the documentation shows can be sent as it stands, and spends no money.
func TestTheExamplesAreGood(t *testing.T) {
	w := newWorld(t)
	paths, schemas := documented(t)
	for _, c := range []struct {
		path   string
		status int
	}{{Base + "/deployments", 200}, {Base + "/ssh-keys", 201}, {Base + "/volumes", 201}, {Base + "/webhooks", 201}} {
		body := map[string]any{}
		schema := paths[c.path]["post"].RequestBody.Content["application/json"].Schema
		name := strings.TrimPrefix(schema["$ref"].(string), schemaPrefix)
		for name, p := range schemas[name]["properties"].(map[string]any) {
			if examples, _ := p.(map[string]any)["examples"].([]any); len(examples) > 0 {
				body[name] = examples[0]
			}
		}
		w.want(c.status, w.ada, "POST", c.path, body)
	}
}

func TestTheDocumentIsAlwaysTheSame(t *testing.T) {
	if a, b := string(Document("x")), string(Document("x")); a != b {
		t.Error("two documents of one program differ")
	}
}

// owned makes one of everything that belongs to a tenant, and returns their ids by what their paths
// are called.
func (w *world) owned(who tenant) map[string]id.ID {
	w.t.Helper()
	key := id.ID(
		w.want(201, who, "POST", Base+"/ssh-keys", map[string]string{"name": "mine", "publicKey": publicKey(w.t)}).
			text("id"),
	)
	volume := id.ID(
		w.want(201, who, "POST", Base+"/volumes", map[string]any{"name": "mine", "sizeGb": 100,
			"provider": "voltage-park", "region": "dallas-usa-5"}).
			text("id"),
	)
	hook := id.ID(
		w.want(201, who, "POST", Base+"/webhooks", map[string]any{"url": "https://example.com/mine", "enabled": false}).
			text("id"),
	)
	budget := id.ID(w.want(201, who, "POST", Base+"/budgets",
		map[string]any{"name": "mine", "period": "day", "amount": 1000}).text("id"))
	quote := id.ID(w.want(201, who, "POST", Base+"/quotes", map[string]string{"offerId": "off_abc123"}).text("quoteId"))
	image := id.ID(w.want(201, who, "POST", Base+"/images", imageBody("mine")).text("id"))
	payer := w.payer(who)
	topUp := w.want(201, payer, "POST", topUpsPath, map[string]any{"amount": 50, "savePaymentMethod": true})
	w.form(topUp.text("checkoutUrl"), url.Values{"action": {"pay"}})
	method := w.want(200, payer, "GET", Base+"/wallet/payment-methods", nil).data.([]any)[0].(map[string]any)["id"]
	return map[string]id.ID{
		"top-ups":         id.ID(topUp.text("id")),
		"payment-methods": id.ID(method.(string)),

		"ssh-keys":    key,
		"volumes":     volume,
		"deployments": w.deploy(who),
		"api-keys":    who.key.ID,
		"quotes":      quote,
		"webhooks":    hook,
		"budgets":     budget,
		"images":      image,
	}
}

// ownedByUser makes one of everything that belongs to a user of the tenant, in the same manner.
func (w *world) ownedByUser(who tenant) map[string]id.ID {
	w.t.Helper()
	email := "user." + string(who.account) + "@example.com"
	p := w.user(who, account.Owner, email)
	cookie := w.cookie(email)
	session := w.by(200, cookie, "GET", AccountBase+"/sessions", nil).list[0].(map[string]any)["id"].(string)
	invitation := w.by(201, cookie, "POST", AccountBase+"/invitations", map[string]string{"role": "member"}).text("id")
	at := AccountBase + "/me/passkeys"
	local := func(r *http.Request) { r.Host = "localhost:8080" }
	options := w.by(200, cookie, "POST", at+"/options", nil, local).data.(map[string]any)
	passkey := w.by(201, cookie, "POST", at, map[string]any{
		"challengeId": options["challengeId"], "name": "mine",
		"credential": webauthntest.New(w.t, "http://localhost:8080", "localhost").Register(options["options"]),
	}, local).text("id")
	return map[string]id.ID{
		"members":     p.ID,
		"sessions":    id.ID(session),
		"invitations": id.ID(invitation),
		"passkeys":    id.ID(passkey),
	}
}

// by makes a request with a session, as the dashboard does, and fails the test where the status is
// another; any will do for 0.
func (w *world) by(status int, cookie, method, target string, body any, options ...option) reply {
	w.t.Helper()
	options = append([]option{header("Cookie", cookie), header("Sec-Fetch-Site", "same-origin")}, options...)
	if status == 0 {
		return w.do(tenant{}, method, target, body, options...)
	}
	return w.want(status, tenant{}, method, target, body, options...)
}

// shape is an answer without the id that was asked for, which it may repeat.
func shape(b []byte, asked id.ID) string {
	return requestIDs.ReplaceAllString(strings.ReplaceAll(string(b), string(asked), "X"), "")
}

var requestIDs = regexp.MustCompile(`req_[0-9a-z]+`)

// Whatever the document has a path for, another tenant's thing answers exactly as one that does not
// exist.
func TestAnotherTenantsThingsAreNotThere(t *testing.T) {
	w := newWorld(t)
	w.configure(func(c *Config) { c.Limiter = allowAll{} })
	mine, theirs := w.owned(w.ada), w.owned(w.bob)
	maps.Copy(mine, w.ownedByUser(w.ada))
	absent := map[string]id.ID{} // well formed, of the same kind, and of nothing
	for noun, x := range mine {
		absent[noun] = w.c.IDs.New(x.Kind())
	}
	session, payer := w.signIn(w.bob), w.payer(w.bob)
	bodies := map[string]any{
		"PATCH /ssh-keys": `{"name":"theirs"}`, "PATCH /volumes": `{"name":"theirs"}`,
		"PATCH /deployments": `{"name":"theirs"}`, "PATCH /api-keys": `{"name":"theirs"}`,
		"PATCH /webhooks": `{"description":"theirs"}`, "PATCH /budgets": `{"name":"theirs"}`,
		"PATCH /members":              `{"role":"viewer"}`,
		"PATCH /passkeys":             `{"name":"theirs"}`,
		"POST /deployments/reinstall": `{"eraseLocalDisks":true}`,
		"POST /volumes/attach":        map[string]any{"deploymentId": theirs["deployments"]},
	}
	paths, _ := documented(t)
	tried := 0
	for path, item := range paths {
		before, rest, some := strings.Cut(path, "/{")
		// Offers have no owner; TestInvoicesOverTheAPI has the invoices of two tenants.
		if !some || strings.HasPrefix(path, OperatorBase) || before == Base+"/offers" || before == Base+"/invoices" {
			continue
		}
		_, after, _ := strings.Cut(rest, "}")
		noun := before[strings.LastIndexByte(before, '/')+1:]
		for method := range item {
			method = strings.ToUpper(method)
			if mine[noun] == "" {
				t.Errorf("%s %s: the test has none of these", method, path)
				continue
			}
			body := bodies[method+" /"+noun+after]
			options := []option{}
			who := w.bob
			if noun == "payment-methods" {
				who = payer
			}
			if strings.HasPrefix(path, AccountBase) {
				who, options = tenant{}, append(
					options,
					header("Cookie", session),
					header("Sec-Fetch-Site", "same-origin"),
				)
			}
			foreign := w.do(who, method, before+"/"+string(mine[noun])+after, body, options...)
			missing := w.do(who, method, before+"/"+string(absent[noun])+after, body, options...)
			if foreign.status != 404 || foreign.code != "NOT_FOUND" ||
				shape(foreign.body, mine[noun]) != shape(missing.body, absent[noun]) {
				t.Errorf(
					"%s %s: %d %s, but what does not exist %d %s",
					method,
					path,
					foreign.status,
					foreign.body,
					missing.status,
					missing.body,
				)
			}
			tried++
		}
	}
	if tried < 25 {
		t.Errorf("only %d routes tried", tried)
	}
	w.listsShowOwnOnly(session, mine, absent)
	w.isUnchanged(mine, absent)
}

// isUnchanged checks that nothing has happened to Ada's things.
func (w *world) isUnchanged(mine, absent map[string]id.ID) {
	w.t.Helper()
	for noun, x := range mine {
		if noun == "api-keys" {
			w.want(200, w.ada, "GET", Base+"/wallet", nil)
			continue
		}
		if strings.HasPrefix(string(x), "usr_") || absent[noun].Kind() == id.Session ||
			absent[noun].Kind() == id.Invitation ||
			absent[noun].Kind() == id.Passkey {
			continue // checked below
		}
		if noun == "top-ups" || noun == "payment-methods" { // nothing changes a top-up; TestTopUps removes a method
			continue
		}
		if r := w.want(200, w.ada, "GET", Base+"/"+noun+"/"+string(x), nil); r.text("name") == "theirs" {
			w.t.Errorf("the other tenant renamed %s", x)
		}
	}
	again := w.cookie("user." + string(w.ada.account) + "@example.com")
	if r := w.by(200, again, "GET", AccountBase+"/me", nil); r.data.(map[string]any)["role"] != "owner" ||
		r.data.(map[string]any)["user"].(map[string]any)["passkeys"] != 1.0 {
		w.t.Errorf("%s", r.body)
	}
	if r := w.by(200, again, "GET", AccountBase+"/sessions", nil); len(r.list) != 2 {
		w.t.Errorf("%s", r.body)
	}
	if r := w.by(200, again, "GET", AccountBase+"/invitations", nil); r.list[0].(map[string]any)["status"] != "open" {
		w.t.Errorf("%s", r.body)
	}
}

// listsShowOwnOnly asks as Bob for everything that can be asked for without an id in the path,
// and by every parameter that takes one.
func (w *world) listsShowOwnOnly(session string, mine, absent map[string]id.ID) {
	w.t.Helper()
	paths, _ := documented(w.t)
	lists, filters := 0, 0
	for path, item := range paths {
		get, has := item["get"]
		if !has || strings.Contains(path, "{") || strings.HasPrefix(path, OperatorBase) {
			continue
		}
		who, options := w.bob, []option{}
		if strings.HasPrefix(path, AccountBase) {
			who, options = tenant{}, append(options, header("Cookie", session), header("Sec-Fetch-Site", "same-origin"))
		}
		lists++
		all := w.do(who, "GET", path, nil, options...)
		if all.status >= 500 {
			w.t.Errorf("GET %s: %d %s", path, all.status, all.body)
		}
		for _, x := range append(slices.Collect(maps.Values(mine)), w.ada.account) {
			if strings.Contains(string(all.body), string(x)) {
				w.t.Errorf("GET %s shows the other tenant's %s: %s", path, x, all.body)
			}
		}
		for _, p := range get.Parameters {
			noun, is := strings.CutSuffix(p.Name, "Id")
			if p.In != "query" || !is || mine[noun+"s"] == "" {
				continue
			}
			filters++
			foreign := w.do(who, "GET", path+"?"+p.Name+"="+string(mine[noun+"s"]), nil, options...)
			missing := w.do(who, "GET", path+"?"+p.Name+"="+string(absent[noun+"s"]), nil, options...)
			if foreign.status != missing.status ||
				shape(foreign.body, mine[noun+"s"]) != shape(missing.body, absent[noun+"s"]) {
				w.t.Errorf(
					"GET %s by %s: %d %s, but by one that does not exist %d %s",
					path,
					p.Name,
					foreign.status,
					foreign.body,
					missing.status,
					missing.body,
				)
			}
		}
	}
	if lists < 20 || filters < 2 {
		w.t.Errorf("only %d lists and %d filters tried", lists, filters)
	}
}

func TestAnotherTenantsThingsAreNotThereInsideBodies(t *testing.T) {
	w := newWorld(t)
	w.configure(func(c *Config) { c.Limiter = allowAll{} })
	mine, theirs := w.owned(w.ada), w.owned(w.bob)
	for _, c := range []struct {
		target  string
		missing id.ID
		thing   id.ID
		body    func(x id.ID) any
	}{
		{Base + "/deployments", "ssh_absent", mine["ssh-keys"], func(x id.ID) any {
			return map[string]any{"offerId": "off_abc123", "name": "n", "sshKeyIds": []id.ID{x}}
		}},
		{Base + "/deployments", "ssh_absent", mine["ssh-keys"], func(x id.ID) any {
			return map[string]any{"offerId": "off_abc123", "name": "n", "sshKeyId": x}
		}},
		{Base + "/deployments", "vol_absent", mine["volumes"], func(x id.ID) any {
			return map[string]any{"offerId": "off_abc123", "name": "n", "sshKeyId": theirs["ssh-keys"],
				"volumeIds": []id.ID{x}}
		}},
		{Base + "/deployments", w.c.IDs.New(id.Quote), mine["quotes"], func(x id.ID) any {
			return map[string]any{"offerId": "off_abc123", "name": "n", "sshKeyId": theirs["ssh-keys"], "quoteId": x}
		}},
		{Base + "/volumes/" + string(theirs["volumes"]) + "/attach", "dep_absent", mine["deployments"],
			func(x id.ID) any {
				return map[string]any{"deploymentId": x}
			}},
		{Base + "/volumes/" + string(theirs["volumes"]) + "/detach", "dep_absent", mine["deployments"],
			func(x id.ID) any {
				return map[string]any{"deploymentId": x}
			}},
	} {
		foreign := w.do(w.bob, "POST", c.target, c.body(c.thing))
		missing := w.do(w.bob, "POST", c.target, c.body(c.missing))
		if foreign.status != 404 || shape(foreign.body, c.thing) != shape(missing.body, c.missing) {
			t.Errorf(
				"%s: %d %s, but what does not exist %d %s",
				c.target,
				foreign.status,
				foreign.body,
				missing.status,
				missing.body,
			)
		}
	}
	r := w.want(200, w.bob, "GET", Base+"/wallet/transactions?deploymentId="+string(mine["deployments"]), nil)
	if len(r.list) != 0 {
		t.Errorf("another tenant's lines: %v", r.list)
	}
}

func TestEveryRouteNeedsItsScope(t *testing.T) {
	w := newWorld(t)
	w.configure(func(c *Config) { c.Limiter = allowAll{} })
	keys := map[string]tenant{} // an account has at most 100
	keyWith := func(scopes ...account.Scope) tenant {
		name := fmt.Sprint(scopes)
		if _, created := keys[name]; !created {
			keys[name] = w.keyWith(w.ada, scopes...)
		}
		return keys[name]
	}
	further := map[string]account.Scope{"getMetrics": account.ReadDeployments} // what an operation needs as well
	for _, rt := range w.s.Routes() {
		target := strings.NewReplacer("{id}", "dep_x", "{offerId}", "off_x").Replace(rt.Path)
		switch rt.Auth {
		case rest.Public:
			continue
		case rest.SessionOnly:
			w.refused("SIGN_IN_REQUIRED", w.ada, rt.Method, target, nil)
			continue
		}
		w.refused("MISSING_API_KEY", tenant{}, rt.Method, target, nil)
		if rt.Auth == rest.APIKeyOnly {
			w.want(200, keyWith(account.ReadVolumes), rt.Method, target, nil)
			continue
		}
		scope := account.Scope(rt.Scope)
		// A key with every scope but this one is refused, and the message names the scope.
		all := slices.DeleteFunc(account.AllScopes(), func(s account.Scope) bool { return s == scope })
		r := w.refused("INSUFFICIENT_SCOPE", keyWith(all...), rt.Method, target, nil)
		if r.status != 403 || !strings.Contains(string(r.body), rt.Scope) {
			t.Errorf("%s: %d %s", rt.ID, r.status, r.body)
		}
		// A key with no other scope is admitted.
		needed := []account.Scope{scope}
		if more, needs := further[rt.ID]; needs {
			if r := w.refused("INSUFFICIENT_SCOPE", keyWith(scope), rt.Method, target, nil); !strings.Contains(
				string(r.body), string(more)) {
				t.Errorf("%s: %s", rt.ID, r.body)
			}
			needed = append(needed, more)
		}
		if r := w.do(keyWith(needed...), rt.Method, target, nil); r.status == 401 || r.status == 403 {
			t.Errorf("%s: %d %s", rt.ID, r.status, r.body)
		}
	}
}

func (w *world) keyWith(who tenant, scopes ...account.Scope) tenant {
	w.t.Helper()
	w.tx(func(ctx context.Context, tx *db.Tx) (err error) {
		who.key, who.secret, err = w.c.Accounts.CreateKey(
			ctx,
			tx,
			who.account,
			account.KeyRequest{Name: "k", Scopes: scopes, ByOperator: true},
		)
		return err
	})
	return who
}

// signIn makes an owner of the tenant's account and returns the cookie of their session.
func (w *world) signIn(who tenant) string {
	w.t.Helper()
	email := string(who.account) + "@example.com"
	w.user(who, account.Owner, email)
	return w.cookie(email)
}

const goodPassword = "a long enough password"

// user makes a user with that role in the tenant's account.
func (w *world) user(who tenant, role account.Role, email string) account.User {
	w.t.Helper()
	return w.newUser(who, role, account.UserRequest{Email: email, Password: goodPassword})
}

func (w *world) newUser(who tenant, role account.Role, r account.UserRequest) account.User {
	w.t.Helper()
	n, err := w.c.Accounts.Prepare(w.t.Context(), r)
	if err != nil {
		w.t.Fatal(err)
	}
	var p account.User
	w.tx(func(ctx context.Context, tx *db.Tx) (err error) {
		p, err = w.c.Accounts.CreateUser(ctx, tx, n, who.account, role)
		return err
	})
	return p
}

// cookie signs a user in.
func (w *world) cookie(email string) string {
	w.t.Helper()
	return cookieOf(
		w.want(
			http.StatusCreated,
			tenant{},
			"POST",
			AccountBase+"/sessions",
			map[string]string{"email": email, "password": goodPassword},
		),
	)
}

// cookieOf is what a browser sends back of the cookie that it was given.
func cookieOf(r reply) string {
	cookie, _, _ := strings.Cut(r.header.Get("Set-Cookie"), ";")
	return cookie
}
