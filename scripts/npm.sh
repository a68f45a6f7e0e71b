#!/usr/bin/env bash
# Installs the npm packages that tests under test/ need, each from its own lock file. Does nothing where they are there.
set -euo pipefail
cd "$(dirname "$0")/.."
for lock in test/*/package-lock.json; do
  [ -f "$lock" ] || continue
  dir=$(dirname "$lock")
  # npm leaves this file behind when all that the lock names is there.
  if [ ! "$dir/node_modules/.package-lock.json" -nt "$lock" ]; then
    (cd "$dir" && npm ci --ignore-scripts --no-audit --no-fund --silent)
  fi
done
