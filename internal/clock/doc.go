// Package clock owns the one time of a running server.
//
// System is the machine's own clock. Simulated is that clock, or a frozen one,
// moved by an offset: it is what time travel moves and what tests set. Every
// room takes a Clock as a field; nothing outside this package asks the operating system
// for the time to decide something that a tenant can see.
//
// It does not own leases and time-outs of real work (a job that hangs hangs in
// real seconds, however far the simulated clock is moved): these use real time on purpose.
//
// Invariant: a Simulated clock never runs backwards.
package clock
