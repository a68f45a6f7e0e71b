// Package account owns who calls: accounts, users, their roles in accounts, invitations, sessions,
// the ways to sign in (passwords, codes of authenticator apps, recovery codes, passkeys, identity
// providers), API keys with their scopes, networks, expiry and limits, and the device
// authorizations by which a program gets a key that a user approves.
//
// It does not own which scope an endpoint requires (the API), how requests are counted (ratelimit),
// the record of who did what (audit), the protocol of identity providers (oidc), an account's money
// (wallet), or how its markup changes prices (catalog).
//
// Invariants:
//   - No secret is stored. Keys and session tokens are stored as SHA-256, which suffices for 256
//     random bits; passwords as argon2id, which is slow on purpose. The secret of an authenticator
//     app must be read again, so it is sealed.
//   - The call that creates a secret shows it once. It is in no error, log or row.
//   - Every query for keys is by account, except the one that finds a key by the hash of its
//     secret.
//   - A caller without a valid secret learns nothing about existing keys and users. Only the holder
//     of a key learns its state, from an allowed network. A wrong password and an unknown email
//     address take the same time and get the same answer.
//   - A key that another process changes counts as it was read for at most a tenth of a second. A
//     change by this process takes effect with its commit.
//   - Attempts are counted in the database before they are made, so replicas count together, and
//     concurrent attempts do not exceed a limit.
//   - Failed sign-ins count by browser if the user has signed in on it before, and the failures of
//     others do not count there. Elsewhere they count by address and email address together, then
//     by email address, and last by address, which many users may share.
//   - Wrong codes of an authenticator app count by user: only a caller with the password gets that
//     far, and recovery codes and passkeys still work. Attempts count alike whether or not an
//     invitation or email address exists.
//   - A session works in one account, with the current role of its user there. A user who leaves an
//     account has no session in it from that commit on, and no API key that they created.
//   - A session that views an account has the scopes of a viewer there, is no operator's meanwhile,
//     and ends with its time.
//   - A suspended account starts nothing that costs money: whatever does calls Enter first, which
//     locks the account as suspending it does.
//   - Every account has an owner. Only owners add and remove owners.
//   - A code, a recovery code, a challenge, an invitation and the state of an external sign-in work
//     once, also for concurrent calls. The first answer uses up a challenge and a state, even if it
//     is wrong.
//   - A device authorization is decided once and has at most one key. Of the secrets given out for
//     it, the last works.
//   - Whether a user has an email address is told only in a mail to that address. Requests for such
//     mails do the same work either way, and count alike.
//   - A link in a mail works once. A newer one for the same address replaces it.
//   - At most two passwords are hashed at once, so that sign-ins cannot exhaust the memory.
package account
