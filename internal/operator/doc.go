// Package operator owns what an operator does with accounts: creating them, inviting their owners,
// adding and removing credit, setting a markup and quotas, suspending and resuming them, and
// listing them with their money and what runs. It also lists the resources of all accounts and the
// jobs that fail.
//
// It does not own accounts, money or jobs (packages account, wallet and job), nor who may call it:
// the API checks that, and billetd's commands have the database itself. Orphaned resources are
// package issue's.
//
// Invariants:
//   - The number of queries for a page does not depend on its length.
//   - Every account has a wallet.
//   - The start and the end of a view are in the audit log of the account.
//   - A suspension, the ends that come with it and its event are one change.
//   - A credit with the same reference is booked once, and the same transaction checks whether the
//     account is past due.
package operator
