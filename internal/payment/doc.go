// Package payment owns how money gets into wallets: top-ups, the payments behind them, saved
// methods of payment, automatic top-ups, and what happens to money that was paid in and is refunded
// or disputed.
//
// It does not own the books (wallet), nor how a processor is called: a Processor is an
// implementation of the seam in processor.go, such as payment/demo.
//
// # Status of a top-up
//
//	pending   ──▶ succeeded, failed, expired, refunded, disputed
//	failed    ──▶ succeeded, refunded, disputed
//	expired   ──▶ succeeded, refunded, disputed
//	succeeded ──▶ refunded, disputed
//	refunded  ──▶ succeeded, disputed
//	disputed  ──▶ succeeded, refunded
//
// Money counts whenever it arrives, so a top-up that failed or expired can still succeed. A
// refunded one succeeds again if the refund fails, a disputed one if the dispute is won. A top-up
// is refunded once all of it is.
//
// # Invariants
//
//   - The row of a top-up is committed before its processor is called. A call is repeated with the
//     same top-up and attempt, for which a processor makes one page and takes money once.
//   - What follows from a payment is decided by one pure function, decide, from what is stored and
//     what the processor says of the payment now. Events only say when to ask. So their order,
//     repetition and loss change no balance: a job asks about each pending top-up, another about
//     events that did not arrive.
//   - Each movement of money in the wallet has a key that is unique forever: the credit has the
//     processor's ID of the money, a refund and a dispute have theirs.
//   - A top-up is credited only if amount, currency and mode (live or test) are those that were
//     asked for. Else an issue is opened, and an operator decides. One that the operator closes is
//     never credited: what arrives later is another issue.
//   - Money that is refunded leaves the wallet first, and is given back if the refund fails.
//     Disputed money leaves the wallet at once, which may leave a debt, and is given back if the
//     dispute is won.
//   - A charge of which no answer came is never given up without the processor: the same attempt is
//     made again, and after a day, or once automatic top-ups are off, stopped or lowered, the
//     processor is only asked for it. It ends once the processor says that there is none, and still
//     counts in its month.
//   - A saved method is charged only while automatic top-ups are on, payments are taken with its
//     processor, the limits hold and the account is not suspended. Else a top-up that was not
//     charged yet expires with the reason, and automatic top-ups stop with it.
//   - An account has at most one pending automatic top-up, by a unique index. A failed one is
//     repeated at the earliest after an hour, and automatic top-ups stop after three in a row, or
//     after one whose method will never work. If the bank wants a confirmation, they stop until a
//     top-up with a page is paid, which is created for it.
//
// # Tables
//
// Top-ups with their refunds and disputes, and saved methods, grow with what an account does, and
// are kept as long as its statement. Events of processors are deleted after 90 days. The others
// have a row or two for each account or processor.
//
// Locks are taken in this order: the account's row, a top-up, automatic top-ups, then what package
// wallet takes, then events and jobs.
package payment
