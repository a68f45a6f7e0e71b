// Package clients calls the API with clients that Billet did not write: those that generators make
// from docs/openapi.json, in Go and TypeScript. It also runs two linters over the document. It owns
// the generators' settings and a small program for each. Their dependencies are in go/go.mod and
// package-lock.json; scripts/need.sh installs them.
package clients
