#!/usr/bin/env bash
# Builds the web pages into internal/dashboard/dist, from where they go into the program: what npm makes of web/, and the
# terminal's client, which is Go. Does nothing where that is newer than everything it is made of. With REQUIRE_PAGES=1 it fails where
# it cannot build them.
set -euo pipefail
cd "$(dirname "$0")/.."
dist=internal/dashboard/dist

if ! command -v node >/dev/null 2>&1 || ! command -v npm >/dev/null 2>&1; then
  [ -z "${REQUIRE_PAGES:-}" ] || { echo "The web pages need Node.js 20 or newer, with npm." >&2; exit 1; }
  echo "Building without the web pages: that needs Node.js 20 or newer, with npm. Everything else works without them." >&2
  exit 0
fi
if [ -f "$dist/built" ] && [ -z "$(find web docs/openapi.json go.mod go.sum scripts/web.sh -path web/node_modules -prune -o -newer "$dist/built" -print -quit)" ]; then
  exit 0
fi
# npm leaves this file behind when all that the lock names is there.
if [ ! web/node_modules/.package-lock.json -nt web/package-lock.json ]; then
  (cd web && npm ci --no-audit --no-fund)
fi
(cd web && npm run build)
./web/ssh/build.sh "$dist/ssh"
node web/compress.mjs "$dist"
touch "$dist/built"
