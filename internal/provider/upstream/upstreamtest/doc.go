// Package upstreamtest is what the fakes of upstream clouds are built on: a real HTTP server on the
// loopback device into which faults can be injected, a clock that tests advance, the account and
// its limits, and machines with a real SSH server.
//
// It does not own what any cloud's API is like. That belongs to the fake.
//
// Invariants: a Fake answers one request at a time, after it has done what is due. None of its
// machines answers after the test.
package upstreamtest
