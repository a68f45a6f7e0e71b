package id_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/billetcloud/billet/internal/id"
)

var form = regexp.MustCompile(`^[a-z]{3}_[a-z0-9]{1,36}$`)

// An id is valid for its own kind, for no other, and for none where it has another form.
func FuzzValid(f *testing.F) {
	for _, s := range []string{"dep_01jd0000000000000000000000", "off_abc123", "dep_", "_x", "dep", "", "dep_A",
		"dep_a_b", "dep_\x00", "dep_é", "dep_" + strings.Repeat("a", 36), "dep_" + strings.Repeat("a", 37), "dep_a\n"} {
		f.Add(s)
	}
	kinds := []id.Kind{id.Offer, id.Deployment, id.APIKey, id.SSHKey, id.Volume, id.Transaction, id.Event, id.Account,
		id.User, id.Session, id.Job, id.Request}
	f.Fuzz(func(t *testing.T, s string) {
		x := id.ID(s)
		for _, k := range kinds {
			want := form.MatchString(s) && len(s) <= id.MaxLength && s[:3] == string(k) && !strings.HasSuffix(s, "\n")
			if x.Valid(k) != want {
				t.Fatalf("%q as %s: %t", s, k, !want)
			}
			if want && x.Kind() != k {
				t.Fatalf("%q is of the kind %q", s, x.Kind())
			}
		}
		if k := x.Kind(); k != "" && !strings.HasPrefix(s, string(k)+"_") {
			t.Fatalf("%q is of the kind %q", s, k)
		}
	})
}
