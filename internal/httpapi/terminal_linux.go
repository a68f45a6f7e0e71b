package httpapi

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// limitUnacknowledged ends a connection whose other end has acknowledged nothing for 15 seconds.
// Keep-alive probes do not help there: the kernel sends none while data is in flight.
func limitUnacknowledged(_, _ string, conn syscall.RawConn) error {
	var failed error
	err := conn.Control(func(fd uintptr) {
		failed = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, 15_000)
	})
	if err != nil {
		return err
	}
	return failed
}
