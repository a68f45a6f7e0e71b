// Package voltagepark is the adapter to Voltage Park's on-demand API: bare-metal rentals of one,
// two or four nodes, instant VMs, and NFS storage.
//
// It owns that API's paths, bodies and status words. It does not own how requests are sent
// (upstream), nor what becomes of the responses.
//
// # Invariants
//
//   - A machine is ours by its mark, which is its name and a tag: a Pending rental shows no tags. A
//     volume is ours by its name, which the cloud keeps unique, so no create makes a second one.
//   - The cloud creates two machines for two equal requests. A create is sent once, after a fresh
//     and complete list shows no machine of the reference. Info.SettleTime is how long one without
//     a response may still take effect.
//   - Complete means every page of rentals and of VMs. Pages overlap: where the first row of one is
//     unknown, rows went meanwhile, and that position is read again. A list that changes while it
//     is read never counts as one that lacks a machine.
//   - upstream.Fleet does not fit: a machine is one of two kinds, with paths of its own, and one
//     that is ending is listed as Running for longer than a Fleet remembers.
//   - All callers share one list, at most half of Info.PollEvery old: a hundred machines cost ten
//     requests in fifteen seconds. A longer list may be older, see upstream.List.
//   - Machines of both kinds are seen and ended, whatever the setting products is. The setting is
//     about offers only.
//   - Addresses, users and mount paths that reach a tenant are well formed, whatever the cloud
//     sent.
//
// # What the cloud cannot do
//
//   - It cannot reinstall an operating system. VMs cannot be rebooted, only switched off and on.
//   - A machine that is off costs as much as one that is on. VMs are switched off keeping their
//     GPUs.
//   - Storage is an NFS share, for bare metal only. Only the tenant can mount it: Volume.MountPath
//     is what to mount, "10.9.0.5:/vol-…", not where. It is attached once the machine runs;
//     storage_id, which attaches one at boot, is not used.
//   - It states neither a balance nor a stock of storage.
//   - VMs with Windows are left out: they require a password.
//
// # Settings
//
//   - products: "bare-metal", "vm" or both, comma-separated; both by default.
//   - vm-user: the login user of VMs; "user" by default.
//   - region-names: "<location id>=dallas-usa-5,…" gives locations a slug. By default a location's
//     slug is its id, which never changes, while its name may. Offers are identified by region and
//     key: a changed slug makes other offers.
//   - storage-regions: the slugs, comma-separated, of the regions with storage; every bare-metal
//     location by default. The API does not state it.
//   - requests-per-minute: how many requests the account may send, 10 of them at once; 54 by
//     default. The cloud publishes no limit: raise it where the cloud has granted you more.
//
// # Inferred
//
// What the documents leave open, and what the adapter does:
//   - Offers: the API has none. They are location × network × 1, 2 or 4 nodes, with the key
//     "<network>/<gpus>", and location × preset, with the key "vm/<preset>".
//   - Stock is the sum of the free GPUs of a location. Whether four free nodes are in one cluster
//     is not stated, and a refusal is KindNoCapacity.
//   - The operating system of bare metal is not stated: it is "Ubuntu 22.04", with the user
//     "ubuntu" where the rental states none.
//   - Bare metal takes cloud-init as cloudinit_script, VMs as cloud_init, both as an object. A text
//     with anything but packages, write_files and runcmd is refused, and so are forms of these that
//     the object may not support.
//   - location_id is sent with a VM: one document has it, and without it the location of the VM is
//     unknown.
//   - The ids of /locations/ may be those of bare-metal locations. Where they are not, a region has
//     no name but its slug.
//   - A preset without stock is listed as sold out in each location that has had VMs, or in every
//     bare-metal location where none is known to.
//   - Power in the same state is refused with a detail, with 400 or with 200: the state is read
//     before and after.
//   - A rental that is ending stays on the list a while and is Running there. The adapter remembers
//     for two minutes that it ended the rental, then ends it again.
//   - order_ids is replaced as a whole by a PATCH, and read back. Orders that are on no list of
//     rentals count as ended. One volume is attached to one machine.
//   - A volume with the status inactive cannot be attached yet.
//   - The path of an NFS export is not documented: it is "/" and the volume's name.
//   - The request budget of 1 in 1.1 s is the adapter's own: the cloud publishes none.
//   - A create without a response takes effect within 90 s or never. A rental is ready within 45
//     minutes.
//   - A machine costs rate_hourly of the whole rental, or total_associated_per_hr of a VM that
//     runs.
//   - A rental of several nodes is ready once node_count of them have a public address. All have
//     SSH at port 22.
//   - Bare metal gets no SSH host key: it would go with the cloud-init field, which is uncertain.
//     VMs get one.
//
// # Confirmed
//
// List envelope, prices as text or number, $1.99 and $2.49 per GPU and hour of bare metal, VMs at
// compute plus storage, stock that may be 0, and cloud_init of VMs as an object: published catalogs
// and programs in use.
//
// Source: the cloud's public API documents and programs that use it, read in 2026. No live request
// was made.
package voltagepark
