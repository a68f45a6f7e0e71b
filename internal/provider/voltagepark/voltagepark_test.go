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
	r := provider.LaunchRequest{Reference: ids.New(id.Deployment), Name: "x", OfferKey: offer, Region: region, OperatingSystem: "Ubuntu 22.04", AuthorizedKeys: []string{line}}
	if strings.HasPrefix(offer, "vm/") {
		r.OperatingSystem = "TensorML 24 Everything"
	}
	return r
}

func launch(t *testing.T, a provider.Provider, r provider.LaunchRequest) provider.Machine {
	t.Helper()
	m, err := a.Launch(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	return m
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

func TestWhatIsSoldOutIsListed(t *testing.T) {
	a, c := open(t)
	all := offers(t, a)
	if len(all) != 2*6+2*4 { // rentals, and in both locations each preset that is not for Windows
		t.Errorf("%d offers", len(all))
	}
	for name, want := range map[string]struct {
		gpu   string
		stock int
	}{
		region + " ethernet/8": {"h100-sxm5-80gb", 12}, region + " infiniband/32": {"h100-sxm5-80gb", 2},
		voltageparktest.Seattle + " infiniband/8": {"b200-sxm6-180gb", 1}, voltageparktest.Seattle + " ethernet/32": {"b200-sxm6-180gb", 0},
		region + " " + vmKey("3434"): {"h100-sxm5-80gb", 3}, region + " " + vmKey("3535"): {"h100-sxm5-80gb", 0},
		region + " " + vmKey("3636"): {"b200-sxm6-180gb", 0}, voltageparktest.Seattle + " " + vmKey("3636"): {"b200-sxm6-180gb", 2},
	} {
		if o, there := all[name]; !there || o.GPUType != want.gpu || *o.Stock != want.stock || o.Available != (want.stock > 0) {
			t.Errorf("%s is %+v", name, o)
		}
	}
	if o := all[region+" "+vmKey("3434")]; o.HourlyPrice != 3_830_000 || o.GPUCount != 2 || o.VCPUs != 52 || o.RegionName != "Dallas, Texas" || o.Country != "US" {
		t.Errorf("%+v", o)
	}
	c.SoldOut(true)
	c.Advance(time.Minute)
	for name, o := range offers(t, a) {
		if _, before := all[name]; !before || o.Available || *o.Stock != 0 {
			t.Errorf("sold out: %+v", o)
		}
	}
	if empty := offers(t, adapter(t, c)); len(empty) != len(all) { // one that has never seen a VM to be had
		t.Errorf("%d offers, were %d", len(empty), len(all))
	}
}

func TestALocationWithoutANameIsStillSold(t *testing.T) {
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

func TestTheRequestBudgetIsTheOperatorsChoice(t *testing.T) {
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
			t.Errorf("60 requests with %q a minute took %s, not %s", perMinute, took, want)
		}
	}
}

func TestProductsAndStorageRegionsAreTheOperatorsChoice(t *testing.T) {
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
	if in, err := a.VolumePricing(t.Context()); err != nil || len(in) != 1 || in[0].Region != voltageparktest.Dallas || in[0].PerGBHour != 109 {
		t.Errorf("%+v, %v", in, err)
	}
	_, err = a.CreateVolume(t.Context(), provider.VolumeRequest{Reference: ids.New(id.Volume), Region: voltageparktest.Seattle, SizeGB: 5})
	if provider.KindOf(err) != provider.KindNotFound {
		t.Error(err)
	}
	r := request(t, smallVM) // the region has its id for a slug here
	r.Region = voltageparktest.Dallas
	if _, err := a.Launch(t.Context(), r); provider.KindOf(err) != provider.KindNotFound {
		t.Error(err)
	}
}

func TestAnAccountWithAHundredMachinesStaysInsideTheBudget(t *testing.T) {
	a, c := open(t)
	var references []id.ID
	for range 5 {
		r := request(t, "ethernet/8")
		references = append(references, r.Reference)
		launch(t, a, r)
	}
	for range 40 {
		r := request(t, smallVM)
		references = append(references, r.Reference)
		launch(t, a, r)
	}
	c.Stuff(55)
	volume := ids.New(id.Volume)
	if _, err := a.CreateVolume(t.Context(), provider.VolumeRequest{Reference: volume, Region: region, SizeGB: 5}); err != nil {
		t.Fatal(err)
	}
	c.Advance(10 * time.Minute) // the bucket is full, as it is after a quiet while
	began, before := c.Clock.Now(), len(c.Requests())
	for passed := time.Duration(0); passed < 10*time.Minute; passed += 30 * time.Second {
		for _, reference := range references {
			if _, err := a.Machine(t.Context(), reference); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := a.Volume(t.Context(), volume); err != nil {
			t.Fatal(err)
		}
		if passed%time.Minute == 0 {
			offers(t, a)
			if _, err := a.VolumePricing(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		c.Advance(15 * time.Second)
		if all, err := a.Machines(t.Context()); err != nil || len(all) != 100 {
			t.Fatalf("%d machines, %v", len(all), err)
		}
		c.Advance(15 * time.Second)
	}
	asked, took := len(c.Requests())-before, c.Clock.Now().Sub(began)
	t.Logf("%d requests in %s", asked, took)
	if float64(asked) > took.Seconds()*0.8 || took > 12*time.Minute {
		t.Errorf("%d requests in %s", asked, took)
	}
}

func TestAMachineThatIsNotListedYetIsNotMadeAgain(t *testing.T) {
	a, c := open(t)
	c.Lag(40 * time.Second)
	for _, offer := range []string{smallVM, "ethernet/8"} {
		r := request(t, offer)
		m := launch(t, a, r)
		for range 5 {
			if again := launch(t, a, r); again.ID != m.ID {
				t.Errorf("%s: made again", offer)
			}
			if seen, err := a.Machine(t.Context(), r.Reference); err != nil || seen.ID != m.ID || seen.State != provider.MachineProvisioning {
				t.Errorf("%s: %+v, %v", offer, seen, err)
			}
			c.Advance(3 * time.Second)
		}
		c.Advance(3 * time.Minute)
		if seen, err := a.Machine(t.Context(), r.Reference); err != nil || seen.ID != m.ID || seen.State != provider.MachineReady {
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
		t.Errorf("gone before it was ever shown: %v", err)
	}
	c.Advance(2 * time.Minute)
	if _, err := a.Machine(t.Context(), lost.Reference); provider.KindOf(err) != provider.KindNotFound {
		t.Errorf("gone for good: %v", err)
	}
}

func TestAnEndThatIsUnderWayIsNoFailure(t *testing.T) {
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
	b := adapter(t, c) // a server that was restarted, and does not know; the cloud refuses its delete
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

func TestRefusedBeforeItIsSent(t *testing.T) {
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

func TestCloudInitAndKeysReachTheMachine(t *testing.T) {
	a, c := open(t)
	for _, offer := range []string{smallVM, "ethernet/8"} {
		signer, line := providertest.NewKey(t)
		r := request(t, offer)
		r.AuthorizedKeys, r.CloudInit = []string{line}, "#cloud-config\npackages: [git]\nruncmd: [echo hi]\nwrite_files: [{path: /a, content: b, permissions: '0600'}]\n"
		launch(t, a, r)
		c.Advance(5 * time.Minute)
		m, err := a.Machine(t.Context(), r.Reference)
		if err != nil || m.State != provider.MachineReady {
			t.Fatalf("%+v, %v", m, err)
		}
		if got := c.CloudInit(m.ID); got != `{"packages":["git"],"write_files":[{"path":"/a","content":"b","encoding":"","owner":"","permissions":"0600"}],"runcmd":["echo hi"]}` {
			t.Errorf("%s: %s", offer, got)
		}
		port := m.SSHPort
		if offer == "ethernet/8" { // for which the API has none
			port = c.Port(m.Address)
		}
		client, err := ssh.Dial("tcp", net.JoinHostPort(m.Address, fmt.Sprint(port)), &ssh.ClientConfig{
			User: m.SSHUser, Auth: []ssh.AuthMethod{ssh.PublicKeys(signer)}, HostKeyCallback: ssh.InsecureIgnoreHostKey(), Timeout: 10 * time.Second,
		})
		if err != nil {
			t.Fatalf("%s: %v", offer, err)
		}
		_ = client.Close()
	}
}

func TestPowerIsAskedForOnce(t *testing.T) {
	a, c := open(t)
	r := request(t, smallVM)
	launch(t, a, r)
	c.Advance(time.Minute)
	puts := func() (n int) {
		for _, r := range c.Requests() {
			if r.Method == http.MethodPut {
				n++
			}
		}
		return n
	}
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
		t.Errorf("asked for what was done already: %v, %d requests", err, puts())
	}
}

func TestOneVolumeWhateverBecomesOfTheAnswer(t *testing.T) {
	for _, kind := range []providertest.FaultKind{providertest.LostRequest, providertest.LostResponse, providertest.BadGateway, providertest.BadGatewayAfterEffect, providertest.HTMLPage, providertest.Throttled} {
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

func TestAVolumeGoesToOneRental(t *testing.T) {
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
	// The answer to a detach is lost: it has happened, and is asked for again.
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

// What `billetd provider check` tells an operator: nothing, while the cloud is as its documents say.
func TestFieldsThatNoDocumentHasAreTold(t *testing.T) {
	c := voltageparktest.Serve(t)
	account := c.Account()
	var told []string
	account.Unknown = func(what string) { told = append(told, what) }
	a, err := voltagepark.New(account)
	if err != nil {
		t.Fatal(err)
	}
	launch(t, a, request(t, smallVM))
	launch(t, a, request(t, "ethernet/8"))
	volume := ids.New(id.Volume)
	if _, err := a.CreateVolume(t.Context(), provider.VolumeRequest{Reference: volume, Region: region, SizeGB: 5}); err != nil {
		t.Fatal(err)
	}
	look := func() {
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
	if look(); len(told) != 0 {
		t.Errorf("%q", told)
	}
	c.Novelty("color")
	if look(); len(told) != 2 || told[0] != `a rental has the unknown field "color"` || told[1] != `a VM has the unknown field "color"` {
		t.Errorf("%q", told)
	}
}

// The fake is as strict as the cloud: these show that what passes with it has the cloud's form.
func TestTheFakeRefusesWhatTheCloudRefuses(t *testing.T) {
	c := voltageparktest.Serve(t)
	ask := func(method, path, token, body string) (int, map[string]any) {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), method, c.URL+"/api/v1"+path, bytes.NewReader([]byte(body)))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Authorization", "Bearer "+token)
		client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
		answer, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = answer.Body.Close() }()
		var said map[string]any
		_ = json.NewDecoder(answer.Body).Decode(&said)
		return answer.StatusCode, said
	}
	const deploy = `{"location_id":"` + voltageparktest.Dallas + `","gpu_count":%s,"name":"x","network_type":"ethernet","organization_ssh_keys":{"mode":"none"}%s}`
	for _, x := range []struct {
		method, path, token, body string
		status                    int
	}{
		{"GET", "/bare-metal/locations", "", "", 200}, {"GET", "/instant-deploy-presets/", "", "", 200}, {"GET", "/virtual-machines/instant/locations", "", "", 200},
		{"GET", "/bare-metal/", "", "", 401}, {"GET", "/storage/", "wrong", "", 401}, {"GET", "/bare-metal", voltageparktest.Token, "", 307}, {"GET", "/bare-metal/locations/", "", "", 307},
		{"GET", "/bare-metal/?limit=16", voltageparktest.Token, "", 422}, {"GET", "/nothing", voltageparktest.Token, "", 404},
		{"POST", "/bare-metal/", voltageparktest.Token, fmt.Sprintf(deploy, "8", ""), 202}, {"POST", "/bare-metal/", voltageparktest.Token, fmt.Sprintf(deploy, "4", ""), 422},
		{"POST", "/bare-metal/", voltageparktest.Token, fmt.Sprintf(deploy, `"8"`, ""), 422}, {"POST", "/bare-metal/", voltageparktest.Token, fmt.Sprintf(deploy, "8", `,"cloud_init":{}`), 422},
		{"POST", "/bare-metal/", voltageparktest.Token, fmt.Sprintf(deploy, "800", ""), 400}, {"POST", "/bare-metal/", voltageparktest.Token, `{}`, 422},
		{"POST", "/storage/", voltageparktest.Token, `{"name":"Data","size_in_gb":1,"order_ids":[]}`, 422}, {"POST", "/storage/", voltageparktest.Token, `{"name":"data","size_in_gb":1}`, 422},
		{"POST", "/storage/", voltageparktest.Token, `{"name":"data","size_in_gb":1,"order_ids":[]}`, 201}, {"POST", "/storage/", voltageparktest.Token, `{"name":"data","size_in_gb":1,"order_ids":[]}`, 409},
		{"DELETE", "/bare-metal/x", voltageparktest.Token, "", 404},
	} {
		if status, said := ask(x.method, x.path, x.token, x.body); status != x.status || status >= 400 && said["detail"] == nil {
			t.Errorf("%s %s %s is %d %v, want %d", x.method, x.path, x.body, status, said, x.status)
		}
	}
	for range 5 {
		ask("POST", "/bare-metal/", voltageparktest.Token, fmt.Sprintf(deploy, "8", ""))
	}
	if _, said := ask("GET", "/bare-metal/", voltageparktest.Token, ""); len(said["results"].([]any)) != 3 || said["has_next"] != true || said["total_result_count"] != 6.0 {
		t.Errorf("a page without a limit: %v", said)
	}
}

// With each request for a page one machine goes and another comes. Every machine that is there all the
// time is on the list, and launches go on.
func TestListOfFiveThousandMachinesConvergesWhileMachinesComeAndGo(t *testing.T) {
	c := voltageparktest.Serve(t)
	account := c.Account()
	account.Settings = map[string]string{"region-names": voltageparktest.Dallas + "=dallas-usa-5", "requests-per-minute": "60000"}
	a, err := voltagepark.New(account)
	if err != nil {
		t.Fatal(err)
	}
	var kept []id.ID
	_, line := providertest.NewKey(t)
	launch := func() {
		o := offers(t, a)[region+" "+vmKey("3333")]
		r := provider.LaunchRequest{
			Reference: ids.New(id.Deployment), Name: "kept", OfferKey: o.Key, Region: o.Region, OperatingSystem: o.OperatingSystems[0], AuthorizedKeys: []string{line},
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
			t.Errorf("%d requests for a list of 5,000", asked)
		} else {
			t.Logf("%d machines in %d requests", len(all), asked)
		}
		c.Advance(time.Minute)
	}
}
