package e2e_test

import (
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/provider/voltagepark/voltageparktest"
	"github.com/billetcloud/billet/test/servertest"
)

// A provider is added, paused, given another key and removed over the API while the server runs.
func TestProviderAccountsAreLive(t *testing.T) {
	servertest.Engines(t, func(t *testing.T, args ...string) {
		cloud := voltageparktest.Serve(t)
		s := servertest.Start(t, append(args, "--sim")...)
		account, key := s.Key("1000", "--read-limit", "100000", "--write-limit", "1000")
		operator := s.KeyOf(account, "--scopes", "operator:read,operator:write", "--read-limit", "100000",
			"--write-limit", "1000")
		const all, park = "=/api/v1/operator/provider-accounts", "=/api/v1/operator/provider-accounts/park-1"
		ask := func(status int, method, path string, body any) servertest.Answer {
			t.Helper()
			a := s.Call(operator, method, path, body)
			if a.Status != status {
				t.Fatalf("%s %s: got %d %s, want %d", method, path, a.Status, a.Body, status)
			}
			if strings.Contains(string(a.Body), voltageparktest.Token) {
				t.Fatalf("%s %s shows the key", method, path)
			}
			return a
		}
		offers := func(query string) []any {
			return s.Call(
				key,
				http.MethodGet,
				"/offers?provider=park-1&instanceType=VM&gpuCount=1&search=h100"+query,
				nil,
			).List
		}
		settings := maps.Clone(cloud.Account().Settings)
		if settings == nil {
			settings = map[string]string{}
		}
		settings["private-addresses"] = "true"
		body := map[string]any{
			"kind": "voltage-park", "slug": "park-1", "baseUrl": "https://api.example.com", "settings": settings,
			"apiKey": "not the key",
		}
		ask(409, http.MethodPost, all, body) // a real cloud beside a simulated clock
		body["baseUrl"] = cloud.Account().BaseURL
		ask(201, http.MethodPost, all, body)
		ask(409, http.MethodPost, all, body)
		body["kind"], body["slug"] = "no-cloud", "other"
		ask(400, http.MethodPost, all, body)
		if checked := ask(200, http.MethodPost, park+"/check", nil); checked.Data["passed"] != false {
			t.Errorf("check with a wrong key: got %s", checked.Body)
		}
		ask(200, http.MethodPatch, park, map[string]any{"apiKey": voltageparktest.Token, "markupPercent": 10})
		if checked := ask(200, http.MethodPost, park+"/check", nil); checked.Data["passed"] != true {
			t.Errorf("check: got %s", checked.Body)
		}
		await(t, "offers without a restart", func() bool {
			s.Advance("1m")
			return len(offers("&available=true")) > 0
		})

		offer := offers("&available=true")[0].(map[string]any)
		ask(200, http.MethodPost, park+"/pause", nil)
		if got := offers("&available=true"); len(got) != 0 || len(offers("")) == 0 {
			t.Errorf("paused: %d offers are available, %d are listed", len(got), len(offers("")))
		}
		deploy := map[string]any{
			"offerId": offer["id"], "operatingSystem": offer["operatingSystems"].([]any)[0], "name": "live",
			"ssh_public_key": newIdentity(t).public,
		}
		if a := s.Call(key, http.MethodPost, "/deployments", deploy); a.Status != http.StatusConflict {
			t.Errorf("deploy at a paused provider: got %d %s", a.Status, a.Body)
		}
		ask(200, http.MethodPost, park+"/resume", nil)
		a := s.Call(key, http.MethodPost, "/deployments", deploy)
		if a.Status != http.StatusCreated {
			t.Fatalf("deploy after resume: got %d %s", a.Status, a.Body)
		}
		id := a.Data["id"].(string)
		await(t, "the machine", func() bool { return len(cloud.MachineIDs()) == 1 })
		forth := func(d time.Duration) {
			cloud.Advance(d)
			s.Advance(d.String())
		}
		forth(time.Minute)
		s.Await(key, id, "running")

		wrong := map[string]any{"apiKey": "another account's key"}
		if a := ask(409, http.MethodPatch, park, wrong); !strings.Contains(string(a.Body), "force") {
			t.Errorf("the brake says %s", a.Body)
		}
		wrong["force"] = true
		ask(200, http.MethodPatch, park, wrong)
		ask(200, http.MethodPatch, park, map[string]any{"apiKey": voltageparktest.Token})
		ask(200, http.MethodPost, park+"/drain", nil)
		if got := offers(""); len(got) != 0 {
			t.Errorf("draining: %d offers are listed", len(got))
		}
		if one := providerNamed(ask(200, http.MethodGet, all, nil), "park-1"); one["state"] != "draining" ||
			one["remaining"] != float64(1) || one["drainingAt"] == nil || one["pausedAt"] != nil {
			t.Errorf("draining: got %v", one)
		}
		if a := ask(409, http.MethodDelete, park, nil); !strings.Contains(string(a.Body), "1 deployments") {
			t.Errorf("remove with a machine: got %s", a.Body)
		}
		forth(26 * time.Minute)
		if a := s.Call(key, http.MethodDelete, "/deployments/"+id, nil); a.Status != http.StatusOK {
			t.Fatalf("terminate at a draining provider: got %d %s", a.Status, a.Body)
		}
		await(t, "the end", func() bool {
			forth(31 * time.Second)
			return s.Call(key, http.MethodGet, "/deployments/"+id, nil).Data["status"] == "terminated"
		})
		forth(time.Minute) // longer than a deploy may still be on its way
		ask(200, http.MethodDelete, park, nil)
		if got := offers(""); len(got) != 0 {
			t.Errorf("%d offers of a provider that was removed", len(got))
		}
		ask(404, http.MethodPost, park+"/pause", nil)
		checkNoKey(t, s, voltageparktest.Token)
	})
}

// providerNamed returns the provider with the slug from a list of provider accounts.
func providerNamed(list servertest.Answer, slug string) map[string]any {
	for _, entry := range list.List {
		if one := entry.(map[string]any); one["slug"] == slug {
			return one
		}
	}
	return nil
}
