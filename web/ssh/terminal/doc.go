// Package terminal owns a shell on a machine over a connection of the caller: which host keys are
// trusted, how a private key is read and generated, the shell's size, input and end, how it
// outlives the connection (in tmux), whether the machine still lives, and the machine's files (by
// SFTP).
//
// It does not own the connection or what draws the terminal, and does not depend on a browser: it
// is compiled to WebAssembly for browsers and tested without one.
//
// Invariants:
//   - Where the machine's host keys are known, no other is accepted, and nothing is sent to the
//     machine before its key was checked.
//   - A private key only signs; no error contains any part of it.
//   - A shell that cannot be kept is a plain one, and its status says which it is.
//   - A file that was not uploaded completely never has its name, and replaces nothing.
//   - Memory is bounded: no file is held as a whole, in either direction.
package terminal
