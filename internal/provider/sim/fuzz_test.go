package sim

import (
	"encoding/json"
	"math"
	"strconv"
	"strings"
	"testing"

	"github.com/billetcloud/billet/internal/money"
)

// A length of time is written as it was meant, and what is taken lies within bounds.
func FuzzSpan(f *testing.F) {
	for _, s := range []string{"5", "1-5", "30-240-1500", "0", "-1", "1--5", "5-1", "NaN", "Inf", "1e400", "0x1p3",
		"1_0", "", "-", "1-2-3-4", "0-0-1", "31622401", "1e-320", "0.1-0.3"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, err := ParseSpan(s)
		if err != nil {
			if got != (Span{}) {
				t.Errorf("%q: %v with %v", s, got, err)
			}
			return
		}
		for _, n := range []float64{got.Min, got.Median, got.Max} {
			if !(n >= 0 && n <= maxSeconds) {
				t.Fatalf("%q is %+v", s, got)
			}
		}
		if again, err := ParseSpan(got.String()); err != nil || again != got {
			t.Errorf("%q is %+v, written %q, read %+v, %v", s, got, got, again, err)
		}
		if !(got.Min <= got.Median && got.Median <= got.Max) {
			return // which is for the fault to refuse
		}
		for _, random := range []uint64{0, 1, math.MaxUint64 / 2, math.MaxUint64} {
			if d := got.pick(random).Seconds(); d < got.Min-1e-6 || d > got.Max+1e-6 {
				t.Errorf("%q lasts %g seconds", s, d)
			}
		}
	})
}

// A script of stock begins somewhere, moves forward and has no fewer than none.
func FuzzStock(f *testing.F) {
	for _, s := range []string{"4", "0s:4,10m:0", "10m:0,0s:4", "-1", "4,5", "0s:4,", "1h:1", "0s:-1", "0s:4,0s:5",
		"", ":", "1e9", "99999999999999999999"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		steps, err := parseStock(s)
		if err != nil {
			return
		}
		var parts []string
		for i, x := range steps {
			if x.stock < 0 || x.after < 0 || i > 0 && x.after <= steps[i-1].after {
				t.Fatalf("%q is %+v", s, steps)
			}
			parts = append(parts, x.after.String()+":"+strconv.Itoa(x.stock))
		}
		again, err := parseStock(strings.Join(parts, ","))
		if err != nil || len(again) != len(steps) || len(steps) != strings.Count(s, ",")+1 {
			t.Fatalf("%q is %+v, written again %+v, %v", s, steps, again, err)
		}
		for i := range steps {
			if again[i] != steps[i] {
				t.Errorf("%q is %+v, written again %+v", s, steps, again)
			}
		}
	})
}

// Whatever is done to a price, it stays one that can be asked for an hour: more than nothing, and
// within bounds.
func FuzzPrice(f *testing.F) {
	for _, s := range []string{"+25%", "-10%", "40.00", "0", "-1", "100001", "-100%", "1001%", "%", "+%", "", "1e3",
		"--5%", "0%", "1000%"} {
		f.Add(s, int64(23_920_000))
	}
	f.Add("-99%", int64(1))
	f.Fuzz(func(t *testing.T, s string, price int64) {
		change, err := parsePrice(s)
		if err != nil || price < 1 || money.Micros(price) > money.Dollars(100_000) {
			return
		}
		got := change(money.Micros(price))
		if got < 1 || got > money.Dollars(1_100_000) {
			t.Errorf("%q makes %d of %d", s, got, price)
		}
		if percent, relative := strings.CutSuffix(s, "%"); relative {
			n, err := strconv.ParseInt(percent, 10, 64)
			if want := max(1, (price*(100+n)+50)/100); err != nil || int64(got) != want {
				t.Errorf("%q makes %d of %d, not %d", s, got, price, want)
			}
		} else if want, err := money.Parse(s); err != nil || got != want {
			t.Errorf("%q makes %d", s, got)
		}
	})
}

// A fault that is taken is taken as it is kept, and one that is refused says why.
func FuzzFault(f *testing.F) {
	for _, k := range FaultKinds() {
		f.Add(`{"kind":"` + string(k.Kind) + `"}`)
		f.Add(
			`{"kind":"` + string(k.Kind) + `","percent":20,"count":2,"value":"4","forSeconds":60,"seed":7,` +
				`"operation":"launch","offer":"off_abc123","provider":"voltage-park",` +
				`"seconds":{"min":1,"median":2,"max":3}}`,
		)
		f.Add(
			`{"kind":"` + string(k.Kind) + `","percent":101,"count":-1,"forSeconds":-1,"value":"x",` +
				`"provider":"no-such","seconds":{"min":3,"median":2,"max":1}}`,
		)
	}
	sources, err := readCatalog(catalogJSON)
	if err != nil {
		f.Fatal(err)
	}
	w := &World{sources: sources}
	f.Fuzz(func(t *testing.T, text string) {
		var given Fault
		if json.Unmarshal([]byte(text), &given) != nil {
			return
		}
		got, err := w.checked(given)
		if err != nil {
			if err.Error() == "" {
				t.Errorf("%s: no reason", text)
			}
			return
		}
		if got.Percent < 0 || got.Percent > 100 || got.Count < 0 || got.ForSeconds < 0 || got.Kind != given.Kind ||
			got.Injected != 0 ||
			got.Checked != 0 {
			t.Errorf("%s became %+v", text, got)
		}
		kept, err := json.Marshal(got)
		var read Fault
		if err == nil {
			err = json.Unmarshal(kept, &read)
		}
		if err != nil {
			t.Fatal(err)
		}
		if again, err := w.checked(read); err != nil || again != got {
			t.Errorf("%s became %s, then %+v, %v", text, kept, again, err)
		}
	})
}
