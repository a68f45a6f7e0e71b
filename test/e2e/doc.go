// Package e2e uses the real binary through its public surface only: HTTP, SSH and the operator's
// commands. It tests what only the whole program can show. The rules of one package are tested in
// that package.
package e2e
