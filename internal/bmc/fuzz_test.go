package bmc

import (
	"net/url"
	"strings"
	"testing"
	"unicode/utf8"
)

// FuzzLocal: no link of a BMC leads to another host.
func FuzzLocal(f *testing.F) {
	for _, s := range []string{
		"/redfish/v1/Systems/1", "https://10.0.0.5/x?y=1", "//evil/x", "https://evil", "\\\\evil\\x", "x/../..", "?a",
		"#b", "https://10.0.0.5@evil/", "https:evil", "/%2f%2fevil",
	} {
		f.Add(s)
	}
	b := &BMC{base: &url.URL{Scheme: "https", Host: "10.0.0.5", Path: "/"}}
	f.Fuzz(func(t *testing.T, link string) {
		path, err := b.local(link)
		if err != nil {
			return
		}
		u, err := url.Parse(b.base.Scheme + "://" + b.base.Host + path)
		if err != nil || u.Host != "10.0.0.5" || u.User != nil || u.Scheme != "https" || !strings.HasPrefix(path, "/") {
			t.Errorf("%q leads to %v, %v", link, u, err)
		}
	})
}

// FuzzExplanation: what a BMC says is cut, can be shown, and has no password.
func FuzzExplanation(f *testing.F) {
	for _, s := range []string{
		`{"error":{"message":"no","@Message.ExtendedInfo":[{"Message":"hunter2 is wrong","MessageId":"Base.1.8.X"}]}}`,
		`{"error":{"message":"hunter2"}}`, `<html>`, "", `{"error":[]}`, strings.Repeat("hunter2\x00\n", 200),
	} {
		f.Add([]byte(s))
	}
	b := &BMC{password: "hunter2"}
	f.Fuzz(func(t *testing.T, body []byte) {
		got := b.plain(explanation(body))
		if strings.Contains(got, "hunter2") || utf8.RuneCountInString(got) > maxText || !utf8.ValidString(got) ||
			strings.ContainsAny(got, "\x00\n\r") {
			t.Errorf("got %q", got)
		}
	})
}
