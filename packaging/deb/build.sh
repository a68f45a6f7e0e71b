#!/usr/bin/env bash
# Builds the Debian package of an architecture from a directory that was made for an archive (see scripts/release.sh):
#   build.sh VERSION ARCH DIRECTORY FILE
# The same directory and SOURCE_DATE_EPOCH give the same bytes. COMPRESSION=none is for tests.
set -euo pipefail
version=$1 arch=$2 from=$3 file=$4
here=$(cd "$(dirname "$0")/.." && pwd)
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
chmod 755 "$root"
umask 022

# Debian's versions sort a ~ before nothing, so 1.0.0~rc.1 comes before 1.0.0.
debian=${version#v}
case $debian in *-*) debian=${debian%%-*}~${debian#*-} ;; esac
debian=${debian//-/.}

put() { install -D -m "$1" "$2" "$root/$3"; } # mode, file, where
put 755 "$from/billetd" usr/bin/billetd
put 755 "$from/billet" usr/bin/billet
put 755 "$from/agent/billet-agent" usr/lib/billet/billet-agent
put 755 "$from/agent/agent-iso.sh" usr/lib/billet/agent-iso.sh
put 755 "$here/systemd/billetd-operator" usr/sbin/billetd-operator
put 644 "$here/systemd/billetd.service" usr/lib/systemd/system/billetd.service
put 755 "$here/systemd/billet-backup" usr/lib/billet/billet-backup
put 644 "$here/systemd/billet-backup.service" usr/lib/systemd/system/billet-backup.service
put 644 "$here/systemd/billet-backup.timer" usr/lib/systemd/system/billet-backup.timer
put 644 "$here/systemd/sysusers.conf" usr/lib/sysusers.d/billet.conf
put 600 "$here/systemd/billetd.env" etc/billet/billetd.env
put 600 "$here/systemd/backup.env" etc/billet/backup.env
put 644 "$here/deb/copyright" usr/share/doc/billet/copyright
put 644 "$from/THIRD-PARTY.txt" usr/share/doc/billet/THIRD-PARTY.txt
put 644 "$here/deb/lintian-overrides" usr/share/lintian/overrides/billet
cp -r "$from/share" "$root/usr/" # completions, and manual pages where there are any
find "$root/usr/share" -type d -exec chmod 755 {} + -o -type f -exec chmod 644 {} +
[ ! -d "$root/usr/share/man" ] || find "$root/usr/share/man" -type f -exec gzip -9n {} +
gzip -9n "$root/usr/share/doc/billet/THIRD-PARTY.txt"
gzip -9n >"$root/usr/share/doc/billet/changelog.gz" <<LOG
billet ($debian) stable; urgency=medium

  * What changed is in the notes of the release.

 -- The Billet authors <billetcloud@users.noreply.github.com>  $(LC_ALL=C date -u -R -d "@$SOURCE_DATE_EPOCH")
LOG

size=$(find "$root" -type f -printf '%s\n' | awk '{ sum += int(($1 + 1023) / 1024) } END { print sum }') # no blocks, which file systems count differently
mkdir "$root/DEBIAN"
sed -e "s/@VERSION@/$debian/; s/@ARCH@/$arch/; s/@SIZE@/$size/" "$here/deb/control" >"$root/DEBIAN/control"
printf '/etc/billet/%s\n' billetd.env backup.env >"$root/DEBIAN/conffiles"
install -m 755 "$here"/deb/{postinst,prerm,postrm} "$root/DEBIAN/"
(cd "$root" && find etc usr -type f -print0 | LC_ALL=C sort -z | xargs -0 md5sum) >"$root/DEBIAN/md5sums"
dpkg-deb --root-owner-group --threads-max=1 -Z"${COMPRESSION:-xz}" --build "$root" "$file" >/dev/null
