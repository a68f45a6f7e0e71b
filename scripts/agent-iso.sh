#!/usr/bin/env bash
# Builds the ISO image of the service agent, which BMCs start on own servers: Debian's signed shim, GRUB and kernel, and an initial
# file system with cmd/billet-agent, the kernel's drivers, and busybox for rescues. One image serves all jobs: billetd writes a job's
# parameters into the stream that it sends. Debian's packages are kept in the cache. No root is needed.
#
#   agent-iso.sh FILE [amd64|cloud-amd64]
#
# amd64 has the drivers of servers. cloud-amd64 has those of virtual machines: it is smaller, for tests.
set -euo pipefail
out=${1:?usage: agent-iso.sh FILE [amd64|cloud-amd64]} flavor=${2:-amd64}
mkdir -p "$(dirname "$out")"
out=$(cd "$(dirname "$out")" && pwd)/$(basename "$out")
self=$(cd "$(dirname "$0")" && pwd)
cache=${BILLET_AGENT_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/billet-agent}
for command in apt-get dpkg-deb xorriso mformat mcopy cpio gzip; do
  command -v "$command" >/dev/null || { echo "The agent's image needs $command: apt-get install xorriso mtools cpio" >&2; exit 1; }
done
depmod=$(PATH=$PATH:/usr/sbin:/sbin command -v depmod) || { echo "The agent's image needs depmod: apt-get install kmod" >&2; exit 1; }
export LC_ALL=C TZ=UTC
if [ -x "$self/billet-agent" ]; then # of a release
  agent=$self/billet-agent
  export SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(stat -c %Y "$agent")}
else
  command -v go >/dev/null || { echo "The agent is built with Go, or is beside this script in a release." >&2; exit 1; }
  agent=
  export SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git -C "$self" log -1 --format=%ct)}
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
umask 022
archive() { # directory
  find "$1" -exec touch -hd "@$SOURCE_DATE_EPOCH" {} +
  (cd "$1" && find . | sort | cpio -o -H newc -R 0:0 --reproducible --quiet | gzip -6n)
}

kernel=$(apt-cache depends "linux-image-$flavor" | awk '$1 == "Depends:" && $2 ~ /^linux-image-[0-9]/ { print $2; exit }')
[ -n "$kernel" ] || { echo "apt knows no kernel for linux-image-$flavor; run apt-get update" >&2; exit 1; }
of() { apt-cache show --no-all-versions "$1" | awk '$1 == "Version:" { gsub(":", "%3a", $2); print $2; exit }'; } # package
packages=("$kernel" shim-signed grub-efi-amd64-signed busybox-static e2fsck-static)
key=$(for package in "${packages[@]}"; do echo "$package $(of "$package")"; done | cat - "$self/agent-iso.sh" | sha256sum)
kept=$cache/$flavor-${key:0:16} # all that does not depend on the agent
if [ ! -d "$kept" ]; then
  mkdir -p "$cache" "$work/get" "$work/kept" "$work/tree/modules"
  for package in "${packages[@]}"; do
    file=$cache/${package}_$(of "$package")_amd64.deb
    if [ ! -s "$file" ]; then
      (cd "$work/get" && apt-get download -qq "$package" 2>/dev/null && mv ./*.deb "$file.$$" && mv "$file.$$" "$file") ||
        { echo "$package could not be downloaded" >&2; exit 1; }
    fi
    dpkg-deb -x "$file" "$work/root"
  done
  version=$(ls "$work/root/lib/modules")
  # The drivers of network cards and drives, with what they need, and file systems for rescues. Graphics and the like stay out.
  "$depmod" -b "$work/root" "$version"
  all=$work/root/lib/modules/$version some=$work/some/lib/modules/$version
  mkdir -p "$some"
  awk -F: '
    $1 ~ "^kernel/drivers/(net/ethernet|net/phy|net/mdio|nvme/host|ata|scsi|ufs|message/fusion|virtio|usb/host|usb/storage|mmc|misc/cardreader)/" ||
    $1 ~ "^kernel/(fs/(ext4|xfs|btrfs|fat|nls|isofs|squashfs|fuse)|drivers/md)/" || $1 ~ "^kernel/drivers/block/loop[.]ko" ||
    $1 ~ "^kernel/drivers/(net/(virtio_net|vmxnet3/vmxnet3)|block/virtio_blk|pci/controller/vmd|hv/.*|net/hyperv/.*)[.]ko" { print $1; print $2 }' \
    "$all/modules.dep" | tr ' ' '\n' | grep -v '^$' | sort -u >"$work/list"
  (cd "$all" && tr '\n' '\0' <"$work/list" | xargs -0 cp --parents -t "$some" modules.order modules.builtin modules.builtin.modinfo)
  "$depmod" -b "$work/some" "$version"
  mv "$some/kernel" "$some/modules.dep" "$some/modules.alias" "$work/tree/modules/"
  mkdir -p "$work"/tree/{proc,sys,dev,tmp,etc,bin,sbin}
  # What a tenant has in the rescue system.
  install -m 755 "$work/root/bin/busybox" "$work/tree/bin/busybox"
  install -m 755 "$work/root/sbin/e2fsck.static" "$work/tree/sbin/e2fsck"
  archive "$work/tree" >"$work/kept/drivers"
  cp "$work/root/boot/vmlinuz-$version" "$work/kept/vmlinuz"
  cp "$work/root/usr/lib/shim/shimx64.efi.signed" "$work/kept/shim.efi"
  cp "$work/root/usr/lib/grub/x86_64-efi-signed/gcdx64.efi.signed" "$work/kept/grub-cd.efi"
  cp "$work/root/usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed" "$work/kept/grub.efi"
  mv -T "$work/kept" "$kept" 2>/dev/null || [ -d "$kept" ] # another run may have been faster
fi

# The kernel reads an initial file system of several archives.
mkdir -p "$work/fs"
if [ -n "$agent" ]; then
  install -m 755 "$agent" "$work/fs/init"
else
  (cd "$self/.." && CGO_ENABLED=0 GOOS=linux GOARCH=amd64 go build -trimpath -buildvcs=false -ldflags '-s -w' -o "$work/fs/init" ./cmd/billet-agent)
fi
mkdir -p "$work/cd/billet" "$work/cd/boot/grub" "$work/cd/.disk"
{ cat "$kept/drivers"; archive "$work/fs"; } >"$work/cd/billet/initrd"
cp "$kept/vmlinuz" "$work/cd/billet/vmlinuz"
echo "Billet's service agent" >"$work/cd/.disk/info" # GRUB finds the medium by this file

# internal/rackagent/iso.go replaces the marker and the dots.
place=$(printf '%-1600s' '@BILLET-PARAMETERS@' | tr ' ' '.')
cat >"$work/cd/boot/grub/grub.cfg" <<CFG
set timeout=0
linux /billet/vmlinuz console=tty0 console=ttyS0,115200 quiet panic=0 $place
initrd /billet/initrd
boot
CFG

# The firmware reads shim and GRUB from a FAT image, GRUB reads the rest from the CD.
export MTOOLS_SKIP_CHECK=1
truncate -s 6M "$work/efi.img"
mformat -i "$work/efi.img" -N 42494c54 -v BILLET ::
mmd -i "$work/efi.img" ::/EFI ::/EFI/BOOT
mcopy -i "$work/efi.img" "$kept/shim.efi" ::/EFI/BOOT/BOOTX64.EFI
mcopy -i "$work/efi.img" "$kept/grub-cd.efi" ::/EFI/BOOT/grubx64.efi
find "$work/cd" -exec touch -hd "@$SOURCE_DATE_EPOCH" {} +
xorriso -as mkisofs -quiet -o "$out.new" -V BILLET_AGENT -r -append_partition 2 0xef "$work/efi.img" \
  -e --interval:appended_partition_2:all:: -no-emul-boot "$work/cd" 2>"$work/log" || { cat "$work/log" >&2; exit 1; }
mv "$out.new" "$out"
echo "$out: $(stat -c %s "$out") bytes, $kernel" >&2
