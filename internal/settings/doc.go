// Package settings owns what an operator sets while the server runs: the name of the installation
// and its links, its logo and color, the mail server, who may sign up, which public pages are on,
// how top-ups are paid, what accounts get for machines that did not work, and whose GPUs are
// checked.
//
// It does not own what a flag of `billetd serve` sets, provider accounts or prices, nor what the
// settings mean: the packages that read them do.
//
// Invariants:
//   - All settings are one row. Its version rises by one with every change, and a change is made
//     under the lock of the row, so that concurrent changes of different groups are all kept.
//   - Every change is validated as a whole, and every fault is named at once.
//   - The password of the mail server is sealed in the database and is never shown.
//   - A logo is a PNG, JPEG or WebP image that was decoded within bounds, so that it contains no
//     script. Text on the primary color has a contrast of 4.5:1 in both themes.
//   - Current is at most a few seconds older than the database. A change by this process counts at
//     once.
package settings
