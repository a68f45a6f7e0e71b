// Package servertest starts the real server for tests, as an operator would: the built binary, a
// new data directory, a free port.
//
// It owns the processes and the HTTP client of end-to-end tests, and no expectations. When a test
// ends, its server and the simulated machines of its data directory have ended. When the tests of
// a package have run, the binary is removed.
package servertest
