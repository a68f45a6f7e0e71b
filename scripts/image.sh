#!/usr/bin/env bash
# Builds the container image billet:VERSION-ARCH for each architecture from the release in dist/, so that it contains the programs
# whose checksums are there. DOCKER is docker, podman or buildah. ARCHES="amd64" builds only that architecture.
set -euo pipefail
cd "$(dirname "$0")/.."
compgen -G 'dist/billet_*_linux_amd64.tar.gz' >/dev/null || { echo "There is no release in dist/; run make release first." >&2; exit 1; }
(cd dist && sha256sum --quiet -c SHA256SUMS)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for arch in ${ARCHES:-amd64 arm64}; do
  archive=$(echo dist/billet_*_linux_"$arch".tar.gz)
  version=${archive#dist/billet_}
  version=${version%_linux_*}
  mkdir -p "$work/$arch/data"
  chmod 700 "$work/$arch/data"
  tar -xzf "$archive" -C "$work/$arch" --strip-components=1
  "${DOCKER:-docker}" build --platform "linux/$arch" -f packaging/container/Dockerfile --label "org.opencontainers.image.version=$version" -t "billet:$version-$arch" "$work/$arch"
done
