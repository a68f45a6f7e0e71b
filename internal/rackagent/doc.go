// Package rackagent owns the service agent of own servers: the protocol between the agent and
// billetd, the agent's work on a machine, and the ISO image that a machine's BMC starts it from.
//
// A job is one boot of the agent on one machine: inspect it, erase its drives and prove it, write
// an image and its NoCloud partition, or serve a shell for the tenant (rescue). The agent has its
// whole configuration on the kernel command line (Parameters), so it needs no DHCP, no PXE, and no
// driver for the medium that it was started from. It calls billetd:
//
//	GET  /agent/v1/job      the machine's job
//	POST /agent/v1/reports  what the agent is doing, and what came of it
//
// Both calls carry the job's token ("Authorization: Bearer …"). The server's certificate is pinned
// by its SHA-256. The answer 401, 403, 404 or 410 means that the job is over for this agent: it
// stops, and says so on the console.
//
// It does not own which job a machine gets (the server's inventory decides), the BMC, or the
// access to real drives and network cards, which is a command of its own. All of that is a field
// here, so that tests script it.
//
// Invariants:
//   - No drive of a job is forgotten: each serial that the job expects is in the Erasure, and one
//     that is missing, fails, or still has a mark fails the erasure.
//   - A method that the drive reports as done proves nothing. Random marks are written first, read
//     back, and must be gone afterwards. Zeros are not proof either.
//   - An image whose SHA-256 is wrong never starts: the start of the drive is written last, after
//     the checksum matched, and both ends of the drive are cleared otherwise.
//   - A report may arrive twice or not at all. Reports are numbered, and the last one repeats
//     everything that the server has to know.
package rackagent
