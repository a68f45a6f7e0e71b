package e2e_test

import (
	"fmt"
	"math/big"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/billetcloud/billet/test/servertest"
)

// One server resells another: a tenant of the first logs in to a machine of the second, and both
// bills are right.
func TestResale(t *testing.T) {
	source := servertest.Start(t, "--sim")
	_, sourceKey := source.Key("1000", "--read-limit", "100000", "--write-limit", "100000", "--deploy-limit", "1000")
	dir := t.TempDir()
	write := func(name, text string) string {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	write("source.key", sourceKey+"\n")
	shop := servertest.Start(t, "--sim", "--providers-file", write("providers.yaml", fmt.Sprintf(`providers:
  - slug: source
    kind: billet
    baseUrl: %s
    apiKeyFile: source.key
    markupPercent: "25"
    settings: {private-addresses: "true", reads-per-minute: "100000", writes-per-minute: "100000"}
`, source.URL)))
	_, shopKey := shop.Key("1000", "--read-limit", "100000")

	// The reseller sells the source's dollar for a dollar and a quarter, under its own id.
	sold := awaitResold(t, shop, shopKey)
	list := source.Call(sourceKey, http.MethodGet, fmt.Sprintf("/offers?limit=100&region=%s", sold["region"]), nil).List
	me := newIdentity(t)
	a := shop.Call(shopKey, http.MethodPost, "/deployments", map[string]any{
		"offerId": sold["id"], "operatingSystem": sold["operatingSystems"].([]any)[0], "name": "resold",
		"ssh_public_key": me.public,
	})
	if a.Status != http.StatusCreated {
		t.Fatalf("deploy: %d %s", a.Status, a.Body)
	}
	mine := a.Data["id"].(string)
	var theirs map[string]any
	await(t, "the machine at the source", func() bool {
		all := source.Call(sourceKey, http.MethodGet, "/deployments", nil).List
		if len(all) == 1 {
			theirs = all[0].(map[string]any)
		}
		return len(all) == 1
	})
	mark := strings.Replace(mine, "_", "-", 1)
	if theirs["name"] != mark || fmt.Sprint(theirs["tags"]) != "[billet:"+mark+"]" {
		t.Errorf("at the source it is %v, tagged %v", theirs["name"], theirs["tags"])
	}
	id := theirs["id"].(string)
	var price any
	for _, o := range list {
		if o := o.(map[string]any); o["id"] == theirs["offerId"] {
			price = o["hourlyPrice"]
		}
	}
	if theirs["offerId"] == sold["id"] || price != theirs["hourlyPrice"] ||
		dollars(sold["hourlyPrice"]).Cmp(new(big.Rat).Mul(dollars(price), big.NewRat(5, 4))) != 0 {
		t.Errorf(
			"%v costs %v at the source, agreed %v, and %v costs %v in the shop", theirs["offerId"], price,
			theirs["hourlyPrice"], sold["id"], sold["hourlyPrice"],
		)
	}

	source.Running(sourceKey, id)
	shop.Advance("1m")
	running := shop.Await(shopKey, mine, "running")
	// dial verifies the host key, which passed from the source's machine through both servers.
	if out := me.run(t, running, "echo through both"); out != "through both" {
		t.Errorf("the machine says %q", out)
	}
	if got := upstream(t, shop); len(got) != 0 {
		t.Errorf("the shop's own simulator has %v", got)
	}

	for _, s := range []*servertest.Server{source, shop} {
		s.Advance("26m")
	}
	if a := shop.Call(shopKey, http.MethodDelete, "/deployments/"+mine, nil); a.Status != http.StatusOK {
		t.Fatalf("terminate: %d %s", a.Status, a.Body)
	}
	await(t, "the end at the source", func() bool {
		status := source.Call(sourceKey, http.MethodGet, "/deployments/"+id, nil).Data["status"]
		return status == "terminating" || status == "terminated"
	})
	source.Advance("1m")
	theirs = source.Await(sourceKey, id, "terminated")
	shop.Advance("1m")
	d := shop.Await(shopKey, mine, "terminated")
	if left := upstream(t, source); len(left) != 0 {
		t.Errorf("left at the source: %v", left)
	}
	if _, err := me.dial(running); err == nil {
		t.Error("the machine still lets its tenant in")
	}

	checkPaid(t, "source", source, sourceKey, theirs)
	checkPaid(t, "shop", shop, shopKey, d)
}

// awaitResold waits until the shop sells a machine of the source that can do everything.
func awaitResold(t *testing.T, shop *servertest.Server, key string) (sold map[string]any) {
	t.Helper()
	await(t, "offers of the source in the shop", func() bool {
		for _, o := range shop.Call(
			key, http.MethodGet, "/offers?provider=source&available=true&limit=100", nil,
		).List {
			o := o.(map[string]any)
			if can := o["capabilities"].(map[string]any); can["reinstall"] == true && can["volumes"] == true &&
				can["cloudInit"] == true {
				sold = o
				return true
			}
		}
		return false
	})
	return sold
}

// checkPaid checks that the wallet has paid what the account's only deployment cost: its time at
// its price.
func checkPaid(t *testing.T, name string, s *servertest.Server, key string, d map[string]any) {
	t.Helper()
	ran := instant(t, d["billedUntil"]).Sub(instant(t, d["startedAt"]))
	cost := dollars(d["costToDate"])
	want := new(big.Rat).Mul(dollars(d["hourlyPrice"]), big.NewRat(int64(ran/time.Second), 3600))
	if off := new(big.Rat).Sub(cost, want); ran < 26*time.Minute || ran > 30*time.Minute ||
		off.Abs(off).Cmp(big.NewRat(1, 1_000_000)) > 0 {
		t.Errorf("%s: %s for %s, want %s", name, cost.FloatString(6), ran, want.FloatString(6))
	}
	w := s.Call(key, http.MethodGet, "/wallet", nil).Data
	if paid := new(big.Rat).Sub(big.NewRat(1000, 1), dollars(w["balance"])); paid.Cmp(cost) != 0 {
		t.Errorf("%s: the wallet has paid %s for what cost %s: %v", name, paid.FloatString(6), cost.FloatString(6), w)
	}
}

// await polls until the condition is true.
func await(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !condition(); {
		if time.Now().After(deadline) {
			t.Fatalf("%s never came", what)
		}
		<-time.After(5 * time.Millisecond) // the awaited process needs the processor, too
	}
}

// dollars parses an amount of the API; a float with at most six decimals is exact.
func dollars(v any) *big.Rat {
	r, ok := new(big.Rat).SetString(fmt.Sprintf("%.6f", v))
	if !ok {
		return new(big.Rat)
	}
	return r
}

func instant(t *testing.T, v any) time.Time {
	t.Helper()
	at, err := time.Parse(time.RFC3339Nano, fmt.Sprint(v))
	if err != nil {
		t.Fatal(err)
	}
	return at
}
