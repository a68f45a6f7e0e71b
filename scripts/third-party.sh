#!/usr/bin/env bash
# Prints the licenses of all third-party code in these programs: Go itself, the linked modules, and the dashboard's npm packages.
# Fails if one has no license.
set -euo pipefail
cd "$(dirname "$0")/.."

licenses() { # name, directory, the license's name if only that is known
  local found=() f
  for f in "$2"/{LICEN[SC]E,License,license,COPYING,COPYRIGHT,NOTICE,PATENTS}{,.*,-*}; do
    case $f in *.go | *.html) ;; *) [ ! -f "$f" ] || found+=("$f") ;; esac
  done
  printf '\n%s\n%s\n\n' "$(printf '=%.0s' {1..78})" "$1"
  if [ ${#found[@]} -gt 0 ]; then
    cat "${found[@]}"
  elif [ -n "${3:-}" ]; then
    echo "It contains no license text; its license is $3."
  else
    echo "$1 has no license ($2)" >&2
    return 1
  fi
}

echo "Billet contains the following third-party code, each with its license."
licenses "Go $(go env GOVERSION)" "$(go env GOROOT)"
for program in "$@"; do go version -m "$program"; done | awk '$1 == "dep" { print $2 }' | LC_ALL=C sort -u | while read -r module; do
  licenses "$(go list -m "$module")" "$(go list -m -f '{{.Dir}}' "$module")"
done
(cd web && npm ls --omit=dev --all --parseable) | tail -n +2 | LC_ALL=C sort -u | while read -r dir; do
  about() { node -p "const p = require('$dir/package.json'); $1"; }
  licenses "$(about 'p.name + " " + p.version')" "$dir" "$(about 'p.license ?? ""')"
done
