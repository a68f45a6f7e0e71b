// Package credit owns money that is given to an account: what was given, by whom, until when, and
// how much of a credit that expires is left.
//
// It does not own the books (wallet), nor who may give credit (operator, signup).
//
// # Which money is spent first
//
// Credits that expire are spent first, the one that expires soonest before the others; then the
// rest of the money. Money on hold counts as spent. Money that returns, by a refund or the release
// of a hold, goes to what was spent last. If that is a credit that has expired, it is spent first
// of all. A credit that is given to an account with a debt pays the debt first.
//
// Nothing is written when money is spent. What was spent in total, and what is on hold, is known of
// package wallet. The position of an account has the total at which the set of its credits last
// changed, what was left of each credit, and which part of the total each has paid. The rest
// follows from the total of now, by a pure function. So between two changes of the set of credits
// only the sum counts, not the order of charges and refunds.
//
// If a correction takes more out of a wallet than its other money, such as a disputed payment, less
// is available than is left of the credits. Then the difference counts as spent, as long as it is
// missing.
//
// # Expiry
//
// At its expiry a job takes what is left of a credit out of the wallet: at most the available
// money, so it never leaves a debt. Seven days before, an event tells of it, unless the credit was
// given later than that.
//
// What is missing then stays part of the position: it may return, such as when a dispute is won.
// So may money on hold, when it is released. Otherwise a hold or a dispute around the expiry would
// turn the credit into money that never expires. The job runs again after an hour, then after
// pauses that grow to a day, and takes what has returned, again at most the available money. It
// ends after two days, or after 180 while something is missing, and at once if nothing can return.
// What returns later does not expire. It is spent first and is never refunded to a payment method.
//
// Each time is a transaction, an adjustment. Its key is unique for the credit and what was taken
// of it before.
//
// # Invariants
//
//   - A credit is written with the transaction of the wallet that gives it.
//   - What is left of all credits is together at most the available money.
//   - What is taken of a credit is together at most its amount, and each part is taken once.
//   - Of money that was paid in, what is unspent is the available money less what is left of
//     credits: no payment can be refunded with money of a credit that expires.
//
// # Tables
//
// Credits grow with what is given, and are kept as long as the account's statement. There is one
// position for each account that ever had a credit that expires; it has at most the credits that
// are open or of which something is left, 100 together, and the last 200 parts of the total that
// were paid by credits. No refund reaches further back.
//
// Locks are taken in this order: the wallet, then what it takes, then positions, events and jobs.
package credit
