// Package account owns who calls: accounts, the people who sign in, their roles in accounts, the
// invitations that bring them there, their sessions, what they prove with who they are (passwords, codes of authenticator apps,
// recovery codes, passkeys, what an identity provider says), API keys with their scopes, networks, expiry and limits, and the logins
// by which a program gets one that a user allows by a code.
//
// It does not own what a scope allows on which route (httpapi), how calls are counted (ratelimit), the record of who
// did what (audit), the talk with identity providers (oidc), an account's money (wallet), or what its markup does to prices (catalog).
//
// Invariants:
//   - No secret is stored: keys and session tokens only as SHA-256, which suffices for 256
//     random bits; passwords only as argon2id, which is slow on purpose. The one exception must be read again to
//     be compared, the secret of an authenticator app: it is sealed.
//   - A secret is shown once, by the call that makes it, and is in no error, log or row.
//   - Every query for keys is by account, except the one that finds a key by its secret's hash.
//   - Whoever lacks a right secret learns nothing of the keys and people that exist: a
//     key's state is told only to its holder, and only from an allowed network; a
//     wrong password and an unknown e-mail address take the same time and say the same.
//   - A key is taken for what it was when it was read for at most a tenth of a second; what this process changes of
//     any key counts from the commit on.
//   - Tries are counted in the database before they are made, so replicas count together and parallel tries do not pass a limit.
//   - Failed sign-ins count by device where the user has signed in on it before, and whatever others do does not count there.
//     Elsewhere they count by address and email address together, then by email address, and last by address, which many people may share.
//   - Wrong codes of an authenticator app count by user: only whoever has the password gets so far, and
//     recovery codes and passkeys are not kept out by it. An invitation's token and an email address are counted alike whether or not they exist.
//   - A session works in one account, with the role that its user has there at each call. Whoever leaves an account has no
//     session in it from that commit on, and no API key that they made.
//   - An account has an owner. Only owners make and unmake owners.
//   - A code, a recovery code, a challenge, an invitation and the state of a sign-in elsewhere work once, however many try at once.
//     A challenge and a state are used up by the first answer, whatever comes of it.
//   - A login is decided once and has one key at the most, of whose secrets the last that was told works. The secret is made when it is told.
//   - At most two passwords are hashed at once, so that sign-ins cannot exhaust the memory.
package account
