// Package racktest is a rack of emulated servers for tests: each has the BMC of package bmctest, a
// scripted agent, drives that remember what was written to them, and, once something is installed,
// an SSH server.
//
// It does not own how the agent reaches the server under test: a test passes functions for the
// calls.
package racktest
