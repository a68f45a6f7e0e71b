// Package crashpoint lets the crash suite (test/crash) end this process at a named step of a change: between a commit
// and its answer, between a provider's answer and the commit that keeps it.
//
// It also lets that suite start a server whose machine's clock is wrong (Now).
//
// It owns the names of the steps and how one is armed, and nothing of what happens there. It does not own crashes at
// random moments, for which a signal from outside does.
//
// Invariants:
//   - It is inert unless BILLET_CRASH_AT was set when the process began: Reach then costs one atomic load.
//   - Armed, it ends the process with SIGKILL at that instant: nothing is flushed, closed, answered or rolled back, as when
//     the machine under the server is gone.
//   - Now is time.Now unless BILLET_CRASH_CLOCK_SKEW was set when the process began. The server says so at its start, as a warning.
//   - Every name is in All. A name that no code reaches fails this package's test; one that the suite never hits fails the suite.
package crashpoint
