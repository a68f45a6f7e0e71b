//go:build !linux

package postgres

import "syscall"

// unheardAfter does nothing: other systems have the keep-alive, and the bound on an answer.
func unheardAfter(string, string, syscall.RawConn) error { return nil }
