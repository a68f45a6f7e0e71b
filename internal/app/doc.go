// Package app is the composition root: the only package that knows every implementation. It opens
// the database and the providers, wires the services, and starts and stops background work.
//
// It owns the server's configuration, the simulated clock's file, the operator's socket, the demo
// account, and the operator's commands. It owns no rule: everything that decides what a tenant sees
// belongs to another package.
//
// Invariants:
//   - Open has no effect that a second Open would not repeat; nothing runs before Run.
//   - What Run started has stopped when Run returns, in reverse order. An accepted request gets at
//     least ten seconds; one that only waits for something to happen is answered at once.
//   - The operator's socket has mode 0600 and exists only with Sim; time travel is impossible
//     without it.
//   - The simulated clock's new offset is on the disk before the clock moves, so that a crash never
//     turns time back. The final offset is stored once it has moved.
package app
