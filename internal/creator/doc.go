// Package creator names who made a resource: a member of the account, an API key or an operator.
//
// It does not own users or keys, nor what they may do (package account).
//
// Invariants: a resource's creator is written once, with the resource, under the name that the
// creator had then. So it stays readable after the member has left or the key is revoked.
package creator
