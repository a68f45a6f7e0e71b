// Package lambda is the adapter to Lambda's on-demand cloud of virtual machines.
//
// It owns that API's paths, bodies, words and traps. It does not own the request budget, the shared list of machines and the rule of one
// machine for each reference, which are upstream's; nor offers as tenants see them, which are the catalogue's.
//
// Invariants:
//   - An offer is a type and a region; its key is "<type>/<region>", both in the cloud's own words.
//   - The cloud names only the regions where a type can be had now. A type that is sold out is listed in the regions where this process has
//     seen it, and in no other: a place where it never was would be made up. After a start it is not listed until it can be had once.
//   - The reference goes upstream as the machine's name and as a tag. The tag counts where they disagree: names are changed by people.
//   - The cloud takes one launch in 12 seconds. A launch that comes before is KindThrottled with the time to wait, and is not sent.
//   - Errors are told apart by the cloud's code alone; no capacity is a 400.
//   - Secrets of machines (those of their notebooks) are never decoded. A key is always uploaded, never made by the cloud.
//
// What the cloud cannot do: bare metal, switching a machine off, installing a system anew. Its file systems have no size and are attached
// at the launch alone, so they are not volumes and not offered.
//
// # Inferred
//
//   - memory_gib and storage_gib are 2^30 bytes; we list decimal GB, rounded down.
//   - A type whose description does not say the GPU's memory is not offered.
//   - The list holds a machine from its launch to its end; one that it leaves out is gone.
//   - When a machine was launched, the cloud does not say: it stands in a tag of ours.
//   - A restart that is refused while another action is in progress is a success: the machine
//     comes up after it.
//   - A type's architecture is what the catalogue says; where it says nothing, one whose name
//     holds gh200, gb200 or gb300 has an arm64 processor, any other an x86_64 one. Of the families
//     of images, only those with an image of that kind in the region are offered, beside the
//     cloud's own default, "Lambda Stack".
//   - unhealthy is a machine that is billed and may recover. One that ran is left alone; one that
//     never did is given up ten minutes after its launch. preempted is lost.
//   - price_cents_per_hour of a machine's type is what the machine costs.
//
// # Confirmed
//
// No capacity as a 400 with its code, GPU memory in the text, the user ubuntu at port 22, one
// request a second and a launch in 12 seconds, and a 429 that is HTML: notes of live runs.
//
// Source of the facts: the cloud's public API documents, read in 2026; no live call was made.
package lambda
