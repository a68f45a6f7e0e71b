// Package volume owns persistent storage: volumes, what they are attached to, and their life at the
// provider.
//
// It does not own deployments (a Target is a plain id with a place; package deployment checks that
// it exists, and detaches the volumes when its machine has ended), hours and money (meter, wallet),
// or prices (catalog): a volume's price per GB is fixed when it is created.
//
// # Lifecycle
//
//	creating  → available   the provider has it: the hold becomes the first hour, the meter starts
//	creating  → failed      refused, or not created in time: the hold is released, no charge
//	available → attaching → attached
//	attaching → detaching   detached before it was attached, refused, or the machine has ended
//	attached  → detaching → available
//	detaching → failed      the provider has lost it: the rest of the hour is refunded
//	creating, available → deleting → deleted
//	attaching, attached, detaching → deleting   only by DeleteAll, which detaches first
//	failed    → deleted     at once
//
// # Reconciling
//
// A job for each volume runs Reconcile: it reads the row, calls decide, and applies the decision.
// decide (decide.go) is a pure function of the row, of what was observed, and of the time. Some
// decisions are questions to the provider: the answer becomes part of the observation, and decide
// is called again. A second job for each provider runs Watch, which compares all its volumes with
// the rows.
//
// # Invariants
//
//   - The row is committed before the provider is called, with the volume's id as reference. A call
//     whose outcome is unknown is settled by asking for the volume, and by calling again with the
//     same reference. Where the provider needs time to settle, a create without an answer is not
//     repeated before that time has passed, and a delete is not confirmed.
//   - No provider is called inside a transaction. What it answers is written only if the volume is
//     still as it was when it was asked.
//   - A volume is attached to at most one deployment, at the same provider and in the same region.
//   - The meter runs exactly from when the volume is first available until the tenant deletes it,
//     whatever it is attached to.
//   - A volume that failed or was deleted soon after its creation is deleted upstream for an hour
//     more: a create that was still under way may land late. One that the provider lost is never
//     deleted upstream.
//   - A volume that is not created in time fails also if its provider account cannot be opened.
//     What a create may have made is then deleted once the provider can be asked.
//   - Names are unique in the account among volumes that are neither failed nor deleted.
//
// Locks are taken in this order: deployments, volumes (by id), meters, then what meter and wallet
// take, then jobs.
package volume
