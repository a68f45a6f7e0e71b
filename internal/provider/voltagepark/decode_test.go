package voltagepark

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"testing"

	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/provider"
	"github.com/billetcloud/billet/internal/provider/upstream"
	"github.com/billetcloud/billet/internal/provider/upstream/upstreamtest"
	"github.com/google/go-cmp/cmp"
)

const (
	place1  = "11111111-1111-4111-8111-111111111111"
	thing1  = "22222222-2222-4222-8222-222222222222"
	thing2  = "22222222-2222-4222-8222-222222222223"
	preset1 = "33333333-3333-4333-8333-333333333333"
	ref1    = id.ID("dep_01jd2x3y4z5a6b7c8d9e0f1g2h")
	mark1   = "dep-01jd2x3y4z5a6b7c8d9e0f1g2h"
)

// against returns an adapter of a cloud that answers with handler.
func against(t testing.TB, handler http.HandlerFunc) (*Adapter, *upstreamtest.Server) {
	t.Helper()
	server := upstreamtest.Serve(t, handler)
	a, err := New(server.Account("vp"))
	if err != nil {
		t.Fatal(err)
	}
	return a, server
}

func paged(total int, next bool, rows ...string) string {
	return fmt.Sprintf(
		`{"results":[%s],"total_result_count":%d,"has_previous":false,"has_next":%t}`, strings.Join(rows, ","), total,
		next,
	)
}

func row(n int, more string) string {
	return fmt.Sprintf(`{"id":"22222222-2222-4222-8222-%012d","status":"Running"%s}`, n, more)
}

func rowsFrom(from, to int) (out []string) {
	for n := from; n < to; n++ {
		out = append(out, row(n, ""))
	}
	return out
}

// An incomplete or malformed list says nothing about the machines that it lacks.
func TestAdapter_MachinesNeedsACompleteList(t *testing.T) {
	cases := map[string]struct {
		respond func(request, offset int) string // to a list of rentals
		want    int                              // machines; -1 for an error
	}{
		"nothing":             {func(int, int) string { return `` }, -1},
		"null":                {func(int, int) string { return `null` }, -1},
		"no results":          {func(int, int) string { return `{"has_next":false}` }, -1},
		"null results":        {func(int, int) string { return `{"results":null,"has_next":false}` }, -1},
		"no end":              {func(int, int) string { return `{"results":[]}` }, -1},
		"a bare list":         {func(int, int) string { return `[]` }, -1},
		"a row without an id": {func(int, int) string { return paged(1, false, `{"status":"Running"}`) }, -1},
		"a row without state": {func(int, int) string { return paged(1, false, `{"id":"`+thing1+`"}`) }, -1},
		"a row that is none":  {func(int, int) string { return paged(1, false, `7`) }, -1},
		"fewer than it says":  {func(int, int) string { return paged(2, false, row(1, "")) }, -1},
		"no total": {func(int, int) string {
			return `{"results":[` + row(1, "") + `],"has_next":false}`
		}, 1},
		"empty":               {func(int, int) string { return paged(0, false) }, 0},
		"no progress":         {func(int, int) string { return paged(5, true) }, -1},
		"the same page again": {func(int, int) string { return paged(30, true, rowsFrom(0, 15)...) }, -1},
		"two pages": {func(_, offset int) string {
			return paged(20, offset+15 < 20, rowsFrom(offset, min(offset+15, 20))...)
		}, 20},
		"smaller pages than asked for": {func(_, offset int) string {
			return paged(20, offset+4 < 20, rowsFrom(offset, min(offset+4, 20))...)
		}, 20},
		"one ended between two pages, once": {func(request, offset int) string {
			if request == 1 {
				return paged(20, true, rowsFrom(0, 15)...)
			}
			return paged(19, offset+15 < 19, rowsFrom(offset+1, min(offset+16, 20))...) // row 0 is gone, and was seen
		}, 20},
		"one ended and another came between two pages": {func(request, offset int) string {
			if request == 1 {
				return paged(20, true, rowsFrom(0, 15)...)
			}
			return paged(20, offset+15 < 20, rowsFrom(offset+1, min(offset+16, 21))...)
		}, 21},
		"one comes between any two pages": {func(request, offset int) string {
			return paged(20+request, true, rowsFrom(offset, offset+15)...)
		}, -1},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			requests := 0
			a, _ := against(t, func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path != rentalsPath {
					fmt.Fprint(w, paged(0, false))
					return
				}
				if r.URL.Query().Get("limit") != "15" {
					t.Errorf("got the query %s, want a limit of 15", r.URL.RawQuery)
				}
				offset, _ := strconv.Atoi(r.URL.Query().Get("offset"))
				requests++
				fmt.Fprint(w, c.respond(requests, offset))
			})
			all, err := a.Machines(t.Context())
			switch {
			case c.want < 0 && (err == nil || provider.KindOf(err) != provider.KindUnavailable):
				t.Errorf("got %d machines, %v, want an error", len(all), err)
			case c.want >= 0 && (err != nil || len(all) != c.want):
				t.Errorf("got %d machines, %v, want %d", len(all), err, c.want)
			}
		})
	}
}

func TestRental_Machine(t *testing.T) {
	const provisioning, ready = provider.MachineProvisioning, provider.MachineReady
	for text, want := range map[string]provider.MachineState{
		`"status":"Pending"`: provisioning,
		`"status":"Pending","power_status":null,"node_networking":null,"tags":null,"username":null`:  provisioning,
		`"status":"Running","power_status":"Running"`:                                                provisioning,
		`"status":"Running","power_status":"Running","node_networking":[]`:                           provisioning,
		`"status":"Running","power_status":"Running","node_networking":[{"public_ip":null}]`:         provisioning,
		`"status":"Running","power_status":"Running","node_networking":[{"public_ip":"192.0.2.1"}]`:  ready,
		`"status":"Running","node_networking":[{"public_ip":"192.0.2.1"}]`:                           ready,
		`"status":"Running","power_status":"Running","node_networking":[{"public_ip":"; rm -rf /"}]`: provisioning,
		`"status":"Running","power_status":"Stopped",` +
			`"node_networking":[{"public_ip":"192.0.2.1"}]`: provider.MachineOff,
		`"status":"Running","power_status":"Rebooting","node_networking":[{"public_ip":"192.0.2.1"}]`: "",
		`"status":"Failed"`:     provider.MachineFailed,
		`"status":"Terminated"`: provider.MachineGone,
		`"status":"Migrating"`:  "",
	} {
		m, err := decoded(json.RawMessage(`{"id":"`+thing1+`",`+text+`}`), rental.machine)
		if err != nil || m.state != want || m.port != 22 || m.user != "ubuntu" {
			t.Errorf("%s: got %+v, %v, want %q", text, m, err, want)
		}
	}
	for user, want := range map[string]string{
		"root": "root", "": "ubuntu", "$(id)": "ubuntu", "-oProxyCommand=x": "ubuntu",
	} {
		m, err := decoded(
			json.RawMessage(fmt.Sprintf(`{"id":"%s","status":"Pending","username":%q}`, thing1, user)), rental.machine,
		)
		if err != nil || m.user != want {
			t.Errorf("the user %q is %q, %v", user, m.user, err)
		}
	}
}

func TestInstance_Machine(t *testing.T) {
	translate := func(v instance) (machine, error) { return v.machine("user") }
	for text, want := range map[string]struct {
		state provider.MachineState
		port  int
	}{
		`"status":"Running","public_ip":null`:        {provider.MachineProvisioning, 22},
		`"status":"Running","public_ip":"192.0.2.7"`: {provider.MachineReady, 22},
		`"status":"Running","public_ip":"192.0.2.7","port_forwards":[{"internal_port":80,"external_port":1},` +
			`{"internal_port":22,"external_port":20022}]`: {provider.MachineReady, 20022},
		`"status":"Running","public_ip":"192.0.2.7","port_forwards":[{"internal_port":22,` +
			`"external_port":99999}]`: {provider.MachineReady, 22},
		`"status":"Relocating","public_ip":"192.0.2.7"`: {provider.MachineProvisioning, 22},
		`"status":"Stopped"`:                            {provider.MachineOff, 22},
		`"status":"StoppedDisassociated"`:               {provider.MachineOff, 22},
		`"status":"Outbid"`:                             {provider.MachineOff, 22},
		`"status":"Terminated"`:                         {provider.MachineGone, 22},
		`"status":"Sleeping"`:                           {"", 22},
	} {
		m, err := decoded(json.RawMessage(`{"id":"`+thing1+`",`+text+`}`), translate)
		if err != nil || m.state != want.state || m.port != want.port || m.user != "user" || !m.vm {
			t.Errorf("%s: got %+v, %v, want %+v", text, m, err, want)
		}
	}
}

func TestReferenceOf(t *testing.T) {
	for _, c := range []struct {
		name string
		tags []string
		want id.ID
	}{
		{mark1, nil, ref1}, {"renamed", []string{"prod", mark1}, ref1}, {"renamed", []string{"prod"}, ""},
		{"", nil, ""},
		{"dep-other", []string{mark1}, ref1}, {"dep_01jd2x3y4z5a6b7c8d9e0f1g2h", nil, ""},
	} {
		if got := referenceOf(c.name, c.tags); got != c.want {
			t.Errorf("%q %q: got %q, want %q", c.name, c.tags, got, c.want)
		}
	}
}

func TestAdapter_UnknownStatusKeepsTheLastState(t *testing.T) {
	status, power := "Running", "Running"
	a, server := against(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != rentalsPath {
			fmt.Fprint(w, paged(0, false))
			return
		}
		fmt.Fprintf(
			w,
			`{"results":[{"id":"%s","name":"%s","status":"%s","power_status":"%s",`+
				`"node_networking":[{"public_ip":"192.0.2.1"}]}],"has_next":false}`,
			thing1, mark1, status, power,
		)
	})
	check := func(want provider.MachineState) {
		t.Helper()
		server.Advance(pollEvery)
		if m, err := a.Machine(t.Context(), ref1); err != nil || m.State != want {
			t.Errorf("%s %s: got %+v, %v, want %s", status, power, m, err, want)
		}
	}
	status = "Blooming"
	check(provider.MachineProvisioning)
	status = "Running"
	check(provider.MachineReady)
	status = "Blooming"
	check(provider.MachineReady)
	status, power = "Running", "Stopped"
	check(provider.MachineOff)
	power = "Hibernating"
	check(provider.MachineOff)
	status = "Terminated"
	server.Advance(pollEvery)
	if _, err := a.Machine(t.Context(), ref1); provider.KindOf(err) != provider.KindNotFound {
		t.Errorf("Terminated: got %v, want not_found", err)
	}
}

func TestAdapter_TwoMachinesOfOneReference(t *testing.T) {
	ended := map[string]bool{}
	a, _ := against(t, func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Method == http.MethodDelete:
			ended[strings.TrimPrefix(r.URL.Path, rentalsPath)] = true
		case r.Method != http.MethodGet:
			t.Errorf("%s %s", r.Method, r.URL.Path)
		case r.URL.Path == rentalsPath:
			fmt.Fprint(
				w,
				paged(
					2, false, `{"id":"`+thing1+`","name":"`+mark1+`","status":"Running"}`,
					`{"id":"`+thing2+`","name":"x","tags":["`+mark1+`"],"status":"Pending"}`,
				),
			)
		default:
			fmt.Fprint(w, paged(0, false))
		}
	})
	if _, err := a.Machine(t.Context(), ref1); provider.KindOf(err) != provider.KindUnavailable {
		t.Errorf("Machine: %v", err)
	}
	if _, err := a.Launch(
		t.Context(), provider.LaunchRequest{Reference: ref1},
	); provider.KindOf(err) != provider.KindUnavailable {
		t.Errorf("Launch: %v", err)
	}
	if all, err := a.Machines(t.Context()); err != nil || len(all) != 2 || all[0].Reference != ref1 ||
		all[1].Reference != ref1 {
		t.Errorf("%+v, %v", all, err)
	}
	if err := a.Terminate(t.Context(), ref1); err != nil || len(ended) != 2 {
		t.Errorf("%v, %v", ended, err)
	}
}

func TestAdapter_ErrorKinds(t *testing.T) {
	for _, c := range []struct {
		status int
		body   string
		want   provider.Kind
	}{
		{400, `{"detail":"Not enough GPUs available at this location"}`, provider.KindNoCapacity},
		{409, `{"detail":"This configuration is sold out"}`, provider.KindNoCapacity},
		{400, `{"detail":"Insufficient balance"}`, provider.KindQuota},
		{402, ``, provider.KindQuota},
		{400, `{"detail":"Name is taken"}`, provider.KindRejected},
		{400, `<html>`, provider.KindRejected},
		{
			422, `{"detail":[{"loc":["body","gpu_count"],"msg":"not enough","type":"value_error"}]}`,
			provider.KindRejected,
		},
		{401, `{"detail":"Not authenticated"}`, provider.KindCredentials},
		{403, `{"detail":"Not enough rights"}`, provider.KindCredentials},
		{404, `{"detail":"Not found"}`, provider.KindNotFound},
		{429, `{"detail":"slow down"}`, provider.KindThrottled},
		{500, `{"detail":"Not enough GPUs"}`, provider.KindUnavailable},
		{307, ``, provider.KindUnavailable},
		{200, `{"detail":"The machine is already started"}`, provider.KindRejected},
		{200, `{"detail":[{"msg":"Not enough GPUs"}]}`, provider.KindNoCapacity},
		{200, ``, ""}, {200, `null`, ""}, {200, `{"status":"started"}`, ""}, {200, `true`, ""}, {204, ``, ""},
		{200, `<html>`, provider.KindUnavailable},
	} {
		a, _ := against(t, func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(c.status)
			if c.status != 204 {
				fmt.Fprint(w, c.body)
			}
		})
		err := a.change(t.Context(), http.MethodPut, "/x", nil)
		if (err == nil) != (c.want == "") || err != nil && provider.KindOf(err) != c.want {
			t.Errorf("%d %s: got %v, want %q", c.status, c.body, err, c.want)
		}
	}
}

func metal(t *testing.T, text string) []provider.Offer {
	t.Helper()
	var l location
	if err := json.Unmarshal([]byte(text), &l); err != nil {
		t.Fatal(err)
	}
	return metalOffers(l)
}

func TestMetalOffers(t *testing.T) {
	const node = `"specs_per_node":{"gpu_model":"h100-sxm5-80gb","gpu_count":8,"cpu_model":"x","cpu_count":104,` +
		`"ram_gb":1024,"storage_gb":24000}`
	offers := metal(t, `{"id":"`+place1+`","gpu_count_ethernet":17,"gpu_price_ethernet":"1.99",`+
		`"gpu_count_infiniband":0,"gpu_price_infiniband":2.49,`+node+`}`)
	if len(offers) != 6 {
		t.Fatalf("%+v", offers)
	}
	for i, want := range []struct {
		key   string
		price money.Micros
		stock int
		kind  provider.InstanceType
	}{
		{"ethernet/8", 15_920_000, 2, provider.BareMetal}, {"ethernet/16", 31_840_000, 1, provider.Cluster},
		{"ethernet/32", 63_680_000, 0, provider.Cluster},
		{"infiniband/8", 19_920_000, 0, provider.BareMetal}, {"infiniband/16", 39_840_000, 0, provider.Cluster},
		{"infiniband/32", 79_680_000, 0, provider.Cluster},
	} {
		o := offers[i]
		if o.Key != want.key || o.HourlyPrice != want.price || *o.Stock != want.stock ||
			o.Available != (want.stock > 0) || o.InstanceType != want.kind || o.GPUMemoryGB != 80 ||
			o.VCPUs != 104*o.GPUCount/8 {
			t.Errorf("%+v, want %+v", o, want)
		}
		if network, gpus, _, err := product(o.Key); err != nil || gpus != o.GPUCount ||
			!strings.HasPrefix(o.Key, network+"/") {
			t.Errorf("%s is read back as %s of %d, %v", o.Key, network, gpus, err)
		}
	}
	for name, text := range map[string]string{
		"no price":    `{"id":"` + place1 + `","gpu_count_ethernet":16,` + node + `}`,
		"price null":  `{"id":"` + place1 + `","gpu_count_ethernet":16,"gpu_price_ethernet":null,` + node + `}`,
		"price zero":  `{"id":"` + place1 + `","gpu_count_ethernet":16,"gpu_price_ethernet":"0",` + node + `}`,
		"no hardware": `{"id":"` + place1 + `","gpu_count_ethernet":16,"gpu_price_ethernet":"1.99"}`,
		"no GPUs": `{"id":"` + place1 + `","gpu_count_ethernet":16,"gpu_price_ethernet":"1.99",` +
			`"specs_per_node":{"gpu_model":"h100-sxm5-80gb"}}`,
		"no id": `{"gpu_count_ethernet":16,"gpu_price_ethernet":"1.99",` + node + `}`,
	} {
		if offers := metal(t, text); len(offers) != 0 {
			t.Errorf("%s: %+v", name, offers)
		}
	}
	if o := metal(t, `{"id":"`+place1+`","gpu_price_ethernet":"1.99",`+node+`}`); len(o) != 3 || o[0].Available ||
		o[0].Stock != nil {
		t.Errorf("without a stock: %+v", o)
	}
}

func TestProduct_InvalidKeys(t *testing.T) {
	for _, key := range []string{
		"", "ethernet", "ethernet/", "ethernet/0", "ethernet/-8", "ethernet/08", "ethernet/8/8", "ethernet/+8",
		"wifi/8", "vm/", "vm/x", "vm/../bare-metal", "ethernet/99999999999999999999",
	} {
		if _, _, _, err := product(key); provider.KindOf(err) != provider.KindNotFound {
			t.Errorf("%q: %v", key, err)
		}
	}
}

func TestCloudInit(t *testing.T) {
	for text, want := range map[string]string{
		"":                                  "null",
		"#cloud-config\n":                   "null",
		"#cloud-config\nruncmd: [[ls, -l]]": `{"runcmd":["'ls' '-l'"]}`,
		"#cloud-config\npackages: [git]":    `{"packages":["git"]}`,
		"#cloud-config\nruncmd:\n  - echo hi\n  - |\n    a\n " +
			"   b\n": `{"runcmd":["echo hi","a\nb\n"]}`,
		"#cloud-config\nwrite_files:\n- {path: /a, content: x, permissions: " +
			"'0644'}": `{"write_files":[{"path":"/a","content":"x","permissions":"0644"}]}`,
		"#cloud-config\nwrite_files:\n- {path: /a, content: eA==, permissions: 0600, owner: root, encoding: " +
			"b64}\npackages: [a,b]": `{"packages":["a","b"],"write_files":[{"path":"/a","content":"eA==",` +
			`"encoding":"b64","owner":"root","permissions":"0600"}]}`,
	} {
		c, err := cloudInit(provider.LaunchRequest{CloudInit: text})
		if got, _ := json.Marshal(c); err != nil || string(got) != want {
			t.Errorf("%q is %s, %v; want %s", text, got, err, want)
		}
	}
	for _, text := range []string{
		"#!/bin/sh\necho hi", "packages: [git]", "#cloud-config\nusers: [x]", "#cloud-config\npackages: [[git, 1.0]]",
		"#cloud-config\nwrite_files: [{path: /a, defer: true}]",
		"#cloud-config\nwrite_files: [{path: /a, append: true}]", "#cloud-config\nwrite_files: [{content: x}]",
		"#cloud-config\n- a", "#cloud-config\npackages: [a]\n---\nruncmd: [b]",
		"#cloud-config\n\t{", "#cloud-config\npackages: {a: b}",
	} {
		if c, err := cloudInit(provider.LaunchRequest{CloudInit: text}); err == nil ||
			provider.KindOf(err) != provider.KindRejected || err.(*provider.Error).Message == "" {
			t.Errorf("%q: got %+v, %v, want a refusal with a message", text, c, err)
		}
	}
}

func TestNew_Settings(t *testing.T) {
	with := func(name, value string) error {
		_, err := New(upstream.Account{Slug: "vp", Credential: "x", Settings: map[string]string{name: value}})
		return err
	}
	for _, good := range [][2]string{
		{"vm-user", "root"}, {"products", "vm"}, {"products", " bare-metal , vm "},
		{"region-names", place1 + "=dallas-usa-5"}, {"region-names", ""}, {"storage-regions", "dallas-usa-5"},
		{"requests-per-minute", "600"},
	} {
		if err := with(good[0], good[1]); err != nil {
			t.Errorf("%q: %v", good, err)
		}
	}
	for _, bad := range [][2]string{
		{"vm-user", ""}, {"vm-user", "a b"}, {"products", ""}, {"products", "k8s"}, {"region-names", "x=y"},
		{"region-names", place1 + "=Dallas"}, {"region-names", place1},
		{"region-names", place1 + "=a," + thing1 + "=a"}, {"region-names", place1 + "=a," + place1 + "=b"},
		{"region-names", place1 + "=" + thing1}, {"storage-regions", "A"}, {"team", "x"},
		{"requests-per-minute", "0"}, {"requests-per-minute", "many"}, {"requests-per-minute", "1e9"},
	} {
		if err := with(bad[0], bad[1]); err == nil {
			t.Errorf("got no error for %q", bad)
		}
	}
	if _, err := New(upstream.Account{Slug: "vp"}); err == nil {
		t.Error("got no error for an account without a token")
	}
}

// FuzzOffers parses any catalog: only offers that can be sold are returned, each once, and their
// keys can be parsed.
func FuzzOffers(f *testing.F) {
	f.Add(`{"id":"`+place1+`","gpu_count_ethernet":16,"gpu_price_ethernet":"1.99","gpu_count_infiniband":0,`+
		`"gpu_price_infiniband":"2.49","specs_per_node":{"gpu_model":"h100-sxm5-80gb","gpu_count":8,"cpu_count":104,`+
		`"ram_gb":1024,"storage_gb":24000}}`,
		`{"id":"`+preset1+`","resources":{"gpus":{"h100-sxm5-80gb":{"count":1}},"ram_gb":200,"storage_gb":1000,`+
			`"vcpu_count":26},"operating_system":"TensorML 24 Everything","compute_rate_hourly":"1.890000",`+
			`"storage_rate_hourly":"0.050000","available_vms":3,"location_ids_with_availability":["`+place1+`"]}`)
	f.Add(
		`{"id":"x","gpu_count_ethernet":-5,"gpu_price_ethernet":1e15,"specs_per_node":{"gpu_model":"-99999gb",`+
			`"gpu_count":9223372036854775807}}`,
		`{"id":"","resources":{"gpus":{"":{"count":-1}}}}`,
	)
	a, err := New(upstream.Account{Slug: "vp", Credential: "x"})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, metal, vm string) {
		at := readable[location](a, "", []json.RawMessage{json.RawMessage(metal)})
		spots := []vmLocation{{ID: place1, Presets: []json.RawMessage{json.RawMessage(vm)}}}
		offers := a.vmOffers(spots, readable[preset](a, "", []json.RawMessage{json.RawMessage(vm)}), at)
		for _, l := range at {
			offers = append(offers, metalOffers(l)...)
		}
		for _, o := range offers {
			if _, _, _, err := product(o.Key); err != nil {
				t.Errorf("%s: %v", o.Key, err)
			}
		}
		if err := upstreamtest.Believable(offers); err != nil {
			t.Error(err)
		}
	})
}

// FuzzMachine parses any row: a machine that is ready has a valid address, user and port.
func FuzzMachine(f *testing.F) {
	f.Add(`{"id":"` + thing1 + `","name":"` + mark1 + `","status":"Running","power_status":"Running",` +
		`"username":"root","node_networking":[{"public_ip":"192.0.2.1"}],"creation_timestamp":"2026-08-25T10:00:00Z"}`)
	f.Add(`{"id":"` + thing1 + `","tags":["` + mark1 + `"],"status":"Running","public_ip":"2001:db8::1",` +
		`"port_forwards":[{"internal_port":22,"external_port":-1}],"timestamp_creation":"2026-08-25T10:00:00"}`)
	f.Add(
		`{"id":"` + thing1 + `","name":"vol-01jd","size_in_gb":-1,"vip":"fe80::1%eth0","order_ids":["` + thing1 + `"]}`,
	)
	f.Fuzz(func(t *testing.T, text string) {
		a, err := New(upstream.Account{Slug: "vp", Credential: "x"})
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range []func() (machine, error){
			func() (machine, error) { return decoded(json.RawMessage(text), rental.machine) },
			func() (machine, error) {
				return decoded(json.RawMessage(text), func(v instance) (machine, error) { return v.machine("user") })
			},
		} {
			m, err := m()
			if err != nil {
				continue
			}
			for _, m := range a.remember([]machine{m}) {
				out := a.translate(m)
				if _, err := netip.ParseAddr(out.Address); out.State == provider.MachineReady &&
					(err != nil || !userForm.MatchString(out.SSHUser) || out.SSHPort < 1 || out.SSHPort > 65535) {
					t.Errorf("%+v", out)
				}
				if out.State == "" || out.Reference != "" && !out.Reference.Valid(id.Deployment) ||
					!uuidForm.MatchString(out.ID) {
					t.Errorf("%+v", out)
				}
			}
		}
		var v volume
		if json.Unmarshal([]byte(text), &v) == nil && a.check(t.Context(), v) == nil {
			if out := v.translate(nil); strings.ContainsAny(out.MountPath, " ;$`'\"\n%") {
				t.Errorf("%+v", out)
			}
		}
	})
}

func TestRental_Nodes(t *testing.T) {
	node := func(public, private string) string {
		return `{"public_ip":` + public + `,"private_ip":` + private + `}`
	}
	one, two := node(`"192.0.2.10"`, `"10.0.0.10"`), node(`"192.0.2.11"`, `"10.0.0.11"`)
	for nodes, want := range map[string]provider.MachineState{
		one + "," + two:                         provider.MachineReady,
		one:                                     provider.MachineProvisioning, // the other comes
		one + "," + node(`null`, `"10.0.0.11"`): provider.MachineProvisioning,
		node(`null`, `"10.0.0.10"`) + "," + two: provider.MachineProvisioning,
		one + "," + node(`"192.0.2.11"`, `"nowhere"`): provider.MachineReady,
	} {
		var r rental
		text := `{"id":"` + thing1 + `","name":"` + mark1 + `","rate_hourly":"31.840000","status":"Running",` +
			`"power_status":"Running","node_count":2,"username":"ubuntu","node_networking":[` + nodes + `]}`
		if err := json.Unmarshal([]byte(text), &r); err != nil {
			t.Fatal(err)
		}
		m, err := r.machine()
		if err != nil || m.state != want || m.cost != 31_840_000 {
			t.Errorf("%s: %+v, %v; want %s", nodes, m, err, want)
			continue
		}
		a, _ := against(t, nil)
		got := a.translate(m)
		if want != provider.MachineReady {
			continue
		}
		second := "10.0.0.11"
		if strings.Contains(nodes, "nowhere") {
			second = ""
		}
		wantNodes := []provider.Node{
			{Address: "192.0.2.10", PrivateAddress: "10.0.0.10", SSHPort: 22},
			{Address: "192.0.2.11", PrivateAddress: second, SSHPort: 22},
		}
		if diff := cmp.Diff(wantNodes, got.Nodes); diff != "" {
			t.Errorf("%s: wrong nodes (-want +got):\n%s", nodes, diff)
		}
		if got.Address != "192.0.2.10" || got.HourlyCost != 31_840_000 {
			t.Errorf("%s: got the address %s and the price %s", nodes, got.Address, got.HourlyCost)
		}
	}
}
