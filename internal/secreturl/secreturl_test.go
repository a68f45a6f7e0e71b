package secreturl_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/billetcloud/billet/internal/secreturl"
)

func TestNoPartOfAPasswordIsInAMessage(t *testing.T) {
	for _, password := range []string{
		"p@XX#wQZ", "QZ/ZQ", "QZ?ZQ", "QZ#ZQ", "QZ%ZQ", "QZ%", "QZ[ZQ", "QZ]ZQ", "QZ ZQ", "@QZ/ZQ", "QZ:8/ZQ@ZQ", "QZ@8?ZQ", "QZ\x00ZQ", "QZ\\ZQ", "QZ\"ZQ", "Q<Z>ZQ", "QZ?a=ZQ",
	} {
		_, err := secreturl.Parse("postgres://user:"+password+"@db.example:5432/billet", "postgres", "postgresql")
		if err == nil {
			t.Errorf("%q was taken unescaped", password)
			continue
		}
		if strings.Contains(err.Error(), "Q") || strings.Contains(err.Error(), "XX") || !strings.Contains(err.Error(), "%40") {
			t.Errorf("%q: %v", password, err)
		}
		u, err := secreturl.Parse("postgres://user:"+url.QueryEscape(password)+"@db.example:5432/billet", "postgres")
		if err != nil {
			t.Errorf("%q, escaped: %v", password, err)
			continue
		}
		if got, _ := u.User.Password(); strings.ReplaceAll(got, "+", " ") != password || u.Host != "db.example:5432" {
			t.Errorf("%q, escaped, became %q at %q", password, got, u.Host)
		}
	}
	if _, err := secreturl.Parse("mysql://u:QZ@h/d", "postgres", "postgresql"); err == nil || err.Error() != "must begin with postgres:// or postgresql://" {
		t.Error(err)
	}
}

func TestUsualURLsPass(t *testing.T) {
	for _, text := range []string{
		"postgres://h/d", "postgres://u@h/d", "postgres://u:p@h:5432/d?sslmode=disable", "postgres:///d?host=/run/postgresql", "POSTGRES://u:p@h/d",
		"postgres://u:p@a:1,b:2/d?target_session_attrs=read-write", "postgres://u:p@[::1]:5432/d", "postgres://u:p@ss@h/d", "postgres://u:p!$&'()*+,;=~._-@h/d",
	} {
		if _, err := secreturl.Parse(text, "postgres"); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
}
