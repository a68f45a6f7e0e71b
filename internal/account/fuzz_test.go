package account

import (
	"bytes"
	"net/netip"
	"regexp"
	"strings"
	"testing"
)

var secretForm = regexp.MustCompile(`\Apk_live_[0-9A-Za-z]{49}\z`)

// Every key that is made has the right form, and no other text has it: not one with a letter
// changed, moved, added or lost.
func FuzzSecret(f *testing.F) {
	f.Add(bytes.Repeat([]byte{1, 200, 37}, 64), "pk_live_your_api_key_here", uint(9), byte('x'))
	f.Add(bytes.Repeat([]byte{0}, 128), "", uint(0), byte('P'))
	f.Add(bytes.Repeat([]byte{247, 9}, 128), "pk_live_"+strings.Repeat("0", 49), uint(57), byte(0))
	f.Fuzz(func(t *testing.T, random []byte, text string, at uint, letter byte) {
		if wellFormed(text) && (!secretForm.MatchString(text) ||
			checksum(text[:len(text)-checksumLength]) != text[len(text)-checksumLength:]) {
			t.Errorf("%q is taken for a key", text)
		}
		secret, err := newSecret(bytes.NewReader(random))
		if err != nil {
			return // too little randomness
		}
		if !wellFormed(secret) || !secretForm.MatchString(secret) {
			t.Fatalf("%q was made and is no key", secret)
		}
		i := int(at % uint(len(secret)))
		wrong := []string{
			secret[:i] + string([]byte{letter}) + secret[i+1:], // changed
			secret[:i] + secret[i+1:],                          // lost
			secret[:i] + string([]byte{letter}) + secret[i:],   // added
			strings.ToLower(secret), " " + secret, secret + "\n", text,
		}
		if i > 0 {
			wrong = append(wrong, secret[:i-1]+secret[i:i+1]+secret[i-1:i]+secret[i+1:]) // two swapped
		}
		for _, w := range wrong {
			if w != secret && w != text && wellFormed(w) {
				t.Errorf("%q is taken for a key, as %q is", w, secret)
			}
		}
	})
}

// A network is written as it is compared: without bits that mean nothing, without a zone, and an
// IPv4 one as IPv4.
func FuzzNetwork(f *testing.F) {
	for _, s := range []string{"203.0.113.7", "203.0.113.7/24", "2001:db8::/48", "::ffff:203.0.113.7",
		"::ffff:203.0.113.0/120", "::ffff:0.0.0.0/95", "fe80::1%eth0",
		"fe80::%eth0/64", "0.0.0.0/0", "", "x", "1.2.3.4/33", " 1.2.3.4", "01.2.3.4"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		p, ok := ParseNetwork(text)
		var c checker
		list := c.networks([]string{text, text})
		if ok != (len(c.faults) == 0) || ok != (len(list) == 1) {
			t.Fatalf("%q: %v, %v, %v", text, ok, list, c.faults)
		}
		if !ok {
			if len(c.faults) != 2 || c.faults[1].Field != "allowedNetworks[1]" {
				t.Errorf("%q: not every fault is named: %v", text, c.faults)
			}
			return
		}
		again, ok := ParseNetwork(list[0])
		if !ok || again != p || p != p.Masked() || p.Addr().Zone() != "" || p.Addr().Is4In6() {
			t.Errorf("%q is %v, written %q, read %v", text, p, list[0], again)
		}
		address, _, _ := strings.Cut(text, "/")
		if a, err := netip.ParseAddr(address); err != nil || !p.Contains(a.Unmap()) {
			t.Errorf("%q is not in %v", text, p)
		}
	})
}
