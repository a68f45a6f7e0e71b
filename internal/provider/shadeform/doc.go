// Package shadeform is the adapter to Shadeform, a broker that rents out machines of many clouds
// through one API.
//
// It owns that API's paths, bodies and status words. It does not own the request budget, the shared
// list of machines and the rule of one machine per reference (upstream), nor offers as tenants see
// them (catalog).
//
// Invariants:
//   - An offer is a cloud, a type and a region of that cloud; its key is "<cloud>/<type>/<region>",
//     all three as Shadeform writes them.
//   - The reference goes upstream as the machine's name and as a tag. The tag counts where they
//     disagree, because users change names.
//   - A machine with the status deleting is no longer billed and is ending. It is gone once the
//     list does not have it.
//   - A key is used only where its material is the tenant's, whatever its name.
//
// The cloud cannot switch a machine off, reinstall its operating system, run cloud-init (it accepts
// a shell script) or attach a volume to a running machine. Its containers are not offered.
//
// # Inferred
//
//   - No request limit is published: the adapter sends at most two a second.
//   - An instance in error that was active is lost. One that never was has failed.
//   - A type without operating systems to choose from is not offered, since tenants are told what
//     will run.
//   - The interconnect of a type is the one between its own GPUs (SXM5, PCIe), and completes the
//     name of the GPU.
//   - memory_in_gb, storage_in_gb and vram_per_gpu_in_gb are decimal GB.
//   - A refusal whose text has words of a quota or of money is KindQuota.
//   - A row of availability without a rental_type is on demand. Rows of other types are not sold:
//     their price is not stated.
//   - boot_time is how long a machine takes. A launch fails after one and a half times
//     max_boot_in_sec and ten minutes. Types for which that is more than 90 minutes are not
//     offered, and those that state none have 90 minutes.
//   - A machine costs rental_terms.hourly_price, in dollars; without it hourly_price, in cents.
//
// # Confirmed
//
// 409 with OUT_OF_STOCK also for what is listed as available, 404 for an unknown id, deletion by
// POST (DELETE is 405) that is shown 9 seconds later or more, and that an instance in error may
// cost: notes of live runs.
//
// Source: the cloud's public API documents, read in 2026. No live request was made.
package shadeform
