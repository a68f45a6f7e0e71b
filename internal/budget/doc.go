// Package budget owns what an account wants to spend at most: budgets for the account, a project, a
// tag or an API key, by day, by month or in total, and what follows when one is reached.
//
// It does not own the money (wallet), the hours (meter), or the limits of an API key (spendlimit).
// Those are a commitment in advance, which no hour of a key can exceed even if everything runs
// until it auto-terminates. A budget counts what was charged and what is on hold, and acts when an
// hour is about to begin. So the two are different things with one implementation each.
//
// # What counts
//
// Spent is what was charged for hours that began in the period, less refunds. Committed is what
// machines and volumes that have not ended will be charged at least, and have not been: their first
// hour, and all hours that begin in a minimum runtime, whatever period those begin in. So what a
// minimum runtime binds cannot be promised twice. Both count for what the charged things are now: a
// tag that is added to a deployment takes its past cost along. Days and months are those of UTC.
//
// What was spent in a day or a month is added up from the days of the month. What was spent in
// total is added up from sums that package wallet keeps, one for each combination of project, tags
// and creator that the account ever used: not one for each hour, but more as long as new tags are
// used. They are read only for accounts that have a budget in total. The database adds them up;
// only a budget in total of a tag needs each list of tags by itself.
//
// # Modes
//
//   - alert only tells when a threshold is reached.
//   - block also refuses a deployment or volume that would pass the amount with its first hour, or
//     with the hours of its minimum runtime.
//   - terminate also lets no further hour of a deployment begin that would pass the amount: the
//     deployment ends at that instant, also if the server was down then. No deployment ends before
//     its minimum runtime: those hours begin whatever else was spent meanwhile. A volume is never
//     deleted: its hours count, and may pass the amount.
//
// # Invariants
//
//   - No hour of a deployment begins after its minimum runtime that would pass the amount of a
//     budget of mode terminate, and nothing starts in one of mode block or terminate, however many
//     requests and sweeps run at once: each locks the account's budgets first.
//   - A threshold is told once for each period.
//
// Locks are taken in this order: the account's row or a deployment's row, meters, budgets, then
// what package wallet takes, then events and jobs.
package budget
