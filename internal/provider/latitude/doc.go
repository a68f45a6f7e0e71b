// Package latitude is the adapter to Latitude.sh, which rents out bare-metal machines by the hour.
//
// It owns that cloud's paths, bodies and status words: plans and sites as offers, servers as
// machines, SSH keys and user data as the objects that a server refers to.
//
// It does not own deployments, prices as tenants pay them, or any state that must outlive the
// process: a server is found by its host name, which is the mark of its deployment.
//
// Invariants:
//   - A list is everything or an error: it is read until as many entries have come as the cloud has
//     counted, or until a page brings nothing new. Where the count changes between two pages, the
//     one before is read again. What a list of several pages does not show is read by its host name
//     before it counts as missing.
//   - upstream.Fleet does not fit: it trusts one list, where here a second read by host name is
//     due, and a deleted server is listed for longer than a Fleet remembers.
//   - Each Launch sends one create, after reading the list. What came of one without a response is
//     known within SettleTime.
//   - A server of another project of the same team is neither shown nor touched.
//   - At most 60 reads and 20 writes a minute are sent, with a tenth to spare.
//
// The cloud has no idempotency keys, so a launch is repeatable only because the list is read first.
// Its block storage is attached by the client over NVMe/TCP, and its API cannot detach a volume:
// there are no volumes here. A server does not show its SSH keys, and a reinstallation needs them:
// they are in a stored user-data object of the server's name, which also holds the cloud-config.
//
// # Settings
//
// project (required): the id or slug of the project that machines are created in.
//
// # Inferred
//
//   - Lists: meta.stats.total.count counts them where stats[total]=count is requested. Without it,
//     a page that brings nothing new is the end. The cloud may reduce page[size].
//   - POST /servers/{id}/reinstall: type reinstalls, with operating_system, hostname, ssh_keys and
//     user_data as at create.
//   - /user_data: type user_data, with description and content in base64, GET, POST and DELETE. An
//     object that could not be deleted with its server remains and does no harm.
//   - DELETE /ssh_keys/{id} deletes a key of the account, also one that a deleted server had.
//   - A deleted server is listed for a while with any status. A server that is off is billed.
//   - Windows and iPXE are not offered: they have no SSH.
//   - A 409 or 422 that mentions a limit or quota means that the account is at its limit. A refusal
//     that mentions a lock is KindRejected, whatever its status: a user locked the server in the
//     dashboard, and only a user should unlock it.
//   - A plan's cores are those of one processor or of all: a table of processors decides, and for
//     one that is not in it the number counts once.
//   - The status "on" is not believed in the first minute after a server was created or
//     reinstalled, unless another status was seen since.
//   - failed_disk_erasing is as final as failed_deployment.
//   - Hourly billing is requested with every create. What the cloud does without is uncertain. A
//     project that requires yearly billing states it in provisioning_type.
//
// # Confirmed
//
// Recorded responses: the credential without "Bearer" (which is accepted, too), projects by id and
// slug, country as an object with a name, GPU memory per GPU, drives as text ("3.8 TB", "480GB",
// "480"), out of stock as 422 SERVERS_OUT_OF_STOCK, creates answered with starting_deploy, a
// reinstallation with 201 and an empty body, a deleted server with 404 two seconds later, and price
// by the hour. A DELETE while a server deploys may be answered with 204 and do nothing; it is sent
// again.
//
// Source: the cloud's public API documents, read in 2026. No live request was made.
package latitude
