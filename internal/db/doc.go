// Package db owns the transaction and the few words in which the two engines,
// SQLite and PostgreSQL, differ.
//
// Every room keeps its SQL in its own store.go, one text for both engines, and
// takes a *Tx as a parameter: a function with a tx in second place joins its caller's
// transaction, the room whose use case it is opens one with InTx. This package
// owns no table and knows no noun.
//
// Invariants:
//   - Tx.Now is fixed once, so all rows of one change bear one time. On SQLite it
//     is taken after the write lock, so that times follow the order of commits.
//   - InTx may run its function again, after a conflict or while the database is away for a moment: the function has
//     no effect outside the transaction but through AfterCommit.
//   - Every query and transaction has a deadline, its caller's or one of this package's. That the database cannot serve is an
//     *UnavailableError; only there it may be in doubt whether a commit was done.
//   - The context that InTx hands on is marked. A DB used with a marked context
//     answers ErrInsideTx instead of waiting for itself, and whoever must not be
//     called inside a transaction (a provider) can ask InsideTx.
//   - Text is UTF-8 without NUL, times are BIGINT microseconds, money is BIGINT micro-dollars.
package db
