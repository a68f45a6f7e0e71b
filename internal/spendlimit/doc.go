// Package spendlimit owns what an API key may spend: the dearest hour, the sum of a day and of a month, how many deployments at a time, which GPU types. It is
// for keys that are given to programs which decide for themselves.
//
// It does not own money: the wallet says whether an account can pay, and the meter what was charged. A key without an allowance may spend what its account has,
// and is not known here.
//
// Invariants:
//   - What is begun counts before it is paid: an hour counts for the day and the month in which it begins, until the planned end; without one for ever. So a key
//     that stays inside its limits when it begins something cannot leave them by letting it run.
//   - Whoever spends with one key does so one after the other: the check and what it lets through are one change.
//   - What a signed-in user does to a deployment of a key is counted, and not refused.
package spendlimit
