package httpapi

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/account"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/issue"
	"github.com/billetcloud/billet/internal/meter"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/rest"
	"github.com/billetcloud/billet/internal/wallet"
)

// operator is a key of a tenant's account that has the operator's scopes and no others.
func (w *world) operator() tenant {
	return w.keyWith(w.bob, account.ReadOperator, account.WriteOperator)
}

func (w *world) raise(kind issue.Kind, upstream string, reference id.ID, endable bool) {
	w.t.Helper()
	w.tx(func(ctx context.Context, tx *db.Tx) error {
		return w.c.Issues.Raise(
			ctx,
			tx,
			"voltage-park",
			issue.Sighting{Kind: kind, UpstreamID: upstream, Reference: reference, Endable: endable, Detail: "test"},
		)
	})
}

func TestTheOperatorsCallsTakeTheOperatorsKeysAlone(t *testing.T) {
	w := newWorld(t)
	w.configure(func(c *Config) { c.Limiter = allowAll{} })
	cookie := header("Cookie", w.signIn(w.ada))
	seen := 0
	for _, rt := range w.s.Routes() {
		if !strings.HasPrefix(rt.Path, OperatorBase) {
			if rt.Auth == rest.OperatorOnly {
				t.Errorf("%s is the operator's and is not below %s", rt.ID, OperatorBase)
			}
			continue
		}
		seen++
		target := strings.ReplaceAll(rt.Path, "{id}", "acc_x")
		scope := account.WriteOperator
		if rt.Method == "GET" {
			scope = account.ReadOperator
		}
		if rt.Auth != rest.OperatorOnly || rt.Scope != string(scope) {
			t.Errorf("%s: authentication mode %v, scope %q, want %q", rt.ID, rt.Auth, rt.Scope, scope)
		}
		// every scope of a tenant
		if r := w.refused("INSUFFICIENT_SCOPE", w.ada, rt.Method, target, nil); r.status != 403 {
			t.Errorf("%s: %d", rt.ID, r.status)
		}
		asUser := w.refused(
			"INSUFFICIENT_SCOPE",
			tenant{},
			rt.Method,
			target,
			nil,
			cookie,
			header("Sec-Fetch-Site", "same-origin"),
		)
		if asUser.status != 403 {
			t.Errorf("%s as a user: %d", rt.ID, asUser.status)
		}
	}
	if seen < 10 {
		t.Fatalf("only %d routes", seen)
	}
}

func TestNoTenantGivesOperatorScopes(t *testing.T) {
	w := newWorld(t)
	cookie, site := header("Cookie", w.signIn(w.ada)), header("Sec-Fetch-Site", "same-origin")
	body := map[string]any{"name": "mine", "scopes": []string{"operator:read"}}
	w.refused("INVALID_REQUEST", tenant{}, "POST", AccountBase+"/api-keys", body, cookie, site)
	w.refused(
		"INVALID_REQUEST",
		tenant{},
		"PATCH",
		AccountBase+"/api-keys/"+string(w.ada.key.ID),
		map[string]any{"scopes": []string{"operator:write"}},
		cookie,
		site,
	)
	for _, s := range account.OperatorScopes() {
		if slices.Contains(account.AllScopes(), s) {
			t.Errorf("every key has %s", s)
		}
		err := w.d.InTx(t.Context(), func(ctx context.Context, tx *db.Tx) error {
			_, _, err := w.c.Accounts.CreateKey(
				ctx,
				tx,
				w.ada.account,
				account.KeyRequest{Name: "k", Scopes: []account.Scope{s}},
			)
			return err
		})
		if err == nil {
			t.Errorf("the Service gives %s to every caller", s)
		}
	}
	operator := w.operator()
	w.refused("INSUFFICIENT_SCOPE", operator, "GET", Base+"/wallet", nil)
}

func TestIssuesOverTheAPI(t *testing.T) {
	w := newWorld(t)
	op, at := w.operator(), OperatorBase+"/issues"
	if r := w.want(200, op, "GET", at, nil); len(r.list) != 0 {
		t.Fatalf("%v", r.list)
	}
	w.raise(issue.UnmanagedMachine, "vp-foreign", "", false)
	w.raise(issue.OrphanedMachine, "vp-orphan", "dep_orphan", true)
	w.raise(issue.OrphanedVolume, "vp-volume", "vol_orphan", true)
	ids := map[string]string{}
	for _, f := range w.want(200, op, "GET", at+"?state=open&provider=voltage-park", nil).list {
		one := f.(map[string]any)
		ids[one["kind"].(string)] = one["id"].(string)
	}
	if len(ids) != 3 {
		t.Fatalf("%v", ids)
	}
	if r := w.want(200, op, "GET", at+"?kind=orphaned_volume", nil); len(r.list) != 1 {
		t.Errorf("%v", r.list)
	}
	w.refused("INVALID_REQUEST", op, "GET", at+"?kind=other", nil)
	foreign, orphan := at+"/"+ids["unmanaged_machine"], at+"/"+ids["orphaned_machine"]
	if r := w.refused("CONFLICT", op, "POST", foreign+"/terminate", nil); !strings.Contains(
		string(r.body),
		"another system",
	) {
		t.Errorf("%s", r.body)
	}
	if r := w.want(200, op, "POST", foreign+"/dismiss", map[string]any{"note": "the old cluster"}); r.text(
		"state",
	) != "dismissed" ||
		r.text("note") != "the old cluster" {
		t.Errorf("%s", r.body)
	}
	if r := w.want(202, op, "POST", orphan+"/terminate", nil, header("Idempotency-Key", "end-it")); r.text(
		"endingSince",
	) == "" {
		t.Errorf("%s", r.body)
	}
	w.want(202, op, "POST", orphan+"/terminate", nil, header("Idempotency-Key", "end-it"))
	if r := w.want(200, op, "GET", orphan, nil); r.text("reference") != "dep_orphan" || r.text("state") != "open" {
		t.Errorf("%s", r.body)
	}
	w.refused("NOT_FOUND", op, "GET", at+"/iss_none", nil)
	w.refused("NOT_FOUND", op, "POST", at+"/iss_none/terminate", nil)
	w.refused("NOT_FOUND", op, "POST", at+"/iss_none/dismiss", map[string]any{})
	w.refused("INSUFFICIENT_SCOPE", w.keyWith(w.bob, account.ReadOperator), "POST", orphan+"/terminate", nil)
}

func TestAccountsOverTheAPI(t *testing.T) {
	w := newWorld(t)
	op, at := w.operator(), OperatorBase+"/accounts"
	made := w.want(201, op, "POST", at, map[string]any{"name": "Grace", "credit": 75.5})
	account, of := made.text("id"), at+"/"+made.text("id")
	if made.header.Get("Location") != of {
		t.Errorf("Location %q", made.header.Get("Location"))
	}
	credit := map[string]any{"amount": 24.5, "note": "wire", "reference": "wire-1"}
	for i, want := range []bool{true, false} { // the same reference works once
		if r := w.want(200, op, "POST", of+"/credit", credit).data.(map[string]any); r["made"] != want ||
			r["available"] != 100.0 {
			t.Errorf("%d: %v", i, r)
		}
	}
	w.refused("CONFLICT", op, "POST", of+"/credit", map[string]any{"amount": 99, "reference": "wire-1"})
	if r := w.want(200, op, "POST", of+"/credit",
		map[string]any{"amount": -150}).data.(map[string]any); r["available"] != -50.0 ||
		r["negativeSince"] == nil {
		t.Errorf("%v", r)
	}
	w.refused("INVALID_REQUEST", op, "POST", of+"/credit", map[string]any{"amount": 0})
	w.refused("INVALID_REQUEST", op, "POST", at, map[string]any{"name": "x", "credit": -1})
	w.refused("NOT_FOUND", op, "POST", at+"/acc_none/credit", map[string]any{"amount": 1})
	w.refused("NOT_FOUND", op, "GET", at+"/acc_none", nil)

	w.tx(func(ctx context.Context, tx *db.Tx) error {
		for _, subject := range []id.ID{"dep_runs", "vol_runs"} {
			start := meter.Start{
				Subject: subject, Account: w.ada.account, HourlyPrice: money.Dollars(3), HourlyCost: money.Dollars(2),
				At: tx.Now, Description: "d",
			}
			if err := w.c.Meter.Start(ctx, tx, start); err != nil {
				return err
			}
		}
		return nil
	})
	all := w.want(200, op, "GET", at+"?limit=2", nil)
	if len(all.list) != 2 || !strings.Contains(string(all.body), account) {
		t.Errorf("%s", all.body)
	}
	ada := w.want(200, op, "GET", at+"/"+string(w.ada.account), nil).data.(map[string]any)
	if ada["runningDeployments"] != 1.0 || ada["hourlyCost"] != 6.0 || ada["available"] != 994.0 ||
		ada["name"] != "Ada" {
		t.Errorf("%v", ada)
	}
}

func TestProviderAccountsOverTheAPI(t *testing.T) {
	w := newWorld(t)
	op := w.operator()
	one := func() map[string]any {
		t.Helper()
		r := w.want(200, op, "GET", OperatorBase+"/provider-accounts", nil)
		if len(r.list) != 1 {
			t.Fatalf("%s", r.body)
		}
		return r.list[0].(map[string]any)
	}
	p := one()
	if p["slug"] != "voltage-park" || p["status"] != "up" || p["stale"] != false || p["lastError"] != nil ||
		p["consecutiveFailures"] != 0.0 ||
		p["lastSyncAt"] == nil ||
		p["offers"].(float64) < 1 ||
		p["markupPercent"] != 0.0 {
		t.Errorf("%v", p)
	}
	w.cloud.down = true
	for range 2 {
		w.clock.Advance(time.Hour)
		if _, err := w.c.Catalog.Sync(t.Context(), "provider/voltage-park"); err != nil {
			t.Fatal(err)
		}
	}
	if p = one(); p["status"] == "up" || p["stale"] != true || p["lastError"] == nil ||
		p["consecutiveFailures"] != 2.0 {
		t.Errorf("%v", p)
	}
	w.cloud.down = false
	w.clock.Advance(time.Minute)
	if _, err := w.c.Catalog.Sync(t.Context(), "provider/voltage-park"); err != nil {
		t.Fatal(err)
	}
	if p = one(); p["consecutiveFailures"] != 0.0 || p["lastError"] != nil {
		t.Errorf("%v", p)
	}
}

func TestFailingJobsOverTheAPI(t *testing.T) {
	w := newWorld(t)
	op := w.operator()
	w.tx(func(ctx context.Context, tx *db.Tx) error {
		_, err := tx.Exec(
			ctx,
			`INSERT INTO job (id, kind, subject, run_at, generation, attempt, failures, lease_until, last_error)
				VALUES ('job_x', 'watch', 'provider/basalt', 5000000, 1, 7, 7, 0, 'time-out')`,
		)
		return err
	})
	r := w.want(200, op, "GET", OperatorBase+"/jobs?state=failing", nil)
	if len(r.list) != 1 {
		t.Fatalf("%s", r.body)
	}
	if j := r.list[0].(map[string]any); j["kind"] != "watch" || j["subject"] != "provider/basalt" ||
		j["attempts"] != 7.0 ||
		j["lastError"] != "time-out" ||
		j["nextAt"] != "1970-01-01T00:00:05Z" {
		t.Errorf("%v", j)
	}
	for subject, want := range map[string]int{"provider%2Fbasalt": 1, "mail_x": 0, "": 1} {
		r := w.want(200, op, "GET", OperatorBase+"/jobs?subject="+subject, nil)
		same(t, "jobs about "+subject, len(r.list), want)
	}
}

func TestMarginsOverTheAPI(t *testing.T) {
	w := newWorld(t)
	op, at := w.operator(), OperatorBase+"/margins"
	if r := w.want(200, op, "GET", at, nil); !strings.Contains(string(r.body), `"rows":[]`) ||
		!strings.Contains(string(r.body), `"marginPercent":null`) {
		t.Errorf("%s", r.body)
	}
	w.tx(func(ctx context.Context, tx *db.Tx) error {
		return w.c.Meter.Start(ctx, tx, meter.Start{
			Subject: "dep_runs", Account: w.ada.account, HourlyPrice: money.Dollars(10),
			HourlyCost: money.Dollars(8), At: tx.Now, Description: "d",
			Labels: wallet.Labels{Provider: "voltage-park", GPUType: "NVIDIA B200"},
		})
	})
	w.clock.Advance(30 * time.Minute)
	w.tx(func(ctx context.Context, tx *db.Tx) error {
		_, err := w.c.Meter.Stop(ctx, tx, "dep_runs", tx.Now, meter.FirstHour)
		return err
	})
	w.clock.Advance(15 * time.Minute) // the provider takes its time, and is paid for it
	w.tx(func(ctx context.Context, tx *db.Tx) error {
		return w.c.Meter.CostEnds(ctx, tx, "dep_runs", tx.Now.Truncate(time.Second))
	})
	w.clock.Advance(time.Hour)
	for by, key := range map[string]string{"provider": "voltage-park", "account": string(w.ada.account),
		"gpuType": "NVIDIA B200"} {
		r := w.want(200, op, "GET", at+"?by="+by, nil)
		m := r.data.(map[string]any)
		row := m["rows"].([]any)[0].(map[string]any)
		if row["key"] != key || row["revenue"] != 5.0 || row["cost"] != 6.0 || row["margin"] != -1.0 ||
			row["marginPercent"] != -20.0 ||
			row["hours"] != 0.75 {
			t.Errorf("by %s: %s", by, r.body)
		}
		total := maps.Clone(row)
		total["key"] = ""
		if got, want := asJSON(t, m["total"]), asJSON(t, total); got != want {
			t.Errorf("total %s, want %s", got, want)
		}
	}
	r := w.want(200, op, "GET", at+"?by=day", nil) // the half hour and its end lie on both sides of midnight
	if rows := r.data.(map[string]any)["rows"].([]any); len(rows) != 2 ||
		rows[0].(map[string]any)["revenue"].(float64)+rows[1].(map[string]any)["revenue"].(float64) != 5 ||
		rows[0].(map[string]any)["cost"].(float64)+rows[1].(map[string]any)["cost"].(float64) != 6 {
		t.Errorf("%s", r.body)
	}
	w.refused("INVALID_REQUEST", op, "GET", at+"?by=region", nil)
	w.refused("INVALID_REQUEST", op, "GET", at+"?from=2001-01-01T00:00:00Z", nil)
}

func asJSON(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// What a provider asks is in nothing that a tenant can read: not in the shapes of the answers, and
// not in an answer.
func TestNoTenantSeesACost(t *testing.T) {
	paths, schemas := documented(t)
	var inspect func(v any, at string)
	seen := map[string]bool{}
	inspect = func(v any, at string) {
		switch x := v.(type) {
		case map[string]any:
			if ref, is := x["$ref"].(string); is {
				name := ref[strings.LastIndexByte(ref, '/')+1:]
				if !seen[name] {
					seen[name] = true
					inspect(any(schemas[name]), name)
				}
			}
			if properties, is := x["properties"].(map[string]any); is {
				for name := range properties {
					if low := strings.ToLower(name); strings.Contains(low, "costprice") ||
						strings.Contains(low, "margin") || strings.Contains(low, "markup") ||
						strings.Contains(low, "revenue") {
						t.Errorf("%s has %s", at, name)
					}
				}
			}
			for _, inner := range x {
				inspect(inner, at)
			}
		case []any:
			for _, inner := range x {
				inspect(inner, at)
			}
		}
	}
	for path, item := range paths {
		if strings.HasPrefix(path, OperatorBase) {
			continue
		}
		for _, op := range item {
			var responses any
			if err := json.Unmarshal([]byte(asJSON(t, op.Responses)), &responses); err != nil {
				t.Fatal(err)
			}
			inspect(responses, path)
		}
	}
	if !seen["Deployment"] || !seen["Volume"] || seen["Margins"] {
		t.Fatalf("inspected %v", seen)
	}
}

// A signed-in operator needs no role for it, and what they do to an account is in that account's
// audit, as the operator's.
func TestASignedInOperatorMakesTheOperatorsCalls(t *testing.T) {
	w := newWorld(t)
	n, err := w.c.Accounts.Prepare(
		t.Context(),
		account.UserRequest{Email: "op@example.com", Password: goodPassword, Operator: true},
	)
	if err != nil {
		t.Fatal(err)
	}
	w.tx(func(ctx context.Context, tx *db.Tx) error {
		_, err := w.c.Accounts.CreateUser(ctx, tx, n, w.bob.account, account.Viewer)
		return err
	})
	cookie, site := header("Cookie", w.cookie("op@example.com")), header("Sec-Fetch-Site", "same-origin")
	w.want(200, tenant{}, "GET", OperatorBase+"/issues", nil, cookie)
	w.want(
		200,
		tenant{},
		"POST",
		OperatorBase+"/accounts/"+string(w.ada.account)+"/credit",
		map[string]any{"amount": 5},
		cookie,
		site,
	)
	w.refused(
		"NETWORK_NOT_ALLOWED",
		tenant{},
		"POST",
		OperatorBase+"/accounts/"+string(w.ada.account)+"/credit",
		map[string]any{"amount": 5},
		cookie,
		header("Sec-Fetch-Site", "cross-site"),
	)
	r := w.want(200, tenant{}, "GET", AccountBase+"/audit?action=creditAccount", nil, header("Cookie", w.signIn(w.ada)))
	if len(r.list) != 1 || r.list[0].(map[string]any)["actor"].(map[string]any)["kind"] != "operator" ||
		strings.Contains(string(r.body), "op@example.com") {
		t.Errorf("%s", r.body)
	}
}
