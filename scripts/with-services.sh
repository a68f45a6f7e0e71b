#!/usr/bin/env bash
# Runs a command with its own PostgreSQL and Redis, in a temporary directory, on free ports of the loopback address, and stops both
# afterwards. Tests find them by BILLET_TEST_POSTGRES and BILLET_TEST_REDIS, and a directory for databases by BILLET_TEST_MEMORY.
set -euo pipefail

"$(dirname "$0")/need.sh"

# Tests create and drop more than a thousand databases, which is much faster in memory than on a disk.
base=${TMPDIR:-/tmp}
free=$(df -Pk /dev/shm 2>/dev/null | awk 'NR == 2 { print $4 }') || true # it may not exist
[ "${free:-0}" -lt $((2 << 20)) ] || base=/dev/shm
dir=$(mktemp -d "$base/billet-test.XXXXXX")
other=$(mktemp -d) # for files that need not be in memory
bin=$(dirname "$(compgen -G '/usr/lib/postgresql/*/bin/initdb' | sort -V | tail -n 1)")
as_postgres=()
if [ "$(id -u)" -eq 0 ]; then # PostgreSQL refuses to run as root
  as_postgres=(runuser -u postgres --)
  chown postgres "$dir"
fi
redis_pid=
finish() {
  "${as_postgres[@]}" "$bin/pg_ctl" -D "$dir/pg" -m immediate -w stop >/dev/null 2>&1 || true
  [ -z "$redis_pid" ] || kill "$redis_pid" 2>/dev/null || true
  rm -rf "$dir" "$other"
}
trap finish EXIT

port() { # a port without a listener
  local p
  while :; do
    p=$((20000 + RANDOM % 12000))
    (exec 3<>"/dev/tcp/127.0.0.1/$p") 2>/dev/null || { echo "$p"; return; }
  done
}

(cd / && "${as_postgres[@]}" "$bin/initdb" -D "$dir/pg" -A trust -U postgres --no-sync >/dev/null)
# Durability is not needed. The time zone is unusual so that tests notice a dependency on it.
cat >>"$dir/pg/postgresql.conf" <<CONF
listen_addresses = '127.0.0.1'
unix_socket_directories = '$dir'
fsync = off
synchronous_commit = off
full_page_writes = off
max_connections = 300
timezone = 'Asia/Kolkata'
CONF
started=
for _ in 1 2 3 4 5; do # the port may be taken in between
  pg_port=$(port)
  if (cd / && "${as_postgres[@]}" "$bin/pg_ctl" -D "$dir/pg" -l "$dir/pg.log" -o "-p $pg_port" -w start >/dev/null); then started=1; break; fi
done
[ -n "$started" ] || { cat "$dir/pg.log" >&2; exit 1; }

redis_port=$(port)
redis-server --bind 127.0.0.1 --port "$redis_port" --save "" --appendonly no --daemonize no >"$dir/redis.log" 2>&1 &
redis_pid=$!

export BILLET_TEST_POSTGRES="postgres://postgres@127.0.0.1:$pg_port/postgres?sslmode=disable"
export BILLET_TEST_REDIS="redis://127.0.0.1:$redis_port"
mkdir "$dir/tests"
export BILLET_TEST_MEMORY="$dir/tests" BILLET_TEST_DIR="$other"
export BILLET_TEST_REQUIRE_POSTGRES=1 BILLET_TEST_REQUIRE_REDIS=1
"$@"
