package latitude

import (
	"encoding/json"
	"testing"
)

// What the cloud calls cores is those of all processors for some plans, and of one for others.
func TestVCPUs(t *testing.T) {
	for text, want := range map[string]int{
		`{"type":"AMD 9355","cores":64,"count":2}`:       64,
		`{"type":"AMD Epyc 9555","cores":64,"count":2}`:  128,
		`{"type":"AMD EPYC 9354","cores":32,"count":2}`:  64,
		`{"type":"AMD EPYC 9354P","cores":32,"count":1}`: 32,
		`{"type":"Xeon 8568Y+","cores":96,"count":2}`:    96,
		`{"type":"something new","cores":48,"count":2}`:  48,
		`{"cores":48,"count":0}`:                         48,
		`{"type":"AMD 9355","cores":32,"count":null}`:    32,
	} {
		var p plan
		if err := json.Unmarshal([]byte(`{"slug":"p","specs":{"cpu":`+text+`}}`), &p); err != nil {
			t.Fatal(err)
		}
		if o, _ := p.offer(); o.VCPUs != want {
			t.Errorf("%s has %d cores, want %d", text, o.VCPUs, want)
		}
	}
}
