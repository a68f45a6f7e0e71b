// Package account owns who calls: accounts, the people who sign in, their
// sessions, and API keys with their scopes, networks, expiry and limits.
//
// It does not own what a scope allows on which route (httpapi), how calls are
// counted (ratelimit), or an account's money (wallet).
//
// Invariants:
//   - No secret is stored: keys and session tokens only as SHA-256, which suffices for 256
//     random bits; passwords only as argon2id, which is slow on purpose.
//   - A secret is shown once, by the call that makes it, and is in no error, log or row.
//   - Every query for keys is by account, except the one that finds a key by its secret's hash.
//   - Whoever lacks a right secret learns nothing of the keys and people that exist: a
//     key's state is told only to its holder, and only from an allowed network; a
//     wrong password and an unknown e-mail address take the same time and say the same.
//   - A key is taken for what it was when it was read for at most a tenth of a second; what this process changes of
//     any key counts from the commit on.
//   - Failed sign-ins count against the address they come from, never against the
//     person, so a stranger cannot lock anybody out.
//   - At most two passwords are hashed at once, so that sign-ins cannot exhaust the memory.
package account
