// Package installation owns what a database knows of the servers that use it: by what version of billetd it was last
// brought up to date, with which secret key its secrets are sealed, and which server has the simulator. It also tries
// whether anything can be written at all.
//
// It does not own the key, which never comes here, only its name.
//
// Invariants:
//   - A database has one secret key. A server with another is refused, and no key is made for a database that has one.
//   - The simulator's lease is a row with a time by the database's own clock: it holds behind a pooler, and ends by itself
//     where its server is gone.
//   - A try to write leaves nothing behind.
package installation
