// Package announcement owns what an operator announces to accounts: as a banner in the dashboard,
// by mail, or both, to all accounts or to those with machines at a provider, between two instants.
//
// It does not own who is a member (account), whether a member wants the mail (mail), nor how a
// banner is shown.
//
// Invariants:
//   - An account sees only announcements that are for it, and only between their times.
//   - Each member gets one mail for an announcement, in bounded batches: how far it was mailed is
//     committed with the mails. A change of the text is not mailed again.
//   - An announcement has an end, and is deleted Kept after it. At most maxOpen have not ended.
package announcement
