// Package postgres opens the engine for several replicas.
//
// It owns the connection pool's settings and what PostgreSQL's errors mean,
// nothing else. Transactions run at READ COMMITTED: every rule that must hold is a
// guarded UPDATE or a unique key, never a read followed by a write.
package postgres
