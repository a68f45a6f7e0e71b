// Package app is the composition root: the one room that knows every implementation. It
// opens the database and the providers, builds the rooms from the ground up, and starts
// and stops what runs in the background.
//
// It owns the server's configuration, the simulated clock's file, the operator's socket, the demo
// account, and the operator's verbs for the shell. It owns no rule: whatever decides something that a tenant
// sees belongs to a room below.
//
// Invariants:
//   - Open has no effect that a second Open would not have again; nothing runs before Run.
//   - What Run started has stopped when Run returns, in the reverse order, and no request that was accepted is cut off
//     before its ten seconds; one that only waits for something to happen is answered at once.
//   - The operator's socket has mode 0600 and exists only with Sim; time travel is impossible without it.
//   - The simulated clock's new offset is on the disk before the clock moves, so that a crash never turns time back,
//     and where the clock stands afterwards once it has moved.
package app
