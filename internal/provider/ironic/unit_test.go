package ironic

import (
	"encoding/json"
	"net/http"
	"reflect"
	"strings"
	"testing"

	"github.com/billetcloud/billet/internal/provider"
	"github.com/billetcloud/billet/internal/provider/upstream"
	"github.com/billetcloud/billet/internal/provider/upstream/upstreamtest"
)

var digest = strings.Repeat("0a", 32)

func TestParseImages(t *testing.T) {
	t.Parallel()
	got, err := parseImages("Debian 13 = https://x/d.raw user:debian sha256:" + strings.ToUpper(digest) +
		" ;\n Ubuntu = http://x/u.qcow2?a=b sha512:" + digest + digest + " user:ubuntu;")
	want := []image{
		{"Debian 13", "https://x/d.raw", "sha256", digest, "debian"},
		{"Ubuntu", "http://x/u.qcow2?a=b", "sha512", digest + digest, "ubuntu"},
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v", got, err)
	}
	whole := "A = https://x/a user:u sha256:" + digest
	for bad, says := range map[string]string{
		"":                                      "list the operating systems",
		" ; ":                                   "list the operating systems",
		whole + ";" + whole:                     "listed twice",
		"https://x/a":                           "a name and a URL",
		"= https://x/a":                         "a name and a URL",
		"A = ":                                  "a name and a URL",
		"A = x/a user:u sha256:" + digest:       "must have a URL",
		"A = file:///a user:u sha256:" + digest: "must have a URL",
		"A = https://x/a user:u":                "checksum is required",
		"A = https://x/a user:u sha256:12":      "checksum is required",
		"A = https://x/a user:u sha256:" + strings.Repeat("g", 64): "checksum is required",
		"A = https://x/a sha256:" + digest:                         "login user is required",
		whole + " md5:1":                                           "unknown",
	} {
		if _, err := parseImages(bad); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: got %v, want %q", bad, err, says)
		}
	}
}

func TestNew(t *testing.T) {
	t.Parallel()
	good := upstream.Account{
		Slug: "ironic", BaseURL: "https://ironic.example:6385/v1/", Credential: "user:password",
		Settings: map[string]string{imagesSetting: "A = https://x/a user:u sha256:" + digest},
	}
	x, err := New(good)
	if err != nil || x.account.BaseURL != "https://ironic.example:6385" {
		t.Fatalf("got %v", err)
	}
	for says, change := range map[string]func(a *upstream.Account){
		"no API key is set": func(a *upstream.Account) { a.Credential = "" },
		"user:password":     func(a *upstream.Account) { a.Credential = "token" },
		"base URL":          func(a *upstream.Account) { a.BaseURL = "" },
		"setting images":    func(a *upstream.Account) { a.Settings = nil },
		"setting nodes":     func(a *upstream.Account) { a.Settings = map[string]string{"nodes": "x"} },
	} {
		a := good
		change(&a)
		if _, err := New(a); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("got %v, want %q", err, says)
		}
	}
}

func TestTerms_Check(t *testing.T) {
	t.Parallel()
	const good = `"gpuType":"H100","gpuCount":8,"gpuMemoryGb":80,"vcpus":1,"memoryGb":1,"storageGb":1,"region":"r",` +
		`"hourlyPrice":"1.5"`
	const mac = `"mac":"52:54:00:00:00:01"`
	for text, want := range map[string]string{
		`"address":"192.0.2.1"`: "",
		`"address":"2001:db8::5/64","gateway":"2001:db8::1",` + mac:               "",
		`"address":"192.0.2.9/24","gateway":"192.0.2.1","dns":["9.9.9.9"],` + mac: "",
		`"address":""`: "address must be",
		`"address":"192.0.2.1","gateway":"192.0.2.2"`:                         "need an address with a prefix length",
		`"address":"192.0.2.9/24"`:                                            "gateway must be",
		`"address":"192.0.2.9/24","gateway":"192.0.3.1",` + mac:               "gateway must be",
		`"address":"192.0.2.9/24","gateway":"192.0.2.9",` + mac:               "gateway must be",
		`"address":"192.0.2.9/24","gateway":"192.0.2.1"`:                      "mac must be",
		`"address":"192.0.2.9/24","gateway":"192.0.2.1","dns":["one"],` + mac: "dns must be",
		`"address":"192.0.2.1","country":"us"`:                                "country must be",
		`"address":"192.0.2.1","interconnect":"\n"`:                           "plain text",
		`"address":"192.0.2.1","gpuType":""`:                                  "gpuType is required",
		`"address":"192.0.2.1","vcpus":0`:                                     "must be positive",
		`"address":"192.0.2.1","hourlyPrice":""`:                              "hourlyPrice must be positive",
	} {
		n := node{Class: new("c"), Extra: extra{Billet: json.RawMessage("{" + good + "," + text + "}")}}
		n.read()
		if (want == "") != (n.problem == "") || !strings.Contains(n.problem, want) {
			t.Errorf("%s: got %q, want %q", text, n.problem, want)
		}
	}
}

func TestStateOf(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		state, power string
		want         provider.MachineState
		unhealthy    bool
	}{
		{"available", "power off", provider.MachineProvisioning, false},
		{"deploying", "power on", provider.MachineProvisioning, false},
		{"wait call-back", "power on", provider.MachineProvisioning, false},
		{"active", "power on", provider.MachineReady, false},
		{"active", "power off", provider.MachineOff, false},
		{"active", "error", provider.MachineReady, false}, // its BMC does not answer
		{"active", "", provider.MachineReady, false},
		{"deploy failed", "power off", provider.MachineFailed, false},
		{"deleting", "power on", provider.MachineTerminating, false},
		{"error", "power on", provider.MachineTerminating, false},
		{"rescue", "power on", provider.MachineReady, true},
		{"service wait", "power on", provider.MachineReady, true},
		{"something new", "power on", provider.MachineReady, false},
	} {
		n := node{State: c.state, Power: &c.power, InstanceInfo: info{Address: "192.0.2.1"}}
		if c.power == "" {
			n.Power = nil
		}
		if m := machineOf(allocation{}, n); m.State != c.want || m.Unhealthy != c.unhealthy {
			t.Errorf("%s, %s: got %+v", c.state, c.power, m)
		}
	}
}

func TestExplain(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		status int
		body   string
		want   provider.Kind // "" where the status decides
	}{
		{http.StatusConflict, "", provider.KindUnavailable},
		{http.StatusServiceUnavailable, "", provider.KindUnavailable},
		{http.StatusNotAcceptable, "", provider.KindUnsupported},
		{http.StatusBadRequest, `{"error_message": "{\"faultstring\": \"it's in maintenance mode.\"}"}`,
			provider.KindNoCapacity},
		{http.StatusBadRequest, `{"error_message": {"faultstring": "it's in maintenance mode."}}`,
			provider.KindNoCapacity},
		{http.StatusBadRequest, `{"error_message": "it's in maintenance mode."}`, provider.KindNoCapacity},
		{http.StatusBadRequest, `{"error_message": "wrong"}`, ""},
		{http.StatusBadRequest, `[]`, ""},
		{http.StatusNotFound, "", ""},
	} {
		got := explain(c.status, []byte(c.body))
		if (got == nil) != (c.want == "") || got != nil && got.Kind != c.want {
			t.Errorf("%d %s: got %v, want %q", c.status, c.body, got, c.want)
		}
	}
}

// FuzzNodes: whatever Ironic lists, only what the catalog accepts is offered.
func FuzzNodes(f *testing.F) {
	f.Add([]byte(`[{"uuid":"1","provision_state":"available","power_state":"power off","resource_class":"c","extra":` +
		`{"billet":{"gpuType":"H100","gpuCount":8,"gpuMemoryGb":80,"vcpus":1,"memoryGb":1,"storageGb":1,"region":"r",` +
		`"hourlyPrice":1.5,"address":"192.0.2.1/24","gateway":"192.0.2.2","mac":"52:54:00:00:00:01"}}}]`))
	f.Add([]byte(`[{"uuid":"1","resource_class":null,"extra":{"billet":{}}},{"uuid":"2","extra":{"billet":null}}]`))
	x := &Adapter{images: []image{{name: "Debian 13"}}}
	f.Fuzz(func(t *testing.T, text []byte) {
		var all []node
		if json.Unmarshal(text, &all) != nil {
			return
		}
		judge(all)
		if err := upstreamtest.Believable(x.offersOf(all)); err != nil {
			t.Error(err)
		}
		for _, n := range all {
			if n.problem == "" {
				n.terms.data()
			}
		}
	})
}
