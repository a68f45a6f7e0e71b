#!/usr/bin/env bash
# Runs all tests under the race detector. The caller removes the directory BILLET_TEST_DIR afterwards.
set -euo pipefail
cd "$(dirname "$0")/.."

# Many packages start the server: it is built once for all of them.
go build -o "$BILLET_TEST_DIR/billetd" ./cmd/billetd
export BILLET_TEST_BINARY="$BILLET_TEST_DIR/billetd"

# SQLite's own code is C that was translated to Go. With the race detector it is four times as slow, and it is not the code under
# test; everything else is checked, including its driver. That package instantiates no generic function, which would go unchecked
# wherever it is used. `make check` runs vet. Four packages run at a time: most spend half of their time waiting for a database,
# a process or a browser.
go test -p 4 -race -gcflags=modernc.org/sqlite/lib=-race=false -vet=off -timeout 40m "$@" ./...
