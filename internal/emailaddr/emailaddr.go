package emailaddr

import (
	"net/mail"
	"strings"
)

// The longest address and local part, in bytes.
const (
	MaxLength = 254
	maxLocal  = 64
	maxLabel  = 63
)

// notAddress is the end of a sentence that begins with the field.
const notAddress = "is not an email address such as name@example.com."

// Check returns what is wrong with an address, as the end of a sentence that begins with its field,
// or "".
func Check(address string) string {
	switch {
	case address == "":
		return "is missing; give an address such as name@example.com."
	case len(address) > MaxLength:
		return "is longer than an email address can be."
	}
	parsed, err := mail.ParseAddress(address)
	if err != nil || parsed.Name != "" || parsed.Address != address || !visibleASCII(address) {
		return notAddress
	}
	at := strings.LastIndexByte(address, '@')
	local, host := address[:at], address[at+1:]
	switch {
	case len(local) > maxLocal:
		return "is longer than an email address can be."
	case strings.ContainsAny(local, `"\`), !IsHost(host):
		return notAddress
	}
	return ""
}

// Mailbox returns one text for all addresses that lead to the same mailbox: in lower case, without
// what follows a plus sign, and without dots at Google.
func Mailbox(address string) string {
	local, domain, _ := strings.Cut(strings.ToLower(address), "@")
	local, _, _ = strings.Cut(local, "+")
	if domain == "googlemail.com" {
		domain = "gmail.com"
	}
	if domain == "gmail.com" {
		local = strings.ReplaceAll(local, ".", "")
	}
	return local + "@" + domain
}

// IsHost reports whether the text is a dotted host name in ASCII.
func IsHost(text string) bool {
	labels := strings.Split(text, ".")
	if len(labels) < 2 || len(text) > MaxLength {
		return false
	}
	for _, l := range labels {
		if l == "" || len(l) > maxLabel || l[0] == '-' || l[len(l)-1] == '-' ||
			strings.ContainsFunc(l, func(r rune) bool { return !strings.ContainsRune(hostLetters, r) }) {
			return false
		}
	}
	return true
}

const hostLetters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-"

func visibleASCII(text string) bool {
	return !strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r > '~' })
}
