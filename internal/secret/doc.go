// Package secret owns the one key with which the house encrypts what it must be able to read again: secrets of
// authenticator apps, and whatever others of its kind come. It seals and opens short texts, and finds or makes the key.
//
// It does not own what is sealed, nor where that is kept. What only needs to be recognised, such as API keys and
// passwords, is hashed by its own room and never comes here.
//
// Invariants:
//   - What is sealed for one purpose opens for no other, so a row cannot be moved to another row.
//   - What was changed, or sealed with another key, is an error and never a wrong text.
//   - The key file is readable by its owner only, is made once, and is never written over.
package secret
