// Package upstream owns what all adapters to upstream clouds have in common: the client that keeps to a cloud's request budget,
// bounds its answers and turns what went wrong into a *provider.Error; complete lists, in pages or not, that many askers share; the fleet
// of machines that a cloud knows by ids of its own, and the SSH keys; amounts of money as clouds write them; and the mark by which a
// machine is known as ours.
//
// It does not own any cloud's paths, bodies or words: those are the adapter's.
//
// Invariants:
//   - What changes something upstream is sent at most once by each call. Only reading is tried again, with jitter.
//   - An answer that did not come, or that cannot be understood, is KindUnavailable and never a statement about a machine.
//   - The credential goes to the configured host only, over no redirect, and stands in no error, log line or URL.
//   - A wait for the budget that would outlast the caller's deadline ends at once, as KindThrottled.
//   - Inside a database transaction nothing is asked, answered from a list, or begun in a turn.
//   - Amounts are exact: no float stands between a cloud's text and micro-dollars.
package upstream
