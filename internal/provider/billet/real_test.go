package billet_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/provider"
	"github.com/billetcloud/billet/internal/provider/providertest"
	"github.com/billetcloud/billet/internal/provider/upstream"
	"github.com/billetcloud/billet/test/servertest"
)

func keyLine(t *testing.T) string {
	_, line := providertest.NewKey(t)
	return line
}

func TestAdapter_RealServer(t *testing.T) {
	server := servertest.Start(t, "--sim", "--sim-machines", "banner")
	able := provider.Capabilities{Reboot: true, Power: true, Reinstall: true, Volumes: true, CloudInit: true}
	request := func(o *other) provider.LaunchRequest {
		sold := o.offer(able)
		return provider.LaunchRequest{
			Reference: ids.New(id.Deployment), Name: "a tenant's name", OfferKey: sold.Key, Region: sold.Region,
			OperatingSystem: sold.OperatingSystems[0], AuthorizedKeys: []string{keyLine(t)},
		}
	}
	end := func(o *other, reference id.ID) {
		if err := (patient{o.open(), o.pass}).Terminate(t.Context(), reference); err != nil {
			t.Error(err)
		}
	}

	t.Run("every offer", func(t *testing.T) {
		o := connect(t, server, "10")
		offers, err := o.open().Offers(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		theirs := map[string]map[string]any{}
		for page := 1; ; page++ {
			list := server.Call(
				o.key, http.MethodGet, fmt.Sprintf("/offers?limit=100&sort=name&page=%d", page), nil,
			).List
			for _, one := range list {
				one := one.(map[string]any)
				theirs["up:"+one["id"].(string)] = one
			}
			if len(list) == 0 {
				break
			}
		}
		if len(offers) != len(theirs) || len(offers) < 10 {
			t.Errorf("%d offers, the server has %d", len(offers), len(theirs))
		}
		for _, one := range offers {
			w := theirs[one.Key]
			if w == nil || fmt.Sprintf("%.6f", w["hourlyPrice"]) != fmt.Sprintf(
				"%d.%06d", one.HourlyPrice/1_000_000, one.HourlyPrice%1_000_000,
			) ||
				w["gpuType"] != one.GPUType || w["region"] != one.Region || w["available"] != one.Available ||
				one.MinimumRuntime < 25*time.Minute {
				t.Errorf("%+v, the server says %v", one, w)
			}
		}
	})
	t.Run("several keys and a cloud-config", func(t *testing.T) {
		o := connect(t, server, "10000")
		b, r := o.open(), request(o)
		r.AuthorizedKeys = append(r.AuthorizedKeys, keyLine(t)+" ada@laptop", r.AuthorizedKeys[0]+" again")
		r.CloudInit = "#cloud-config\npackages: [nvtop]\n"
		second := r
		second.Reference = ids.New(id.Deployment)
		for _, r := range []provider.LaunchRequest{r, second} {
			m, err := b.Launch(t.Context(), r)
			if err != nil {
				t.Fatal(err)
			}
			d := server.Call(o.key, http.MethodGet, "/deployments/"+m.ID, nil).Data
			if len(d["sshKeys"].([]any)) != 2 || d["cloudInit"] != true || d["name"] != upstream.Mark(r.Reference) {
				t.Errorf("%+v", d)
			}
		}
		if saved := server.Call(o.key, http.MethodGet, "/ssh-keys", nil).List; len(saved) != 2 ||
			strings.Contains(fmt.Sprint(saved), "ada@laptop") {
			t.Errorf("%v", saved)
		}
		end(o, r.Reference)
		end(o, second.Reference)
	})
	t.Run("the minimum runtime", func(t *testing.T) {
		o := connect(t, server, "10000")
		b, r := o.open(), request(o)
		if _, err := b.Launch(t.Context(), r); err != nil {
			t.Fatal(err)
		}
		e := providertest.WantKind(t, "Terminate", b.Terminate(t.Context(), r.Reference), provider.KindRejected)
		if e.RetryAfter <= 0 || e.RetryAfter > 25*time.Minute {
			t.Errorf("again after %s", e.RetryAfter)
		}
		end(o, r.Reference)
	})
	t.Run("another offer after one that came to nothing", func(t *testing.T) {
		o := connect(t, server, "10000")
		b, r := o.open(), request(o)
		first, err := b.Launch(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		end(o, r.Reference)
		o.pass(time.Minute)
		offers, err := b.Offers(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, other := range offers {
			if other.Available && other.Key != r.OfferKey {
				r.OfferKey, r.Region, r.OperatingSystem = other.Key, other.Region, other.OperatingSystems[0]
				break
			}
		}
		r.IgnoreEnded = true
		second, err := o.open().Launch(t.Context(), r)
		if err != nil || second.ID == first.ID {
			t.Fatalf("%+v, %v; the first was %+v", second, err, first)
		}
		again, err := o.open().Launch(t.Context(), r)
		if err != nil || again.ID != second.ID {
			t.Errorf("%+v, %v; was %+v", again, err, second)
		}
		end(o, r.Reference)
	})
	t.Run("an empty wallet", func(t *testing.T) {
		o := connect(t, server, "0")
		_, err := o.open().Launch(t.Context(), request(o))
		providertest.WantKind(t, "Launch", err, provider.KindQuota)
	})
	t.Run("a key that may only read", func(t *testing.T) {
		o := connect(t, server, "10000")
		account, _ := server.Key("1")
		o.key = server.KeyOf(account, "--scopes", "offers:read,deployments:read,volumes:read", "--read-limit", "1000")
		r := request(o)
		_, err := o.open().Launch(t.Context(), r)
		providertest.WantKind(t, "Launch", err, provider.KindCredentials)
	})
	// The Idempotency-Key prevents a second machine where the list no longer has the name and tags.
	t.Run("a machine that was renamed", func(t *testing.T) {
		o := connect(t, server, "10000")
		r := request(o)
		m, err := o.open().Launch(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		if a := server.Call(
			o.key, http.MethodPatch, "/deployments/"+m.ID, map[string]any{"name": "ours", "tags": []string{}},
		); a.Status != http.StatusOK {
			t.Fatalf("%d %s", a.Status, a.Body)
		}
		again, err := o.open().Launch(t.Context(), r)
		if err != nil || again.ID != m.ID || again.Reference != r.Reference || o.machineCount() != 1 {
			t.Errorf("%+v, %v; was %+v", again, err, m)
		}
	})
}
