#!/usr/bin/env bash
# Installs the npm packages of directories, or of all tests below test/, each from its own lock file. Skips what is installed.
set -euo pipefail
cd "$(dirname "$0")/.."
[ $# -gt 0 ] || set -- test/*/
for dir; do
  lock=$dir/package-lock.json
  [ -f "$lock" ] || continue
  # npm writes this file when everything in the lock file is installed.
  if [ ! "$dir/node_modules/.package-lock.json" -nt "$lock" ]; then
    (cd "$dir" && npm ci --ignore-scripts --no-audit --no-fund --silent)
  fi
done
