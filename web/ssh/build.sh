#!/usr/bin/env bash
# Builds the web terminal's client into the given folder: billet-ssh.wasm.gz, and the wasm_exec.js of
# the same Go version.
set -euo pipefail
mkdir -p "$1"
out=$(cd "$1" && pwd)
cd "$(dirname "$0")/../.."
CGO_ENABLED=0 GOOS=js GOARCH=wasm go build -trimpath -ldflags '-s -w' -o "$out/billet-ssh.wasm" ./web/ssh
gzip -9nf "$out/billet-ssh.wasm"
cp "$(go env GOROOT)/lib/wasm/wasm_exec.js" "$out/wasm_exec.js"
