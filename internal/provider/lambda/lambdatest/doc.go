// Package lambdatest is a fake of Lambda's on-demand cloud: an HTTP server on the loopback device
// with that API's forms and pitfalls, and machines with SSH.
//
// It refuses what the real API is known to refuse, with the same code, and every unknown field. It
// does not own the faults and the clock, which are upstreamtest's.
//
// Invariants: an id is used once; a launch less than 12 seconds after another is refused, whatever
// became of that; a machine's SSH answers only while the machine is active, and never after the
// test.
package lambdatest
