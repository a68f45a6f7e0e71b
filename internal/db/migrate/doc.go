// Package migrate migrates a database to the schema that this binary needs, and refuses one that it
// cannot work with.
//
// It owns the order of the migrations and the table that records them, not the other tables: only
// the package that a table belongs to reads and writes it. The files below sql/ are one text for
// both engines. For SQLite, CONCURRENTLY is left out.
//
// # Kinds
//
// Servers of the previous version run while a migration is applied, so each file after the first
// says which of them continue to work:
//
//	-- +billet expand works-with=1
//
// Expand adds what the previous version does not know. Contract removes what it no longer uses, and
// comes a release later. works-with is the smallest schema number of servers that work with the
// database afterwards. It is recorded with the migration, so that an older server, which does not
// have the file, knows whether it may run.
//
// A server needs each expand migration that it has, but no contract migration after them.
//
// # Tables
//
//   - schema_migration has a row for each migration.
//
// # Invariants
//
//   - A migration that was released is never edited. The hash of its statements is recorded, and a
//     database with another one is refused.
//   - One process migrates at a time: an advisory lock on PostgreSQL, and the lock of the data
//     directory with SQLite. No process waits in a transaction that an index build waits for.
//   - On PostgreSQL, a statement waits at most lockTime for a lock, because everything else queues
//     behind it, and runs at most statementTime. A migration whose lock is not available is rolled
//     back and tried again, at most Attempts times. NO TRANSACTION is for statements that block
//     no server. guard_test.go refuses everything else that is not known to be safe.
package migrate
