package shadeform_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/provider"
	"github.com/billetcloud/billet/internal/provider/providertest"
	"github.com/billetcloud/billet/internal/provider/shadeform"
	"github.com/billetcloud/billet/internal/provider/shadeform/shadeformtest"
	"github.com/billetcloud/billet/internal/provider/upstream"
)

const (
	key      = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHcUm0rCk3u7ZsZXWw1rTFkcnTRXmxsZ5dJc0cVKqNnQ"
	cheapest = "hyperstack/A6000/canada-1"
	region   = "hyperstack-canada-1"
	system   = "ubuntu22.04_shade_os"
)

var ids = id.NewMaker(clock.System{}, rand.Reader)

func request() provider.LaunchRequest {
	return provider.LaunchRequest{
		Reference: ids.New(id.Deployment), Name: "a tenant's", OfferKey: cheapest, Region: region,
		OperatingSystem: system, AuthorizedKeys: []string{key + " user@example.com"},
	}
}

func launch(t *testing.T, a *shadeform.Adapter, r provider.LaunchRequest) provider.Machine {
	t.Helper()
	return providertest.Launch(t, a, r)
}

func TestNew_Settings(t *testing.T) {
	for name, c := range map[string]struct {
		settings map[string]string
		secret   string
		says     string
	}{
		"none":              {nil, "k", ""},
		"bare metal only":   {map[string]string{"bare-metal-only": "true"}, "k", ""},
		"not so":            {map[string]string{"bare-metal-only": "false"}, "k", ""},
		"neither":           {map[string]string{"bare-metal-only": "perhaps"}, "k", "must be true or false"},
		"one that is not":   {map[string]string{"team": "x"}, "k", "setting team: unknown"},
		"without a secret":  {nil, "", "no API key is set"},
		"another's address": {nil, "k", "base URL"},
	} {
		account := upstream.Account{Slug: "shade", Credential: c.secret, Settings: c.settings}
		if name == "another's address" {
			account.BaseURL = "ftp://example.com"
		}
		_, err := shadeform.New(account)
		if (c.says == "") != (err == nil) || (err != nil && !strings.Contains(err.Error(), c.says)) {
			t.Errorf("%s: got %v, want %q", name, err, c.says)
		}
	}
}

func TestAdapter_Offers(t *testing.T) {
	cloud := shadeformtest.Serve(t)
	want := []string{
		"denvr-calgary-canada-2 denvr/A100_80Gx8/calgary-canada-2 8 x A100_80GB PCIE 80 GB BARE_METAL 10.4 false " +
			"Canada, Calgary",
		"excesssupply-us-dallas-1 excesssupply/H100_sxm5x8/us-dallas-1 8 x H100 SXM5 80 GB BARE_METAL 18.99 true US, " +
			"Dallas",
		"hyperstack-canada-1 hyperstack/A6000/canada-1 1 x A6000 PCIE 48 GB VM 0.5 true Canada, Toronto",
		"hyperstack-norway-1 hyperstack/A6000/norway-1 1 x A6000 PCIE 48 GB VM 0.5 false Norway, Oslo",
	}
	for _, only := range []string{"false", "true"} {
		account := cloud.Account()
		account.Settings = map[string]string{shadeform.BareMetalOnly: only}
		a, err := shadeform.New(account)
		if err != nil {
			t.Fatal(err)
		}
		offers, err := a.Offers(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, o := range offers {
			got = append(
				got,
				fmt.Sprintf(
					"%s %s %d x %s %d GB %s %s %t %s", o.Region, o.Key, o.GPUCount, o.GPUType, o.GPUMemoryGB,
					o.InstanceType, o.HourlyPrice.Decimal(), o.Available, o.RegionName,
				),
			)
		}
		slices.Sort(got)
		if only == "true" {
			want = want[:2]
			r := request()
			if _, err := a.Launch(t.Context(), r); provider.KindOf(err) != provider.KindNotFound {
				t.Errorf("Launch of a virtual machine: got %v, want not_found", err)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: got\n%s\nwant\n%s", only, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	}
}

func TestAdapter_LaunchRefusals(t *testing.T) {
	cloud := shadeformtest.Serve(t)
	a := open(t, cloud)
	for _, c := range []struct {
		status int
		body   string
		want   provider.Kind
	}{
		{409, `{"error_code":"OUT_OF_STOCK","error":"no"}`, provider.KindNoCapacity},
		{409, `{"error_code":"","error":"The instance is out of stock."}`, provider.KindNoCapacity},
		{409, `{"error_code":"QUOTA_EXCEEDED","error":"no"}`, provider.KindQuota},
		{409, `{"error_code":"","error":"Insufficient funds"}`, provider.KindQuota},
		{403, `spend limit of the account reached`, provider.KindQuota},
		{402, `pay`, provider.KindQuota},
		{403, `no`, provider.KindCredentials},
		{401, `payment`, provider.KindCredentials},
		{409, `{"error_code":"SOMETHING","error":"name is too long"}`, provider.KindRejected},
		{409, `not JSON`, provider.KindRejected},
		{400, `bad`, provider.KindRejected},
		{500, `{"error_code":"OUT_OF_STOCK"}`, provider.KindUnavailable}, // the outcome is unknown
		{200, `{}`, provider.KindUnavailable},
		{200, `null`, provider.KindUnavailable},
		{302, ``, provider.KindUnavailable},
	} {
		cloud.RefuseNext(c.status, c.body)
		if _, err := a.Launch(t.Context(), request()); provider.KindOf(err) != c.want {
			t.Errorf("%d %s: got %v, want %s", c.status, c.body, err, c.want)
		}
	}
	if n := cloud.MachineCount(); n != 0 {
		t.Errorf("got %d machines, want none", n)
	}
	for name, change := range map[string]func(*provider.LaunchRequest){
		"two keys":   func(r *provider.LaunchRequest) { r.AuthorizedKeys = []string{key, key} },
		"no key":     func(r *provider.LaunchRequest) { r.AuthorizedKeys = nil },
		"cloud-init": func(r *provider.LaunchRequest) { r.CloudInit = "#cloud-config\n" },
	} {
		r := request()
		change(&r)
		if _, err := a.Launch(t.Context(), r); provider.KindOf(err) != provider.KindRejected {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAdapter_UnknownStatusKeepsTheLastState(t *testing.T) {
	cloud := shadeformtest.Serve(t)
	var log bytes.Buffer
	account := cloud.Account()
	account.Log = slog.New(slog.NewTextHandler(&log, nil))
	a, err := shadeform.New(account)
	if err != nil {
		t.Fatal(err)
	}
	r, later := request(), request()
	m := launch(t, a, r)
	cloud.Advance(time.Minute)
	providertest.WantMachine(t, a, r.Reference, provider.MachineReady)
	n := launch(t, a, later)
	cloud.SetStatus(m.ID, "hibernating")
	cloud.SetStatus(n.ID, "hibernating")
	for range 3 {
		cloud.Advance(time.Minute)
		providertest.WantMachine(t, a, r.Reference, provider.MachineReady)
		providertest.WantMachine(t, a, later.Reference, provider.MachineProvisioning)
	}
	if n := strings.Count(log.String(), "level=WARN"); n != 1 || !strings.Contains(log.String(), "hibernating") {
		t.Errorf("got %d warnings, want 1:\n%s", n, log.String())
	}
}

func TestAdapter_States(t *testing.T) {
	cloud := shadeformtest.Serve(t)
	a := open(t, cloud)
	r := request()
	m := launch(t, a, r)
	cloud.SetStatus(m.ID, "error")
	providertest.WantMachine(t, a, r.Reference, provider.MachineFailed)
	cloud.SetStatus(m.ID, "active") // before it has an address
	cloud.Advance(10 * time.Second)
	providertest.WantMachine(t, a, r.Reference, provider.MachineProvisioning)
	cloud.Advance(time.Minute)
	providertest.WantMachine(t, a, r.Reference, provider.MachineReady)
	cloud.SetStatus(m.ID, "error")
	cloud.Advance(10 * time.Second)
	providertest.WantMachine(t, a, r.Reference, provider.MachineLost)
	cloud.SetStatus(m.ID, "deleting")
	cloud.Advance(10 * time.Second)
	providertest.WantMachine(t, a, r.Reference, provider.MachineTerminating)
	if err := a.Terminate(t.Context(), r.Reference); err != nil || len(cloud.MachineIDs()) != 1 {
		t.Errorf("%v", err)
	}
	for _, asked := range cloud.Requests() {
		if strings.HasSuffix(asked.Path, "/delete") {
			t.Error("got a second request to end the machine")
		}
	}
	cloud.SetStatus(m.ID, "deleted")
	cloud.Advance(10 * time.Second)
	if _, err := a.Machine(t.Context(), r.Reference); provider.KindOf(err) != provider.KindNotFound {
		t.Error(err)
	}
	if all, err := a.Machines(t.Context()); err != nil || len(all) != 0 {
		t.Errorf("%+v, %v", all, err)
	}
}

func TestAdapter_MissingListIsUnavailable(t *testing.T) {
	cloud := shadeformtest.Serve(t)
	account := cloud.Account()
	account.BaseURL += "/elsewhere" // answered with 404
	a, err := shadeform.New(account)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.Machine(t.Context(), ids.New(id.Deployment)); provider.KindOf(err) != provider.KindUnavailable {
		t.Error(err)
	}
	if err := a.Terminate(t.Context(), ids.New(id.Deployment)); provider.KindOf(err) != provider.KindUnavailable {
		t.Error(err)
	}
	if _, err := a.Launch(t.Context(), request()); provider.KindOf(err) != provider.KindUnavailable {
		t.Error(err)
	}
	if _, err := a.Offers(t.Context()); provider.KindOf(err) != provider.KindUnavailable {
		t.Error(err)
	}
}

func TestAdapter_UploadsAKeyOnceWithoutItsComment(t *testing.T) {
	cloud := shadeformtest.Serve(t)
	var all sync.WaitGroup
	for range 4 { // servers that share no state
		a := open(t, cloud)
		all.Go(func() {
			if _, err := a.Launch(context.Background(), request()); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if got := cloud.PublicKeys(); len(got) != 1 || got[0] != key {
		t.Errorf("%q", got)
	}
}

func TestAdapter_IgnoresAnotherKeyOfTheName(t *testing.T) {
	cloud := shadeformtest.Serve(t)
	cloud.PlantKey(upstream.KeyName(key), strings.ToUpper(key))
	if _, err := open(t, cloud).Launch(t.Context(), request()); provider.KindOf(err) != provider.KindRejected {
		t.Error(err)
	}
	if n := cloud.MachineCount(); n != 0 {
		t.Errorf("%d machines", n)
	}
}

func TestAdapter_TagIdentifiesTheMachine(t *testing.T) {
	cloud := shadeformtest.Serve(t)
	a := open(t, cloud)
	r := request()
	m := launch(t, a, r)
	cloud.Rename(m.ID, upstream.Mark(ids.New(id.Deployment)))
	if found, err := open(t, cloud).Machine(t.Context(), r.Reference); err != nil || found.ID != m.ID {
		t.Errorf("%+v, %v", found, err)
	}
}

// plant creates a machine without the adapter.
func plant(t *testing.T, cloud *shadeformtest.Cloud, name string) {
	t.Helper()
	account := cloud.Account()
	c, err := upstream.NewClient(
		upstream.Config{
			Account: account, Every: time.Millisecond,
			Authorize: func(h http.Header, k string) { h.Set("X-API-KEY", k) },
		},
	)
	if err != nil {
		t.Fatal(err)
	}
	body := map[string]any{
		"cloud": "hyperstack", "region": "canada-1", "shade_instance_type": "A6000", "shade_cloud": true, "name": name,
	}
	if err := c.Do(
		t.Context(), upstream.Request{Method: http.MethodPost, Path: "/instances/create", Body: body},
	); err != nil {
		t.Fatal(err)
	}
}

func TestAdapter_TwoMachinesOfOneReference(t *testing.T) {
	cloud := shadeformtest.Serve(t)
	a := open(t, cloud)
	r := request()
	launch(t, a, r)
	plant(t, cloud, upstream.Mark(r.Reference))
	plant(t, cloud, "another's")
	if _, err := a.Launch(t.Context(), r); provider.KindOf(err) != provider.KindUnavailable {
		t.Errorf("got %v, want unavailable", err)
	}
	if _, err := a.Machine(t.Context(), r.Reference); provider.KindOf(err) != provider.KindUnavailable {
		t.Errorf("got %v, want unavailable", err)
	}
	all, err := a.Machines(t.Context())
	if err != nil || len(all) != 3 || all[0].Reference != r.Reference || all[1].Reference != r.Reference ||
		all[2].Reference != "" {
		t.Errorf("%+v, %v", all, err)
	}
	if err := a.Terminate(t.Context(), r.Reference); err != nil {
		t.Error(err)
	}
	cloud.Advance(time.Minute)
	if n := cloud.MachineCount(); n != 1 {
		t.Errorf("%d machines, want another's", n)
	}
}

func TestAdapter_HundredMachinesStayWithinTheBudget(t *testing.T) {
	cloud := shadeformtest.Serve(t)
	a := open(t, cloud)
	references := make([]id.ID, 100)
	for i := range references {
		r := request()
		launch(t, a, r)
		references[i] = r.Reference
	}
	before := len(cloud.Requests())
	providertest.Poll(t, a, references, 10*time.Minute, cloud.Advance)
	if n := len(cloud.Requests()) - before; n > 80 {
		t.Errorf("got %d requests in ten minutes, want at most 80", n)
	}
}
