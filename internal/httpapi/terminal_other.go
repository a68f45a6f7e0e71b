//go:build !linux

package httpapi

import "syscall"

// limitUnacknowledged has no counterpart on this system: the limits of TCP apply.
func limitUnacknowledged(string, string, syscall.RawConn) error { return nil }
