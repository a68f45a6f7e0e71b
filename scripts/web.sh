#!/usr/bin/env bash
# Builds the dashboard into internal/dashboard/dist, which is embedded in the program: web/ with npm, and the terminal's client, which
# is Go. Skips it if it is newer than all its sources. With REQUIRE_PAGES=1 it fails if it cannot build.
set -euo pipefail
cd "$(dirname "$0")/.."
dist=internal/dashboard/dist

if ! command -v node >/dev/null 2>&1 || ! command -v npm >/dev/null 2>&1; then
  [ -z "${REQUIRE_PAGES:-}" ] || { echo "The dashboard needs Node.js 20 or newer, with npm." >&2; exit 1; }
  echo "Building without the dashboard, which needs Node.js 20 or newer with npm. Everything else works without it." >&2
  exit 0
fi
if [ -f "$dist/built" ] && [ -z "$(find web docs/openapi.json go.mod go.sum scripts/web.sh -path web/node_modules -prune -o -newer "$dist/built" -print -quit)" ]; then
  exit 0
fi
./scripts/npm.sh web
(cd web && npm run build)
./web/ssh/build.sh "$dist/ssh"
node web/compress.mjs "$dist"
touch "$dist/built"
