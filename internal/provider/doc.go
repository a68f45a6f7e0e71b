// Package provider owns the seam to the sources of machines: the interface that
// an upstream cloud or an operator's rack implements, its optional capabilities, and
// the kinds of its errors.
//
// It does not own offers as tenants see them (catalog), deployments, money, or
// any state: a provider is asked, and its answer is reconciled by the room that asked.
//
// Invariants that every implementation keeps, and providertest checks:
//   - Launch and CreateVolume are repeatable: the same reference gives the same machine
//     or volume, whatever happened to the first answer, once Info.SettleTime has passed since then.
//   - Terminate, DeleteVolume, Attach and Detach are repeatable, and succeed when the work is done already.
//   - A returned *Error says whether asking again can help. An outcome that is not known is
//     KindUnavailable, never KindRejected.
//   - Status words of a cloud are translated in its own folder and travel no further.
//   - Values are plain data, so that a provider can be a process of its own one day.
//   - No call is made inside a database transaction (db.InsideTx).
package provider
