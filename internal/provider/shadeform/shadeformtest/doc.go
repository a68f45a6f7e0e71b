// Package shadeformtest is a fake of Shadeform: an HTTP server on the loopback device with that
// API's forms and pitfalls, and machines with SSH.
//
// It refuses what the real API is known to refuse, in the same form, and every unknown field. It
// does not own the faults and the clock, which are upstreamtest's.
//
// Invariants: an id is used once; a machine's SSH answers only while the machine is active, and
// never after the test.
package shadeformtest
