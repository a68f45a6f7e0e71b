// Package wallet owns the prepaid money of accounts: one double-entry ledger,
// the statement that a tenant reads, and usage.
//
// It does not know what a deployment or a volume is, when an hour begins or what it costs
// (package meter does), nor what follows from a debt (package pastdue does). It bills a
// subject, which is any id.
//
// # The books
//
//	wallet/<account>   what the account may spend: the available money
//	hold/<account>     what is set aside for subjects that do not run yet
//	revenue            what was earned
//	funding            what was paid in, given, or corrected
//
// A line of the statement is one transaction with two entries. Its amount is what it does to
// the available money, so the entry in wallet/<account> is the amount, and the other
// book gets the opposite:
//
//	top_up, credit, adjustment   ±X   against funding
//	hold                         −X   against hold/<account>
//	release                      +X   against hold/<account>
//	charge                       −X   against revenue
//	refund                       +X   against revenue
//
// The balance is available plus held. AvailableAfter of a line is therefore the sum of all
// amounts up to it, and BalanceAfter that of all amounts but holds and releases. A hold
// that becomes a charge (a capture) is a release line and a charge line in one change.
//
// # Invariants
//
//   - The entries of a transaction sum to zero, so all entries do.
//   - Entries and lines are added, never changed. The row in the table wallet is a projection,
//     changed by the statement that also locks it: available and held are the sums of their books,
//     seq is the number of lines, and the newest line tells the same amounts.
//   - Everything happens once: a credit for its dedupe key, a hold for its subject, a charge for
//     its subject and hour, a refund for its charge. The unique key is claimed first; who
//     comes second changes nothing. Calling again is safe after any failure.
//   - A hold is only made from available money; a charge is always made, and may leave a debt.
//   - What is refunded of an hour never exceeds what was charged for it.
//   - There is no running balance of revenue and funding: one row that every change updates
//     would make all accounts wait for one another. Audit sums them.
//
// Locks are always taken in this order: the claimed key, the hold, then wallets by account.
package wallet
