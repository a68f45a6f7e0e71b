#!/usr/bin/env bash
# Installs missing test dependencies with Debian's package manager.
set -euo pipefail

missing=()
want() { # command, package
  command -v "$1" >/dev/null 2>&1 || missing+=("$2")
}
want curl curl
want ssh openssh-client
want git git
want redis-server redis-server
[ -x /usr/sbin/pgbouncer ] || missing+=(pgbouncer) # not on every PATH
want node nodejs # the dashboard, and the terminal's client outside a browser
want npm npm
want chromium chromium # the dashboard's tests
want dash dash # the shells of machines
want busybox busybox
want openssl openssl # docs/racks.md types it
want tmux tmux # shells of the terminal that outlive their connection
want /usr/sbin/nginx nginx-light # the proxies of docs/install.md
want /usr/sbin/haproxy haproxy
want caddy caddy
# Own servers: a machine in QEMU with UEFI, the agent's image, a tenant's system, and what judges disks and file systems.
want qemu-system-x86_64 qemu-system-x86
want qemu-img qemu-utils
[ -e /usr/share/OVMF/OVMF_CODE_4M.fd ] || missing+=(ovmf)
want xorriso xorriso
want mcopy mtools
want cpio cpio
[ -x /usr/sbin/fsck.fat ] || missing+=(dosfstools)
[ -x /usr/sbin/sfdisk ] || [ -x /sbin/sfdisk ] || missing+=(fdisk)
[ -x /usr/sbin/depmod ] || [ -x /sbin/depmod ] || missing+=(kmod)
[ -x /usr/sbin/dropbear ] || missing+=(dropbear-bin)
compgen -G "/usr/lib/postgresql/*/bin/initdb" >/dev/null || missing+=(postgresql)
command -v gcc >/dev/null 2>&1 || missing+=(gcc libc6-dev) # for the race detector
# Simulated machines are compared with OpenSSH's sshd and sftp-server, and tested with other SSH clients.
[ -x /usr/sbin/sshd ] || missing+=(openssh-server)
/usr/bin/python3 -c 'import asyncssh, paramiko' 2>/dev/null || missing+=(python3-asyncssh python3-paramiko)
# The emulator of BMCs is tested with Ironic's Redfish client.
/usr/bin/python3 -c 'import sushy' 2>/dev/null || missing+=(python3-sushy)
# The adapter to Ironic is tested with a real one, which the tests start. ironic-api and ironic-conductor would add services.
/usr/bin/python3 -c 'import ironic.cmd.singleprocess' 2>/dev/null || missing+=(python3-ironic)
want isoinfo genisoimage # reads the config drives
want age age # unpacks backups without Billet
want promtool prometheus # judges the metrics and tests the alerts
if [ ${#missing[@]} -gt 0 ]; then
  command -v apt-get >/dev/null 2>&1 || { echo "please install: ${missing[*]}" >&2; exit 1; }
  as_root=()
  [ "$(id -u)" -eq 0 ] || as_root=(sudo)
  echo "installing for the tests: ${missing[*]}" >&2
  export DEBIAN_FRONTEND=noninteractive
  if [[ " ${missing[*]} " == *" openssh-server "* ]]; then
    # The tests start their own sshd: installing it must not start one on this machine.
    "${as_root[@]}" mkdir -p /etc/ssh
    "${as_root[@]}" touch /etc/ssh/sshd_not_to_be_run
  fi
  "${as_root[@]}" apt-get update -q >&2
  "${as_root[@]}" apt-get install -qy --no-install-recommends "${missing[@]}" >&2
fi

# The generators of clients and their dependencies: the tests download nothing. scripts/npm.sh does the same for npm.
(cd "$(dirname "$0")/../test/clients/go" && go mod download)
# The ACME server of the tests.
(cd "$(dirname "$0")/../test/acmetest/pebble" && go mod download)
# The mail server of the tests.
(cd "$(dirname "$0")/../test/mailtest/mailpit" && go mod download)
# Litestream, which a test restores a database with.
(cd "$(dirname "$0")/../test/database/litestream" && go mod download)
# The double of Stripe of the tests.
(cd "$(dirname "$0")/../test/stripemock/stripe-mock" && go mod download)
