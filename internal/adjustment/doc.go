// Package adjustment owns what operators add to and remove from wallets: the record of it, and the
// approval of large amounts by a second operator.
//
// It does not own how credit is booked (package operator), nor the amount above which an approval
// is needed (package settings). Refunds of top-ups return a tenant's own money, and transfers that
// an operator confirms are recorded at the bank: neither needs an approval.
//
// # State of an adjustment
//
//	booked                                      it needed no approval
//	pending ──▶ approved, rejected, withdrawn, expired
//
// # Invariants
//
//   - A pending adjustment has moved no money. Approving it books it in the same transaction, once:
//     the adjustment's row is locked, and the wallet's transaction has a key that is unique
//     forever.
//   - The user who asked for an adjustment never approves or rejects it, also not with an API key
//     that they made. An approval is by a known user: not by the command on the server's host, nor
//     by a key that was made there, as all keys of operators are. Such a key does not ask for what
//     needs an approval either: its user could approve it, signed in. Who has the host can do so,
//     but has the database, too.
//   - What was booked for an account without approval within 24 hours, by any operator, counts
//     together. The account's row is locked meanwhile, so parallel calls count each other.
//   - The amount and the text of an adjustment never change after it was asked for.
//   - A pending one expires after 30 days. An account has at most 20 pending ones.
//
// # Tables
//
// Adjustments grow with what operators do, and are kept: they say who moved money, and why.
//
// Locks are taken in this order: the account's row, an adjustment, then what package operator
// takes.
package adjustment
