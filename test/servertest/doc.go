// Package servertest starts the real server for tests, as an operator would: the
// built binary, a fresh data directory, a free port.
//
// It owns processes and the one HTTP client of the end-to-end tests, and no expectation. A server that
// it started has ended, with the simulated machines of its data directory, when its test has, and the binary is gone when the tests of its package have run.
package servertest
