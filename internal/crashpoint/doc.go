// Package crashpoint lets the crash suite (test/crash) end this process at a named point of a
// change: between a commit and its answer, or between a provider's answer and the commit that
// records it. It also lets that suite start a server whose machine's clock is wrong (Now).
//
// It owns the names of the points and how one is armed. Crashes at random moments use a signal from
// outside.
//
// Invariants:
//   - It is inert unless BILLET_CRASH_AT was set when the process started: Reach then costs one
//     atomic load.
//   - Armed, it ends the process with SIGKILL at that instant: nothing is flushed, closed, answered
//     or rolled back, as when the machine is gone.
//   - Now is time.Now unless BILLET_CRASH_CLOCK_SKEW was set when the process started. The server
//     then logs a warning at its start.
//   - Every name is in All. A name that no code reaches fails this package's test; one that the
//     suite never reaches fails the suite.
package crashpoint
