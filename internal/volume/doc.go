// Package volume owns persistent storage: volumes, what they are attached to, and their way
// from the wish to the provider and back.
//
// It does not own deployments (a Target is a plain id with a place; package deployment checks that it
// exists, and says when its machine has ended), hours and money (meter, wallet), or prices
// (catalog): a volume's price per GB is fixed when it is created.
//
// # Lifecycle
//
//	creating  → available   the provider has it: the hold becomes the first hour, the meter starts
//	creating  → failed      refused, or not there in time: the hold is released, nothing was paid
//	available → attaching → attached
//	attaching → detaching   detached before it was attached, refused, or the machine has ended
//	attached  → detaching → available
//	detaching → failed      the provider has lost it: the rest of the hour is refunded
//	creating, available → deleting → deleted
//	attaching, attached, detaching → deleting   only by DeleteAll, which detaches on the way
//	failed    → deleted     at once
//
// # Invariants
//
//   - The row with the wish is committed before the provider is called, with the volume's id as reference; a
//     call whose outcome is unknown is settled by looking, and by calling again with the same reference. Where the
//     provider needs time to settle, a create without an answer is not sent again before that has passed, and a delete is not confirmed.
//   - No provider is called inside a transaction. What it says is written only if the volume is still
//     in the state in which it was asked.
//   - A volume is attached to at most one deployment, at the same provider and in the same region.
//   - The meter runs exactly from the first available until the tenant deletes it, whatever it is attached to.
//   - A volume that failed or was deleted soon after its creation is deleted upstream for an hour more: a create
//     that was still under way may land late. One that the provider lost is never deleted upstream.
//   - Names are unique on the account among volumes that are neither failed nor deleted.
//
// Locks are taken in this order: deployments, volumes (by id), meters, then what meter and wallet take, then jobs.
package volume
