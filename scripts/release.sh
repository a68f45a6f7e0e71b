#!/usr/bin/env bash
# Builds a release of the checked-out commit in the given directory, by default dist/: programs for Linux and macOS, Debian packages,
# bills of materials (CycloneDX) and checksums. It builds a clone, so that only committed files are included. The same commit and
# toolchain give the same bytes: `make release-check` builds twice and compares.
set -euo pipefail
cd "$(dirname "$0")/.."
out=${1:-dist}

[ -z "$(git status --porcelain)" ] || { echo "A release is built from a commit. Commit or stash the changes first." >&2; exit 1; }
for command in node npm gzip dpkg-deb; do
  command -v "$command" >/dev/null || { echo "A release needs $command." >&2; exit 1; }
done
tar --version | grep -q GNU || { echo "A release needs GNU tar." >&2; exit 1; }
mkdir -p "$out"
out=$(cd "$out" && pwd)
[ -z "$(ls -A "$out")" ] || { echo "$out is not empty." >&2; exit 1; }

umask 022 # before the clone, because its files are archived
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
git clone -q . "$work/billet"
cd "$work/billet"

# Everything else that could differ between two machines. An empty variable would be read from `go env -w`, so GOFLAGS has a value.
export LC_ALL=C TZ=UTC CGO_ENABLED=0 GOFLAGS=-mod=readonly GOEXPERIMENT= GOWORK=off GOAMD64=v1 GOARM64=v8.0
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)
export SOURCE_DATE_EPOCH

[ -z "$(go env GOEXPERIMENT)" ] || { echo "A release is built without experiments: go env -u GOEXPERIMENT" >&2; exit 1; }

echo "== dashboard" >&2
REQUIRE_PAGES=1 ./scripts/web.sh >&2
for page in index.html ssh/billet-ssh.wasm.gz ssh/wasm_exec.js; do
  [ -s "internal/dashboard/dist/$page" ] || { echo "The dashboard was not built: $page is missing." >&2; exit 1; }
done

echo "== programs" >&2
for system in linux darwin; do
  for arch in amd64 arm64; do
    GOOS=$system GOARCH=$arch go build -trimpath -buildvcs=true -ldflags '-s -w' -o "$work/bin/${system}_$arch/" ./cmd/billetd ./cmd/billet
  done
done
GOOS=linux GOARCH=amd64 go build -trimpath -buildvcs=true -ldflags '-s -w' -o "$work/agent/linux_amd64/" ./cmd/billet-agent # for own servers
version=$(go version -m "$work/bin/linux_amd64/billetd" | awk '$1 == "mod" { print $3 }')
case $version in v*+dirty | '(devel)' | '') echo "The programs do not contain their commit: $version" >&2; exit 1 ;; esac
name=${version#v}

echo "== licenses, completions, manual pages" >&2
./scripts/third-party.sh "$work"/{bin,agent}/*/* >"$work/THIRD-PARTY.txt"
here="$work/bin/$(go env GOHOSTOS)_$(go env GOHOSTARCH)"
for command in billetd billet; do
  mkdir -p "$work"/share/{bash-completion/completions,zsh/vendor-completions,fish/vendor_completions.d}
  "$here/$command" completion bash >"$work/share/bash-completion/completions/$command"
  "$here/$command" completion zsh >"$work/share/zsh/vendor-completions/_$command"
  "$here/$command" completion fish >"$work/share/fish/vendor_completions.d/$command.fish"
done
"$here/billet" man "$work/share/man/man1" 2>/dev/null

echo "== archives and packages" >&2
for target in "$work"/bin/*; do
  target=${target##*/}
  folder=billet_${name}_$target
  mkdir "$work/$folder"
  cp -r "$work/bin/$target/." "$work/share" "$work/THIRD-PARTY.txt" LICENSE README.md docs/install.md "$work/$folder/"
  case $target in linux_*) install -Dt "$work/$folder/agent" "$work/agent/linux_amd64/billet-agent" scripts/agent-iso.sh ;; esac
  tar -C "$work" --sort=name --format=ustar --owner=0 --group=0 --numeric-owner --mtime="@$SOURCE_DATE_EPOCH" -c "$folder" | gzip -9n >"$out/$folder.tar.gz"
  case $target in linux_*) ./packaging/deb/build.sh "$version" "${target#*_}" "$work/$folder" "$out/$folder.deb" ;; esac
done

echo "== bills of materials" >&2
go -C tools build -trimpath -buildvcs=false -o "$work/tools/" tool # each bill contains the checksum of its tool
for program in "$work"/{bin,agent}/*/*; do
  target=$(basename "$(dirname "$program")")
  "$work/tools/cyclonedx-gomod" bin -json -std -noserial -notimestamp -version "$version" -output "$out/${program##*/}_${name}_$target.cdx.json" "$program" 2>"$work/log" || { cat "$work/log" >&2; exit 1; }
done
(cd web && npm pkg set --silent "version=$name" && npm sbom --silent --omit=dev --sbom-format=cyclonedx) |
  node -e 'const b = JSON.parse(require("fs").readFileSync(0)); delete b.serialNumber; delete b.metadata.timestamp; console.log(JSON.stringify(b, null, 2))' \
    >"$out/dashboard_$name.cdx.json"

(cd "$out" && sha256sum -- * >"$work/SHA256SUMS" && mv "$work/SHA256SUMS" .)
echo "$version is in $out" >&2
