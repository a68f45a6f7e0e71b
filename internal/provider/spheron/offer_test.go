package spheron_test

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/provider"
)

func TestAdapter_Offers(t *testing.T) {
	b := newFixture(t)
	offers, err := b.Offers(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, o := range offers {
		got = append(got, fmt.Sprintf("%s %s %s %dx%s %s %t ci=%t "+
			"vol=%t %s", o.Region, o.Key, o.InstanceType, o.GPUCount, o.GPUType, o.HourlyPrice.Decimal(), o.Available,
			o.Capabilities.CloudInit, o.Capabilities.Volumes, o.MinimumRuntime))
		if !o.Capabilities.SingleKey || o.Capabilities.Reboot || o.Capabilities.Power || o.Capabilities.Reinstall ||
			o.RegionName == "" {
			t.Errorf("%+v", o)
		}
	}
	want := []string{
		"data-crunch-fin-01 data-crunch/b200/DEDICATED/8/8B200.240V VM 8xb200 39.123457 true ci=true vol=true 20m0s",
		"data-crunch-fin-01 data-crunch/h100-sxm5/DEDICATED/1/1H100.80S.30V VM 1xh100-sxm5 2.1 true ci=true " +
			"vol=true 20m0s",
		"data-crunch-fin-01 data-crunch/h100-sxm5/SPOT/1/1H100.80S.30V SPOT 1xh100-sxm5 1.19 true ci=true " +
			"vol=true 20m0s",
		"data-crunch-fin-02 data-crunch/h100-sxm5/DEDICATED/1/1H100.80S.30V VM 1xh100-sxm5 2.1 true ci=true " +
			"vol=true 20m0s",
		"sesterce-eu-north sesterce/h100-sxm5-baremetal/DEDICATED/8/ses-h100-bm BARE_METAL 8xh100-sxm5 18.4 false " +
			"ci=false vol=false 20m0s",
		"spheron-ai-us-dallas-1 spheron-ai/rtx-4090/DEDICATED/1/sa-4090 VM 1xrtx-4090 0.49 true ci=false " +
			"vol=true 20m0s",
		"voltage-park-us-dallas-1 voltage-park/h100-sxm5/CLUSTER/8/vp-h100-8x-eth BARE_METAL 8xh100-sxm5 17.9 true " +
			"ci=true vol=true 1h0m0s",
	}
	if !slices.Equal(got, want) {
		t.Errorf("offers are\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	// However few groups a page has.
	b.cloud.PageMost(1)
	again, err := b.Offers(t.Context())
	if err != nil || !reflect.DeepEqual(again, offers) {
		t.Errorf("in pages of one group: %+v, %v", again, err)
	}
	b.cloud.SoldOut(true)
	if again, err = b.Offers(t.Context()); err != nil || len(again) != len(offers) || again[0].Available {
		t.Errorf("sold out: %+v, %v", again, err)
	}
}

const row = `{"provider":"p","offerId":"o","gpuCount":1,"gpu_memory":80,"vcpus":8.5,"memory":"64","storage":null,` +
	`"price":%s,"available":true,"clusters":["c"],"os_options":["u"],"instanceType":"DEDICATED"}`

func TestAdapter_OffersNeedsACompleteList(t *testing.T) {
	one := `{"gpuType":"h100","offers":[` + fmt.Sprintf(row, "1") + `]}`
	for name, bodies := range map[string][]string{
		"no groups":    {`{"total":0,"totalPages":1}`},
		"null":         {`null`},
		"nothing":      {``},
		"an array":     {`[]`},
		"not how many": {`{"data":[` + one + `]}`},
		"an empty page too early": {`{"data":[` + one + `],"total":2,"totalPages":2}`, `{"data":[],"total":2,` +
			`"totalPages":2}`},
		"fewer than before":      {`{"data":[` + one + `],"total":2}`, `{"data":[],"total":1}`},
		"a page that is missing": {`{"data":[` + one + `],"total":2,"totalPages":2}`, `{"total":2,"totalPages":2}`},
		"nothing but broken":     {`{"data":[{"gpuType":"h100","offers":[7]}],"total":1}`},
	} {
		_, err := canned(
			t, map[string]string{"/api/gpu-offers": bodies[0], "/api/gpu-offers?2": bodies[len(bodies)-1]},
		).Offers(t.Context())
		wantKind(t, name, err, provider.KindUnavailable)
	}
	two := strings.Replace(one, `"o"`, `"o2"`, 1)
	for name, bodies := range map[string][]string{
		"with a total": {`{"data":[` + one + `],"total":2}`, `{"data":[` + two + `],"total":2}`},
		"with pages":   {`{"data":[` + one + `],"totalPages":2}`, `{"data":[` + two + `],"totalPages":2}`},
	} {
		offers, err := canned(
			t, map[string]string{"/api/gpu-offers": bodies[0], "/api/gpu-offers?2": bodies[1]},
		).Offers(t.Context())
		if err != nil || len(offers) != 2 {
			t.Errorf("%s: %+v, %v", name, offers, err)
		}
	}
}

func TestAdapter_MalformedOffersAreSkipped(t *testing.T) {
	for change, want := range map[string]int{
		"":                                                           2,
		`"price":1|"price":"1.5"`:                                    2,
		`"price":1|"price":null`:                                     1,
		`"price":1|"price":{}`:                                       1,
		`"price":1|"price":-3`:                                       1,
		`"price":1|"price":2000000`:                                  1,
		`"gpuCount":1|"gpuCount":0`:                                  1,
		`"gpuCount":1|"gpuCount":[]`:                                 1,
		`"gpuCount":1|"gpuCount":1e300`:                              1,
		`"DEDICATED"|"RESERVED"`:                                     1,
		`"clusters":["c"]|"region":"c"`:                              2,
		`"clusters":["c"]|"clusters":[]`:                             1,
		`"clusters":["c"]|"clusters":["c","d"]`:                      3,
		`"clusters":["c"]|"clusters":["c","C"]`:                      2, // reads like the other's
		`"available":true|"maintenance":true`:                        1,
		`"available":true|"available":false`:                         2,
		`["u"]|[]`:                                                   1,
		`["u"]|["u","u"," v","` + "\\u0007" + `"]`:                   2,
		`"offerId":"o"|"offerId":"` + strings.Repeat("o", 128) + `"`: 1,
	} {
		from, to, _ := strings.Cut(change, "|")
		odd := strings.Replace(fmt.Sprintf(row, "1"), from, to, 1)
		other := strings.Replace(fmt.Sprintf(row, "2"), `"o"`, `"other"`, 1)
		offers, err := canned(
			t,
			map[string]string{
				"/api/gpu-offers": `{"data":[{"gpuType":"h100","offers":[` + odd + `,` + other + `]}],"total":1}`,
			},
		).Offers(t.Context())
		if err != nil || len(offers) != want {
			t.Errorf("%s: %d offers, %v; want %d", change, len(offers), err, want)
			continue
		}
		for _, o := range offers {
			if o.VCPUs != 8 || o.MemoryGB != 64 || o.StorageGB != 0 || len(o.OperatingSystems) != 1 ||
				o.MinimumRuntime != 20*time.Minute {
				t.Errorf("%s: %+v", change, o)
			}
		}
	}
}
