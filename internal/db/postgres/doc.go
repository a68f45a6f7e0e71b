// Package postgres opens the engine for several replicas.
//
// It owns the connection pool's settings and the classification of PostgreSQL's errors.
// Transactions run at READ COMMITTED: every rule that must hold is a guarded UPDATE or a unique
// key, never a read followed by a write.
//
// It works directly and through a pooler that gives each transaction another connection
// (PgBouncer), which it detects.
//
// Invariants:
//   - Every wait for the server ends, whatever the network does; only migrations have no limit.
//   - A commit is not cancelled.
//   - No message contains a part of the URL's password.
package postgres
