package provider

import (
	"net"
	"net/netip"
	"regexp"

	"github.com/billetcloud/billet/internal/ipaddr"
)

var (
	hostForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9.-]{0,252}$`)
	userForm = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.-]{0,63}$`)
)

// Reachable reports whether the addresses, user and ports of the machine and its nodes are well
// formed. They become part of a command that tenants paste.
func (m Machine) Reachable() bool {
	for _, n := range m.Nodes {
		private := n.PrivateAddress == "" || net.ParseIP(n.PrivateAddress) != nil
		if !isHost(n.Address) || !private || !isPort(n.SSHPort) {
			return false
		}
	}
	return isHost(m.Address) && userForm.MatchString(m.SSHUser) && isPort(m.SSHPort)
}

func isPort(n int) bool { return n >= 1 && n <= 65535 }

func isHost(address string) bool { return net.ParseIP(address) != nil || hostForm.MatchString(address) }

// Public reports whether the addresses of the machine and its nodes are on the Internet. A name is
// checked when connecting, after it is resolved.
func (m Machine) Public() bool {
	for _, n := range m.Nodes {
		if !isPublic(n.Address) {
			return false
		}
	}
	return isPublic(m.Address)
}

func isPublic(address string) bool {
	if address == "localhost" {
		return false
	}
	a, err := netip.ParseAddr(address)
	return err != nil || ipaddr.Public(a)
}
