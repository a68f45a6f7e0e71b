#!/usr/bin/env bash
# Runs all tests under the race detector. The caller removes the directory BILLET_TEST_DIR afterwards.
set -euo pipefail
cd "$(dirname "$0")/.."

# Many packages start the server: it is built once for all of them.
go build -o "$BILLET_TEST_DIR/billetd" ./cmd/billetd
export BILLET_TEST_BINARY="$BILLET_TEST_DIR/billetd"

# SQLite's own code is C that was translated to Go. With the race detector it is four times as slow, and it is not the code under
# test; everything else is checked, including its driver. That package instantiates no generic function, which would go unchecked
# wherever it is used. `make check` runs vet.
run() { go test -race -gcflags=modernc.org/sqlite/lib=-race=false -vet=off -timeout 40m "$@"; }

# These start several servers, browsers or virtual machines each. Beside one another they would starve on a small machine, and
# wait in vain for what is only slow: two run at a time, after all others. Of those, four do: most spend half of their time waiting
# for a database or a process.
heavy='/test/(chaos|crash|dashboard|e2e|racks|upgrade)$'
mapfile -t light < <(go list ./... | grep -Ev "$heavy")
mapfile -t last < <(go list ./... | grep -E "$heavy")
[ ${#last[@]} -eq 6 ] || { echo "test.sh: expected six heavy packages, found: ${last[*]}" >&2; exit 1; }

failed=
run -p 4 "$@" "${light[@]}" || failed=1
# A module of its own: `go list` does not find it. Its libraries are large, and are not the code under test.
(cd test/release/charts && go test "$@" ./...) || failed=1
run -p 2 "$@" "${last[@]}" || failed=1
[ -z "$failed" ]
