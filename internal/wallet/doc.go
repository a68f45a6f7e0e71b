// Package wallet owns the prepaid money of accounts: a double-entry ledger, the statement that a
// tenant reads, and usage.
//
// It does not know what a deployment or a volume is, when an hour begins or what it costs (see
// package meter), nor what follows from a debt (see package pastdue). It bills a subject, which is
// any ID.
//
// # The books
//
//	wallet/<account>   the available money of the account
//	hold/<account>     the money held for subjects that do not run yet
//	revenue            what was earned
//	funding            what was paid in, given, or corrected
//
// A transaction has two entries. Its amount is its change of the available money, so the entry in
// wallet/<account> is the amount, and the other book gets the opposite:
//
//	top_up, credit, adjustment   ±X   against funding
//	hold                         −X   against hold/<account>
//	release                      +X   against hold/<account>
//	charge                       −X   against revenue
//	refund                       +X   against revenue
//
// The balance is available plus held. AvailableAfter of a transaction is therefore the sum of all
// amounts up to it, and BalanceAfter the sum of all amounts except holds and releases. A capture,
// which turns a hold into a charge, is a release and a charge in one change.
//
// # Invariants
//
//   - The entries of a transaction sum to zero, so all entries do.
//   - Entries and transactions are added, never changed. The row in the table wallet is a
//     projection, locked before it is read and changed: available and held are the sums of
//     their books, seq is the number of transactions, and the newest transaction has the same
//     amounts.
//   - Each transaction has a hash over all of its fields, its entries and the hash of the account's
//     transaction before it; the wallet's row has the newest one. Verify recomputes all of them,
//     and all that the other tables repeat. See docs/ledger.md.
//   - Everything happens once: a credit for its dedupe key, a hold for its subject, a charge for
//     its subject and hour, a refund for its charge. The unique key is claimed first; a second
//     claim changes nothing. Calling again is safe after any failure.
//   - A hold needs available money. A charge is always made, and may leave a debt.
//   - The refund of an hour never exceeds its charge.
//   - There is no running balance of revenue and funding: one row that every change updates would
//     make all accounts wait for one another. Audit sums them.
//   - What a subject spent, and what all that are described like it spent, are the sums of their
//     charges less refunds: they are changed with the wallet locked, also when a description
//     changes.
//
// The tables grow with what accounts own: a transaction for each change of their money, for each
// hour and hold that they pay, and a sum for each combination of project, tags and creator that
// their subjects had. Only sums of 0 are deleted.
//
// Locks are taken in this order: the claimed key, the hold, then wallets by account, then subjects.
package wallet
