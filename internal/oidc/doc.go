// Package oidc is a client of an OpenID Connect identity provider: it returns where to send a
// browser that signs in, and what the provider says about the user. It speaks the authorization
// code flow with PKCE.
//
// It does not own which Billet user that is (package account), nor the browser's way to the
// provider (the API).
//
// Invariants:
//   - What it returns was signed by the provider's key, for this client and this sign-in (nonce),
//     and has not expired. Clocks may differ by two minutes. Only an email address that the token
//     does not contain may come from the userinfo endpoint, for the same subject.
//   - An address counts as verified only if the provider says so of that very address.
//   - The provider's addresses and keys are read at a sign-in, so a provider that is down blocks
//     only its own sign-ins. They are kept for an hour. A token with an unknown key makes the
//     client read the keys again, once.
//   - Every request has a time limit, and at most a megabyte of a response is read.
package oidc
