#!/usr/bin/env bash
# Fuzzes for FUZZTIME each (20s by default): every fuzz target of every package, one after another, then the API over HTTP on both
# engines. Prints a line for each and stops at the first failure. Go stores a target's failing input in its package's testdata/fuzz,
# where later tests include it. FUZZ is a regular expression that selects names: a package's directory and its target.
set -euo pipefail
cd "$(dirname "$0")/.."

time=${FUZZTIME:-20s}
log=$(mktemp)
trap 'rm -f "$log"' EXIT

try() { # name, command
  local name=$1
  shift
  [[ "$name" =~ ${FUZZ:-} ]] || return 0
  if "$@" >"$log" 2>&1; then
    printf '%-45s %s\n' "$name" "$(grep -Eo 'execs: [0-9]+|[0-9]+ requests' "$log" | tail -n 1)"
  else
    cat "$log"
    printf '%-45s FAILED\n' "$name"
    exit 1
  fi
}

while IFS=: read -r file target; do
  folder=$(dirname "$file")
  try "$folder $target" go test "./$folder" -run '^$' -fuzz "^$target\$" -fuzztime "$time" -fuzzminimizetime 1s
done < <(git ls-files --cached --others --exclude-standard '*_test.go' | xargs grep -HoE '^func Fuzz[A-Za-z0-9]+' | sed 's/:func /:/')
for engine in sqlite postgres; do
  try "test/fuzz TestHTTP/$engine" go test ./test/fuzz -count=1 -v -timeout 24h -run "^TestHTTP\$/^$engine\$" -for "$time"
done
