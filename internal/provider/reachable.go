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

// Reachable reports whether the addresses, user and ports of the machine and its nodes have the form of
// such. They become a command that people paste.
func (m Machine) Reachable() bool {
	for _, n := range m.Nodes {
		if !isHost(n.Address) || n.PrivateAddress != "" && net.ParseIP(n.PrivateAddress) == nil || n.SSHPort < 1 || n.SSHPort > 65535 {
			return false
		}
	}
	return isHost(m.Address) && userForm.MatchString(m.SSHUser) && m.SSHPort >= 1 && m.SSHPort <= 65535
}

func isHost(address string) bool { return net.ParseIP(address) != nil || hostForm.MatchString(address) }

// Public reports whether the addresses of the machine and its nodes are on the Internet. A name is
// checked by who connects, when it is known what it stands for.
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
