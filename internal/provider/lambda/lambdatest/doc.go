// Package lambdatest is a fake of Lambda's on-demand cloud: an HTTP server on the loopback device with that API's forms and traps, and machines whose
// SSH answers.
//
// It owns what the adapter is examined against: it refuses what the real one is known to refuse, with the same code, and every field that it does not know.
// It does not own the troubles of the way to it, nor the clock: those are upstreamtest's.
//
// Invariants: an id is given once; a launch that comes less than 12 seconds after another is refused, whatever became of that; a
// machine's SSH answers only while the machine is active, and nobody's after the test.
package lambdatest
