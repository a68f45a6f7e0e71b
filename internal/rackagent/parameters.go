package rackagent

import (
	"encoding/hex"
	"fmt"
	"net/netip"
	"net/url"
	"regexp"
	"strings"
)

// Parameters is what the agent has to know to reach the server. They are on the kernel command
// line.
type Parameters struct {
	URL     string       // of the server: https, host, optional port
	Pin     string       // SHA-256 of the server's certificate (DER), 64 hexadecimal digits
	Token   string       // of the job
	MAC     string       // of the network interface to use
	Address netip.Prefix // of this machine
	Gateway netip.Addr   // optional: not needed within one network
	DNS     []netip.Addr // optional: needed if an image's URL has a name
	// Restart is true if the machine starts from its drive whatever came of the job: it has no BMC.
	// It is not on the command line: an agent that another system started knows.
	Restart bool
}

// maxCommandLine limits what the parameters add to the command line. Linux takes 2048 bytes.
const maxCommandLine = 1500

var (
	tokenText = regexp.MustCompile(`^[A-Za-z0-9_.-]{16,256}$`)
	macText   = regexp.MustCompile(`^[0-9a-f]{2}(:[0-9a-f]{2}){5}$`)
	urlText   = regexp.MustCompile(`^https://[A-Za-z0-9.:\[\]-]+(/[A-Za-z0-9._/-]*)?$`)
)

// CommandLine returns the parameters as words of a kernel command line. Its error names every
// parameter that is not valid.
func (p Parameters) CommandLine() (string, error) {
	if err := p.check(); err != nil {
		return "", err
	}
	words := []string{
		"billet.url=" + p.URL, "billet.pin=" + p.Pin, "billet.token=" + p.Token,
		"billet.mac=" + p.MAC, "billet.ip=" + p.Address.String(),
	}
	if p.Gateway.IsValid() {
		words = append(words, "billet.gw="+p.Gateway.String())
	}
	if len(p.DNS) > 0 {
		servers := make([]string, len(p.DNS))
		for i, s := range p.DNS {
			servers[i] = s.String()
		}
		words = append(words, "billet.dns="+strings.Join(servers, ","))
	}
	line := strings.Join(words, " ")
	if len(line) > maxCommandLine {
		return "", fmt.Errorf("the parameters have %d bytes, at most %d fit", len(line), maxCommandLine)
	}
	return line, nil
}

// ParseCommandLine reads the parameters from a kernel command line, whose other words it ignores.
func ParseCommandLine(line string) (Parameters, error) {
	var p Parameters
	var wrong []string
	for word := range strings.FieldsSeq(line) {
		name, value, _ := strings.Cut(word, "=")
		var err error
		switch name {
		case "billet.url":
			p.URL = value
		case "billet.pin":
			p.Pin = value
		case "billet.token":
			p.Token = value
		case "billet.mac":
			p.MAC = strings.ToLower(value)
		case "billet.ip":
			p.Address, err = netip.ParsePrefix(value)
		case "billet.gw":
			p.Gateway, err = netip.ParseAddr(value)
		case "billet.dns":
			p.DNS, err = parseAddresses(value)
		}
		if err != nil {
			wrong = append(wrong, name)
		}
	}
	if len(wrong) > 0 {
		return p, fmt.Errorf("not addresses: %s", strings.Join(wrong, ", "))
	}
	return p, p.check()
}

func parseAddresses(list string) ([]netip.Addr, error) {
	var addresses []netip.Addr
	for one := range strings.SplitSeq(list, ",") {
		a, err := netip.ParseAddr(one)
		if err != nil {
			return nil, err
		}
		addresses = append(addresses, a)
	}
	return addresses, nil
}

func (p Parameters) check() error {
	var wrong []string
	if u, err := url.Parse(p.URL); err != nil || u.Host == "" || !urlText.MatchString(p.URL) {
		wrong = append(wrong, "billet.url")
	}
	if b, err := hex.DecodeString(p.Pin); err != nil || len(b) != 32 {
		wrong = append(wrong, "billet.pin")
	}
	if !tokenText.MatchString(p.Token) {
		wrong = append(wrong, "billet.token")
	}
	if !macText.MatchString(p.MAC) {
		wrong = append(wrong, "billet.mac")
	}
	if !p.Address.IsValid() || p.Address.Addr().Zone() != "" {
		wrong = append(wrong, "billet.ip")
	}
	if p.Gateway.Zone() != "" {
		wrong = append(wrong, "billet.gw")
	}
	for _, s := range p.DNS {
		if !s.IsValid() || s.Zone() != "" {
			wrong = append(wrong, "billet.dns")
		}
	}
	if len(wrong) > 0 {
		return fmt.Errorf("missing or not valid: %s", strings.Join(wrong, ", "))
	}
	return nil
}
