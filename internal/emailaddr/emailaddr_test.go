package emailaddr_test

import (
	"net/mail"
	"strings"
	"testing"

	"github.com/billetcloud/billet/internal/emailaddr"
)

func TestCheck(t *testing.T) {
	t.Parallel()
	for address, valid := range map[string]bool{
		"a@b.example":                             true,
		"a+tag@b.example":                         true,
		"first.last@mail.b.example":               true,
		"a@xn--bcher-kva.example":                 true,
		"":                                        false,
		"a":                                       false,
		"a@localhost":                             false,
		"a@[127.0.0.1]":                           false,
		"Name <a@b.example>":                      false,
		"a@b.example, c@d.example":                false,
		`"quoted space"@b.example`:                false,
		"ü@b.example":                             false,
		"a@bücher.example":                        false,
		"a..b@b.example":                          false,
		".a@b.example":                            false,
		"a@-b.example":                            false,
		"a@b-.example":                            false,
		"a@b..example":                            false,
		"a@b_c.example":                           false,
		"a@b.example (comment)":                   false,
		" a@b.example":                            false,
		"a@b.example ":                            false,
		"a@b.example\r\nBcc: e@x.example":         false,
		"a\x00@b.example":                         false,
		strings.Repeat("x", 64) + "@b.example":    true,
		strings.Repeat("x", 65) + "@b.example":    false,
		"a@" + strings.Repeat("x", 63) + ".com":   true,
		"a@" + strings.Repeat("x", 64) + ".com":   false,
		"a@" + strings.Repeat("x.", 130) + "test": false,
	} {
		if wrong := emailaddr.Check(address); (wrong == "") != valid {
			t.Errorf("%q: %q", address, wrong)
		}
	}
}

func TestIsHost(t *testing.T) {
	t.Parallel()
	for host, valid := range map[string]bool{
		"example.com": true, "a.b-c.example": true, "localhost": false, "": false, ".": false, "a.": false,
		"a b.example": false, "*.example": false, "127.0.0.1": true,
	} {
		if got := emailaddr.IsHost(host); got != valid {
			t.Errorf("%q: %v", host, got)
		}
	}
}

// What is accepted survives a header: net/mail reads back the same address.
func FuzzCheck(f *testing.F) {
	for _, seed := range []string{"a@b.example", "Name <a@b.example>", "a@b.example\r\nBcc: x@y.example", "\"a\"@b.c"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, address string) {
		if emailaddr.Check(address) != "" {
			return
		}
		p, err := mail.ParseAddress("<" + address + ">")
		if err != nil || p.Address != address || strings.ContainsAny(address, "\r\n <>,;\"") {
			t.Errorf("%q was accepted", address)
		}
	})
}
