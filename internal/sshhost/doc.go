// Package sshhost owns the client of servers that answer SSH and have no BMC: it signs in with a
// pinned host key, checks that another kernel can be started there, and starts the service agent in
// place of the running system.
//
// It does not own which servers exist, what the agent does there, or when something is retried.
//
// Invariants:
//
//   - Every error is an *Error with a Kind. A server that does not answer is KindUnreachable, which
//     says nothing about it: retry later.
//   - Only the pinned host key is accepted, and only the key for this server is offered.
//   - What a server prints is read up to 4 KB, and shown to operators as plain text.
//   - The agent's token is in no file, command line or log of the server. Root there can read it
//     from memory.
//   - A server that hangs holds the caller no longer than the context of the call.
//   - Only the operator chooses the address, so every address may be connected to. A call inside a
//     database transaction is refused.
package sshhost
