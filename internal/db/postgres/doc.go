// Package postgres opens the engine for several replicas.
//
// It owns the connection pool's settings and what PostgreSQL's errors mean,
// nothing else. Transactions run at READ COMMITTED: every rule that must hold is a
// guarded UPDATE or a unique key, never a read followed by a write.
//
// It works directly and through a pooler that gives each transaction another connection (PgBouncer), which it notices.
//
// Invariants:
//   - No wait for the server is without an end, whatever the network does; migrations alone may take their time.
//   - A commit is not cancelled.
//   - No message holds a part of the URL's password.
package postgres
