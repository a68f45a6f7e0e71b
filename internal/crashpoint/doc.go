// Package crashpoint lets the crash suite (test/crash) end this process at a named step of a change: between a commit
// and its answer, between a provider's answer and the commit that keeps it.
//
// It owns the names of the steps and how one is armed, and nothing of what happens there. It does not own crashes at
// random moments, for which a signal from outside does.
//
// Invariants:
//   - It is inert unless BILLET_CRASH_AT was set when the process began: Reach then costs one atomic load.
//   - Armed, it ends the process with SIGKILL at that instant: nothing is flushed, closed, answered or rolled back, as when
//     the machine under the server is gone.
//   - Every name is in All. A name that no code reaches fails this package's test; one that the suite never hits fails the suite.
package crashpoint
