package idempotency_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/billetcloud/billet/internal/idempotency"
)

var visible = regexp.MustCompile(`\A[!-~]{1,255}\z`)

func FuzzValidKey(f *testing.F) {
	for _, s := range []string{"k", "", " ", "a b", "é", "\xff", "\x7f", "~", "!", strings.Repeat("k", 255),
		strings.Repeat("k", 256), "a\n", "\x00"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if got := idempotency.ValidKey(s); got != visible.MatchString(s) {
			t.Errorf("%q: %t", s, got)
		}
	})
}
