// Package clock owns the time of a running server.
//
// System is the machine's own clock. Simulated is that clock, or a frozen one, moved by an offset:
// time travel moves it, and tests set it. Every package takes a Clock as a field. Nothing outside
// this package asks the operating system for the time to decide something that a tenant can see.
//
// It does not own leases and timeouts of real work (a job hangs in real seconds, however far the
// simulated clock is moved): these use real time on purpose.
//
// Invariant: a Simulated clock never runs backwards.
package clock
