#!/usr/bin/env bash
# Installs the npm packages of the tests below test/, each from its own lock file. Skips what is installed.
set -euo pipefail
cd "$(dirname "$0")/.."
for lock in test/*/package-lock.json; do
  [ -f "$lock" ] || continue
  dir=$(dirname "$lock")
  # npm writes this file when everything in the lock file is installed.
  if [ ! "$dir/node_modules/.package-lock.json" -nt "$lock" ]; then
    (cd "$dir" && npm ci --ignore-scripts --no-audit --no-fund --silent)
  fi
done
