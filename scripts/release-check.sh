#!/usr/bin/env bash
# Builds the release in dist/ if there is none, and a second one in another directory, with an empty build cache, another umask and
# another time zone. Fails unless both are identical to the byte and the checksums match.
set -euo pipefail
cd "$(dirname "$0")/.."
other=$(mktemp -d)
trap 'rm -rf "$other"' EXIT
[ -f dist/SHA256SUMS ] || ./scripts/release.sh dist
mkdir -p "$other/somewhere/else"
(umask 077 && TZ=Asia/Kolkata LANG=C.UTF-8 TMPDIR="$other/somewhere/else" GOCACHE="$other/cache" ./scripts/release.sh "$other/dist")
diff -rq dist "$other/dist" || { echo "Two builds of $(git rev-parse --short HEAD) differ." >&2; exit 1; }
(cd dist && sha256sum --quiet -c SHA256SUMS)
echo "release-check: two builds of $(git rev-parse --short HEAD) are the same: $(wc -l <dist/SHA256SUMS) files"
