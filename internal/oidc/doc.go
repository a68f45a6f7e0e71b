// Package oidc owns the conversation with an identity provider: where to send a browser that wants to sign in, and what
// the provider's answer says about who came back. It speaks OpenID Connect's authorization code flow with PKCE.
//
// It does not own who of our people that is (account), nor the browser's way there and back (httpapi).
//
// Invariants:
//   - What it returns was signed by the provider's key, for this client, for this sign-in (nonce), and has not expired; two minutes are
//     allowed for clocks that differ. Only an email address that the token does not tell may come from the userinfo endpoint, which speaks of the same subject.
//   - An address counts as verified where the provider says so of that very address. No other claim stands in for it.
//   - The provider is asked for its addresses and keys when somebody signs in, so a provider that is down keeps nobody else out. They are
//     kept for an hour; a token with an unknown key has the keys read again, once.
//   - Every question has a time limit, and no answer of more than a megabyte is read.
package oidc
