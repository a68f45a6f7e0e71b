package fault_test

import (
	"strings"
	"testing"

	"github.com/billetcloud/billet/internal/fault"
)

func TestCheckName(t *testing.T) {
	for _, good := range []string{"a", "my laptop", "训练", "naïve 🤖", "it's <b>", strings.Repeat("é", 64)} {
		if f := fault.CheckName("name", good); f != nil {
			t.Errorf("%q: %v", good, f)
		}
	}
	for bad, reason := range map[string]string{
		"":                                   "missing",
		"a\xff":                              "UTF-8",
		strings.Repeat("é", 65):              "has 65 characters",
		"a\nb":                               "control character",
		"a\x00":                              "control character",
		"a\u0085b":                           "control character",
		"a\u2028b":                           "line break",
		"a\u202eb":                           "direction",
		"a\ufeffb":                           "direction",
		"  ":                                 "nothing but spaces",
		" a":                                 "begins or ends",
		"a\u00a0":                            "begins or ends",
		"a" + strings.Repeat(" ", 63) + "\t": "characters",
	} {
		f := fault.CheckName("tags[2]", bad)
		if len(f) != 1 || f[0].Field != "tags[2]" || !strings.Contains(f[0].Message, reason) {
			t.Errorf("%q: %v, want %q", bad, f, reason)
		}
	}
}
