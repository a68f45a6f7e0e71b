// Package shadeformtest is a fake Shadeform: an HTTP server on the loopback device with that API's forms and traps, and machines whose SSH
// answers.
//
// It owns what the adapter is examined against: it refuses what the real one is known to refuse, in the same form, and every field that it does not know.
// It does not own the troubles of the way to it, nor the clock: those are upstreamtest's.
//
// Invariants: an id is given once; a machine's SSH answers only while the machine is active, and nobody's after the test.
package shadeformtest
