#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Run a command that sees STATE's directories as libvirt's own: unshare --mount --propagation unchanged private_mounts.sh STATE COMMAND...
set -eu
state=$1
shift
# What is mounted later outside arrives here only where the machine shares its mounts, as systemd does.
mount --make-rslave /
mount --bind "$state/etc" /etc/libvirt
mount --bind "$state/run" /run/libvirt
mount --bind "$state/lib" /var/lib/libvirt
mount --bind "$state/cache" /var/cache/libvirt
mount --bind "$state/log" /var/log/libvirt
# A /dev/kvm that exists and does not work makes libvirt probe qemu again at every call.
if [ -e /dev/kvm ]; then
    mount --bind "$state/no-kvm" /dev/kvm
    mount -o remount,bind,ro /dev/kvm
fi
# Huge pages for guests that ask for them; none are reserved here.
if grep -qw hugetlbfs /proc/filesystems; then
    mkdir -p "$state/huge"
    mount -t hugetlbfs hugetlbfs "$state/huge"
fi
exec "$@"
