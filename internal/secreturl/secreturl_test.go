package secreturl_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/billetcloud/billet/internal/secreturl"
)

func TestParse_PasswordsAreNotShown(t *testing.T) {
	t.Parallel()
	for _, password := range []string{
		"p@XX#wQZ", "QZ/ZQ", "QZ?ZQ", "QZ#ZQ", "QZ%ZQ", "QZ%", "QZ[ZQ", "QZ]ZQ", "QZ ZQ", "@QZ/ZQ", "QZ:8/ZQ@ZQ",
		"QZ@8?ZQ", "QZ\x00ZQ",
		"QZ\\ZQ", "QZ\"ZQ", "Q<Z>ZQ", "QZ?a=ZQ",
	} {
		_, err := secreturl.Parse("postgres://user:"+password+"@db.example:5432/billet", "postgres", "postgresql")
		if err == nil {
			t.Errorf("unescaped password %q: got no error", password)
			continue
		}
		if strings.Contains(err.Error(), "Q") || strings.Contains(err.Error(), "XX") ||
			!strings.Contains(err.Error(), "%40") {
			t.Errorf("unescaped password %q: got %v, want the escapes and nothing of the password", password, err)
		}
		u, err := secreturl.Parse("postgres://user:"+url.QueryEscape(password)+"@db.example:5432/billet", "postgres")
		if err != nil {
			t.Errorf("escaped password %q: %v", password, err)
			continue
		}
		if got, _ := u.User.Password(); strings.ReplaceAll(got, "+", " ") != password || u.Host != "db.example:5432" {
			t.Errorf("escaped password %q: got %q at host %q", password, got, u.Host)
		}
	}
}

func TestParse_Errors(t *testing.T) {
	t.Parallel()
	const port, query = "has an invalid port; a port is a number from 1 to 65535", "has invalid parameters after the " +
		"?; write them as name=value, separated by &"
	for _, c := range []struct{ url, want string }{
		{"mysql://u:QZ@h/d", "must begin with postgres:// or postgresql://"},
		{"QZ", "must begin with postgres:// or postgresql://"},
		{"postgres://u:QZ@h:54x2/d", port},
		{"postgres://u:QZ@h:/d", port},
		{"postgres://u:QZ@h:0/d", port},
		{"postgres://u:QZ@h:70000/d", port},
		{"postgres://u:QZ@h:-1/d", port},
		{"postgres://u:QZ@a:1,b:x/d", port},
		{"postgres://u:QZ@[::1]:x/d", port},
		{"postgres://u:QZ", port}, // a user and a password without a host
		{"postgres://u:QZ@h/d?a=%ZZ", query},
	} {
		if _, err := secreturl.Parse(c.url, "postgres", "postgresql"); err == nil || err.Error() != c.want {
			t.Errorf("%s: got %v, want %q", c.url, err, c.want)
		}
	}
}

func TestParse_AcceptsUsualURLs(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"postgres://h/d", "postgres://u@h/d", "postgres://u:p@h:5432/d?sslmode=disable",
		"postgres:///d?host=/run/postgresql",
		"POSTGRES://u:p@h/d", "postgres://u:p@a:1,b:2/d?target_session_attrs=read-write", "postgres://u:p@[::1]:5432/d",
		"postgres://u:p@[::1]/d", "postgres://u:p@ss@h/d", "postgres://u:p!$&'()*+,;=~._-@h/d",
	} {
		if _, err := secreturl.Parse(text, "postgres"); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
}
