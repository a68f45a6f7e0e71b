// Package promo owns promo codes: what an operator offers with a code, who has redeemed it, and the
// rules of redeeming.
//
// It does not own the credit that a redemption gives (credit), nor how often wrong codes may be
// tried (account, which counts them).
//
// # Invariants
//
//   - A code is unique whatever its case, and so is a redemption by its code and account.
//   - A code is redeemed once for a mailbox, however its address is written: the mailboxes of the
//     account's owners when it redeems the code count.
//   - A code is redeemed at most as often as its maximum, however many redeem it at once: the count
//     is a column of the code, which a redemption raises only below the maximum.
//   - While credit above an amount needs the approval of a second operator (package adjustment), a
//     code gives at most that amount, and has a maximum. It is checked again when it is redeemed.
//   - The redemption, its credit and the count are one change.
//   - A code that does not exist, is disabled, not valid yet, expired, used up or only for new
//     accounts is refused with one text. So a guess does not tell which codes exist.
//
// # Tables
//
// Promo codes grow with what operators create, and are deleted only where no account has redeemed
// them.
// Redemptions, and the hashes of mailboxes, grow with what accounts redeem, and are kept as long as
// the account's statement.
//
// Locks are taken in this order: the account's row, the code, then what package credit takes.
package promo
