// Package idempotency owns the answers that were given to requests with an
// Idempotency-Key, so that the same request made again gets the same answer
// and has its effect once.
//
// It does not know HTTP beyond the three parts of an answer, nor what the
// effects are: httpapi calls Begin, the effect and Finish in ONE transaction.
//
// Invariants:
//   - A row and the effect it stands for are committed together. A crash at any point loses both or neither;
//     there is no state "under way" that a second process could see, and nothing to clean up.
//   - Of parallel requests with one key, one does the effect. The others wait for its commit, on the row's unique key
//     (PostgreSQL) or for the write lock (SQLite), and then read its answer; if it rolls back, the next one does the effect.
//   - A key counts for Window and belongs to one account; another account's equal key is another key.
package idempotency
