// Package clients runs the API with clients that Billet did not write: what generators of other people make of docs/openapi.json, in Go and in
// TypeScript, and what two linters say of the document. It owns the generators' settings and a small program for each; what
// they need is in go/go.mod and package-lock.json, and scripts/need.sh fetches it.
package clients
