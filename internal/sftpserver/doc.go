// Package sftpserver is an SFTP server of protocol version 3 that behaves like OpenSSH's
// sftp-server: the order of symlink's arguments, the modes of new files, the status of each error,
// the extensions.
//
// # Owns
//
// The protocol on one pair of streams, and the handles of that session.
//
// # Does not own
//
// Who may open what: the process has the rights, the working directory and the umask of its
// session.
//
// # Shape
//
// [Serve] answers requests one after the other, as OpenSSH's server does, so answers come in the
// order of requests. It knows nothing of SSH. Simulated machines and the rescue system of own
// servers both serve it to their sessions.
//
// # Invariants
//
//   - What OpenSSH's sftp-server answers, this one answers: the tests run both on the same requests
//     and compare every answer and the files that are left. What differs on purpose stands in
//     docs/simulator.md.
//   - A request that is cut short or too long ends the session; it never reads beyond its own
//     bytes.
package sftpserver
