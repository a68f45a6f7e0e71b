package signup

import (
	"strings"
	"testing"

	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/settings"
)

func TestAdmit(t *testing.T) {
	t.Parallel()
	domains := []string{"example.com", "example.org"}
	for _, c := range []struct {
		policy  settings.SignUpPolicy
		email   string
		invited bool
		want    apierr.Code // "" for admitted
	}{
		{settings.Closed, "ada@example.com", false, apierr.SignUpClosed},
		{settings.Closed, "ada@example.com", true, apierr.SignUpClosed},
		{"", "ada@example.com", false, apierr.SignUpClosed},
		{settings.Invitation, "ada@example.com", false, apierr.SignUpClosed},
		{settings.Invitation, "ada@example.com", true, ""},
		{settings.Domains, "ada@example.com", false, ""},
		{settings.Domains, "ada@EXAMPLE.org", false, ""},
		{settings.Domains, "ada@example.net", false, apierr.InvalidRequest},
		{settings.Domains, "ada@sub.example.com", false, apierr.InvalidRequest},
		{settings.Domains, "ada@example.com.evil.net", false, apierr.InvalidRequest},
		{settings.Domains, "example.com", false, apierr.InvalidRequest},
		{settings.Domains, "ada@example.net", true, ""},
		{settings.Open, "ada@example.net", false, ""},
	} {
		err := admit(settings.SignUp{Policy: c.policy, Domains: domains}, c.email, c.invited)
		switch {
		case c.want == "" && err != nil:
			t.Errorf("%s, %s, invited %t: got %v, want admitted", c.policy, c.email, c.invited, err)
		case c.want != "" && (err == nil || apierr.CodeOf(err) != c.want):
			t.Errorf("%s, %s, invited %t: got %v, want %s", c.policy, c.email, c.invited, err, c.want)
		}
	}
}

func TestAcceptTerms(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		current, accepted, want string
	}{
		{"", "", ""},
		{"2028-01", "2028-01", ""},
		{"2028-01", "", "must be 2028-01"},
		{"2028-01", "2027-01", "must be 2028-01"},
		{"", "2027-01", "must be empty"},
	} {
		err := acceptTerms(settings.Installation{TermsVersion: c.current}, c.accepted)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("terms %q, accepted %q: got %v, want %q", c.current, c.accepted, err, c.want)
		}
	}
}

func TestCreditKey(t *testing.T) {
	t.Parallel()
	for _, same := range [][2]string{
		{"ada@example.com", "ADA@example.com"}, {"ada@example.com", "ada+second@example.com"},
		{"a.da@gmail.com", "ada@gmail.com"}, {"ada@googlemail.com", "ada+x@gmail.com"},
	} {
		if creditKey(same[0]) != creditKey(same[1]) {
			t.Errorf("%s and %s are one mailbox and have two keys", same[0], same[1])
		}
	}
	for _, other := range []string{"a.da@example.com", "ada@example.org", "bob@example.com"} {
		if creditKey("ada@example.com") == creditKey(other) {
			t.Errorf("ada@example.com and %s are two mailboxes and have one key", other)
		}
	}
	if key := creditKey("ada@example.com"); strings.Contains(key, "ada") {
		t.Errorf("the key %s contains the address", key)
	}
}
