#!/usr/bin/env bash
# Everything that is checked without running the tests: format, vet on both systems, lint, and that what is
# generated is fresh.
set -euo pipefail
cd "$(dirname "$0")/.."

echo "== format"
unformatted=$(gofmt -l client cmd internal test web/ssh)
[ -z "$unformatted" ] || { echo "run gofmt -w on:"; echo "$unformatted"; exit 1; }
echo "== vet"
go vet ./...
GOOS=darwin go vet ./internal/provider/sim/node # where the systems differ; all else is the same code
GOOS=js GOARCH=wasm go vet ./web/ssh # which is for browsers only
echo "== lint"
go tool staticcheck ./...
echo "== modules"
go mod tidy -diff
go mod verify >/dev/null
echo "== generated files"
go run ./cmd/billetd openapi | diff -u docs/openapi.json - || { echo "docs/openapi.json is stale; run make generate"; exit 1; }
echo "== pages"
if [ -d web/node_modules ]; then
  (cd web && npm run --silent check)
else
  echo "left out: \`make build\` fetches what the pages are checked with" >&2
fi
echo "check: all is well"
