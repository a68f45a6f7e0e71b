package rack

import (
	"encoding/hex"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/bmc"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/provider"
)

const (
	// maxPrice is the highest price of a machine for an hour.
	maxPrice = 100_000 * money.USD
	// maxMACs, maxNameservers and maxLabels are how many of each a machine may have.
	maxMACs, maxNameservers, maxLabels = 32, 8, 32
	// maxPassword is how many bytes a password may have.
	maxPassword = 256
	// units is the height of the highest rack.
	units = 64
)

// faults collects what is wrong with a machine.
type faults []apierr.FieldError

func (f *faults) add(field, format string, args ...any) {
	*f = append(*f, apierr.FieldError{Field: field, Message: fmt.Sprintf(format, args...)})
}

// name checks a short text, which may be empty.
func (f *faults) name(field, text string) {
	if text != "" {
		*f = append(*f, apierr.CheckName(field, text)...)
	}
}

func (f *faults) within(field string, n, low, high int64) {
	if n < low || n > high {
		f.add(field, "must be from %d to %d.", low, high)
	}
}

// normalized returns the machine with its addresses as they are compared, and what is wrong with
// it.
func (m Machine) normalized() (Machine, faults) {
	var f faults
	f = append(f, apierr.CheckName("name", m.Name)...)
	if m.OverSSH() {
		m = f.ssh(m)
	} else {
		f.name("sshUser", m.SSHUser)
		f.name("idleImage", m.IdleImage)
		m.SSHUser, m.SSHHostKey, m.IdleImage = "", "", ""
		m.BMCURL = f.bmcURL(m.BMCURL)
		f = append(f, apierr.CheckName("bmcUser", m.BMCUser)...)
		m.BMCCertificate = f.certificate(m.BMCCertificate)
	}
	m.ConsoleHostKey = f.console(m)
	m.MACs = f.macs(m.MACs)
	m = f.network(m)
	if !provider.ValidSlug(m.Region) {
		f.add("region", "must have lower-case letters, digits and inner hyphens, at most 64.")
	}
	f.name("fabric", m.Fabric)
	f.name("rack", m.Rack)
	f.within("position", m.Position, 0, units)
	f.within("height", m.Height, 1, units)
	if m.Position > 0 && m.Height >= 1 && m.Position+m.Height-1 > units {
		f.add("height", "reaches above unit %d, the highest of a rack.", units)
	}
	f.labels(m.Labels)
	if m.HourlyPrice < 0 || m.HourlyPrice > maxPrice {
		f.add("hourlyPrice", "must be from 0 to %s.", maxPrice.Decimal())
	}
	f = append(f, apierr.CheckName("gpuType", m.GPUType)...)
	f.within("gpuCount", m.GPUCount, 1, 64)
	f.within("gpuMemoryGb", m.GPUMemoryGB, 1, 4096)
	f.within("vcpus", m.VCPUs, 0, 65_536)
	f.within("memoryGb", m.MemoryGB, 0, 1_000_000)
	f.within("storageGb", m.StorageGB, 0, 100_000_000)
	return m, f
}

// bmcURL returns the URL as it is compared: scheme and host in lower case, without a path.
func (f *faults) bmcURL(text string) string {
	u, err := url.Parse(strings.TrimSpace(text))
	if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" ||
		strings.Trim(u.Path, "/") != "" || (u.Scheme != "https" && u.Scheme != "http") || len(text) > 256 {
		f.add("bmcUrl", "must be like https://10.0.0.17, without a user, a path or a query.")
		return text
	}
	if u.Scheme == "http" && !loopback(u.Hostname()) {
		f.add("bmcUrl", "must begin with https://, because it carries the password.")
	}
	return u.Scheme + "://" + strings.ToLower(u.Host)
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

func (f *faults) certificate(text string) string {
	plain := strings.ToLower(strings.ReplaceAll(text, ":", ""))
	if b, err := hex.DecodeString(plain); plain != "" && (err != nil || len(b) != 32) {
		f.add("bmcCertificateSha256", "must be a SHA-256 in hex: 64 digits from 0 to f.")
	}
	return plain
}

// console checks what is said of the console, and returns its host key as it is kept. The password
// is checked by checkConsolePassword.
func (f *faults) console(m Machine) (hostKey string) {
	if !slices.Contains(bmc.ConsoleKinds, m.Console) {
		f.add("console", "must be off, openbmc, idrac or ilo.")
	}
	if m.Console != bmc.ConsoleOff && m.OverSSH() {
		f.add("console", "needs a BMC, which a machine with an sshAddress does not have.")
	}
	f.within("consolePort", m.ConsolePort, 0, 65_535)
	if m.Console == bmc.ConsoleOpenBMC && m.ConsolePort == 22 {
		f.add("consolePort", "must not be 22 for openbmc: there, OpenBMC gives its own command line.")
	}
	if m.Console == bmc.ConsoleOff {
		f.name("consoleUser", m.ConsoleUser)
	} else {
		*f = append(*f, apierr.CheckName("consoleUser", m.ConsoleUser)...)
	}
	if m.ConsoleHostKey == "" && m.Console == bmc.ConsoleOff {
		return ""
	}
	hostKey, valid := bmc.CheckHostKey(m.ConsoleHostKey)
	if !valid {
		f.add("consoleHostKey", "must be an SSH host key, such as ssh-ed25519 AAAA…, which ssh-keyscan prints after "+
			"the address.")
	}
	return hostKey
}

func (f *faults) macs(texts []string) []string {
	if len(texts) == 0 || len(texts) > maxMACs {
		f.add("macs", "must have 1 to %d MAC addresses.", maxMACs)
	}
	out := []string{}
	for i, text := range texts[:min(len(texts), maxMACs)] {
		mac, err := net.ParseMAC(strings.TrimSpace(text))
		switch {
		case err != nil || len(mac) != 6 || mac[0]&1 == 1 || strings.Trim(mac.String(), "0:") == "":
			f.add(fmt.Sprintf("macs[%d]", i), "must be the MAC address of a network card, such as 3c:ec:ef:12:34:56.")
		case slices.Contains(out, mac.String()):
			f.add(fmt.Sprintf("macs[%d]", i), "is in the list twice.")
		}
		out = append(out, mac.String())
	}
	return out
}

// network checks the address, the gateway and the nameservers.
func (f *faults) network(m Machine) Machine {
	prefix, err := netip.ParsePrefix(strings.TrimSpace(m.Address))
	usable := err == nil && prefix.Addr().Zone() == "" && !prefix.Addr().IsUnspecified() && !prefix.Addr().IsMulticast()
	if usable {
		m.Address = prefix.String()
	} else {
		f.add("address", "must be an IP address with the length of its prefix, such as 192.0.2.10/24.")
	}
	if m.Gateway != "" {
		gateway, err := netip.ParseAddr(strings.TrimSpace(m.Gateway))
		switch {
		case err != nil || gateway.Zone() != "":
			f.add("gateway", "must be an IP address, or empty.")
		case usable && (!prefix.Contains(gateway) || gateway == prefix.Addr()):
			f.add("gateway", "must be another address of the network %s.", prefix.Masked())
		default:
			m.Gateway = gateway.String()
		}
	}
	if len(m.Nameservers) > maxNameservers {
		f.add("nameservers", "must have at most %d addresses.", maxNameservers)
		return m
	}
	out := []string{}
	for i, text := range m.Nameservers {
		server, err := netip.ParseAddr(strings.TrimSpace(text))
		if err != nil || server.Zone() != "" {
			f.add(fmt.Sprintf("nameservers[%d]", i), "must be an IP address.")
			continue
		}
		out = append(out, server.String())
	}
	m.Nameservers = out
	return m
}

func (f *faults) labels(all map[string]string) {
	if len(all) > maxLabels {
		f.add("labels", "must be at most %d.", maxLabels)
	}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if len(apierr.CheckName("labels", name)) > 0 || len(all[name]) > 128 || !apierr.Printable(all[name]) {
			f.add("labels", "has a name that is not 1 to %d visible characters, or a value that is not up to 128.",
				apierr.MaxNameLength)
			return
		}
	}
}

// checkPassword checks the password of a BMC or of a console.
func (f *faults) checkPassword(field, text string) {
	if text == "" || len(text) > maxPassword || strings.ContainsAny(text, "\r\n\x00") {
		f.add(field, "is missing, or is not one line of up to %d bytes.", maxPassword)
	}
}

// checkReason checks the operator's reason for an action, which may be empty.
func checkReason(reason string) error {
	wrong := apierr.Hidden(reason)
	if len(reason) > maxReason {
		wrong = fmt.Sprintf("must have at most %d bytes.", maxReason)
	}
	if wrong == "" {
		return nil
	}
	return apierr.Invalid([]apierr.FieldError{{Field: "reason", Message: wrong}})
}

// clash adds what the machine and another one both have, and only one may.
func (f *faults) clash(m, other Machine, what string) {
	taken := func(field string) { f.add(field, "is that of %s already.", what) }
	if strings.EqualFold(m.Name, other.Name) {
		taken("name")
	}
	if m.BMCURL != "" && m.BMCURL == other.BMCURL {
		taken("bmcUrl")
	}
	if m.SSHAddress != "" && m.SSHAddress == other.SSHAddress {
		taken("sshAddress")
	}
	if addr(m.Address) == addr(other.Address) {
		taken("address")
	}
	for i, mac := range m.MACs {
		if slices.Contains(other.MACs, mac) {
			taken(fmt.Sprintf("macs[%d]", i))
		}
	}
	if m.Rack != "" && m.Position > 0 && other.Position > 0 && strings.EqualFold(m.Rack, other.Rack) &&
		m.Position < other.Position+other.Height && other.Position < m.Position+m.Height {
		f.add("position", "overlaps %s in rack %s.", what, m.Rack)
	}
}

// addr returns the address of a prefix.
func addr(prefix string) string {
	address, _, _ := strings.Cut(prefix, "/")
	return address
}

// pinned are the fields that change only while nothing runs on the machine, and that it is
// inspected for again.
func pinned(before, after Machine) (names []string) {
	changed := func(name string, is bool) {
		if is {
			names = append(names, name)
		}
	}
	changed("bmcUrl", before.BMCURL != after.BMCURL)
	changed("sshAddress", before.SSHAddress != after.SSHAddress)
	changed("sshUser", before.SSHUser != after.SSHUser)
	changed("sshHostKey", before.SSHHostKey != after.SSHHostKey)
	changed("sshPrivateKey", before.sealedSSH != after.sealedSSH)
	changed("macs", !slices.Equal(before.MACs, after.MACs))
	changed("address", before.Address != after.Address)
	changed("gateway", before.Gateway != after.Gateway)
	changed("nameservers", !slices.Equal(before.Nameservers, after.Nameservers))
	changed("region", before.Region != after.Region)
	changed("fabric", before.Fabric != after.Fabric)
	changed("gpuType", before.GPUType != after.GPUType)
	changed("gpuCount", before.GPUCount != after.GPUCount)
	changed("gpuMemoryGb", before.GPUMemoryGB != after.GPUMemoryGB)
	changed("vcpus", before.VCPUs != after.VCPUs)
	changed("memoryGb", before.MemoryGB != after.MemoryGB)
	changed("storageGb", before.StorageGB != after.StorageGB)
	return names
}
