#!/usr/bin/env bash
# Builds the tenant's system of these tests: a disk image that starts in seconds even without hardware virtualization. Its one
# partition has Debian's signed shim, GRUB and kernel, and an initial file system with busybox and dropbear, whose init reads the
# NoCloud partition.
#
#   build.sh KEPT FILE     KEPT is the directory that scripts/agent-iso.sh keeps for cloud-amd64
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
kept=$1 out=$2
export LC_ALL=C MTOOLS_SKIP_CHECK=1 PATH=$PATH:/usr/sbin:/sbin
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

fs=$work/fs
mkdir -p "$fs"/{bin,proc,sys,dev,run,mnt,var/tmp,etc/dropbear,root/.ssh}
install -m 755 "$here/init" "$fs/init"
for applet in sh mount ip insmod findfs cat awk sed sleep mkdir chmod hostname sync dd id uname mktemp rm; do ln -s busybox "$fs/bin/$applet"; done
for program in /bin/busybox /usr/sbin/dropbear /usr/lib/dropbear/dropbearconvert; do
  cp "$program" "$fs/bin/"
  { ldd "$program" 2>/dev/null || true; } | { grep -o '/[^ ]*' || true; } | while read -r library; do # a static program needs none
    mkdir -p "$fs$(dirname "$library")"
    cp -Ln "$library" "$fs$library"
  done
done
echo 'root:x:0:0:root:/root:/bin/sh' >"$fs/etc/passwd"
echo 'root:*:19000::::::' >"$fs/etc/shadow"
echo /bin/sh >"$fs/etc/shells"
printf 'passwd: files\nshadow: files\n' >"$fs/etc/nsswitch.conf"

# Of the kernel's drivers, those of QEMU's network card and drives, and of FAT, each after what it needs.
deb=$(ls -t "$(dirname "$kept")"/linux-image-*-cloud-amd64_*.deb | head -n 1)
dpkg-deb -x "$deb" "$work/root"
version=$(ls "$work/root/lib/modules")
depmod -b "$work/root" "$version"
mkdir "$fs/modules"
for module in virtio_pci virtio_net virtio_blk nvme vfat nls_cp437 nls_ascii nls_iso8859-1 nls_utf8; do
  modprobe -d "$work/root" -S "$version" --show-depends "$module" | awk '$1 == "insmod" { print $2 }'
done | awk '!seen[$0]++' | while read -r file; do
  cp "$file" "$fs/modules/"
  basename "$file" >>"$fs/modules/order"
done
(cd "$fs" && find . | cpio -o -H newc -R 0:0 --quiet | gzip -6) >"$work/initrd"

esp=$work/esp
truncate -s 28M "$esp"
mformat -i "$esp" -v TENANT ::
mmd -i "$esp" ::/EFI ::/EFI/BOOT ::/EFI/debian
mcopy -i "$esp" "$kept/shim.efi" ::/EFI/BOOT/BOOTX64.EFI
mcopy -i "$esp" "$kept/grub.efi" ::/EFI/BOOT/grubx64.efi
mcopy -i "$esp" "$kept/vmlinuz" ::/vmlinuz
mcopy -i "$esp" "$work/initrd" ::/initrd
printf 'set timeout=0\nlinux /vmlinuz console=ttyS0 quiet panic=10\ninitrd /initrd\nboot\n' >"$work/grub.cfg"
mcopy -i "$esp" "$work/grub.cfg" ::/EFI/debian/grub.cfg
truncate -s 30M "$work/disk"
printf 'label: gpt\nstart=2048, size=57344, type=U, name=ESP\n' | sfdisk -q "$work/disk"
dd if="$esp" of="$work/disk" bs=1M seek=1 conv=notrunc,sparse status=none
mv "$work/disk" "$out"
