// Package e2e drives the real binary over its public surface alone: HTTP, SSH and the operator's verbs. It
// proves what only the whole can show; rules of one room are tested in that room.
package e2e
