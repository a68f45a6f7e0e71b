// Package setup owns the first run: whether the installation has a user yet, the codes that guard
// the page on which the first one is created, and that user, who is an operator.
//
// It does not own users and their sign-in (account), accounts (operator), or anything that an
// operator sets after the first sign-in (settings, provideraccount).
//
// Invariants:
//   - Nothing can be set up once there is a user. Of several browsers with a code, one wins.
//   - A code is stored as SHA-256 and shown once. It works once and until it expires. The first
//     operator ends all codes.
//   - Attempts are counted by network before a code is compared, as sign-ins are.
//   - At most MaxCodes codes exist, however often servers start.
package setup
