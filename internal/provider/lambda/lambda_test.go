package lambda_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/provider"
	"github.com/billetcloud/billet/internal/provider/lambda"
	"github.com/billetcloud/billet/internal/provider/lambda/lambdatest"
	"github.com/billetcloud/billet/internal/provider/providertest"
	"github.com/billetcloud/billet/internal/provider/upstream"
)

const key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHcUm0rCk3u7ZsZXWw1rTFkcnTRXmxsZ5dJc0cVKqNnQ"

var ids = id.NewMaker(clock.System{}, rand.Reader)

func request() provider.LaunchRequest {
	return provider.LaunchRequest{
		Reference: ids.New(id.Deployment), Name: "a tenant's", OfferKey: "gpu_1x_a10/us-east-1", Region: "us-east-1",
		OperatingSystem: lambda.DefaultSystem,
		AuthorizedKeys:  []string{key + " user@example.com"},
	}
}

// launch waits for the cloud's launch limit first.
func launch(t *testing.T, cloud *lambdatest.Cloud, a *lambda.Adapter, r provider.LaunchRequest) provider.Machine {
	t.Helper()
	cloud.Advance(13 * time.Second)
	return providertest.Launch(t, a, r)
}

func TestNew_Settings(t *testing.T) {
	for name, c := range map[string]struct {
		account upstream.Account
		says    string
	}{
		"all is well": {upstream.Account{Credential: "k"}, ""},
		"one that is not": {upstream.Account{
			Credential: "k", Settings: map[string]string{"team": "x"},
		}, "setting team: unknown"},
		"without a secret": {upstream.Account{}, "no API key is set"},
		"no address":       {upstream.Account{Credential: "k", BaseURL: "cloud.lambda.ai"}, "base URL"},
	} {
		_, err := lambda.New(c.account)
		if (c.says == "") != (err == nil) || (err != nil && !strings.Contains(err.Error(), c.says)) {
			t.Errorf("%s: got %v, want %q", name, err, c.says)
		}
	}
}

func offers(t *testing.T, a *lambda.Adapter) []string {
	t.Helper()
	all, err := a.Offers(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, o := range all {
		got = append(got, fmt.Sprintf("%s in %s (%s): %d x %s of %d GB, %d CPUs, %d GB, %d GB, %s, %s, %t, %s",
			o.Key, o.Region, o.RegionName, o.GPUCount, o.GPUType, o.GPUMemoryGB,
			o.VCPUs, o.MemoryGB, o.StorageGB, o.InstanceType, o.HourlyPrice.Decimal(), o.Available,
			strings.Join(o.OperatingSystems, "+")))
	}
	return got
}

func TestAdapter_Offers(t *testing.T) {
	cloud := lambdatest.Serve(t)
	a := open(t, cloud)
	want := []string{
		"gpu_1x_a10/us-east-1 in us-east-1 (Virginia, USA): 1 x A10 (24 GB PCIe) of 24 GB, 30 CPUs, 214 GB, 1503 GB, " +
			"VM, 0.75, true, Lambda Stack+lambda-stack-22-04+ubuntu-22-04",
		"gpu_1x_a10/us-south-2 in us-south-2 (North Texas, USA): 1 x A10 (24 GB PCIe) of 24 GB, 30 CPUs, 214 GB, " +
			"1503 GB, VM, 0.75, true, Lambda Stack+lambda-stack-22-04",
		"gpu_1x_gh200/us-east-3 in us-east-3 (Washington DC, USA): 1 x GH200 (96 GB) of 96 GB, 64 CPUs, 463 GB, 4398 " +
			"GB, VM, 1.49, true, Lambda Stack+lambda-stack-24-04",
		"gpu_8x_h100_sxm5gdr/us-south-2 in us-south-2 (North Texas, USA): 8 x H100 (80 GB SXM5) of 80 GB, 208 CPUs, " +
			"1932 GB, 24189 GB, VM, 23.92, true, Lambda Stack+lambda-stack-22-04",
	}
	if got := offers(t, a); !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	// What is sold out stays listed where it was seen, and only there.
	cloud.SoldOut(true)
	for i := range want {
		want[i] = strings.Replace(want[i], ", true,", ", false,", 1)
	}
	if got := offers(t, a); !slices.Equal(got, want) {
		t.Errorf("sold out: got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	fresh := open(t, cloud)
	if got := offers(t, fresh); len(got) != 0 {
		t.Errorf("got %q from a server that has seen none in stock, want none", got)
	}
	if _, err := fresh.Launch(t.Context(), request()); provider.KindOf(err) != provider.KindNoCapacity {
		t.Errorf("a type that is sold out everywhere: got %v, want no_capacity", err)
	}
	r := request()
	r.OfferKey = "gpu_0x_a10/us-east-1"
	if _, err := fresh.Launch(t.Context(), r); provider.KindOf(err) != provider.KindNotFound {
		t.Errorf("an unknown type: got %v, want not_found", err)
	}
	cloud.SoldOut(false)
	if got := offers(t, a); len(got) != len(want) || !strings.Contains(got[0], ", true,") {
		t.Errorf("in stock again: got %q", got)
	}
}

func TestAdapter_LaunchRefusals(t *testing.T) {
	cloud := lambdatest.Serve(t)
	a := open(t, cloud)
	said := func(code string) string {
		return `{"error":{"code":"` + code + `","message":"quota capacity not found"}}`
	}
	for _, c := range []struct {
		status int
		body   string
		want   provider.Kind
	}{
		{400, said("instance-operations/launch/insufficient-capacity"), provider.KindNoCapacity},
		{400, said("global/quota-exceeded"), provider.KindQuota},
		{400, said("global/invalid-parameters"), provider.KindRejected},
		{400, said("global/duplicate"), provider.KindRejected},
		{400, said("instance-operations/launch/file-system-in-wrong-region"), provider.KindRejected},
		{400, said("something/new"), provider.KindRejected},
		{400, `<html>`, provider.KindRejected},
		{400, `{"error":"text"}`, provider.KindRejected},
		{401, said("global/invalid-api-key"), provider.KindCredentials},
		{403, said("global/account-inactive"), provider.KindCredentials},
		{403, said("global/invalid-address"), provider.KindCredentials},
		{403, said("global/forbidden"), provider.KindCredentials},
		{404, said("global/object-does-not-exist"), provider.KindNotFound},
		{404, said("global/not-found"), provider.KindNotFound},
		{409, said("global/conflict"), provider.KindRejected},
		{400, said("provider/internal-unavailable"), provider.KindUnavailable},
		{500, said("global/internal-error"), provider.KindUnavailable},
		// The outcome is unknown.
		{503, said("instance-operations/launch/insufficient-capacity"), provider.KindUnavailable},
		{200, `{}`, provider.KindUnavailable},
		{200, `{"data":{"instance_ids":[]}}`, provider.KindUnavailable},
		{200, `{"data":{"instance_ids":["a","b"]}}`, provider.KindUnavailable},
		{200, `{"data":{"instance_ids":[""]}}`, provider.KindUnavailable},
		{200, `null`, provider.KindUnavailable},
	} {
		cloud.Advance(13 * time.Second)
		cloud.RefuseNext(c.status, c.body)
		if _, err := a.Launch(t.Context(), request()); provider.KindOf(err) != c.want {
			t.Errorf("%d %s: got %v, want %s", c.status, c.body, err, c.want)
		}
	}
	for name, change := range map[string]func(*provider.LaunchRequest){
		"two keys":                 func(r *provider.LaunchRequest) { r.AuthorizedKeys = []string{key, key} },
		"no key":                   func(r *provider.LaunchRequest) { r.AuthorizedKeys = nil },
		"a text that is too long":  func(r *provider.LaunchRequest) { r.CloudInit = strings.Repeat("#", 1<<20) },
		"a family of another kind": func(r *provider.LaunchRequest) { r.OperatingSystem = "lambda-stack-24-04" },
	} {
		cloud.Advance(13 * time.Second)
		r := request()
		change(&r)
		if _, err := a.Launch(t.Context(), r); provider.KindOf(err) != provider.KindRejected {
			t.Errorf("%s: %v", name, err)
		}
	}
	if n := cloud.MachineCount(); n != 0 {
		t.Errorf("%d machines", n)
	}
}

func TestAdapter_LaunchLimit(t *testing.T) {
	cloud := lambdatest.Serve(t)
	a := open(t, cloud)
	launch(t, cloud, a, request())
	r := request()
	_, err := a.Launch(t.Context(), r)
	e, is := errors.AsType[*provider.Error](err)
	if !is || e.Kind != provider.KindThrottled ||
		e.RetryAfter <= 0 || e.RetryAfter > 13*time.Second {
		t.Fatal(err)
	}
	cloud.Advance(e.RetryAfter)
	if _, err := a.Launch(t.Context(), r); err != nil {
		t.Error(err)
	}
	launches := cloud.Count("POST", "", "/launch")
	if launches != 2 || cloud.MachineCount() != 2 {
		t.Errorf("got %d launches and %d machines, want 2", launches, cloud.MachineCount())
	}
	// Another server of the same account does not know of it: the cloud refuses, and creates
	// nothing.
	if _, err := open(t, cloud).Launch(t.Context(), request()); provider.KindOf(err) != provider.KindThrottled ||
		cloud.MachineCount() != 2 {
		t.Errorf("%v, %d machines", err, cloud.MachineCount())
	}
}

func TestAdapter_LaunchParameters(t *testing.T) {
	cloud := lambdatest.Serve(t)
	a := open(t, cloud)
	r := request()
	r.CloudInit = "#cloud-config\nruncmd: [\"true\"]\n"
	m := launch(t, cloud, a, r)
	if text, family := cloud.UserData(m.ID); text != r.CloudInit || family != "" {
		t.Errorf("%q, %q", text, family)
	}
	other := request()
	other.OperatingSystem = "ubuntu-22-04"
	n := launch(t, cloud, a, other)
	if text, family := cloud.UserData(n.ID); text != "" || family != "ubuntu-22-04" {
		t.Errorf("%q, %q", text, family)
	}
	if got := cloud.PublicKeys(); len(got) != 1 || got[0] != key {
		t.Errorf("uploaded %q", got)
	}
	cloud.Rename(m.ID, upstream.Mark(other.Reference))
	found, err := open(t, cloud).Machine(t.Context(), r.Reference)
	if err != nil || found.ID != m.ID || found.CreatedAt.Unix() > cloud.Clock.Now().Unix() ||
		cloud.Clock.Now().Sub(found.CreatedAt) > time.Minute {
		t.Errorf("%+v, %v", found, err)
	}
}

func TestAdapter_KeysAreIdentifiedByTheirMaterial(t *testing.T) {
	cloud := lambdatest.Serve(t)
	cloud.PlantKey("mine", key+" home")
	launch(t, cloud, open(t, cloud), request())
	if n := len(cloud.PublicKeys()); n != 1 {
		t.Errorf("%d keys", n)
	}
	// Another's key of that name, and a name that two keys share, are not used.
	for name, plant := range map[string][]string{
		"billet": {upstream.KeyName(key)}, "twice": {"mine", upstream.KeyName(key)},
	} {
		cloud := lambdatest.Serve(t)
		if name == "twice" {
			cloud.PlantKey("mine", key)
		}
		for _, n := range plant {
			cloud.PlantKey(n, strings.ToUpper(key))
		}
		cloud.Advance(13 * time.Second)
		if _, err := open(t, cloud).Launch(t.Context(), request()); provider.KindOf(err) != provider.KindRejected ||
			cloud.MachineCount() != 0 {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAdapter_States(t *testing.T) {
	cloud := lambdatest.Serve(t)
	var log bytes.Buffer
	account := cloud.Account()
	account.Log = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	a, err := lambda.New(account)
	if err != nil {
		t.Fatal(err)
	}
	r := request()
	m := launch(t, cloud, a, r)
	providertest.WantMachine(t, a, r.Reference, provider.MachineProvisioning)
	cloud.SetStatus(m.ID, "active") // before it has an address
	cloud.Advance(20 * time.Second)
	providertest.WantMachine(t, a, r.Reference, provider.MachineProvisioning)
	cloud.Advance(2 * time.Minute)
	providertest.WantMachine(t, a, r.Reference, provider.MachineReady)
	for _, s := range []struct {
		word string
		want provider.MachineState
	}{
		{"unhealthy", provider.MachineReady}, {"dreaming", provider.MachineReady}, {"preempted", provider.MachineLost},
		{"dreaming", provider.MachineLost},
		{"terminating", provider.MachineTerminating},
	} {
		cloud.SetStatus(m.ID, s.word)
		cloud.Advance(20 * time.Second)
		got := providertest.WantMachine(t, a, r.Reference, s.want)
		if (s.word == "unhealthy" || s.word == "preempted") && got.Detail == "" {
			t.Errorf("%s is not explained", s.word)
		}
		if strings.Contains(fmt.Sprintf("%+v", got), lambdatest.Token) {
			t.Error("the machine has the secret of its notebook")
		}
	}
	cloud.SetStatus(m.ID, "terminated")
	cloud.Advance(20 * time.Second)
	if _, err := a.Machine(t.Context(), r.Reference); provider.KindOf(err) != provider.KindNotFound {
		t.Error(err)
	}
	if n := strings.Count(log.String(), "level=WARN"); n != 1 || strings.Contains(log.String(), lambdatest.Token) {
		t.Errorf("got %d warnings, want 1 and no secret:\n%s", n, log.String())
	}
}

func TestAdapter_RebootAndTerminateDuringAnAction(t *testing.T) {
	cloud := lambdatest.Serve(t)
	a := open(t, cloud)
	r := request()
	launch(t, cloud, a, r)
	if err := a.Reboot(t.Context(), r.Reference); provider.KindOf(err) != provider.KindRejected {
		t.Errorf("before it has started: %v", err)
	}
	cloud.Advance(2 * time.Minute)
	cloud.Acting(true)
	if err := a.Reboot(t.Context(), r.Reference); err != nil {
		t.Errorf("while it restarts: %v", err)
	}
	err := a.Terminate(t.Context(), r.Reference)
	if e, is := errors.AsType[*provider.Error](err); !is || e.Kind != provider.KindRejected ||
		e.RetryAfter <= 0 {
		t.Errorf("refused, and not ending: %v", err)
	}
	cloud.Acting(false)
	for range 2 {
		if err := a.Terminate(t.Context(), r.Reference); err != nil {
			t.Error(err)
		}
	}
	if err := open(t, cloud).Terminate(t.Context(), r.Reference); err != nil {
		t.Errorf("another server: %v", err)
	}
}

func TestAdapter_MissingListIsUnavailable(t *testing.T) {
	cloud := lambdatest.Serve(t)
	account := cloud.Account()
	account.BaseURL += "/elsewhere" // answered with 404
	a, err := lambda.New(account)
	if err != nil {
		t.Fatal(err)
	}
	_, machine := a.Machine(t.Context(), ids.New(id.Deployment))
	_, launched := a.Launch(t.Context(), request())
	_, offered := a.Offers(t.Context())
	for what, err := range map[string]error{
		"Machine": machine, "Launch": launched, "Offers": offered,
		"Terminate": a.Terminate(t.Context(), ids.New(id.Deployment)),
	} {
		if err == nil || provider.KindOf(err) != provider.KindUnavailable {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestAdapter_TwoMachinesOfOneReference(t *testing.T) {
	cloud := lambdatest.Serve(t)
	a := open(t, cloud)
	r := request()
	launch(t, cloud, a, r)
	c, err := upstream.NewClient(upstream.Config{
		Account: cloud.Account(), Every: time.Millisecond, Authorize: upstream.Bearer,
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{upstream.Mark(r.Reference), "another's"} {
		cloud.Advance(13 * time.Second)
		body := map[string]any{
			"region_name": "us-east-1", "instance_type_name": "gpu_1x_a10",
			"ssh_key_names": []string{upstream.KeyName(key)}, "name": name,
		}
		if err := c.Do(
			t.Context(), upstream.Request{Method: http.MethodPost, Path: "/instance-operations/launch", Body: body},
		); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := a.Launch(t.Context(), r); provider.KindOf(err) != provider.KindUnavailable {
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

// A hundred machines are launched as fast as the cloud allows, polled and terminated, without two
// requests within a second.
func TestAdapter_HundredMachinesStayWithinTheBudget(t *testing.T) {
	cloud := lambdatest.Serve(t)
	a := open(t, cloud)
	references := make([]id.ID, 100)
	for i := range references {
		r := request()
		launch(t, cloud, a, r)
		references[i] = r.Reference
	}
	before := len(cloud.Requests())
	providertest.Poll(t, a, references, 10*time.Minute, cloud.Advance)
	if n := len(cloud.Requests()) - before; n > 45 {
		t.Errorf("got %d requests in ten minutes, want at most 45", n)
	}
	before = len(cloud.Requests())
	for len(references) > 0 { // until each machine is not found
		references = slices.DeleteFunc(references, func(reference id.ID) bool {
			if err := a.Terminate(t.Context(), reference); err != nil {
				t.Fatal(err)
			}
			m, err := a.Machine(t.Context(), reference)
			if err == nil && m.State != provider.MachineTerminating {
				t.Fatalf("%+v", m)
			}
			return err != nil && provider.KindOf(err) == provider.KindNotFound
		})
		cloud.Advance(a.Info().PollEvery)
	}
	if n := len(cloud.Requests()) - before; n > 250 {
		t.Errorf("got %d requests to end a hundred machines, want at most 250", n)
	}
	if n := cloud.TooSoon(); n != 0 {
		t.Errorf("got %d requests within a second of another, want none", n)
	}
}

func TestAdapter_LaunchWithLostResponse(t *testing.T) {
	cloud := lambdatest.Serve(t)
	a := open(t, cloud)
	r := request()
	launch(t, cloud, a, request()) // uploads the key
	cloud.Advance(13 * time.Second)
	cloud.InjectFault(providertest.Fault{Kind: providertest.LostResponse, Writes: true, Times: 1})
	if _, err := a.Launch(context.Background(), r); provider.KindOf(err) != provider.KindUnavailable ||
		cloud.MachineCount() != 2 {
		t.Fatalf("%v, %d machines", err, cloud.MachineCount())
	}
	if m, err := a.Launch(t.Context(), r); err != nil || m.ID != cloud.MachineIDs()[1] || cloud.MachineCount() != 2 {
		t.Errorf("%+v, %v", m, err)
	}
}
