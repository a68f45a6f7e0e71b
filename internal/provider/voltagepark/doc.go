// Package voltagepark sells the machines of Voltage Park's on-demand API: bare-metal rentals of
// one, two or four nodes, instant VMs, and NFS storage.
//
// It owns that API's paths, bodies and words. It does not own how a cloud is called (upstream), nor
// what becomes of its answers.
//
// # Invariants
//
//   - A machine is ours by its mark, which goes upstream as its name and as its tag: a rental that
//     is still Pending shows no tags. A volume is ours by its name, which the cloud keeps unique,
//     so that no create makes a second one.
//   - The cloud makes two machines of two equal requests. A create is sent once, after a complete
//     list that was asked for then shows no machine of the reference; Info.SettleTime says for how
//     long one without an answer may still come.
//   - Complete means every page of rentals and of VMs. Pages overlap: where the first row of one is
//     not known, rows went meanwhile, and that place is read again. A list that moves while it is
//     read is never taken for one that lacks a machine.
//   - upstream.Fleet does not serve: a machine is one of two kinds, under paths of its own, and one
//     in its end is listed as Running for longer than a Fleet remembers.
//   - The list is shared by all who look, and at most half of Info.PollEvery old: a hundred
//     machines cost ten requests in fifteen seconds.
//   - Whatever the setting products says, machines of both kinds are seen and ended; it is about
//     what is offered.
//   - Addresses, users and mount paths that reach a tenant have the form of one, whatever the cloud
//     sent.
//
// # What the cloud cannot do
//
//   - It installs no operating system anew. VMs cannot be rebooted, only switched off and on.
//   - A machine that is off costs as much as one that is on. VMs are switched off keeping their
//     GPUs.
//   - Storage is an NFS share, for bare metal only. Nobody but the tenant can mount it:
//     Volume.MountPath is what to mount, "10.9.0.5:/vol-…", not where. It is attached once the
//     machine runs; storage_id, which attaches one at boot, is not used.
//   - There is no balance to be read, and no stock of storage.
//   - VMs with Windows are left out: they open with a password.
//
// # Settings
//
//   - products: "bare-metal", "vm" or both, with a comma; both where it is missing.
//   - vm-user: who logs in to VMs with a key; "user" where it is missing.
//   - region-names: "<location id>=dallas-usa-5,…" gives locations a slug. Without, a location's
//     slug is its id, which never changes, where its name may. Offers are known by region and key:
//     a slug that is changed makes other offers.
//   - storage-regions: the slugs, with commas, of the regions whose machines reach the storage;
//     every bare-metal location where it is missing. The API does not tell.
//   - requests-per-minute: how many requests the account may send, 10 of them at once; 54 where it
//     is missing. The cloud publishes no limit: raise it where it has told you one.
//
// # Inferred
//
// What the documents leave open, and what we do about it:
//   - Offers: upstream has none; they are location × network × 1, 2 or 4 nodes, with the key
//     "<network>/<gpus>", and location × preset, with the key "vm/<preset>".
//   - Stock is the sum of the free GPUs of a location; whether four free nodes are in one cluster
//     is not promised, and a refusal is KindNoCapacity.
//   - The operating system of bare metal is named nowhere: "Ubuntu 22.04", and the user "ubuntu"
//     where the rental names none.
//   - Bare metal takes cloud-init as cloudinit_script, VMs as cloud_init, both as an object: a text
//     with anything but packages, write_files and runcmd is refused, and so are forms of these that
//     the object may not take.
//   - location_id is sent with a VM: one document has it, and without it nobody knows where the VM
//     is.
//   - Whether the ids of /locations/ are those of bare-metal locations; where they are not, a
//     region has no name but its slug.
//   - A preset without stock is listed, sold out, in each location that has had VMs, or in every
//     bare-metal location where none is known to.
//   - Power in the same state is refused with a detail, with 400 or with 200: we look before and
//     after.
//   - A rental in its end stays on the list a while and is Running there: we remember that we ended
//     it, for two minutes, then end it again.
//   - order_ids is replaced by a PATCH as a whole; we read it back. Orders that are on no list of
//     rentals count as gone. One volume goes to one machine.
//   - A volume with the status inactive cannot be attached yet.
//   - The path of an NFS export is documented nowhere: "/" and the volume's name.
//   - The request budget is ours, 1 in 1.1 s: none is published.
//   - A create without an answer comes within 90 s or not at all; a rental is ready within 45
//     minutes.
//   - rate_hourly is of the whole rental, total_associated_per_hr of a VM that runs: that is what
//     they cost.
//   - A rental of several nodes is ready once node_count of them have a public address. All answer
//     at port 22.
//   - Bare metal is given no SSH host key: it would go with the cloud-init field, which is not
//     certain. VMs are.
//
// # Confirmed
//
// List envelope, prices as text or number, $1.99 and $2.49 a GPU and hour of bare metal, VMs at
// compute plus storage, stock that may be 0, and cloud_init of VMs as an object: published
// catalogues and programs that run.
//
// The facts are those of the cloud's public API documents and of programs that use it, read in
// 2026. No live call was made.
package voltagepark
