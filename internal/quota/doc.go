// Package quota owns how much an account may have at once: machines, GPUs, hourly spend, volumes
// and their size. The operator sets defaults for the installation, and other limits for an account.
//
// It does not own what an account has (deployment and volume count it), the spending limits of an
// API key (spendlimit), or the rates of requests (ratelimit).
//
// Invariants:
//   - A limit that an account does not have is the default one. Without either there is no limit.
//   - Limits are compared within the transaction that adds to what is used, after account.Enter has
//     locked the account: parallel requests do not exceed a limit together.
//   - A lower limit ends nothing that exists.
package quota
