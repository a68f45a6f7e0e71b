package spheron_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/provider"
	"github.com/billetcloud/billet/internal/provider/spheron"
	"github.com/billetcloud/billet/internal/provider/spheron/spherontest"
	"github.com/billetcloud/billet/internal/provider/upstream"
)

func TestNew_Settings(t *testing.T) {
	for want, a := range map[string]upstream.Account{
		"API key":                  {},
		"setting project: unknown": {Credential: "k", Settings: map[string]string{"project": "p"}},
		"setting team: is empty":   {Credential: "k", Settings: map[string]string{"team": ""}},
		"base URL":                 {Credential: "k", BaseURL: "ftp://x"},
	} {
		if _, err := spheron.New(a); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	if a, err := spheron.New(
		upstream.Account{Slug: "s", Credential: "k", Settings: map[string]string{"team": "t"}},
	); err != nil || a.Info().Slug != "s" {
		t.Errorf("%v", err)
	}
}

func TestAdapter_ReadsTheTeamAgainWhenRefused(t *testing.T) {
	b := newFixture(t)
	b.running(1)
	b.running(2)
	if n := b.count(0, "GET", "/api/balance"); n != 1 {
		t.Errorf("the balance was asked for %d times", n)
	}
	b.cloud.CurrentTeam(spherontest.OtherTeam)
	_, err := b.Launch(t.Context(), b.request(3))
	wantKind(t, "with a team that is none any more", err, provider.KindThrottled)
	b.running(3)
	if teams := teams(b); !slices.Equal(teams, []any{spherontest.Team, spherontest.Team, spherontest.OtherTeam}) {
		t.Errorf("%v", teams)
	}

	b.account.Settings = map[string]string{"team": spherontest.OtherTeam}
	b.restart()
	before := b.sent()
	b.running(4)
	if n := b.count(before, "GET", "/api/balance"); n != 0 {
		t.Errorf("got %d reads of the balance, want none with the setting team", n)
	}
	b.account.Settings = map[string]string{"team": "team_unknown"}
	b.restart()
	_, err = b.Launch(t.Context(), b.request(5))
	wantKind(t, "with a wrong setting", err, provider.KindCredentials)
}

func teams(b *fixture) (out []any) {
	for _, d := range b.cloud.Deploys() {
		out = append(out, d["teamId"])
	}
	return out
}

func TestAdapter_LaunchChecksTheRequest(t *testing.T) {
	b := newFixture(t)
	for name, c := range map[string]struct {
		change func(*provider.LaunchRequest)
		want   provider.Kind
	}{
		"two keys": {func(
			r *provider.LaunchRequest,
		) {
			r.AuthorizedKeys = []string{keyLine, keyLine}
		}, provider.KindRejected},
		"no key": {func(r *provider.LaunchRequest) { r.AuthorizedKeys = nil }, provider.KindRejected},
		"another region": {func(
			r *provider.LaunchRequest,
		) {
			r.Region = "voltage-park-us-dallas-1"
		}, provider.KindNotFound},
		"another system": {func(
			r *provider.LaunchRequest,
		) {
			r.OperatingSystem = "Ubuntu 22.04"
		}, provider.KindRejected},
		"cloud-init": {func(
			r *provider.LaunchRequest,
		) {
			r.CloudInit = "#cloud-config\npackages: [git]"
		}, provider.KindRejected},
		"a spot of that offer": {func(
			r *provider.LaunchRequest,
		) {
			r.OfferKey = "spheron-ai/rtx-4090/SPOT/1/sa-4090"
		}, provider.KindNotFound},
	} {
		r := b.request(1)
		c.change(&r)
		_, err := b.Launch(t.Context(), r)
		wantKind(t, name, err, c.want)
	}
	if n := b.count(0, "POST", ""); n != 0 {
		t.Errorf("%d creates", n)
	}
}

func TestAdapter_CloudInit(t *testing.T) {
	b := newFixture(t)
	ask := func(text string) error {
		b.cloud.Advance(createPause)
		r := b.request(len(b.cloud.Deploys()) + 1)
		r.OfferKey, r.Region = "data-crunch/h100-sxm5/SPOT/1/1H100.80S.30V", "data-crunch-fin-01"
		r.OperatingSystem, r.CloudInit = "ubuntu-24.04", text
		_, err := b.Launch(b.Context(), r)
		return err
	}
	for _, text := range []string{
		"#cloud-config\nusers: [root]", "#cloud-config\npackages: [[git, 1.0]]", "#cloud-config\nruncmd:\n- {ls: -l}",
		"#cloud-config\nwrite_files:\n- path: /a\n  append: true",
		"#cloud-config\nwrite_files:\n- content: a", "#cloud-config\nwrite_files:\n- path: /a\n  permissions: 'rw'",
		"#cloud-config\nwrite_files:\n- path: /a\n  encoding: rot13",
		"#cloud-config\npackages: [git]\n---\npackages: [vim]", "#cloud-config\n- a", "#cloud-config\nwriteFiles: []",
	} {
		if e := wantKind(t, text, ask(text), provider.KindRejected); e.Message == "" {
			t.Errorf("%s: no message", text)
		}
	}
	for _, text := range []string{"#cloud-config\n", "#cloud-config\npackages: []\n"} {
		if err := ask(text); err != nil || value(b, "cloudInit") != "<nil>" {
			t.Errorf("%q: %v, %s", text, err, value(b, "cloudInit"))
		}
	}
	err := ask("#cloud-config\npackages: [git, 7zip]\nruncmd: ['echo 1', ls]\nwrite_files:\n- {path: /a, content: " +
		"YQ==, owner: 'root:root', permissions: 0644, encoding: base64}\n")
	if want := "&{[git 7zip] [echo 1 ls] [{/a YQ== root:root 0644 b64}]}"; err != nil || value(b, "cloudInit") != want {
		t.Errorf("%v, %s; want %s", err, value(b, "cloudInit"), want)
	}
}

func TestAdapter_DeployUsesOneRow(t *testing.T) {
	b := newFixture(t)
	offers, err := b.Offers(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	launched := map[string]bool{}
	for n, o := range offers {
		if !o.Available {
			continue
		}
		r := b.request(n)
		r.OfferKey, r.Region, r.OperatingSystem = o.Key, o.Region, o.OperatingSystems[0]
		if _, err := b.Launch(t.Context(), r); err != nil {
			t.Errorf("%s in %s: %v", o.Key, o.Region, err)
			continue
		}
		launched[value(b, "region")] = true
	}
	if want := []string{"FIN-01", "FIN-02", "us-dallas-1"}; !slices.Equal(slices.Sorted(maps.Keys(launched)), want) {
		t.Errorf("regions as the cloud has them: %v, want %v", launched, want)
	}
}

// createPause keeps a test within the creates that are allowed.
const createPause = 2 * time.Minute

// value is a field of the last deploy that the cloud took.
func value(b *fixture, name string) string {
	b.Helper()
	all := b.cloud.Deploys()
	if len(all) == 0 {
		b.Fatal("nothing was deployed")
	}
	return fmt.Sprint(all[len(all)-1][name])
}

func TestAdapter_LaunchIgnoringEnded(t *testing.T) {
	b := newFixture(t)
	first := b.running(1)
	b.cloud.Advance(30 * time.Minute)
	if key := b.cloud.Deploys()[0]["ssh_public_key"]; key != upstream.BareKey(keyLine) {
		t.Errorf("the cloud was given %q", key)
	}
	if err := b.Terminate(t.Context(), reference(1)); err != nil {
		t.Fatal(err)
	}
	b.cloud.Advance(10 * time.Minute)
	r := b.request(1)
	for range 2 { // with what is remembered, and without
		if m, err := b.Launch(t.Context(), r); err != nil || m.State != provider.MachineGone || m.ID != first.ID {
			t.Errorf("the same launch again: %+v, %v", m, err)
		}
		b.restart()
	}
	r.IgnoreEnded = true
	second, err := b.Launch(t.Context(), r)
	if err != nil || second.ID == first.ID || second.State != provider.MachineProvisioning {
		t.Fatalf("%+v, %v; the first was %+v", second, err, first)
	}
	b.restart()
	if again, err := b.Launch(t.Context(), r); err != nil || again.ID != second.ID {
		t.Errorf("%+v, %v; was %+v", again, err, second)
	}
	b.cloud.Advance(2 * time.Minute)
	if m, err := b.Machine(t.Context(), reference(1)); err != nil || m.ID != second.ID ||
		m.State != provider.MachineReady {
		t.Errorf("%+v, %v", m, err)
	}
}

func TestNew_Limits(t *testing.T) {
	b := newFixture(t)
	account := b.cloud.Account()
	for _, wrong := range []string{"", "1", "many", "-5", "2000000"} {
		account.Settings = map[string]string{"creates-per-15-minutes": wrong}
		if _, err := spheron.New(account); err == nil {
			t.Errorf("%q is taken", wrong)
		}
	}
	account.Settings = map[string]string{"creates-per-15-minutes": "13", "requests-per-15-minutes": "400"}
	a, err := spheron.New(account)
	if err != nil {
		t.Fatal(err)
	}
	b.cloud.Allow(400, 13)
	before := b.cloud.Clock.Now()
	for n := range 12 {
		if _, err := a.Launch(t.Context(), b.request(n)); err != nil {
			t.Fatalf("launch %d: %v", n, err)
		}
	}
	_, err = a.Launch(t.Context(), b.request(12))
	wantKind(t, "one create less than the cloud allows", err, provider.KindThrottled)
	if took := b.cloud.Clock.Now().Sub(before); took > time.Second {
		t.Errorf("a burst of a fifth of 400 requests took %s", took)
	}
}
