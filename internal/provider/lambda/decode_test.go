package lambda

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/billetcloud/billet/internal/provider"
	"github.com/billetcloud/billet/internal/provider/upstream/upstreamtest"
)

const typeText = `"t":{"instance_type":{"name":"t","gpu_description":"H100 (80 GB SXM5)","price_cents_per_hour":299,` +
	`"specs":{"vcpus":1,"memory_gib":1000,"storage_gib":1,"gpus":1}},"regions_with_capacity_available":[{"name":"r",` +
	`"description":"R"}]}`

func TestOffersOf_SkipsTypes(t *testing.T) {
	for name, c := range map[string]struct {
		old, new string
		offers   int
	}{
		"as it is":                {"", "", 1},
		"cents as text":           {`299`, `"299"`, 1},
		"no space":                {`80 GB SXM5`, `80GB`, 1},
		"no price":                {`"price_cents_per_hour":299,`, ``, 0},
		"a null price":            {`299`, `null`, 0},
		"no cost":                 {`299`, `0`, 0},
		"far too dear":            {`299`, `1e15`, 0},
		"no GPU":                  {`"gpus":1`, `"gpus":0`, 0},
		"no memory of the GPU":    {`H100 (80 GB SXM5)`, `H100`, 0},
		"no description":          {`H100 (80 GB SXM5)`, `N/A`, 0},
		"a negative size":         {`"vcpus":1`, `"vcpus":-1`, 0},
		"too large a size":        {`"memory_gib":1000`, `"memory_gib":9223372036854775807`, 0},
		"a size in words":         {`"vcpus":1`, `"vcpus":"many"`, 0},
		"another name":            {`"name":"t"`, `"name":"u"`, 0},
		"no list of regions":      {`[{"name":"r","description":"R"}]`, `null`, 0},
		"a region that is a way":  {`"name":"r"`, `"name":"a/b"`, 0},
		"a region without a name": {`"name":"r"`, `"name":"\n"`, 0},
		"a region without a slug": {`"name":"r"`, `"name":"光"`, 0},
		"a region twice": {`[{"name":"r","description":"R"}]`, `[{"name":"r","description":"\n"},` +
			`{"name":"r","description":"\n"}]`, 1},
	} {
		text := `{"data":{` + strings.Replace(typeText, c.old, c.new, 1) + `,"x":7}}`
		offers, left, err := offersOf([]byte(text), nil, map[string]map[string]wireRegion{})
		if err != nil || len(offers) != c.offers || left == 0 {
			t.Errorf("%s: %+v, %d left out, %v", name, offers, left, err)
		}
		for _, o := range offers {
			if !o.Available || o.HourlyPrice != 2_990_000 || o.MemoryGB != 1073 || o.StorageGB != 1 ||
				o.GPUMemoryGB != 80 || o.RegionName == "" {
				t.Errorf("%s: %+v", name, o)
			}
		}
	}
}

func TestOffersOf_ForgetsTypesThatAreNoLongerSold(t *testing.T) {
	seen := map[string]map[string]wireRegion{}
	full := `{"data":{` + typeText + `}}`
	for i, text := range []string{full, `{"data":{}}`, full} {
		want := (i + 1) % 2
		if offers, _, err := offersOf([]byte(text), nil, seen); err != nil || len(offers) != want || len(seen) != want {
			t.Errorf("%+v, %v, seen %v", offers, err, seen)
		}
	}
}

func TestMalformedLists(t *testing.T) {
	for _, text := range []string{``, `null`, `{}`, `[]`, `{"data":null}`, `{"data":7}`, `{"data":[{}`} {
		machines, err := machinesOf([]byte(text))
		if err == nil || provider.KindOf(err) != provider.KindUnavailable {
			t.Errorf("%s: %+v, %v", text, machines, err)
		}
		if _, _, err := offersOf([]byte(text), nil, nil); err == nil ||
			provider.KindOf(err) != provider.KindUnavailable {
			t.Errorf("%s: %v", text, err)
		}
		if _, err := systemsOf([]byte(text)); err == nil || provider.KindOf(err) != provider.KindUnavailable {
			t.Errorf("%s: %v", text, err)
		}
	}
	for _, text := range []string{
		`{"data":[{}]}`, `{"data":[{"id":"1"}]}`, `{"data":[{"status":"active"}]}`,
		`{"data":[{"id":"1","status":"active"},{}]}`,
	} {
		if machines, err := machinesOf([]byte(text)); err == nil || provider.KindOf(err) != provider.KindUnavailable {
			t.Errorf("%s: %+v, %v", text, machines, err)
		}
	}
}

func FuzzAnswers(f *testing.F) {
	f.Add(
		[]byte(`{"data":{`+typeText+`}}`),
		[]byte(`{"data":[{"family":"f","architecture":"x86_64","region":{"name":"r"}}]}`),
	)
	f.Add(
		[]byte(`{"error":{"code":"global/conflict"}}`),
		[]byte(`{"data":[{"id":"1","status":"active","ip":"10.0.0.1","tags":[{"key":"billet","value":"dep-01jd"},`+
			`{"key":"billet-launched","value":"1767323045"}]}]}`),
	)
	f.Fuzz(func(t *testing.T, types, lists []byte) {
		systems, err := systemsOf(lists)
		if err != nil && provider.KindOf(err) != provider.KindUnavailable {
			t.Error(err)
		}
		seen := map[string]map[string]wireRegion{}
		for range 2 { // the second has seen the first
			offers, _, err := offersOf(types, systems, seen)
			if err == nil {
				err = upstreamtest.Believable(offers)
			} else if provider.KindOf(err) == provider.KindUnavailable {
				err = nil
			}
			if err != nil {
				t.Error(err)
			}
			for _, o := range offers {
				if kind, region, whole := strings.Cut(o.Key, "/"); !whole || kind == "" ||
					strings.Contains(region, "/") {
					t.Errorf("the key %q cannot be launched from", o.Key)
				}
			}
		}
		all, err := machinesOf(lists)
		if err != nil && provider.KindOf(err) != provider.KindUnavailable {
			t.Error(err)
		}
		for _, s := range all {
			if s.ID == "" || s.Status == "" {
				t.Errorf("%+v", s)
			}
		}
		explain(409, types)
	})
}

func TestWireType_Architecture(t *testing.T) {
	for text, want := range map[string]string{
		`{"name":"gpu_1x_new","architecture":"arm64"}`:    "arm64",
		`{"name":"gpu_1x_gh200","architecture":"x86_64"}`: "x86_64",
		`{"name":"gpu_1x_gh200"}`:                         "arm64",
		`{"name":"gpu_1x_a10","architecture":null}`:       "x86_64",
	} {
		var one wireType
		if err := json.Unmarshal([]byte(`{"instance_type":`+text+`}`), &one); err != nil || one.architecture() != want {
			t.Errorf("%s runs on %s, %v; want %s", text, one.architecture(), err, want)
		}
	}
}

func TestWireInstance_Cost(t *testing.T) {
	all, err := machinesOf([]byte(`{"data":[
		{"id":"1","status":"active","instance_type":{"name":"gpu_1x_a10","price_cents_per_hour":129}},
		{"id":"2","status":"active","instance_type":{"price_cents_per_hour":"dear"}},
		{"id":"3","status":"unhealthy"}]}`))
	if err != nil || len(all) != 3 || all[0].HourlyCost != 1_290_000 || all[1].HourlyCost != 0 ||
		all[2].HourlyCost != 0 || !all[2].Unhealthy || all[0].Unhealthy {
		t.Errorf("%+v, %v", all, err)
	}
}
