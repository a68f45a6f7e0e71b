// Package step owns how far deploying has come, as who waits for it sees it: named steps, each with its times and what the provider says.
//
// It does not own when a step begins: that is the deployment's.
//
// Invariant: at most one step is active, all before it are done, and what is done stays as it is.
package step
