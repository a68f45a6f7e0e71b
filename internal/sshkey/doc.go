// Package sshkey owns the public keys that tenants have named, and the rules
// of what counts as a public key.
//
// It does not own which machine has which key: deployment copies the key's line
// when it deploys, so deleting or renaming a key here changes no machine.
//
// Invariants:
//   - A stored line is canonical: type, base64 as the key's own parts encode, and a
//     printable comment, apart by single spaces. No options, no certificate, no
//     second line: it can be written into an authorized_keys file as it is.
//   - An account has each key (by fingerprint) and each name at most once; unique
//     indexes say so, not a read before a write.
//   - No message ever repeats what was sent: it may have been a private key.
//   - Every query but those within Parse is by account.
package sshkey
