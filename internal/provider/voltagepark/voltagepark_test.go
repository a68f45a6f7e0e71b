package voltagepark_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/provider"
	"github.com/billetcloud/billet/internal/provider/providertest"
	"github.com/billetcloud/billet/internal/provider/upstream"
	"github.com/billetcloud/billet/internal/provider/upstream/upstreamtest"
	"github.com/billetcloud/billet/internal/provider/voltagepark"
	"github.com/billetcloud/billet/internal/provider/voltagepark/voltageparktest"
	"golang.org/x/crypto/ssh"
)

const region = "dallas-usa-5"

var ids = id.NewMaker(clock.System{}, rand.Reader)

func request(t *testing.T, offer string) provider.LaunchRequest {
	t.Helper()
	_, line := providertest.NewKey(t)
	r := provider.LaunchRequest{
		Reference: ids.New(id.Deployment), Name: "x", OfferKey: offer, Region: region,
		OperatingSystem: "Ubuntu 22.04", AuthorizedKeys: []string{line},
	}
	if strings.HasPrefix(offer, "vm/") {
		r.OperatingSystem = "TensorML 24 Everything"
	}
	return r
}

func launch(t *testing.T, a provider.Provider, r provider.LaunchRequest) provider.Machine {
	t.Helper()
	return providertest.Launch(t, a, r)
}

func offers(t *testing.T, a provider.Provider) map[string]provider.Offer {
	t.Helper()
	all, err := a.Offers(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]provider.Offer{}
	for _, o := range all {
		out[o.Region+" "+o.Key] = o
	}
	return out
}

func vmKey(n string) string { return "vm/" + n + n + "-" + n + "-" + n + "-" + n + "-" + n + n + n }

func TestAdapter_OffersListsWhatIsSoldOut(t *testing.T) {
	a, c := open(t)
	all := offers(t, a)
	if len(all) != 2*6+2*4 { // rentals, and in both locations each preset that is not for Windows
		t.Errorf("got %d offers, want 20", len(all))
	}
	for name, want := range map[string]struct {
		gpu   string
		stock int
	}{
		region + " ethernet/8": {"h100-sxm5-80gb", 12}, region + " infiniband/32": {"h100-sxm5-80gb", 2},
		voltageparktest.Seattle + " infiniband/8":     {"b200-sxm6-180gb", 1},
		voltageparktest.Seattle + " ethernet/32":      {"b200-sxm6-180gb", 0},
		region + " " + vmKey("3434"):                  {"h100-sxm5-80gb", 3},
		region + " " + vmKey("3535"):                  {"h100-sxm5-80gb", 0},
		region + " " + vmKey("3636"):                  {"b200-sxm6-180gb", 0},
		voltageparktest.Seattle + " " + vmKey("3636"): {"b200-sxm6-180gb", 2},
	} {
		if o, there := all[name]; !there || o.GPUType != want.gpu || *o.Stock != want.stock ||
			o.Available != (want.stock > 0) {
			t.Errorf("%s: got %+v, want %+v", name, o, want)
		}
	}
	if o := all[region+" "+vmKey("3434")]; o.HourlyPrice != 3_830_000 || o.GPUCount != 2 || o.VCPUs != 52 ||
		o.RegionName != "Dallas, Texas" || o.Country != "US" {
		t.Errorf("%+v", o)
	}
	c.SoldOut(true)
	c.Advance(time.Minute)
	for name, o := range offers(t, a) {
		if _, before := all[name]; !before || o.Available || *o.Stock != 0 {
			t.Errorf("sold out: %+v", o)
		}
	}
	if empty := offers(t, adapter(t, c)); len(empty) != len(all) { // one that has never seen a VM in stock
		t.Errorf("got %d offers while sold out, want %d", len(empty), len(all))
	}
}

func TestAdapter_OffersOfLocationsWithoutNames(t *testing.T) {
	a, c := open(t)
	c.Nameless(true)
	all := offers(t, a)
	if o := all[voltageparktest.Seattle+" ethernet/8"]; o.GPUCount != 8 || o.RegionName != "" {
		t.Errorf("%+v", o)
	}
	c.Nameless(false)
	c.Advance(time.Minute)
	if o := offers(t, a)[voltageparktest.Seattle+" ethernet/8"]; o.RegionName != "Seattle, Washington" {
		t.Errorf("%+v", o)
	}
}

func TestNew_RequestsPerMinute(t *testing.T) {
	for perMinute, want := range map[string]time.Duration{"": 55 * time.Second, "600": 5 * time.Second} {
		c := voltageparktest.Serve(t)
		account := c.Account()
		if perMinute != "" {
			account.Settings["requests-per-minute"] = perMinute
		}
		a, err := voltagepark.New(account)
		if err != nil {
			t.Fatal(err)
		}
		before := c.Clock.Now()
		for range 60 { // 10 of them at once
			if err := a.DeleteVolume(t.Context(), ids.New(id.Volume)); err != nil {
				t.Fatal(err)
			}
		}
		if took := c.Clock.Now().Sub(before); took < want-3*time.Second || took > want+3*time.Second {
			t.Errorf("60 requests at %q a minute took %s, want %s", perMinute, took, want)
		}
	}
}

func TestNew_ProductsAndStorageRegions(t *testing.T) {
	c := voltageparktest.Serve(t)
	account := c.Account()
	account.Settings = map[string]string{"products": "bare-metal", "storage-regions": voltageparktest.Dallas}
	a, err := voltagepark.New(account)
	if err != nil {
		t.Fatal(err)
	}
	if all := offers(t, a); len(all) != 12 {
		t.Errorf("%d offers", len(all))
	}
	if in, err := a.VolumePricing(t.Context()); err != nil || len(in) != 1 || in[0].Region != voltageparktest.Dallas ||
		in[0].PerGBHour != 109 {
		t.Errorf("%+v, %v", in, err)
	}
	_, err = a.CreateVolume(
		t.Context(), provider.VolumeRequest{Reference: ids.New(id.Volume), Region: voltageparktest.Seattle, SizeGB: 5},
	)
	if provider.KindOf(err) != provider.KindNotFound {
		t.Error(err)
	}
	r := request(t, smallVM) // the region has its id for a slug here
	r.Region = voltageparktest.Dallas
	if _, err := a.Launch(t.Context(), r); provider.KindOf(err) != provider.KindNotFound {
		t.Error(err)
	}
}

// docs/providers.md has the figures that it logs.
func TestAdapter_ListBudget(t *testing.T) {
	for _, c := range []struct {
		perMinute string
		machines  int
		polled    time.Duration // several hundred requests
		launch    time.Duration // the longest that a launch may take
	}{
		{"54", 100, 5 * time.Minute, 20 * time.Second}, {"54", 400, 5 * time.Minute, 50 * time.Second},
		{"54", 800, 5 * time.Minute, 90 * time.Second}, {"54", 1600, 5 * time.Minute, 3 * time.Minute},
		{"54", 3200, 5 * time.Minute, 6 * time.Minute}, {"600", 1600, time.Minute, 20 * time.Second},
	} {
		t.Run(fmt.Sprint(c.machines, " at ", c.perMinute), func(t *testing.T) {
			t.Parallel()
			cloud := voltageparktest.Serve(t)
			account := cloud.Account()
			account.Settings["requests-per-minute"] = c.perMinute
			a, err := voltagepark.New(account)
			if err != nil {
				t.Fatal(err)
			}
			var references []id.ID
			for range 5 {
				r := request(t, smallVM)
				launch(t, a, r)
				references = append(references, r.Reference)
			}
			cloud.Stuff(c.machines - len(references))
			cloud.Advance(10 * time.Minute) // the budget is unused, as after a quiet while
			launch(t, a, request(t, smallVM))
			began, before := cloud.Clock.Now(), len(cloud.Requests())
			providertest.Poll(t, a, references, c.polled, cloud.Advance)
			took, sent := cloud.Clock.Now().Sub(began), len(cloud.Requests())-before
			perMinute, err := strconv.Atoi(c.perMinute)
			if err != nil {
				t.Fatal(err)
			}
			share := float64(sent) / (took.Minutes() * float64(perMinute))
			began = cloud.Clock.Now()
			launch(t, a, request(t, smallVM))
			launched := cloud.Clock.Now().Sub(began)
			t.Logf("%.0f%% of the budget, a launch takes %s", 100*share, launched.Round(time.Second))
			if share > 0.75 || launched > c.launch {
				t.Errorf(
					"got %.0f%% of the budget and a launch in %s, want at most 75%% and %s", 100*share, launched,
					c.launch,
				)
			}
		})
	}
}

func TestAdapter_LaunchBeforeTheMachineIsListed(t *testing.T) {
	a, c := open(t)
	c.Lag(40 * time.Second)
	for _, offer := range []string{smallVM, "ethernet/8"} {
		r := request(t, offer)
		m := launch(t, a, r)
		for range 5 {
			if again := launch(t, a, r); again.ID != m.ID {
				t.Errorf("%s: got a second machine", offer)
			}
			if seen, err := a.Machine(t.Context(), r.Reference); err != nil || seen.ID != m.ID ||
				seen.State != provider.MachineProvisioning {
				t.Errorf("%s: %+v, %v", offer, seen, err)
			}
			c.Advance(3 * time.Second)
		}
		c.Advance(3 * time.Minute)
		if seen, err := a.Machine(t.Context(), r.Reference); err != nil || seen.ID != m.ID ||
			seen.State != provider.MachineReady {
			t.Errorf("%s: %+v, %v", offer, seen, err)
		}
	}
	if n := len(c.MachineIDs()); n != 2 {
		t.Errorf("%d machines", n)
	}
	lost := request(t, smallVM)
	m := launch(t, a, lost)
	c.Advance(10 * time.Second)
	c.Vanish(m.ID)
	if _, err := a.Machine(t.Context(), lost.Reference); err != nil {
		t.Errorf("a machine that vanished before it was shown: got %v, want no error yet", err)
	}
	c.Advance(2 * time.Minute)
	if _, err := a.Machine(t.Context(), lost.Reference); provider.KindOf(err) != provider.KindNotFound {
		t.Errorf("a machine that vanished: got %v, want not_found", err)
	}
}

func TestAdapter_TerminateOfAnEndingMachine(t *testing.T) {
	a, c := open(t)
	r := request(t, smallVM)
	launch(t, a, r)
	c.Advance(time.Minute)
	if err := a.Terminate(t.Context(), r.Reference); err != nil {
		t.Fatal(err)
	}
	if m, err := a.Machine(t.Context(), r.Reference); err != nil || m.State != provider.MachineTerminating {
		t.Errorf("%+v, %v", m, err)
	}
	b := adapter(t, c) // a restarted server does not know of the end; the cloud refuses its delete
	if err := b.Terminate(t.Context(), r.Reference); err != nil {
		t.Error(err)
	}
	if m, err := b.Machine(t.Context(), r.Reference); err != nil || m.State != provider.MachineTerminating {
		t.Errorf("%+v, %v", m, err)
	}
	c.Advance(time.Minute)
	if _, err := b.Machine(t.Context(), r.Reference); provider.KindOf(err) != provider.KindNotFound {
		t.Error(err)
	}
}

func TestAdapter_LaunchChecksTheRequest(t *testing.T) {
	a, c := open(t)
	for name, f := range map[string]func(*provider.LaunchRequest){
		"no key":           func(r *provider.LaunchRequest) { r.AuthorizedKeys = nil },
		"cloud-init users": func(r *provider.LaunchRequest) { r.CloudInit = "#cloud-config\nusers: [x]" },
		"another system":   func(r *provider.LaunchRequest) { r.OperatingSystem = "Windows 10" },
	} {
		r := request(t, "ethernet/8")
		f(&r)
		_, err := a.Launch(t.Context(), r)
		if provider.KindOf(err) != provider.KindRejected || err.(*provider.Error).Message == "" {
			t.Errorf("%s: %v", name, err)
		}
	}
	if slices.ContainsFunc(c.Requests(), func(r upstreamtest.Request) bool { return r.Method != http.MethodGet }) {
		t.Errorf("%+v", c.Requests())
	}
}

func TestAdapter_LaunchSendsCloudInitAndKeys(t *testing.T) {
	a, c := open(t)
	for _, offer := range []string{smallVM, "ethernet/8"} {
		signer, line := providertest.NewKey(t)
		r := request(t, offer)
		r.AuthorizedKeys, r.CloudInit = []string{line}, "#cloud-config\npackages: [git]\nruncmd: [echo "+
			"hi]\nwrite_files: [{path: /a, content: b, permissions: '0600'}]\n"
		launch(t, a, r)
		c.Advance(5 * time.Minute)
		m, err := a.Machine(t.Context(), r.Reference)
		if err != nil || m.State != provider.MachineReady {
			t.Fatalf("%+v, %v", m, err)
		}
		if got := c.CloudInit(m.ID); got != `{"packages":["git"],"write_files":[{"path":"/a","content":"b",`+
			`"encoding":"","owner":"","permissions":"0600"}],"runcmd":["echo hi"]}` {
			t.Errorf("%s: %s", offer, got)
		}
		port := m.SSHPort
		if offer == "ethernet/8" { // whose port the API does not state
			port = c.Port(m.Address)
		}
		client, err := ssh.Dial("tcp", net.JoinHostPort(m.Address, fmt.Sprint(port)), &ssh.ClientConfig{
			User: m.SSHUser, Auth: []ssh.AuthMethod{ssh.PublicKeys(signer)},
			HostKeyCallback: ssh.InsecureIgnoreHostKey(), Timeout: time.Minute,
		})
		if err != nil {
			t.Fatalf("%s: %v", offer, err)
		}
		_ = client.Close()
	}
}

func TestAdapter_PowerIsRequestedOnce(t *testing.T) {
	a, c := open(t)
	r := request(t, smallVM)
	launch(t, a, r)
	c.Advance(time.Minute)
	puts := func() int { return c.Count(http.MethodPut, "", "") }
	for i, step := range []struct {
		do   func(context.Context, id.ID) error
		puts int
	}{{a.PowerOn, 0}, {a.PowerOff, 1}, {a.PowerOff, 1}, {a.PowerOn, 2}, {a.PowerOn, 2}, {a.PowerOff, 3}} {
		if err := step.do(t.Context(), r.Reference); err != nil || puts() != step.puts {
			t.Errorf("step %d: %v, %d requests", i, err, puts())
		}
	}
	c.Advance(time.Minute)
	if err := adapter(t, c).PowerOff(t.Context(), r.Reference); err != nil || puts() != 3 {
		t.Errorf("%v, %d requests", err, puts())
	}
	c.InjectFault(providertest.Fault{Kind: providertest.LostResponse, Writes: true, Times: 1})
	if err := a.PowerOn(t.Context(), r.Reference); provider.KindOf(err) != provider.KindUnavailable {
		t.Error(err)
	}
	c.ClearFaults()
	c.Advance(time.Minute)
	if err := a.PowerOn(t.Context(), r.Reference); err != nil || puts() != 4 {
		t.Errorf("after a lost response: got %v and %d requests, want 4", err, puts())
	}
}

func TestAdapter_CreateVolumeWithFaults(t *testing.T) {
	for _, kind := range []providertest.FaultKind{
		providertest.LostRequest, providertest.LostResponse, providertest.BadGateway,
		providertest.BadGatewayAfterEffect, providertest.HTMLPage, providertest.Throttled,
	} {
		a, c := open(t)
		r := provider.VolumeRequest{Reference: ids.New(id.Volume), Name: "data", Region: region, SizeGB: 5}
		c.InjectFault(providertest.Fault{Kind: kind, Writes: true, Times: 1})
		_, err := a.CreateVolume(t.Context(), r)
		if k := provider.KindOf(err); k != provider.KindUnavailable && k != provider.KindThrottled {
			t.Errorf("%s: %v", kind, err)
		}
		c.Settle()
		c.Advance(2 * time.Minute)
		v, err := a.CreateVolume(t.Context(), r)
		if err != nil || v.Reference != r.Reference {
			t.Errorf("%s: %+v, %v", kind, v, err)
		}
		if all, err := a.Volumes(t.Context()); err != nil || len(all) != 1 {
			t.Errorf("%s: %+v, %v", kind, all, err)
		}
	}
}

func TestAdapter_VolumeIsAttachedToOneRental(t *testing.T) {
	a, c := open(t)
	metal, other, vm := request(t, "ethernet/8"), request(t, "ethernet/8"), request(t, smallVM)
	for _, r := range []provider.LaunchRequest{metal, other, vm} {
		launch(t, a, r)
	}
	volume := ids.New(id.Volume)
	v, err := a.CreateVolume(t.Context(), provider.VolumeRequest{Reference: volume, Region: region, SizeGB: 5})
	if err != nil || v.MountPath != "10.9.0.5:/"+upstream.Mark(volume) || v.Ready {
		t.Fatalf("%+v, %v", v, err)
	}
	c.Advance(5 * time.Minute)
	kind := func(what string, err error, want provider.Kind) {
		t.Helper()
		if err == nil || provider.KindOf(err) != want {
			t.Errorf("%s: %v", what, err)
		}
	}
	kind("attach to a VM", a.AttachVolume(t.Context(), volume, vm.Reference), provider.KindRejected)
	if err := a.AttachVolume(t.Context(), volume, metal.Reference); err != nil {
		t.Fatal(err)
	}
	kind("attach to another", a.AttachVolume(t.Context(), volume, other.Reference), provider.KindRejected)
	kind("delete", a.DeleteVolume(t.Context(), volume), provider.KindRejected)
	// The response to a detach is lost; the retry succeeds.
	c.InjectFault(providertest.Fault{Kind: providertest.LostResponse, Writes: true, Times: 1})
	kind("detach", a.DetachVolume(t.Context(), volume), provider.KindUnavailable)
	if err := a.DetachVolume(t.Context(), volume); err != nil {
		t.Error(err)
	}
	if err := a.AttachVolume(t.Context(), volume, metal.Reference); err != nil {
		t.Fatal(err)
	}
	// The rental ends, and the cloud leaves its order on the volume.
	if err := a.Terminate(t.Context(), metal.Reference); err != nil {
		t.Fatal(err)
	}
	c.Advance(time.Minute)
	if v, err := a.Volume(t.Context(), volume); err != nil || v.AttachedTo != "" {
		t.Errorf("%+v, %v", v, err)
	}
	if err := a.AttachVolume(t.Context(), volume, other.Reference); err != nil {
		t.Error(err)
	}
	if v, err := a.Volume(t.Context(), volume); err != nil || v.AttachedTo != other.Reference {
		t.Errorf("%+v, %v", v, err)
	}
	if err := a.Terminate(t.Context(), other.Reference); err != nil {
		t.Fatal(err)
	}
	c.Advance(time.Minute)
	if err := a.DeleteVolume(t.Context(), volume); err != nil {
		t.Error(err)
	}
	if all, err := a.Volumes(t.Context()); err != nil || len(all) != 0 {
		t.Errorf("%+v, %v", all, err)
	}
}

// It is what `billetd provider check` reports: nothing, where the cloud is as documented.
func TestAdapter_ReportsUnknownFields(t *testing.T) {
	c := voltageparktest.Serve(t)
	account := c.Account()
	var unknown []string
	account.Unknown = func(what string) { unknown = append(unknown, what) }
	a, err := voltagepark.New(account)
	if err != nil {
		t.Fatal(err)
	}
	launch(t, a, request(t, smallVM))
	launch(t, a, request(t, "ethernet/8"))
	volume := ids.New(id.Volume)
	if _, err := a.CreateVolume(
		t.Context(), provider.VolumeRequest{Reference: volume, Region: region, SizeGB: 5},
	); err != nil {
		t.Fatal(err)
	}
	readAll := func() {
		t.Helper()
		c.Advance(5 * time.Minute)
		offers(t, a)
		_, err1 := a.Machines(t.Context())
		_, err2 := a.Volumes(t.Context())
		_, err3 := a.VolumePricing(t.Context())
		if err1 != nil || err2 != nil || err3 != nil {
			t.Fatal(err1, err2, err3)
		}
	}
	if readAll(); len(unknown) != 0 {
		t.Errorf("got %q, want no unknown fields", unknown)
	}
	c.Novelty("color")
	want := []string{`a rental has the unknown field "color"`, `a VM has the unknown field "color"`}
	if readAll(); !slices.Equal(unknown, want) {
		t.Errorf("got %q, want %q", unknown, want)
	}
}

// The fake is as strict as the cloud, so that what it accepts has the cloud's form.
func TestFakeRefusesWhatTheCloudRefuses(t *testing.T) {
	c := voltageparktest.Serve(t)
	send := func(method, path, token, body string) (int, map[string]any) {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), method, c.URL+"/api/v1"+path, bytes.NewReader([]byte(body)))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Authorization", "Bearer "+token)
		client := http.Client{
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		}
		answer, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = answer.Body.Close() }()
		var said map[string]any
		_ = json.NewDecoder(answer.Body).Decode(&said)
		return answer.StatusCode, said
	}
	const deploy = `{"location_id":"` + voltageparktest.Dallas + `","gpu_count":%s,"name":"x",` +
		`"network_type":"ethernet","organization_ssh_keys":{"mode":"none"}%s}`
	for _, x := range []struct {
		method, path, token, body string
		status                    int
	}{
		{"GET", "/bare-metal/locations", "", "", 200}, {"GET", "/instant-deploy-presets/", "", "", 200},
		{"GET", "/virtual-machines/instant/locations", "", "", 200},
		{"GET", "/bare-metal/", "", "", 401}, {"GET", "/storage/", "wrong", "", 401},
		{"GET", "/bare-metal", voltageparktest.Token, "", 307}, {"GET", "/bare-metal/locations/", "", "", 307},
		{"GET", "/bare-metal/?limit=16", voltageparktest.Token, "", 422},
		{"GET", "/nothing", voltageparktest.Token, "", 404},
		{"POST", "/bare-metal/", voltageparktest.Token, fmt.Sprintf(deploy, "8", ""), 202},
		{"POST", "/bare-metal/", voltageparktest.Token, fmt.Sprintf(deploy, "4", ""), 422},
		{"POST", "/bare-metal/", voltageparktest.Token, fmt.Sprintf(deploy, `"8"`, ""), 422},
		{"POST", "/bare-metal/", voltageparktest.Token, fmt.Sprintf(deploy, "8", `,"cloud_init":{}`), 422},
		{"POST", "/bare-metal/", voltageparktest.Token, fmt.Sprintf(deploy, "800", ""), 400},
		{"POST", "/bare-metal/", voltageparktest.Token, `{}`, 422},
		{"POST", "/storage/", voltageparktest.Token, `{"name":"Data","size_in_gb":1,"order_ids":[]}`, 422},
		{"POST", "/storage/", voltageparktest.Token, `{"name":"data","size_in_gb":1}`, 422},
		{"POST", "/storage/", voltageparktest.Token, `{"name":"data","size_in_gb":1,"order_ids":[]}`, 201},
		{"POST", "/storage/", voltageparktest.Token, `{"name":"data","size_in_gb":1,"order_ids":[]}`, 409},
		{"DELETE", "/bare-metal/x", voltageparktest.Token, "", 404},
	} {
		if status, said := send(x.method, x.path, x.token, x.body); status != x.status || status >= 400 &&
			said["detail"] == nil {
			t.Errorf("%s %s %s: got %d %v, want %d", x.method, x.path, x.body, status, said, x.status)
		}
	}
	for range 5 {
		send("POST", "/bare-metal/", voltageparktest.Token, fmt.Sprintf(deploy, "8", ""))
	}
	if _, said := send("GET", "/bare-metal/", voltageparktest.Token, ""); len(said["results"].([]any)) != 3 ||
		said["has_next"] != true || said["total_result_count"] != 6.0 {
		t.Errorf("a page without a limit: %v", said)
	}
}

// With each request for a page one machine goes and another comes. Every machine that exists all
// the time is on the list, and launches succeed.
func TestAdapter_MachinesConvergesWhileMachinesComeAndGo(t *testing.T) {
	c := voltageparktest.Serve(t)
	account := c.Account()
	account.Settings = map[string]string{
		"region-names": voltageparktest.Dallas + "=dallas-usa-5", "requests-per-minute": "60000",
	}
	a, err := voltagepark.New(account)
	if err != nil {
		t.Fatal(err)
	}
	var kept []id.ID
	_, line := providertest.NewKey(t)
	launch := func() {
		o := offers(t, a)[region+" "+vmKey("3333")]
		r := provider.LaunchRequest{
			Reference: ids.New(id.Deployment), Name: "kept", OfferKey: o.Key, Region: o.Region,
			OperatingSystem: o.OperatingSystems[0], AuthorizedKeys: []string{line},
		}
		if _, err := a.Launch(t.Context(), r); err != nil {
			t.Fatalf("launch %d: %v", len(kept), err)
		}
		kept = append(kept, r.Reference)
	}
	c.Stuff(2500)
	launch()
	c.Stuff(2500)
	launch()
	c.Churn()
	for range 2 {
		launch()
		before := len(c.Requests())
		all, err := a.Machines(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		listed := map[id.ID]int{}
		for _, m := range all {
			listed[m.Reference]++
		}
		for i, reference := range kept {
			if listed[reference] != 1 {
				t.Errorf("machine %d is listed %d times", i, listed[reference])
			}
		}
		if asked := len(c.Requests()) - before; asked > 600 {
			t.Errorf("got %d requests for a list of 5,000, want at most 600", asked)
		} else {
			t.Logf("%d machines in %d requests", len(all), asked)
		}
		c.Advance(time.Minute)
	}
}
