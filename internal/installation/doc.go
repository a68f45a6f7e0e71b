// Package installation owns what a database records about the servers that use it: the version of
// billetd that last migrated it, its own name, the name of the secret key that seals its secrets,
// and which server runs the simulator. It also checks whether the database can be written at all.
//
// It does not own the secret key, only its name.
//
// Invariants:
//   - A database has one secret key that seals, and former ones until they are forgotten. A server
//     that lacks one of them is refused, and no key is created for a database that has one.
//   - A database keeps its name, so that what other services have for it is recognized.
//   - The simulator's lease expires by the database's own clock, so it works behind a connection
//     pooler and ends when its server is gone.
//   - A write check leaves nothing behind.
package installation
