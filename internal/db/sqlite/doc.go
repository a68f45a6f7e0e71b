// Package sqlite opens the embedded engine: one file, no server.
//
// It owns the connection's settings, what SQLite's errors mean, and a lower() that knows
// all letters as PostgreSQL's does, nothing else. The driver is pure Go and binds $n by number, as PostgreSQL does; two other
// drivers bind it by order of appearance, which would silently swap operands.
//
// Invariants: one writing connection, and every writing transaction takes the
// write lock when it begins, so none fails half-way because another wrote meanwhile;
// readers go on during a write; a commit is on the disk when it returns.
package sqlite
