#!/usr/bin/env bash
# Runs all tests under the race detector. BILLET_TEST_DIR is a folder that somebody removes afterwards.
set -euo pipefail
cd "$(dirname "$0")/.."

# The server that many packages start is built once for all of them.
go build -o "$BILLET_TEST_DIR/billetd" ./cmd/billetd
export BILLET_TEST_BINARY="$BILLET_TEST_DIR/billetd"

# The inside of SQLite is C, written as Go by a program. Under the detector it is four times as slow, and it is not what we
# look for races in; the driver around it, and all else, is watched. The package makes no generic function an instance of its
# own: such an instance would go unwatched wherever it is used. `make check` vets. Four packages at a time: most wait for
# half of their time, for a database, a process or a browser.
go test -p 4 -race -gcflags=modernc.org/sqlite/lib=-race=false -vet=off -timeout 20m "$@" ./...
