package crashpoint

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// A suite whose crash never comes would prove nothing: only a step that exists, and a number of
// times that will come, are taken.
func FuzzParse(f *testing.F) {
	for _, s := range append(slices.Clone(All), "", "charge.before-commit:3", "charge.before-commit:0",
		"charge.before-commit:-1", "charge.before-commit:", ":", "x:1", "charge.before-commit:1:2",
		"charge.before-commit: 1", "charge.before-commit:9223372036854775808") {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		a, err := parse(s)
		if s == "" || err != nil {
			if a != nil || (s == "") != (err == nil) {
				t.Errorf("%q: %+v, %v", s, a, err)
			}
			if err != nil && !strings.HasPrefix(err.Error(), Variable+": ") {
				t.Errorf("%q: %v does not name the variable", s, err)
			}
			return
		}
		n := a.left.Load()
		if !slices.Contains(All, a.name) || n < 1 {
			t.Fatalf("%q arms %s, %d times", s, a.name, n)
		}
		name, _, _ := strings.Cut(s, ":")
		again, err := parse(fmt.Sprintf("%s:%d", a.name, n))
		if name != a.name || err != nil || again.name != a.name || again.left.Load() != n {
			t.Errorf("%q became %s:%d, then %+v, %v", s, a.name, n, again, err)
		}
	})
}
