package billet_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/provider"
	"github.com/billetcloud/billet/internal/provider/providertest"
	"github.com/billetcloud/billet/internal/provider/upstream"
	"github.com/billetcloud/billet/test/servertest"
)

func keyLine(t *testing.T) string {
	_, line := providertest.NewKey(t)
	return line
}

func TestAdapter_RealServer(t *testing.T) {
	server := servertest.Start(t, "--sim", "--sim-machines", "banner")
	for name, test := range map[string]func(*testing.T, *servertest.Server){
		"every offer":                        testOffers,
		"several keys and a cloud-config":    testKeysAndCloudInit,
		"the minimum runtime":                testMinimumRuntime,
		"another offer after one that ended": testIgnoreEnded,
		"an empty wallet":                    testEmptyWallet,
		"a key that may only read":           testReadOnlyKey,
		"a machine that was renamed":         testRenamedMachine,
	} {
		t.Run(name, func(t *testing.T) { test(t, server) })
	}
}

// requestFor returns a request for an offer with every capability.
func requestFor(o *other) provider.LaunchRequest {
	sold := o.offer(provider.Capabilities{Reboot: true, Power: true, Reinstall: true, Volumes: true, CloudInit: true})
	return provider.LaunchRequest{
		Reference: ids.New(id.Deployment), Name: "a tenant's name", OfferKey: sold.Key, Region: sold.Region,
		OperatingSystem: sold.OperatingSystems[0], AuthorizedKeys: []string{keyLine(o.t)},
	}
}

// end terminates a machine, after its minimum runtime.
func (o *other) end(reference id.ID) {
	o.t.Helper()
	if err := (patient{o.open(), o.pass}).Terminate(o.t.Context(), reference); err != nil {
		o.t.Error(err)
	}
}

// listOffers returns the server's own offers, by our key.
func (o *other) listOffers() map[string]map[string]any {
	out := map[string]map[string]any{}
	for page := 1; ; page++ {
		path := fmt.Sprintf("/offers?limit=100&sort=name&page=%d", page)
		list := o.server.Call(o.key, http.MethodGet, path, nil).List
		for _, one := range list {
			one := one.(map[string]any)
			out["up:"+one["id"].(string)] = one
		}
		if len(list) == 0 {
			return out
		}
	}
}

// testOffers compares every offer with the server's own.
func testOffers(t *testing.T, server *servertest.Server) {
	o := connect(t, server, "10")
	offers, err := o.open().Offers(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	theirs := o.listOffers()
	if len(offers) != len(theirs) || len(offers) < 10 {
		t.Errorf("got %d offers, want %d", len(offers), len(theirs))
	}
	for _, one := range offers {
		w := theirs[one.Key]
		price := fmt.Sprintf("%d.%06d", one.HourlyPrice/1_000_000, one.HourlyPrice%1_000_000)
		if w == nil || fmt.Sprintf("%.6f", w["hourlyPrice"]) != price || w["gpuType"] != one.GPUType ||
			w["region"] != one.Region || w["available"] != one.Available || one.MinimumRuntime < 25*time.Minute {
			t.Errorf("got %+v, want %v", one, w)
		}
	}
}

// testKeysAndCloudInit launches with two keys and a cloud-config.
func testKeysAndCloudInit(t *testing.T, server *servertest.Server) {
	o := connect(t, server, "10000")
	b, r := o.open(), requestFor(o)
	r.AuthorizedKeys = append(r.AuthorizedKeys, keyLine(t)+" ada@laptop", r.AuthorizedKeys[0]+" again")
	r.CloudInit = "#cloud-config\npackages: [nvtop]\n"
	second := r
	second.Reference = ids.New(id.Deployment)
	for _, r := range []provider.LaunchRequest{r, second} {
		m, err := b.Launch(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		d := server.Call(o.key, http.MethodGet, "/deployments/"+m.ID, nil).Data
		if len(d["sshKeys"].([]any)) != 2 || d["cloudInit"] != true || d["name"] != upstream.Mark(r.Reference) {
			t.Errorf("got the deployment %+v", d)
		}
	}
	if saved := server.Call(o.key, http.MethodGet, "/ssh-keys", nil).List; len(saved) != 2 ||
		strings.Contains(fmt.Sprint(saved), "ada@laptop") {
		t.Errorf("got the keys %v, want two without comments", saved)
	}
	o.end(r.Reference)
	o.end(second.Reference)
	for range 2 { // the second time there is none
		if err := b.ForgetKey(t.Context(), r.AuthorizedKeys[1]); err != nil {
			t.Error(err)
		}
	}
	if saved := server.Call(o.key, http.MethodGet, "/ssh-keys", nil).List; len(saved) != 1 ||
		!upstream.SameKey(fmt.Sprint(saved[0].(map[string]any)["publicKey"]), r.AuthorizedKeys[0]) {
		t.Errorf("got the keys %v, want the first one", saved)
	}
}

// testMinimumRuntime checks that an early Terminate states how long to wait.
func testMinimumRuntime(t *testing.T, server *servertest.Server) {
	o := connect(t, server, "10000")
	b, r := o.open(), requestFor(o)
	if _, err := b.Launch(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	e := providertest.WantKind(t, "Terminate", b.Terminate(t.Context(), r.Reference), provider.KindRejected)
	if e.RetryAfter <= 0 || e.RetryAfter > 25*time.Minute {
		t.Errorf("got a RetryAfter of %s, want at most 25 minutes", e.RetryAfter)
	}
	o.end(r.Reference)
}

// testIgnoreEnded launches another offer after a machine has ended.
func testIgnoreEnded(t *testing.T, server *servertest.Server) {
	o := connect(t, server, "10000")
	b, r := o.open(), requestFor(o)
	first, err := b.Launch(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	o.end(r.Reference)
	o.pass(time.Minute)
	offers, err := b.Offers(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, other := range offers {
		if other.Available && other.Key != r.OfferKey {
			r.OfferKey, r.Region, r.OperatingSystem = other.Key, other.Region, other.OperatingSystems[0]
			break
		}
	}
	r.IgnoreEnded = true
	second, err := o.open().Launch(t.Context(), r)
	if err != nil || second.ID == first.ID {
		t.Fatalf("got %+v, %v, want another machine than %+v", second, err, first)
	}
	again, err := o.open().Launch(t.Context(), r)
	if err != nil || again.ID != second.ID {
		t.Errorf("got %+v, %v, want %+v", again, err, second)
	}
	o.end(r.Reference)
}

// testEmptyWallet launches without money.
func testEmptyWallet(t *testing.T, server *servertest.Server) {
	o := connect(t, server, "0")
	_, err := o.open().Launch(t.Context(), requestFor(o))
	providertest.WantKind(t, "Launch", err, provider.KindQuota)
}

// testReadOnlyKey launches with a key without the scope.
func testReadOnlyKey(t *testing.T, server *servertest.Server) {
	o := connect(t, server, "10000")
	account, _ := server.Key("1")
	o.key = server.KeyOf(account, "--scopes", "offers:read,deployments:read,volumes:read", "--read-limit", "1000")
	r := requestFor(o)
	_, err := o.open().Launch(t.Context(), r)
	providertest.WantKind(t, "Launch", err, provider.KindCredentials)
}

// testRenamedMachine launches again after the name and tags were changed: the Idempotency-Key
// prevents a second machine.
func testRenamedMachine(t *testing.T, server *servertest.Server) {
	o := connect(t, server, "10000")
	r := requestFor(o)
	m, err := o.open().Launch(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	if a := server.Call(
		o.key, http.MethodPatch, "/deployments/"+m.ID, map[string]any{"name": "ours", "tags": []string{}},
	); a.Status != http.StatusOK {
		t.Fatalf("%d %s", a.Status, a.Body)
	}
	again, err := o.open().Launch(t.Context(), r)
	if err != nil || again.ID != m.ID || again.Reference != r.Reference || o.machineCount() != 1 {
		t.Errorf("got %+v, %v, want %+v", again, err, m)
	}
}
