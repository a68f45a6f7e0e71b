// Package provider owns the interface to sources of machines: what an upstream cloud or an
// operator's rack implements, its optional capabilities, and the kinds of its errors.
//
// It does not own offers as tenants see them (catalog), deployments, money, or any state: a
// provider answers, and the caller reconciles the answer.
//
// Invariants that every implementation keeps, and providertest checks:
//   - Launch and CreateVolume are repeatable: the same reference gives the same machine or volume,
//     whatever happened to the first response, once Info.SettleTime has passed since then.
//   - Terminate, DeleteVolume, AttachVolume and DetachVolume are repeatable, and succeed where the
//     work is done already.
//   - The kind of a returned *Error states whether a retry can help. An unknown outcome is
//     KindUnavailable, never KindRejected.
//   - Status words of a cloud are translated in its own package and appear nowhere else.
//   - Values are plain data, so that a provider can become a separate process.
//   - No call is made inside a database transaction (db.InsideTx).
package provider
