// Package oidctest is a small identity provider on loopback, for tests. It signs what a test wants, and can be made to differ as
// the providers of the world do: in its discovery document, in where claims stand, in how clients authenticate, in its keys.
//
// It does not own what is right: a test says what it expects.
package oidctest
