#!/usr/bin/env bash
# Runs all checks except the tests: format, vet on each system, lint, modules, and that generated files are up to date.
set -euo pipefail
cd "$(dirname "$0")/.."

echo "== format"
unformatted=$(gofmt -l client cmd internal test web/ssh)
[ -z "$unformatted" ] || { echo "run gofmt -w on:"; echo "$unformatted"; exit 1; }
echo "== vet"
go vet ./...
GOOS=darwin go vet ./internal/provider/sim/node # the only code that differs by system
GOOS=js GOARCH=wasm go vet ./web/ssh # runs in browsers only
echo "== lint"
go tool staticcheck ./...
echo "== modules"
go mod tidy -diff
go mod verify >/dev/null
echo "== generated files"
go run ./cmd/billetd openapi | diff -u docs/openapi.json - || { echo "docs/openapi.json is stale; run make generate"; exit 1; }
echo "== dashboard"
./scripts/npm.sh web
(cd web && npm run --silent check)
echo "check: passed"
