package httpapi

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/account"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/wallet"
)

// The page's four steps, but for the ssh at the end.
func TestQuickStart(t *testing.T) {
	w := newWorld(t)
	key := publicKey(t)
	w.want(201, w.ada, "POST", Base+"/ssh-keys", map[string]string{"name": "my-laptop", "publicKey": key})
	offers := w.want(200, w.ada, "GET", Base+"/offers?search=b200", nil)
	if len(offers.list) != 1 || offers.list[0].(map[string]any)["id"] != "off_abc123" {
		t.Fatalf("%s", offers.body)
	}
	r := w.want(201, w.ada, "POST", Base+"/deployments", `{
"provider": "voltage-park",
"offerId": "off_abc123",
"gpuType": "NVIDIA B200",
"gpuCount": 8,
"region": "dallas-usa-5",
"operatingSystem": "Ubuntu 22.04",
"instanceType": "BARE_METAL",
"ssh_public_key": "`+key+`",
"name": "my-training-run"
}`)
	d := id.ID(r.text("id"))
	same(t, "Location", r.header.Get("Location"), Base+"/deployments/"+string(d))
	same(t, "status", r.text("status"), "pending")
	w.settle(d)
	r = w.want(200, w.ada, "GET", Base+"/deployments/"+string(d), nil)
	same(t, "status", r.text("status"), "running")
	same(t, "command", r.text("sshCommand"), "ssh root@203.0.113.42")
}

func TestALifeOfADeployment(t *testing.T) {
	w := newWorld(t)
	w.configure(func(c *Config) { c.Limiter = allowAll{} })
	at := Base + "/deployments"
	d := w.deploy(w.ada)
	one := at + "/" + string(d)
	early := w.refused("MINIMUM_RUNTIME_NOT_MET", w.ada, "DELETE", one, nil)
	if early.status != 400 || early.header.Get("Retry-After") != "1500" {
		t.Errorf("%d %v", early.status, early.header)
	}
	w.settle(d)
	same(
		t,
		"waited for",
		w.want(200, w.ada, "GET", one+"?waitFor=running&timeoutSeconds=1", nil).text("status"),
		"running",
	)
	w.want(202, w.ada, "POST", one+"/reboot", nil)
	w.refused("CONFLICT", w.ada, "POST", one+"/power-off", nil) // the reboot is under way
	w.settle(d)
	// no machine is wiped by accident
	for _, nothing := range []any{nil, "{}", map[string]any{"eraseLocalDisks": false},
		map[string]any{"operatingSystem": "Ubuntu 22.04"}} {
		r := w.refused("INVALID_REQUEST", w.ada, "POST", one+"/reinstall", nothing)
		same(t, "what is missing", r.fields(), []string{"eraseLocalDisks"})
	}
	w.want(
		202,
		w.ada,
		"POST",
		one+"/reinstall",
		map[string]any{"operatingSystem": "Ubuntu 22.04", "eraseLocalDisks": true},
	)
	w.refused(
		"INVALID_REQUEST",
		w.ada,
		"POST",
		one+"/reinstall",
		map[string]any{"operatingSystem": "Windows 3.11", "eraseLocalDisks": true},
	)
	w.settle(d)
	w.want(
		200,
		w.ada,
		"PATCH",
		one,
		map[string]any{"name": "renamed", "tags": []string{"a", "b"}, "terminationProtection": true},
	)
	if r := w.want(200, w.ada, "GET", at+"?tag=a&status=running,stopped&search=NAME&sort=name", nil); len(r.list) != 1 {
		t.Errorf("%s", r.body)
	}
	if r := w.want(200, w.ada, "GET", at+"?status=failed", nil); len(r.list) != 0 {
		t.Errorf("%s", r.body)
	}
	w.clock.Advance(26 * time.Minute)
	w.refused("CONFLICT", w.ada, "DELETE", one, nil)
	w.want(200, w.ada, "PATCH", one, `{"terminationProtection":false,"autoTerminateAt":"2028-03-01T08:00:00+01:00"}`)
	r := w.want(200, w.ada, "PATCH", one, `{"autoTerminateAt":null}`)
	if when, has := r.data.(map[string]any)["autoTerminateAt"]; when != nil || !has {
		t.Errorf("%s", r.body)
	}
	can := w.want(200, w.ada, "GET", one+"/can-terminate", nil).data.(map[string]any)
	same(t, "can terminate", can["canTerminate"], true)
	refund := fmt.Sprint(can["refund"])
	w.want(200, w.ada, "DELETE", one, nil)
	w.settle(d)
	w.want(200, w.ada, "DELETE", one, nil)
	same(t, "status", w.want(200, w.ada, "GET", one, nil).text("status"), "terminated")
	lines := w.want(200, w.ada, "GET", Base+"/wallet/transactions?type=refund", nil).list
	if len(lines) != 1 || fmt.Sprint(lines[0].(map[string]any)["amount"]) != refund {
		t.Errorf("refund of %s promised, %v made", refund, lines)
	}
	if events := w.want(200, w.ada, "GET", one+"/events?limit=100", nil); len(events.list) < 6 {
		t.Errorf("%s", events.body)
	}
}

func TestAnEarlyEndCanBeQueued(t *testing.T) {
	w := newWorld(t)
	d := w.deploy(w.ada)
	w.settle(d)
	r := w.want(202, w.ada, "DELETE", Base+"/deployments/"+string(d)+"?when=earliest", nil)
	if r.text("status") != "running" || r.text("autoTerminateAt") != r.text("terminableAt") {
		t.Errorf("%s", r.body)
	}
	w.clock.Advance(25 * time.Minute)
	w.settle(d)
	same(t, "status", w.want(200, w.ada, "GET", Base+"/deployments/"+string(d), nil).text("status"), "terminated")
}

func TestUnsupportedActions(t *testing.T) {
	w := newWorld(t)
	d := id.ID(
		w.want(201, w.ada, "POST", Base+"/deployments", map[string]any{"offerId": "off_plain",
			"operatingSystem": "ubuntu 24.04", "name": "n", "ssh_public_key": publicKey(t)}).
			text("id"),
	)
	w.settle(d)
	for _, action := range []string{"reboot", "power-on", "power-off", "reinstall"} {
		var body any
		if action == "reinstall" {
			body = map[string]bool{"eraseLocalDisks": true}
		}
		if r := w.refused("UNSUPPORTED_BY_PROVIDER", w.ada, "POST", Base+"/deployments/"+string(d)+"/"+action,
			body); r.status != 400 {
			t.Errorf("%d", r.status)
		}
	}
	w.refused(
		"OFFER_UNAVAILABLE",
		w.ada,
		"POST",
		Base+"/deployments",
		map[string]any{"offerId": "off_sold", "name": "n", "ssh_public_key": publicKey(t)},
	)
	w.refused(
		"INSUFFICIENT_BALANCE",
		w.ada,
		"POST",
		Base+"/deployments",
		map[string]any{"offerId": "off_dear", "name": "n", "ssh_public_key": publicKey(t)},
	)
}

func TestADryRunMakesNothing(t *testing.T) {
	w := newWorld(t)
	body := w.seedBody()
	body["dryRun"] = true
	r := w.want(200, w.ada, "POST", Base+"/deployments", body)
	if r.header.Get("Location") != "" || r.data.(map[string]any)["hourlyPrice"] != 23.92 {
		t.Errorf("%v %s", r.header, r.body)
	}
	if list := w.want(200, w.ada, "GET", Base+"/deployments", nil).list; len(list) != 0 {
		t.Errorf("%v", list)
	}
}

func TestVolumes(t *testing.T) {
	w := newWorld(t)
	w.configure(func(c *Config) { c.Limiter = allowAll{} })
	at := Base + "/volumes"
	pricing := w.want(200, w.ada, "GET", at+"/pricing", nil).list
	if len(pricing) != 1 || pricing[0].(map[string]any)["hourlyPricePerGb"] != 0.000137 {
		t.Errorf("%v", pricing)
	}
	r := w.refused(
		"INVALID_REQUEST",
		w.ada,
		"POST",
		at,
		map[string]any{"name": " x", "sizeGb": 5, "provider": "voltage-park", "region": "dallas-usa-5"},
	)
	same(t, "fields", r.fields(), []string{"name", "sizeGb"})
	v := id.ID(
		w.want(201, w.ada, "POST", at, map[string]any{"name": "data", "sizeGb": 500, "provider": "voltage-park",
			"region": "dallas-usa-5"}).
			text("id"),
	)
	check := func() {
		t.Helper()
		if _, err := w.c.Volumes.Reconcile(t.Context(), v); err != nil {
			t.Fatal(err)
		}
	}
	check()
	same(t, "status", w.want(200, w.ada, "GET", at+"/"+string(v), nil).text("status"), "available")
	d := w.deploy(w.ada)
	w.settle(d)
	w.want(202, w.ada, "POST", at+"/"+string(v)+"/attach", map[string]any{"deploymentId": d})
	check()
	r = w.want(200, w.ada, "GET", at+"/"+string(v), nil)
	same(t, "attached to", r.text("attachedTo"), d)
	w.refused("CONFLICT", w.ada, "DELETE", at+"/"+string(v), nil)
	w.want(202, w.ada, "POST", at+"/"+string(v)+"/detach", nil)
	check()
	r = w.refused("INVALID_REQUEST", w.ada, "PATCH", at+"/"+string(v), map[string]any{"sizeGb": 100})
	same(t, "fields", r.fields(), []string{"sizeGb"})
	w.want(200, w.ada, "PATCH", at+"/"+string(v), map[string]any{"name": "renamed"})
	if list := w.want(200, w.ada, "GET", at, nil).list; len(list) != 1 {
		t.Errorf("%v", list)
	}
	w.want(200, w.ada, "DELETE", at+"/"+string(v), nil)
}

func TestSSHKeys(t *testing.T) {
	w := newWorld(t)
	w.configure(func(c *Config) { c.Limiter = allowAll{} })
	at := Base + "/ssh-keys"
	k := w.want(201, w.ada, "POST", at, map[string]string{"name": "a", "publicKey": publicKey(t)})
	w.refused("CONFLICT", w.ada, "POST", at, map[string]string{"name": "a", "publicKey": publicKey(t)})
	w.refused("CONFLICT", w.ada, "POST", at, map[string]string{"name": "b", "publicKey": k.text("publicKey")})
	one := at + "/" + k.text("id")
	same(t, "name", w.want(200, w.ada, "PATCH", one, map[string]string{"name": "c"}).text("name"), "c")
	same(t, "name", w.want(200, w.ada, "GET", one, nil).text("name"), "c")
	same(t, "deleted", w.want(200, w.ada, "DELETE", one, nil).text("id"), k.text("id"))
	w.refused("NOT_FOUND", w.ada, "DELETE", one, nil)
}

// Lists without filters are sorted as deployments are.
func TestListsCanBeSorted(t *testing.T) {
	w := newWorld(t)
	for _, name := range []string{"beta", "Alpha", "gamma"} {
		w.want(201, w.ada, "POST", Base+"/ssh-keys", map[string]string{"name": name, "publicKey": publicKey(t)})
		w.want(
			201,
			w.ada,
			"POST",
			Base+"/volumes",
			map[string]any{"name": name, "sizeGb": 10, "provider": "Voltage-Park", "region": "DALLAS-usa-5"},
		)
		w.clock.Advance(time.Second)
	}
	for _, list := range []string{"/ssh-keys", "/volumes"} {
		for query, want := range map[string]string{
			"":                                 "[gamma Alpha beta]",
			"?sort=createdAt":                  "[beta Alpha gamma]",
			"?sort=-createdAt":                 "[gamma Alpha beta]",
			"?sort=name":                       "[Alpha beta gamma]",
			"?sort=-name&limit=2":              "[gamma beta]",
			"?sort=name,-createdAt":            "[Alpha beta gamma]",
			"?sort=-createdAt,name":            "[gamma Alpha beta]",
			"?sort=-name&sort=createdAt":       "[gamma beta Alpha]",
			"?sortBy=name":                     "[Alpha beta gamma]",
			"?sortBy=createdAt&sortOrder=desc": "[gamma Alpha beta]",
		} {
			names := []string{}
			for _, item := range w.want(200, w.ada, "GET", Base+list+query, nil).list {
				names = append(names, item.(map[string]any)["name"].(string))
			}
			same(t, list+query, names, want)
		}
	}
}

func TestOffers(t *testing.T) {
	w := newWorld(t)
	w.configure(func(c *Config) { c.Limiter = allowAll{} })
	names := func(query string) (out []string) {
		t.Helper()
		for _, o := range w.want(200, w.ada, "GET", Base+"/offers?"+query, nil).list {
			out = append(out, o.(map[string]any)["id"].(string))
		}
		return out
	}
	same(t, "by price", names(""), []string{"off_plain", "off_sold", "off_abc123", "off_dear"})
	same(t, "downwards", names("sort=-price"), []string{"off_dear", "off_abc123", "off_sold", "off_plain"})
	same(
		t,
		"the other spelling",
		names("sortBy=price&sortOrder=desc"),
		[]string{"off_dear", "off_abc123", "off_sold", "off_plain"},
	)
	same(t, "several keys", names("sort=-gpuCount,-price"), []string{"off_dear", "off_abc123", "off_sold", "off_plain"})
	same(t, "a field's own name", names("sort=gpuType,-hourlyPrice"), names("sort=name,-price"))
	same(t, "available", names("available=true&minGpuCount=8&maxHourlyPrice=23.92"), []string{"off_abc123"})
	same(t, "page", names("page=2&per_page=3"), []string{"off_dear"})
	r := w.want(200, w.ada, "GET", Base+"/offers?page=9&limit=3", nil)
	if !strings.Contains(
		string(r.body),
		`"data":[],"pagination":{"page":9,"limit":3,"total":4,"totalPages":2,"totalIsExact":true,"nextCursor":null}`,
	) {
		t.Errorf("%s", r.body)
	}
	w.want(200, w.ada, "GET", Base+"/offers/off_abc123", nil)
	h := w.want(200, w.ada, "GET", Base+"/offers/off_abc123/price-history?from=2028-01-01T00:00:00Z&to=2029-01-01T00:00:00Z", nil).data.(map[string]any)
	if points := h["points"].([]any); len(points) != 1 {
		t.Errorf("%v", h)
	}
	w.refused("NOT_FOUND", w.ada, "GET", Base+"/offers/off_none/price-history", nil)
	for _, facet := range []string{"providers", "regions", "gpu-types"} {
		if list := w.want(200, w.ada, "GET", Base+"/"+facet, nil).list; len(list) == 0 {
			t.Errorf("no %s", facet)
		}
	}
	w.want(200, tenant{}, "GET", Base, nil)
}

func TestWithoutAMarketplace(t *testing.T) {
	w := newWorld(t)
	w.cloud.down = true
	fail := func() {
		w.clock.Advance(time.Hour)
		if _, err := w.c.Catalog.Sync(t.Context(), "provider/voltage-park"); err != nil {
			t.Fatal(err)
		}
	}
	fail()
	w.want(200, w.ada, "GET", Base+"/offers", nil) // once is not for long
	fail()
	for _, target := range []string{Base + "/offers", Base + "/offers/off_abc123"} {
		w.refused("SERVICE_UNAVAILABLE", w.ada, "GET", target, nil)
	}
	w.refused("SERVICE_UNAVAILABLE", w.ada, "POST", Base+"/deployments", w.seedBody())
	w.want(200, tenant{}, "GET", "/healthz", nil)
	w.want(200, tenant{}, "GET", "/readyz", nil) // the server can serve, whatever providers do
}

func TestWallet(t *testing.T) {
	w := newWorld(t)
	w.configure(func(c *Config) { c.Limiter = allowAll{} })
	idle := w.want(200, w.ada, "GET", Base+"/wallet", nil)
	if !strings.Contains(string(idle.body), `"hoursLeft":null`) ||
		!strings.Contains(string(idle.body), `"minimumToDeploy":50`) {
		t.Errorf("%s", idle.body)
	}
	d := w.deploy(w.ada)
	w.settle(d)
	v := w.want(200, w.ada, "GET", Base+"/wallet", nil).data.(map[string]any)
	same(t, "balance", v["balance"], 976.08)
	same(t, "hourly cost", v["hourlyCost"], 23.92)
	same(t, "hours left", v["hoursLeft"], 40.8) // 976.08 / 23.92 = 40.806
	running := v["activeDeployments"].([]any)[0].(map[string]any)
	same(
		t,
		"running",
		fmt.Sprint(running["id"], running["name"], running["costToDate"]),
		fmt.Sprint(d, "my-training-run", 23.92),
	)
	usage := w.want(200, w.ada, "GET", Base+"/wallet/usage?groupBy=gpuType", nil).data.(map[string]any)
	same(t, "usage", usage["total"], 23.92)
	if r := w.want(200, w.ada, "GET", Base+"/wallet/transactions?limit=2", nil); len(r.list) != 2 ||
		!strings.Contains(string(r.body), `"total":4,"totalPages":2`) {
		t.Errorf("%s", r.body)
	}
}

func TestTheStatementAsATable(t *testing.T) {
	w := newWorld(t)
	w.tx(func(ctx context.Context, tx *db.Tx) error {
		_, err := w.c.Wallet.Credit(
			ctx,
			tx,
			wallet.Credit{
				Account:     w.ada.account,
				Type:        wallet.TypeCredit,
				Amount:      money.Dollars(1),
				Description: "=cmd|' /C calc'!A0",
				Dedupe:      "x",
			},
		)
		return err
	})
	r := w.do(w.ada, "GET", Base+"/wallet/transactions?format=csv", nil)
	rows, err := csv.NewReader(strings.NewReader(string(r.body))).ReadAll()
	if err != nil || r.status != 200 || !strings.HasPrefix(r.header.Get("Content-Type"), "text/csv") || len(rows) != 3 {
		t.Fatalf("%d %v %s (%v)", r.status, r.header, r.body, err)
	}
	same(t, "newest", rows[1][2:7], []string{"credit", "1", "1001", "1001", "'=cmd|' /C calc'!A0"})
	none := w.do(w.ada, "GET", Base+"/wallet/transactions?format=csv&type=refund", nil)
	same(t, "an empty statement", string(none.body), strings.Join(exportHeader, ",")+"\n")
}

func TestHoursLeft(t *testing.T) {
	for _, c := range []struct {
		available, hourly money.Micros
		want              string
	}{
		{money.Dollars(100), 0, "null"},
		{money.Dollars(100), money.Dollars(3), "33.33"},
		{money.Dollars(99), money.Dollars(3), "33"},
		{-1, money.Dollars(3), "0"},
		{wallet.MaxAmount, 1, "1000000000000000"},
		{money.Dollars(1), money.Dollars(2), "0.5"},
	} {
		b, err := json.Marshal(hoursLeft(c.available, c.hourly))
		if err != nil || string(b) != c.want {
			t.Errorf("%s at %s: %s, want %s (%v)", c.available, c.hourly, b, c.want, err)
		}
	}
}

func TestCredentials(t *testing.T) {
	w := newWorld(t)
	w.configure(func(c *Config) { c.Limiter = allowAll{} })
	at := Base + "/offers"
	w.want(200, tenant{}, "GET", at, nil, header("X-API-Key", w.ada.secret))
	w.want(200, w.ada, "GET", at, nil, header("X-API-Key", w.ada.secret))
	w.want(200, tenant{}, "GET", at, nil, header("Authorization", "bearer "+w.ada.secret))
	r := w.refused("INVALID_REQUEST", w.ada, "GET", at, nil, header("X-API-Key", w.bob.secret))
	same(t, "fields", r.fields(), []string{"header.X-API-Key"})
	w.refused(
		"INVALID_REQUEST",
		tenant{},
		"GET",
		at,
		nil,
		func(r *http.Request) { r.Header["Authorization"] = []string{"Bearer a", "Bearer b"} },
	)
	for _, value := range []string{"Basic abc", "Bearer", "Bearer ", w.ada.secret, "Bearer " + w.ada.secret + "x",
		"Bearer pk_live_" + strings.Repeat("a", 49)} {
		r := w.refused("INVALID_API_KEY", tenant{}, "GET", at, nil, header("Authorization", value))
		if r.status != 401 || r.header.Get("WWW-Authenticate") == "" {
			t.Errorf("%d %v", r.status, r.header)
		}
	}
	w.refused("INVALID_API_KEY", tenant{}, "GET", at, nil, header("X-API-Key", ""))
	w.refused("MISSING_API_KEY", tenant{}, "GET", at, nil)
	soon := w.clock.Now().Add(time.Minute)
	var k account.Key
	var fenced, expiring string
	w.tx(func(ctx context.Context, tx *db.Tx) (err error) {
		if _, fenced, err = w.c.Accounts.CreateKey(ctx, tx, w.ada.account,
			account.KeyRequest{Name: "f", AllowedNetworks: []string{"203.0.113.0/24"}}); err != nil {
			return err
		}
		k, expiring, err = w.c.Accounts.CreateKey(
			ctx,
			tx,
			w.ada.account,
			account.KeyRequest{Name: "e", ExpiresAt: &soon},
		)
		return err
	})
	if r := w.refused("NETWORK_NOT_ALLOWED", tenant{secret: fenced}, "GET", at, nil); r.status != 403 {
		t.Errorf("%d", r.status)
	}
	w.want(200, tenant{secret: fenced}, "GET", at, nil, from("203.0.113.5"))
	w.clock.Advance(time.Minute)
	w.refused("EXPIRED_API_KEY", tenant{secret: expiring}, "GET", at, nil)
	w.tx(func(ctx context.Context, tx *db.Tx) error {
		_, err := w.c.Accounts.RevokeKey(ctx, tx, w.ada.account, k.ID)
		return err
	})
	w.refused("REVOKED_API_KEY", tenant{secret: expiring}, "GET", at, nil)
}
