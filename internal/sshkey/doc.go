// Package sshkey owns the public keys that tenants have saved under a name, and the rules for a
// valid public key.
//
// It does not own which machine has which key: a deployment copies the key's line, so deleting or
// renaming a key here changes no machine.
//
// Invariants:
//   - A stored line is canonical: type, base64 in the encoding of SSH, and a printable comment,
//     separated by single spaces. It has no options, no certificate and no second line, so it can
//     be written into an authorized_keys file.
//   - An account has each key (by fingerprint) and each name at most once. Unique indexes ensure
//     it.
//   - No message repeats the input: it may have been a private key.
//   - Every query is by account.
package sshkey
