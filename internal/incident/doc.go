// Package incident owns the incidents of providers: periods in which one did not answer or was
// paused, and the accounts that are told because machines of theirs are there.
//
// It does not own the health of a provider (catalog), its pause (provideraccount), nor what members
// are told (mail sends what the events say).
//
// Invariants:
//   - A provider has at most one open incident of a kind.
//   - A provider that failed for a moment has no incident: one begins when the provider is down,
//     from its first failed request on. It ends once the provider has answered for recoverAfter, at
//     its first answer, so that one that comes and goes is one incident.
//   - An account with a machine at the provider gets one event when an incident begins and one when
//     the provider has answered again, in bounded batches: what was told is committed with the
//     event. An incident that ends because the provider was removed has no second event.
//   - An incident is deleted Kept after its end.
package incident
