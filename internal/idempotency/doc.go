// Package idempotency owns the answers to requests with an Idempotency-Key, so that a repeated
// request gets the same answer and has its effect once.
//
// It does not know HTTP beyond the three parts of an answer, nor what the effects are: the HTTP API
// calls Begin, the effect and Finish in ONE transaction.
//
// Invariants:
//   - A row and its effect are committed together. A crash at any point loses both or neither.
//     There is no state "in progress" that a second process could see, and nothing to clean up.
//   - Of parallel requests with one key, one has the effect. The others wait for its commit, on the
//     row's unique key (PostgreSQL) or for the write lock (SQLite), and then read its answer. If it
//     rolls back, the next one has the effect.
//   - A key is valid for Window and belongs to one account. The same key of another account is
//     another key.
package idempotency
