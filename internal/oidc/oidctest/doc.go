// Package oidctest is a small identity provider on loopback for tests. It signs what a test wants,
// and a test can make it differ as real providers do: in its discovery document, in the place of
// claims, in how clients authenticate, and in its keys.
package oidctest
