package shadeform

import (
	"strings"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/provider"
	"github.com/billetcloud/billet/internal/provider/upstream/upstreamtest"
)

const typeText = `{"cloud":"c","shade_instance_type":"t","deployment_type":"vm","hourly_price":210,` +
	`"configuration":{"memory_in_gb":1,"storage_in_gb":1,"vcpus":1,"num_gpus":1,"gpu_type":"H100",` +
	`"vram_per_gpu_in_gb":80,"os_options":["o"]},"availability":[{"region":"r","available":true}]}`

func TestOffersOf_SkipsTypes(t *testing.T) {
	for name, c := range map[string]struct {
		old, new string
		offers   int
	}{
		"as it is":               {"", "", 1},
		"cents as text":          {`210`, `"210"`, 1},
		"no price":               {`"hourly_price":210,`, ``, 0},
		"a null price":           {`210`, `null`, 0},
		"no cost":                {`210`, `0`, 0},
		"a negative price":       {`210`, `-1`, 0},
		"a price in words":       {`210`, `"cheap"`, 0},
		"far too dear":           {`210`, `1e15`, 0},
		"a container":            {`"vm"`, `"container"`, 0},
		"another kind":           {`"vm"`, `"spot"`, 0},
		"no GPU":                 {`"num_gpus":1`, `"num_gpus":0`, 0},
		"a negative size":        {`"vcpus":1`, `"vcpus":-1`, 0},
		"a fraction":             {`"vcpus":1`, `"vcpus":"many"`, 0},
		"no systems":             {`["o"]`, `[]`, 0},
		"a system twice":         {`["o"]`, `["o","o",""]`, 1},
		"no region":              {`"region":"r"`, `"region":""`, 0},
		"a region that is a way": {`"region":"r"`, `"region":"a/b"`, 0},
		"a region without name":  {`"region":"r"`, `"region":"\u00e9\n"`, 0},
		"nowhere":                {`[{"region":"r","available":true}]`, `[]`, 0},
		"a place twice": {`[{"region":"r","available":true}]`, `[{"region":"r","available":false},` +
			`{"region":"r","available":true}]`, 1},
	} {
		text := `{"instance_types":[{"cloud":7},` + strings.Replace(typeText, c.old, c.new, 1) + `]}`
		offers, left, err := offersOf([]byte(text), false)
		if err != nil || len(offers) != c.offers || left == 0 {
			t.Errorf("%s: %+v, %d left out, %v", name, offers, left, err)
		}
		for _, o := range offers {
			if !o.Available || o.HourlyPrice != 2_100_000 || len(o.OperatingSystems) != 1 {
				t.Errorf("%s: %+v", name, o)
			}
		}
	}
}

func TestMalformedLists(t *testing.T) {
	for _, text := range []string{
		``, `null`, `{}`, `[]`, `{"instances":null,"instance_types":null}`, `{"instances":[{}],"instance_types":{}}`,
		`{"instances":[{"id":"1"}]}`, `{"instances":[{"status":"active"}]}`, `{"instances":[`,
	} {
		if all, err := machinesOf([]byte(text)); err == nil || provider.KindOf(err) != provider.KindUnavailable {
			t.Errorf("%s: %+v, %v", text, all, err)
		}
		if all, _, err := offersOf([]byte(text), false); err == nil ||
			provider.KindOf(err) != provider.KindUnavailable {
			t.Errorf("%s: %+v, %v", text, all, err)
		}
	}
}

func TestWireInstance_Observed(t *testing.T) {
	for name, c := range map[string]struct {
		machine wireInstance
		address string
		user    string
		port    int
	}{
		"all said":     {wireInstance{IP: "10.1.2.3", SSHUser: "ubuntu", SSHPort: 2222}, "10.1.2.3", "ubuntu", 2222},
		"nothing said": {wireInstance{IP: "10.1.2.3"}, "10.1.2.3", "shadeform", 22},
		"a name":       {wireInstance{IP: "m1.example.com"}, "m1.example.com", "shadeform", 22},
		"no port":      {wireInstance{IP: "10.1.2.3", SSHPort: 70000}, "", "", 0},
	} {
		if s := c.machine.observed(); s.Address != c.address || s.SSHUser != c.user || s.SSHPort != c.port {
			t.Errorf("%s: %+v", name, s)
		}
	}
}

func FuzzAnswers(f *testing.F) {
	f.Add([]byte(`{"instance_types":[` + typeText + `]}`))
	f.Add([]byte(`{"instances":[{"id":"1","status":"active","ip":"10.0.0.1","ssh_port":22,"tags":["dep-01jd"],` +
		`"created_at":"2026-01-02T03:04:05Z"}]}`))
	f.Add([]byte(`{"error_code":"OUT_OF_STOCK","error":"no"}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		if offers, _, err := offersOf(b, false); err == nil {
			if err := upstreamtest.Believable(offers); err != nil {
				t.Error(err)
			}
			for _, o := range offers {
				if _, _, _, whole := cutKey(o.Key); !whole {
					t.Errorf("the key %q cannot be launched from", o.Key)
				}
			}
		}
		all, err := machinesOf(b)
		if err != nil && provider.KindOf(err) != provider.KindUnavailable {
			t.Error(err)
		}
		for _, s := range all {
			if s.ID == "" || s.Status == "" || s.SSHPort < 0 || s.SSHPort > 65535 {
				t.Errorf("%+v", s)
			}
		}
		explain(409, b)
	})
}

func TestOffersOf_OnDemandOnly(t *testing.T) {
	for name, c := range map[string]struct {
		rows      string
		offers    int
		available bool
	}{
		"on demand is sold out, spot is not": {
			`{"region":"fi-1","available":false,"rental_type":"on_demand"},{"region":"fi-1","available":true,` +
				`"rental_type":"spot"}`,
			1, false,
		},
		"the other order": {`{"region":"fi-1","available":true,"rental_type":"spot"},{"region":"fi-1",` +
			`"available":false,"rental_type":"on_demand"}`, 1, false},
		"spot alone":     {`{"region":"fi-1","available":true,"rental_type":"spot"}`, 0, false},
		"reserved alone": {`{"region":"fi-1","available":true,"rental_type":"reserved"}`, 0, false},
		"without a type": {`{"region":"fi-1","available":true}`, 1, true},
		"on demand":      {`{"region":"fi-1","available":true,"rental_type":"on_demand"}`, 1, true},
	} {
		text := strings.Replace(typeText, `{"region":"r","available":true}`, c.rows, 1)
		offers, _, err := offersOf([]byte(`{"instance_types":[`+text+`]}`), false)
		if err != nil || len(offers) != c.offers || len(offers) > 0 &&
			(offers[0].Available != c.available || offers[0].InstanceType != provider.VM) {
			t.Errorf("%s: %+v, %v", name, offers, err)
		}
	}
}

func TestWireType_LaunchLimit(t *testing.T) {
	for boot, want := range map[string]time.Duration{
		``: 0, `"boot_time":null,`: 0, `"boot_time":{"max_boot_in_sec":0},`: 0,
		`"boot_time":{"max_boot_in_sec":-1},`:                            0,
		`"boot_time":{"min_boot_in_sec":60,"max_boot_in_sec":120},`:      15 * time.Minute,
		`"boot_time":{"min_boot_in_sec":180,"max_boot_in_sec":600},`:     25 * time.Minute,
		`"boot_time":{"min_boot_in_sec":900,"max_boot_in_sec":2400},`:    70 * time.Minute,
		`"boot_time":{"min_boot_in_sec":14400,"max_boot_in_sec":20820},`: -1, // slower than any launch may be
		`"boot_time":{"max_boot_in_sec":9007199254740991},`:              -1,
	} {
		text := strings.Replace(typeText, `"deployment_type"`, boot+`"deployment_type"`, 1)
		offers, left, err := offersOf([]byte(`{"instance_types":[`+text+`]}`), false)
		if err != nil || (want < 0) != (len(offers) == 0) || (want < 0) != (left == 1) || len(offers) > 0 &&
			offers[0].LaunchLimit != want {
			t.Errorf("%s: %+v, %d, %v; want %s", boot, offers, left, err, want)
		}
	}
}

func TestWireInstance_Cost(t *testing.T) {
	all, err := machinesOf([]byte(`{"instances":[
		{"id":"1","status":"active","hourly_price":331},
		{"id":"2","status":"active","hourly_price":331,"rental_terms":{"hourly_price":2.01}},
		{"id":"3","status":"active","hourly_price":331,"rental_terms":{"hourly_price":"2.015"}},
		{"id":"4","status":"active","hourly_price":"dear","rental_terms":null},
		{"id":"5","status":"active"}]}`))
	if err != nil || len(all) != 5 {
		t.Fatal(all, err)
	}
	for i, want := range []money.Micros{3_310_000, 2_010_000, 2_015_000, 0, 0} {
		if all[i].HourlyCost != want {
			t.Errorf("machine %d costs %s, want %s", i+1, all[i].HourlyCost, want)
		}
	}
}
