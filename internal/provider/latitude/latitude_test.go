package latitude_test

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/provider"
	"github.com/billetcloud/billet/internal/provider/latitude"
	"github.com/billetcloud/billet/internal/provider/latitude/latitudetest"
	"github.com/billetcloud/billet/internal/provider/providertest"
	"github.com/billetcloud/billet/internal/provider/upstream"
	"github.com/billetcloud/billet/internal/provider/upstream/upstreamtest"
)

var ids = id.NewMaker(clock.System{}, rand.Reader)

func keyLine(t *testing.T) string {
	_, line := providertest.NewKey(t)
	return line
}

func request(t *testing.T) provider.LaunchRequest {
	t.Helper()
	return provider.LaunchRequest{
		Reference: ids.New(id.Deployment), Name: "a name", OfferKey: "g3-small-x86", Region: "dal",
		OperatingSystem: "Ubuntu 24.04 LTS", AuthorizedKeys: []string{keyLine(t)},
	}
}

func launch(t *testing.T, l *latitude.Adapter, r provider.LaunchRequest) provider.Machine {
	t.Helper()
	return providertest.Launch(t, l, r)
}

func TestNew_Settings(t *testing.T) {
	good := latitudetest.Serve(t).Account()
	for name, change := range map[string]func(a *upstream.Account){
		"no project": func(a *upstream.Account) { a.Settings = nil },
		"unknown":    func(a *upstream.Account) { a.Settings = map[string]string{"project": "p", "site": "DAL"} },
		"no key":     func(a *upstream.Account) { a.Credential = "" },
		"no URL":     func(a *upstream.Account) { a.BaseURL = "latitude" },
	} {
		bad := good
		if change(&bad); func() error { _, err := latitude.New(bad); return err }() == nil {
			t.Errorf("%s: got no error", name)
		}
	}
}

func TestAdapter_Offers(t *testing.T) {
	l := open(t, latitudetest.Serve(t))
	all, err := l.Offers(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	type short struct {
		key, region, name, country string
		price                      money.Micros
		available                  bool
	}
	var got []short
	for _, o := range all {
		got = append(got, short{o.Key, o.Region, o.RegionName, o.Country, o.HourlyPrice, o.Available})
	}
	want := []short{
		{"g3-gh200", "dal", "Dallas", "US", 3_740_000, false},
		{"g3-large-x86", "dal", "Dallas", "US", 17_900_000, true},
		{"g3-large-x86", "sao2", "São Paulo 2", "BR", 17_900_000, true},
		{"g3-small-x86", "dal", "Dallas", "US", 2_780_000, true},
		{"g3-small-x86", "fra", "Frankfurt", "DE", 2_780_000, false},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v\nwant %+v", got, want)
	}
	o := all[1]
	o.Key, o.Region, o.RegionName, o.Country, o.HourlyPrice = "", "", "", "", 0
	if !reflect.DeepEqual(o, provider.Offer{
		GPUType: "NVIDIA H100", GPUCount: 8, GPUMemoryGB: 80, VCPUs: 64, MemoryGB: 768, StorageGB: 8560,
		InstanceType: provider.BareMetal, Available: true,
		OperatingSystems: []string{"Debian 12", "Ubuntu 24.04 LTS", "Ubuntu 24.04 LTS (ubuntu_24_04_x64_lts)"},
		Capabilities:     provider.Capabilities{Reboot: true, Power: true, Reinstall: true, CloudInit: true},
	}) {
		t.Errorf("%+v", o)
	}
	if all[0].Capabilities.CloudInit {
		t.Error("a plan without user_data has the capability cloud-init")
	}
}

func TestAdapter_States(t *testing.T) {
	c := latitudetest.Serve(t)
	a := c.Account()
	var log bytes.Buffer
	a.Log = slog.New(slog.NewTextHandler(&log, nil))
	l, err := latitude.New(a)
	if err != nil {
		t.Fatal(err)
	}
	reference := ids.New(id.Deployment)
	machine := c.Plant(upstream.Mark(reference), "unknown", latitudetest.ProjectID)
	for _, s := range []struct {
		status string
		want   provider.MachineState
	}{
		{"unknown", provider.MachineProvisioning}, {"deploying", provider.MachineProvisioning},
		{"disk_erasing", provider.MachineProvisioning}, {"on", provider.MachineReady},
		{"unknown", provider.MachineReady}, {"rescue_mode", provider.MachineReady}, {"off", provider.MachineOff},
		{"hibernating", provider.MachineOff}, {"hibernating", provider.MachineOff},
		{"", provider.MachineOff}, {"failed_deployment", provider.MachineFailed},
		{"starting_deploy", provider.MachineProvisioning}, {"on", provider.MachineReady},
		{"disk_erasing", provider.MachineProvisioning},
		{"failed_disk_erasing", provider.MachineFailed},
	} {
		c.SetStatus(machine, s.status)
		c.Advance(time.Minute)
		providertest.WantMachine(t, l, reference, s.want)
	}
	if n := strings.Count(log.String(), "hibernating"); n != 1 || strings.Contains(log.String(), "word=unknown") {
		t.Errorf("logged %d times, want once:\n%s", n, log.String())
	}
	c.Vanish(machine)
	c.Advance(time.Minute)
	_, err = l.Machine(t.Context(), reference)
	providertest.WantKind(t, "Machine", err, provider.KindNotFound)
}

func TestAdapter_MachineWithoutAnAddressIsNotReady(t *testing.T) {
	for name, change := range map[string]func(a map[string]any){
		"null":       func(a map[string]any) { a["primary_ipv4"] = nil },
		"missing":    func(a map[string]any) { delete(a, "primary_ipv4") },
		"no address": func(a map[string]any) { a["primary_ipv4"] = "pending" },
	} {
		c := latitudetest.Serve(t)
		l, reference := open(t, c), ids.New(id.Deployment)
		c.Plant(upstream.Mark(reference), "on", latitudetest.ProjectID)
		c.Reshape(func(path string, body map[string]any) {
			if data, is := body["data"].([]any); is && path == "/servers" {
				change(data[0].(map[string]any)["attributes"].(map[string]any))
			}
		})
		t.Log(name)
		providertest.WantMachine(t, l, reference, provider.MachineProvisioning)
		c.Reshape(nil)
		c.Advance(time.Minute)
		if m := providertest.WantMachine(t, l, reference, provider.MachineReady); m.Address != "192.0.2.1" ||
			m.SSHUser != "ubuntu" || m.SSHPort != 22 {
			t.Errorf("%+v", m)
		}
	}
}

func TestAdapter_ReadsAllPages(t *testing.T) {
	for _, counted := range []bool{true, false} {
		c := latitudetest.Serve(t)
		c.Limitless()
		if !counted {
			c.Uncount()
		}
		var references []id.ID
		for range 120 {
			references = append(references, ids.New(id.Deployment))
			c.Plant(upstream.Mark(references[len(references)-1]), "on", latitudetest.ProjectID)
		}
		l := open(t, c)
		all, err := l.Machines(t.Context())
		if err != nil || len(all) != 120 {
			t.Fatalf("%d machines, %v", len(all), err)
		}
		providertest.WantMachine(t, l, references[119], provider.MachineReady)
		_, err = l.Machine(t.Context(), ids.New(id.Deployment))
		providertest.WantKind(t, "Machine of nothing", err, provider.KindNotFound)
		// The second page does not come.
		c.Advance(time.Hour)
		c.InjectFault(providertest.Fault{Kind: providertest.BadGateway, After: 1})
		_, err = l.Machine(t.Context(), references[119])
		providertest.WantKind(t, "Machine with half a list", err, provider.KindUnavailable)
		_, err = l.Machine(t.Context(), ids.New(id.Deployment))
		providertest.WantKind(t, "Machine of nothing with half a list", err, provider.KindUnavailable)
		c.ClearFaults()
	}
}

func TestAdapter_IncompleteListIsUnavailable(t *testing.T) {
	c := latitudetest.Serve(t)
	c.Limitless()
	for range 60 {
		c.Plant(upstream.Mark(ids.New(id.Deployment)), "on", latitudetest.ProjectID)
	}
	l, n := open(t, c), 60
	c.Reshape(func(path string, body map[string]any) {
		if path == "/servers" {
			n++
			body["meta"] = map[string]any{"stats": map[string]any{"total": map[string]any{"count": n}}}
		}
	})
	_, err := l.Machines(t.Context())
	providertest.WantKind(t, "Machines", err, provider.KindUnavailable)
	c.Reshape(nil)
	// A server that moves from the second page to the first while they are read is read by its
	// name.
	moved := ids.New(id.Deployment)
	c.Plant(upstream.Mark(moved), "on", latitudetest.ProjectID)
	c.Reshape(func(_ string, body map[string]any) {
		if data, is := body["data"].([]any); is && len(data) > 1 {
			last := data[len(data)-1].(map[string]any)
			if last["attributes"].(map[string]any)["hostname"] == upstream.Mark(moved) {
				body["data"] = data[:len(data)-1]
				body["meta"] = map[string]any{}
			}
		}
	})
	c.Uncount()
	c.Advance(time.Minute)
	providertest.WantMachine(t, l, moved, provider.MachineReady)
}

func TestAdapter_MalformedListsAreUnavailable(t *testing.T) {
	for name, change := range map[string]func(body map[string]any){
		"no data":   func(body map[string]any) { delete(body, "data") },
		"null":      func(body map[string]any) { body["data"] = nil },
		"no id":     func(body map[string]any) { delete(body["data"].([]any)[0].(map[string]any), "id") },
		"no object": func(body map[string]any) { body["data"].([]any)[0].(map[string]any)["attributes"] = "x" },
		"host name": func(body map[string]any) {
			body["data"].([]any)[0].(map[string]any)["attributes"].(map[string]any)["hostname"] = 7
		},
	} {
		c := latitudetest.Serve(t)
		l := open(t, c)
		c.Plant(upstream.Mark(ids.New(id.Deployment)), "on", latitudetest.ProjectID)
		c.Reshape(func(path string, body map[string]any) {
			if path == "/servers" {
				change(body)
			}
		})
		_, err := l.Machine(t.Context(), ids.New(id.Deployment))
		providertest.WantKind(t, name, err, provider.KindUnavailable)
		providertest.WantKind(t, name, l.Terminate(t.Context(), ids.New(id.Deployment)), provider.KindUnavailable)
	}
}

func TestAdapter_MissingListIsUnavailable(t *testing.T) {
	c := latitudetest.Serve(t)
	a := c.Account()
	a.BaseURL = c.URL + "/elsewhere"
	l, err := latitude.New(a)
	if err != nil {
		t.Fatal(err)
	}
	_, err = l.Machine(t.Context(), ids.New(id.Deployment))
	providertest.WantKind(t, "Machine", err, provider.KindUnavailable)
}

func TestAdapter_IgnoresOtherProjects(t *testing.T) {
	c := latitudetest.Serve(t)
	l, reference := open(t, c), ids.New(id.Deployment)
	c.Plant(upstream.Mark(reference), "on", "proj_other")
	c.Plant("a-web-server", "on", latitudetest.ProjectID)
	all, err := l.Machines(t.Context())
	if err != nil || len(all) != 1 || all[0].Reference != "" {
		t.Errorf("%+v, %v", all, err)
	}
	_, err = l.Machine(t.Context(), reference)
	providertest.WantKind(t, "Machine", err, provider.KindNotFound)
	if err := l.Terminate(t.Context(), reference); err != nil || len(c.MachineIDs()) != 2 {
		t.Errorf("%v, left %v", err, c.MachineIDs())
	}
}

func TestAdapter_TwoMachinesOfOneReference(t *testing.T) {
	c := latitudetest.Serve(t)
	l, r := open(t, c), request(t)
	for range 2 {
		c.Plant(upstream.Mark(r.Reference), "on", latitudetest.ProjectID)
	}
	_, err := l.Machine(t.Context(), r.Reference)
	providertest.WantKind(t, "Machine", err, provider.KindUnavailable)
	_, err = l.Launch(t.Context(), r)
	providertest.WantKind(t, "Launch", err, provider.KindUnavailable)
	if all, err := l.Machines(t.Context()); err != nil || len(all) != 2 {
		t.Errorf("%+v, %v", all, err)
	}
	if err := l.Terminate(t.Context(), r.Reference); err != nil || len(c.MachineIDs()) != 0 {
		t.Errorf("%v, left %v", err, c.MachineIDs())
	}
}

func TestAdapter_LockedServer(t *testing.T) {
	c := latitudetest.Serve(t)
	l, r := open(t, c), request(t)
	m := launch(t, l, r)
	c.Advance(time.Minute)
	c.SetLocked(m.ID, true)
	for what, err := range map[string]error{
		"Terminate": l.Terminate(t.Context(), r.Reference), "Reboot": l.Reboot(t.Context(), r.Reference),
		"PowerOff":  l.PowerOff(t.Context(), r.Reference),
		"Reinstall": l.Reinstall(t.Context(), r.Reference, "Debian 12"),
	} {
		if e := providertest.WantKind(t, what, err, provider.KindRejected); !strings.Contains(e.Message, "locked") {
			t.Errorf("%s: %+v", what, e)
		}
	}
	c.SetLocked(m.ID, false)
	if err := l.Terminate(t.Context(), r.Reference); err != nil {
		t.Error(err)
	}
}

// A key that was for one machine is deleted by its material, and no other is.
func TestAdapter_ForgetKey(t *testing.T) {
	c := latitudetest.Serve(t)
	l, r := open(t, c), request(t)
	check := keyLine(t)
	r.AuthorizedKeys = append(r.AuthorizedKeys, check+" billet-gpu-check")
	launch(t, l, r)
	for _, l := range []*latitude.Adapter{l, open(t, c)} { // the second time, and after a restart
		if err := l.ForgetKey(t.Context(), check); err != nil || c.Keys() != 1 {
			t.Errorf("%v, %d keys are left", err, c.Keys())
		}
	}
	if err := l.ForgetKey(t.Context(), r.AuthorizedKeys[0]); err != nil || c.Keys() != 0 {
		t.Errorf("%v, %d keys are left", err, c.Keys())
	}
}

// A reinstallation after a restart uses the keys and the cloud-config of the launch.
func TestAdapter_ReinstallAfterARestart(t *testing.T) {
	c := latitudetest.Serve(t)
	l, r := open(t, c), request(t)
	r.AuthorizedKeys = append(r.AuthorizedKeys, keyLine(t)+" ada@laptop", r.AuthorizedKeys[0]+" twice")
	r.CloudInit = "#cloud-config\r\npackages: [nvtop]\n"
	launch(t, l, r)
	other := r
	other.Reference, other.CloudInit = ids.New(id.Deployment), ""
	launch(t, l, other)
	if c.Keys() != 2 {
		t.Errorf("got %d keys, want 2", c.Keys())
	}
	text := c.UserData()[upstream.Mark(r.Reference)]
	if lines := strings.SplitN(text, "\n", 3); lines[0] != "#cloud-config" || lines[2] != "packages: [nvtop]\n" ||
		strings.Count(lines[1], "billet-") != 3 {
		t.Errorf("%q", text)
	}
	c.Advance(time.Minute)
	l = open(t, c)
	for _, reference := range []id.ID{r.Reference, other.Reference} {
		providertest.WantMachine(t, l, reference, provider.MachineReady)
		if err := l.Reinstall(t.Context(), reference, "Debian 12"); err != nil {
			t.Fatal(err)
		}
		providertest.WantMachine(t, l, reference, provider.MachineProvisioning)
	}
	c.Advance(time.Minute)
	if m := providertest.WantMachine(t, l, r.Reference, provider.MachineReady); m.SSHUser != "debian" {
		t.Errorf("%+v", m)
	}
	keys, data := c.InstalledWith(r.Reference)
	if len(keys) != 2 || data != text {
		t.Errorf("%q, %q", keys, data)
	}
	if keys, data = c.InstalledWith(other.Reference); len(keys) != 2 || data != "" {
		t.Errorf("%q, %q", keys, data)
	}
	// Without its user data it would be installed without keys.
	stranger := ids.New(id.Deployment)
	c.Plant(upstream.Mark(stranger), "on", latitudetest.ProjectID)
	providertest.WantKind(t, "Reinstall", l.Reinstall(t.Context(), stranger, "Debian 12"), provider.KindRejected)
}

func TestAdapter_DeletesUserDataWithItsMachine(t *testing.T) {
	c := latitudetest.Serve(t)
	l, r := open(t, c), request(t)
	launch(t, l, r)
	if len(c.UserData()) != 1 {
		t.Errorf("%v", c.UserData())
	}
	if err := l.Terminate(t.Context(), r.Reference); err != nil || len(c.UserData()) != 0 {
		t.Errorf("%v, left %v", err, c.UserData())
	}
	// A refused launch leaves no user data, and a repeated one stores it once.
	r = request(t)
	r.Region = "fra"
	_, err := l.Launch(t.Context(), r)
	providertest.WantKind(t, "Launch", err, provider.KindNoCapacity)
	if len(c.UserData()) != 0 {
		t.Errorf("left %v", c.UserData())
	}
	r = request(t)
	c.InjectFault(providertest.Fault{Kind: providertest.BadGateway, Writes: true, After: 2})
	for range 3 {
		_, err = l.Launch(t.Context(), r)
		providertest.WantKind(t, "Launch", err, provider.KindUnavailable)
	}
	c.ClearFaults()
	records := c.Count(http.MethodPost, "/user_data", "")
	if err := l.Terminate(t.Context(), r.Reference); err != nil || records != 3 || len(c.UserData()) != 0 {
		t.Errorf("%v, %d records were written, left %v", err, records, c.UserData())
	}
}

func TestAdapter_LaunchChecksTheRequest(t *testing.T) {
	c := latitudetest.Serve(t)
	l := open(t, c)
	for name, x := range map[string]struct {
		change func(r *provider.LaunchRequest)
		kind   provider.Kind
	}{
		"no GPUs": {func(
			r *provider.LaunchRequest,
		) {
			r.OfferKey = "c3-small-x86"
		}, provider.KindNotFound},
		"site as the cloud's": {func(r *provider.LaunchRequest) { r.Region = "DAL" }, provider.KindNotFound},
		"Windows": {func(
			r *provider.LaunchRequest,
		) {
			r.OperatingSystem = "Windows Server 2022"
		}, provider.KindRejected},
		"no cloud-init": {func(
			r *provider.LaunchRequest,
		) {
			r.OfferKey, r.CloudInit = "g3-gh200", "#cloud-config\n"
		}, provider.KindRejected},
		"sold out at the site": {func(r *provider.LaunchRequest) { r.Region = "fra" }, provider.KindNoCapacity},
		"no key": {func(
			r *provider.LaunchRequest,
		) {
			r.AuthorizedKeys = []string{"ssh-ed25519 nonsense"}
		}, provider.KindRejected},
	} {
		r := request(t)
		x.change(&r)
		_, err := l.Launch(t.Context(), r)
		t.Log(name)
		providertest.WantKind(t, name, err, x.kind)
	}
	if n := len(c.MachineIDs()); n != 0 {
		t.Errorf("got %d machines, want none", n)
	}
}

// A power action that has not shown yet is sent once, and is no success of the opposite action.
func TestAdapter_PowerActionsInProgress(t *testing.T) {
	c := latitudetest.Serve(t)
	l, r := open(t, c), request(t)
	launch(t, l, r)
	c.Advance(time.Minute)
	providertest.WantMachine(t, l, r.Reference, provider.MachineReady)
	for _, act := range []func() error{
		func() error { return l.PowerOff(t.Context(), r.Reference) },
		func() error { return l.PowerOff(t.Context(), r.Reference) },
		func() error { return l.PowerOn(t.Context(), r.Reference) },
		func() error { return l.PowerOn(t.Context(), r.Reference) },
	} {
		if err := act(); err != nil {
			t.Fatal(err)
		}
	}
	c.Advance(time.Minute)
	providertest.WantMachine(t, l, r.Reference, provider.MachineReady)
	if actions := c.Count(http.MethodPost, "", "/actions"); actions != 2 {
		t.Errorf("got %d actions, want 2", actions)
	}
}

func TestAdapter_HundredMachinesStayWithinTheBudget(t *testing.T) {
	c := latitudetest.Serve(t)
	l := open(t, c)
	var references []id.ID
	for range 100 {
		references = append(references, ids.New(id.Deployment))
		c.Plant(upstream.Mark(references[len(references)-1]), "on", latitudetest.ProjectID)
	}
	began := c.Clock.Now()
	providertest.Poll(t, l, references, 10*time.Minute, c.Advance)
	n, minutes := len(c.Requests()), c.Clock.Now().Sub(began).Minutes()
	if c.Throttled() != 0 || float64(n) > 30*minutes || minutes > 12 {
		t.Errorf("%d requests in %.1f minutes, %d of them too many", n, minutes, c.Throttled())
	}
}

func TestAdapter_ErrorKinds(t *testing.T) {
	body := func(code, detail string) string {
		return fmt.Sprintf(
			`{"errors":[{"code":%q,"status":"x","title":"T","detail":%q,"meta":{"retry_after":41}}]}`, code, detail,
		)
	}
	for name, x := range map[string]struct {
		status int
		body   string
		kind   provider.Kind
		retry  time.Duration
	}{
		"throttled": {429, body("RATE_LIMIT_EXCEEDED", ""), provider.KindThrottled, 41 * time.Second},
		"throttled, meta outside": {429, `{"errors":[{"code":"RATE_LIMIT_EXCEEDED"}],` +
			`"meta":{"retry_after":"12"}}`, provider.KindThrottled, 12 * time.Second},
		"throttled, no delay": {429, `{}`, provider.KindThrottled, 30 * time.Second},
		"out of stock":        {422, body("SERVER_OUT_OF_STOCK", ""), provider.KindNoCapacity, 41 * time.Second},
		"stock in words": {422, body(
			"unprocessable", "Plan is not in stock at this site",
		), provider.KindNoCapacity, 41 * time.Second},
		"at the limit": {422, body(
			"unprocessable", "You have reached the limit of servers",
		), provider.KindQuota, 41 * time.Second},
		"unpermitted": {422, body("unpermitted_parameter", "foo"), provider.KindRejected, 41 * time.Second},
		"payment":     {402, body("payment_required", ""), provider.KindQuota, 41 * time.Second},
		"locked": {403, body(
			"forbidden", "Server is locked",
		), provider.KindRejected, 41 * time.Second},
		"blocked is not locked": {403, body(
			"forbidden", "This team is blocked",
		), provider.KindCredentials, 41 * time.Second},
		"forbidden":          {403, body("forbidden", "no"), provider.KindCredentials, 41 * time.Second},
		"unauthorized":       {401, `no JSON`, provider.KindCredentials, 0},
		"errors are no list": {422, `{"errors":{"stock":1}}`, provider.KindRejected, 0},
		"errors are texts":   {422, `{"errors":["stock"]}`, provider.KindRejected, 0},
		"broken":             {500, body("internal", "out of stock"), provider.KindUnavailable, 41 * time.Second},
	} {
		server := upstreamtest.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(x.status)
			_, _ = io.WriteString(w, x.body)
		}))
		a := latitudetest.Serve(t).Account()
		a.BaseURL, a.Now = server.URL, server.Clock.Now
		l, err := latitude.New(a)
		if err != nil {
			t.Fatal(err)
		}
		_, err = l.Machines(t.Context())
		if got := providertest.WantKind(t, name, err, x.kind); got.RetryAfter != x.retry {
			t.Errorf("%s: after %s, want %s", name, got.RetryAfter, x.retry)
		}
	}
}

func TestAdapter_StatusOnBeforeTheInstallation(t *testing.T) {
	c := latitudetest.Serve(t)
	c.Eager()
	l, r := open(t, c), request(t)
	if m := launch(t, l, r); m.State != provider.MachineProvisioning || m.Address != "" {
		t.Errorf("got %+v, want provisioning without an address", m)
	}
	providertest.WantMachine(t, open(t, c), r.Reference, provider.MachineProvisioning) // after a restart
	c.Advance(2 * time.Second)
	providertest.WantMachine(t, l, r.Reference, provider.MachineProvisioning)
	c.Advance(20 * time.Second)
	providertest.WantMachine(t, l, r.Reference, provider.MachineProvisioning)
	c.Advance(time.Minute)
	m := providertest.WantMachine(t, l, r.Reference, provider.MachineReady)
	if m.HourlyCost != 2_780_000 {
		t.Errorf("got the price %s, want $2.78", m.HourlyCost)
	}
	if err := l.Reinstall(t.Context(), r.Reference, "Debian 12"); err != nil {
		t.Fatal(err)
	}
	for range 3 { // the first responses still show "on"
		providertest.WantMachine(t, l, r.Reference, provider.MachineProvisioning)
		c.Advance(2 * time.Second)
	}
	c.Advance(time.Minute)
	providertest.WantMachine(t, l, r.Reference, provider.MachineReady)
}

func TestAdapter_Examine(t *testing.T) {
	c := latitudetest.Serve(t)
	if concerns, err := open(t, c).Examine(t.Context()); err != nil || len(concerns) != 0 {
		t.Errorf("%q, %v", concerns, err)
	}
	c.Reserve()
	if concerns, err := open(t, c).Examine(t.Context()); err != nil || len(concerns) != 1 ||
		!strings.Contains(concerns[0], "reserved") {
		t.Errorf("%q, %v", concerns, err)
	}
	a := c.Account()
	a.Settings = map[string]string{"project": "gone"}
	l, err := latitude.New(a)
	if err != nil {
		t.Fatal(err)
	}
	if concerns, err := l.Examine(t.Context()); err != nil || len(concerns) != 1 ||
		!strings.Contains(concerns[0], "no project gone") {
		t.Errorf("%q, %v", concerns, err)
	}
}
