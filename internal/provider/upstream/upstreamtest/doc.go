// Package upstreamtest is what the fakes of upstream clouds stand on: a real HTTP server on the loopback device whose requests can be lost,
// broken, garbled or throttled, a clock that tests move, the account and what can be done to it, and machines whose SSH really answers.
//
// It does not own what any cloud's API looks like: that is the fake's, from the fact sheet of its cloud.
//
// Invariants: a Fake answers one request at a time, after what its time has brought; none of its machines answers after the test.
package upstreamtest
