// Package spendlimit owns the spending limits of API keys: the highest hourly price, the most money
// a day and a month, how many deployments at a time, and which GPU types. They are meant for keys
// of autonomous programs.
//
// It does not own money: package wallet decides whether an account can pay, and package meter what
// is charged. A key without limits may spend what its account has, and is not stored here.
//
// Invariants:
//   - Committed hours count before they are paid: an hour counts toward the day and the month in
//     which it begins, until the auto-terminate time, or indefinitely without one. A key that is
//     within its limits when it starts something therefore cannot exceed them by letting it run.
//   - Spending with one key is serialized: the check and what it allows are one change.
//   - What a signed-in user changes about a deployment of a key is counted, but not refused.
package spendlimit
