// Package osimage owns the operating systems that tenants bring themselves: disk images at a URL,
// each with its SHA-256.
//
// It does not own which machine has which image: a deployment copies the image, so deleting one
// here changes no machine. The file is downloaded by the machine that is installed, which compares
// it (rackagent), never by this program.
//
// # Invariants
//
//   - The URL is of HTTPS and does not state a private address. A name may still resolve to one:
//     who downloads checks the address of each connection.
//   - An image does not change. Another file is another image.
//   - An account has each name at most once. A unique index ensures it.
//   - Every query is by account.
//
// # Tables
//
//   - os_image: at most MaxPerAccount of each account, plus those that are created at once.
package osimage
