// Package migrate brings a database to the schema that this binary needs.
//
// It owns the order of the migrations, not the tables: each file under sql/ is
// one room's, and that room alone reads and writes those tables. The files are one text for
// both engines.
//
// Invariants: a migration that has landed in a release is never edited; replicas that start
// together wait for one another (PostgreSQL) or for the file's lock (SQLite).
package migrate
