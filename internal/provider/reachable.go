package provider

import (
	"net"
	"regexp"
)

var (
	hostForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9.-]{0,252}$`)
	userForm = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.-]{0,63}$`)
)

// Reachable tells whether the machine's address, user and port have the form of such. They become a command that people paste.
func (m Machine) Reachable() bool {
	return (net.ParseIP(m.Address) != nil || hostForm.MatchString(m.Address)) && userForm.MatchString(m.SSHUser) && m.SSHPort >= 1 && m.SSHPort <= 65535
}
