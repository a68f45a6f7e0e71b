#!/usr/bin/env bash
# Prints the licences of everything that is in these programs and is not ours: Go itself, the modules that each was linked from, and
# the npm packages that the pages are made of. Fails where something says nothing of its licence.
set -euo pipefail
cd "$(dirname "$0")/.."

licences() { # name, folder, the licence's name where only that is known
  local found=() f
  for f in "$2"/{LICENSE,LICENCE,License,license,COPYING,COPYRIGHT,NOTICE,PATENTS}{,.*,-*}; do
    case $f in *.go | *.html) ;; *) [ ! -f "$f" ] || found+=("$f") ;; esac
  done
  printf '\n%s\n%s\n\n' "$(printf '=%.0s' {1..78})" "$1"
  if [ ${#found[@]} -gt 0 ]; then
    cat "${found[@]}"
  elif [ -n "${3:-}" ]; then
    echo "It brings no text, and names its licence only: $3"
  else
    echo "$1 says nothing of its licence ($2)" >&2
    return 1
  fi
}

echo "Billet contains the following, under the licences that stand beside each."
licences "Go $(go env GOVERSION)" "$(go env GOROOT)"
for program in "$@"; do go version -m "$program"; done | awk '$1 == "dep" { print $2 }' | LC_ALL=C sort -u | while read -r module; do
  licences "$(go list -m "$module")" "$(go list -m -f '{{.Dir}}' "$module")"
done
(cd web && npm ls --omit=dev --all --parseable) | tail -n +2 | LC_ALL=C sort -u | while read -r dir; do
  about() { node -p "const p = require('$dir/package.json'); $1"; }
  licences "$(about 'p.name + " " + p.version')" "$dir" "$(about 'p.license ?? ""')"
done
