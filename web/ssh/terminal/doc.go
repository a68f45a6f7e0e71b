// Package terminal owns a shell on a machine over a connection of the caller: which host keys are
// trusted, how a private key is read and generated, and the shell's size, input and end.
//
// It does not own the connection or what draws the terminal, and does not depend on a browser: it
// is compiled to WebAssembly for browsers and tested without one.
//
// Invariants:
//   - Where the machine's host keys are known, no other is accepted, and nothing is sent to the
//     machine before its key was checked.
//   - A private key only signs; no error contains any part of it.
package terminal
