// Package terminal owns a shell on a machine over a connection that somebody else has made: which host keys are trusted, how a
// private key is read and made, and the shell's size, input and end.
//
// It does not own the connection, nor what draws the terminal, and knows nothing of browsers: it is compiled to WebAssembly
// for them, and tested without.
//
// Invariants:
//   - Where the machine's host keys are known, no other is accepted, and nothing is said to the machine before it was checked.
//   - A private key is used to sign and for nothing else; no error names any part of it.
package terminal
