// Package migrate migrates a database to the schema that this binary needs.
//
// It owns the order of the migrations, not the tables: only the package that a table belongs to
// reads and writes it. The files below sql/ are one text for both engines.
//
// Invariants: a migration that was released is never edited; replicas that start at the same time
// wait for one another (PostgreSQL) or for the file's lock (SQLite).
package migrate
