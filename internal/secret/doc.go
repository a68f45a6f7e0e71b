// Package secret owns the keys that encrypt the secrets which the server must be able to read
// again, such as those of authenticator apps. It seals and opens short texts, reads, creates and
// changes the key file, and seals what is in the database again with another key.
//
// It does not own what is sealed, nor where that is stored: a package that stores sealed texts
// declares a Column for each column. Secrets that only need to be compared, such as API keys and
// passwords, are hashed by the packages that own them.
//
// # Rotation
//
// A sealed text names its key. A server may have several keys: all of them open, and one seals,
// whose name the database has (package installation). So a key is replaced while servers run: it is
// added to the key file of every server, then the database names it, then Reseal seals every text
// again, and then the former key can go. A server reads its key file again when it meets a key that
// it does not know.
//
// # Invariants
//
//   - A text sealed for one purpose opens for no other, so a row cannot be moved to another row.
//   - A text that was changed, or sealed with another key, is an error and never a wrong text.
//   - Only the owner of the key file can read it. It is replaced as a whole, and the last key is
//     never removed from it. A running server forgets no key.
//   - Reseal writes a text only in place of the one that it has opened, so it overwrites no change.
package secret
