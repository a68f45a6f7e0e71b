package spheron_test

import (
	"strings"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/provider"
	"github.com/billetcloud/billet/internal/provider/providertest"
)

const (
	firstVolume  = id.ID("vol_01jdfirst")
	secondVolume = id.ID("vol_01jdsecond")
)

func TestAdapter_VolumePricing(t *testing.T) {
	b := newFixture(t)
	places, err := b.VolumePricing(t.Context())
	if err != nil || len(places) != 4 {
		t.Fatalf("%+v, %v", places, err)
	}
	want := []provider.VolumePricing{
		{Region: "data-crunch-fin-01", PerGBHour: 109, MinSizeGB: 10, MaxSizeGB: 10000},
		{Region: "data-crunch-fin-02", PerGBHour: 109, MinSizeGB: 10, MaxSizeGB: 10000},
		{Region: "spheron-ai-eu-1", PerGBHour: 109, MinSizeGB: 1, MaxSizeGB: 2000},
		{Region: "voltage-park-us-dallas-1", PerGBHour: 109, MinSizeGB: 10, MaxSizeGB: 64000},
	}
	for i, p := range places {
		if p != want[i] {
			t.Errorf("%+v, want %+v", p, want[i])
		}
	}
	before := b.sent()
	if _, err := b.VolumePricing(t.Context()); err != nil || b.sent() != before {
		t.Errorf("asked for again at once: %v", err)
	}
}

// park launches a machine at voltage-park and lets it boot.
func (b *fixture) park(n int) {
	b.Helper()
	r := b.request(n)
	r.OfferKey, r.Region = "voltage-park/h100-sxm5/CLUSTER/8/vp-h100-8x-eth", "voltage-park-us-dallas-1"
	r.OperatingSystem = "Ubuntu 22.04"
	if _, err := b.Launch(b.Context(), r); err != nil {
		b.Fatal(err)
	}
	b.cloud.Advance(2 * time.Minute)
	b.wantState(n, provider.MachineReady, "")
}

func (b *fixture) create(reference id.ID, region string) provider.Volume {
	b.Helper()
	v, err := b.CreateVolume(
		b.Context(), provider.VolumeRequest{Reference: reference, Name: "data", Region: region, SizeGB: 100},
	)
	if err != nil || v.Reference != reference || !v.Ready || v.SizeGB != 100 {
		b.Fatalf("%+v, %v", v, err)
	}
	return v
}

func TestAdapter_AttachVolumeAtVoltagePark(t *testing.T) {
	b := newFixture(t)
	b.park(1)
	b.create(firstVolume, "voltage-park-us-dallas-1")
	b.create(secondVolume, "voltage-park-us-dallas-1")
	if err := b.AttachVolume(t.Context(), firstVolume, reference(1)); err != nil {
		t.Fatal(err)
	}
	v, err := b.Volume(t.Context(), firstVolume)
	if err != nil || v.AttachedTo != reference(1) || v.MountPath != "" {
		t.Errorf("%+v, %v", v, err)
	}
	wantKind(t, "a second", b.AttachVolume(t.Context(), secondVolume, reference(1)), provider.KindRejected)
	wantKind(t, "deleted while attached", b.DeleteVolume(t.Context(), firstVolume), provider.KindRejected)
	if n := b.count(0, "DELETE", ""); n != 0 {
		t.Error("the cloud was asked to delete what is attached")
	}
}

func TestAdapter_AttachVolumeOfAnotherSubprovider(t *testing.T) {
	b := newFixture(t)
	b.running(1) // at spheron-ai, whose cluster has the name of voltage-park's
	b.create(firstVolume, "voltage-park-us-dallas-1")
	wantKind(t, "attach", b.AttachVolume(t.Context(), firstVolume, reference(1)), provider.KindRejected)
	_, err := b.CreateVolume(
		t.Context(), provider.VolumeRequest{Reference: secondVolume, Region: "spheron-ai-us-dallas-1", SizeGB: 100},
	)
	wantKind(t, "where there are none", err, provider.KindNotFound)
}

func TestAdapter_CreateVolumeWithFaults(t *testing.T) {
	for _, kind := range []providertest.FaultKind{
		providertest.LostResponse, providertest.BadGatewayAfterEffect, providertest.LostRequest, providertest.HTMLPage,
		providertest.Throttled,
	} {
		b := newFixture(t)
		b.cloud.InjectFault(providertest.Fault{Kind: kind, Writes: true, Times: 1})
		r := provider.VolumeRequest{Reference: firstVolume, Region: "data-crunch-fin-01", SizeGB: 100}
		if _, err := b.CreateVolume(t.Context(), r); err == nil || provider.Decided(err) {
			t.Errorf("%s: %v", kind, err)
		}
		b.cloud.Settle()
		b.cloud.Advance(b.Info().SettleTime)
		v := b.create(firstVolume, "data-crunch-fin-01")
		all, err := b.Volumes(t.Context())
		if err != nil || len(all) != 1 || all[0] != v {
			t.Errorf("%s: %+v, %v", kind, all, err)
		}
	}
}

func TestAdapter_VolumesNeedsACompleteList(t *testing.T) {
	const one = `{"id":"1","name":"vol-01jdfirst","sizeInGb":5,"status":"%"}`
	for _, body := range []string{
		`{}`, `null`, `[]`, `{"data":[],"total":0}`, `{"volumes":[]}`, `{"volumes":[],"total":2}`,
		`{"volumes":[{}],"total":1}`, `{"volumes":[` + one + `],"total":2}`,
	} {
		a := canned(t, map[string]string{"/api/volumes": body, "/api/volumes?2": `{"volumes":[],"total":2}`})
		_, err := a.Volume(t.Context(), firstVolume)
		wantKind(t, "Volume from "+body, err, provider.KindUnavailable)
		wantKind(t, "DeleteVolume from "+body, a.DeleteVolume(t.Context(), firstVolume), provider.KindUnavailable)
	}
	for status, want := range map[string]provider.Volume{
		"available": {ID: "1", Reference: firstVolume, SizeGB: 5, Ready: true},
		"Attached":  {ID: "1", Reference: firstVolume, SizeGB: 5, Ready: true},
		"deleting":  {ID: "1", Reference: firstVolume, SizeGB: 5},
		"failed":    {ID: "1", Reference: firstVolume, SizeGB: 5, Failed: true},
		"pondering": {ID: "1", Reference: firstVolume, SizeGB: 5},
	} {
		a := canned(
			t,
			map[string]string{
				"/api/volumes":     `{"volumes":[` + strings.Replace(one, "%", status, 1) + `],"total":1}`,
				"/api/deployments": `[]`,
			},
		)
		if v, err := a.Volume(t.Context(), firstVolume); err != nil || v != want {
			t.Errorf("%s: %+v, %v", status, v, err)
		}
	}
	for name, second := range map[string]string{
		"fewer than before":   `{"volumes":[],"total":1}`,
		"a row that moved":    `{"volumes":[` + one + `],"total":2}`,
		"more than there was": `{"volumes":[{"id":"2","status":"available"}],"total":3}`,
	} {
		a := canned(
			t, map[string]string{"/api/volumes": `{"volumes":[` + one + `],"total":2}`, "/api/volumes?2": second},
		)
		_, err := a.Volume(t.Context(), secondVolume)
		wantKind(t, name, err, provider.KindUnavailable)
	}
	twice := `{"volumes":[` + one + `,` + strings.Replace(one, `"1"`, `"2"`, 1) + `],"total":2}`
	_, err := canned(t, map[string]string{"/api/volumes": twice}).Volume(t.Context(), firstVolume)
	wantKind(t, "two of one name", err, provider.KindUnavailable)
	_, err = canned(
		t, map[string]string{"/api/volumes": `{"volumes":[` + strings.Replace(one, "%", "deleted", 1) + `],"total":1}`},
	).Volume(t.Context(), firstVolume)
	wantKind(t, "a deleted one", err, provider.KindNotFound)
}
