package rackagent

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

var parameters = Parameters{
	URL: "https://192.0.2.1:8443", Pin: strings.Repeat("0a", 32), Token: "0123456789abcdef",
	MAC: "52:54:00:aa:00:01", Address: netip.MustParsePrefix("192.0.2.15/24"),
	Gateway: netip.MustParseAddr("192.0.2.1"), DNS: []netip.Addr{netip.MustParseAddr("192.0.2.53")},
}

var comparable = cmpopts.EquateComparable(netip.Addr{}, netip.Prefix{})

func TestParametersSurviveTheCommandLine(t *testing.T) {
	line, err := parameters.CommandLine()
	if err != nil {
		t.Fatal(err)
	}
	got, err := ParseCommandLine("BOOT_IMAGE=/vmlinuz quiet console=ttyS0 " + line + " panic=10\n")
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(parameters, got, comparable); d != "" {
		t.Error(d)
	}
}

func TestParametersReportEveryFault(t *testing.T) {
	_, err := Parameters{Gateway: netip.MustParseAddr("fe80::1%eth0")}.CommandLine()
	want := "missing or not valid: billet.url, billet.pin, billet.token, billet.mac, billet.ip, billet.gw"
	if err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	for name, change := range map[string]func(*Parameters){
		"a second word":   func(p *Parameters) { p.Token = "0123456789abcdef init=/bin/sh" },
		"a new line":      func(p *Parameters) { p.URL = "https://192.0.2.1\nset x=y" },
		"plain HTTP":      func(p *Parameters) { p.URL = "http://192.0.2.1" },
		"no host":         func(p *Parameters) { p.URL = "https:///x" },
		"a variable":      func(p *Parameters) { p.URL = "https://192.0.2.1/$x" },
		"a short pin":     func(p *Parameters) { p.Pin = "0a" },
		"a MAC too short": func(p *Parameters) { p.MAC = "52:54:00" },
		"endless":         func(p *Parameters) { p.URL = "https://192.0.2.1/" + strings.Repeat("a", 2000) },
	} {
		p := parameters
		change(&p)
		if line, err := p.CommandLine(); err == nil {
			t.Errorf("%s is accepted: %s", name, line)
		}
	}
	if _, err := ParseCommandLine("billet.ip=x billet.gw=y billet.dns=,"); err == nil ||
		err.Error() != "not addresses: billet.ip, billet.gw, billet.dns" {
		t.Error(err)
	}
}

// FuzzParseCommandLine: what is accepted is one line of words that the kernel and GRUB read as
// they are, and is read as the same parameters.
func FuzzParseCommandLine(f *testing.F) {
	line, _ := parameters.CommandLine()
	f.Add(line)
	f.Add("quiet billet.url=https://[2001:db8::1]/x billet.ip=2001:db8::2/64")
	f.Fuzz(func(t *testing.T, line string) {
		p, err := ParseCommandLine(line)
		if err != nil {
			return
		}
		again, err := p.CommandLine()
		if err != nil {
			if len(line) > maxCommandLine {
				return
			}
			t.Fatal(err)
		}
		if strings.ContainsAny(again, "\n\r\t\"'\\${};|&<>#") {
			t.Errorf("GRUB would not take %q as it is", again)
		}
		if got, err := ParseCommandLine(again); err != nil || !cmp.Equal(p, got, comparable) {
			t.Error(err, cmp.Diff(p, got, comparable))
		}
	})
}
