// Package secret owns the key that encrypts the secrets which the server must be able to read
// again, such as those of authenticator apps. It seals and opens short texts, and reads or creates
// the key.
//
// It does not own what is sealed, nor where that is stored. Secrets that only need to be compared,
// such as API keys and passwords, are hashed by the packages that own them.
//
// Invariants:
//   - A text sealed for one purpose opens for no other, so a row cannot be moved to another row.
//   - A text that was changed, or sealed with another key, is an error and never a wrong text.
//   - Only the owner of the key file can read it. It is created once and never overwritten.
package secret
