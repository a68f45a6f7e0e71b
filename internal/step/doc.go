// Package step owns the progress of a deployment as its tenant sees it: named steps, each with its
// times and what the provider reports.
//
// It does not own when a step begins: the deployment does.
//
// Invariant: at most one step is active, all before it are done, and what is done does not change.
package step
