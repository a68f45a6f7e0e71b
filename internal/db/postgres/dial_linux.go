package postgres

import (
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// unheardAfter makes the kernel end a TCP connection whose data stay unacknowledged for so long.
func unheardAfter(network, _ string, raw syscall.RawConn) error {
	if !strings.HasPrefix(network, "tcp") {
		return nil
	}
	return raw.Control(func(fd uintptr) {
		// Without this kernel setting the keep-alive alone does it.
		_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(unheard.Milliseconds()))
	})
}
