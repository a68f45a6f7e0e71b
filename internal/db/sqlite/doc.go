// Package sqlite opens the embedded engine: one file, no server.
//
// It owns the connection's settings, the classification of SQLite's errors, and a lower() for all
// letters, as PostgreSQL has. The driver is pure Go and binds $n by number, as PostgreSQL does. Two
// other drivers bind by order of appearance, which would silently swap operands.
//
// Invariants: there is one writing connection, and every writing transaction takes the write lock
// when it begins, so none fails half-way because another wrote meanwhile. Readers continue during a
// write. A commit is on the disk when it returns.
package sqlite
