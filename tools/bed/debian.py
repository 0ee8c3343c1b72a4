# SPDX-License-Identifier: Apache-2.0
"""The disk of a virtual test host: Debian with systemd, cgroup v2, libvirt and Open vSwitch."""

import hashlib
import shutil
from dataclasses import dataclass
from pathlib import Path

from . import packages, release
from .command import run
from .kept import kept

_LIST = Path(__file__).with_name("machine_tree.apt")
_DISK_MIB = 8192
#: Where a machine sees what it was given to run; the interface that its maker talks to it on.
PAYLOAD, PAYLOAD_DEVICE, CONTROL = "/opt/nova-qos", "/dev/vdb", "eth0"
_FILES = {
    # a machine whose host is busy sees its disks later than systemd is used to wait
    "etc/fstab": "/dev/vda / ext4 defaults 0 1\n"
        f"{PAYLOAD_DEVICE} {PAYLOAD} ext4 ro,nofail,x-systemd.device-timeout=600 0 0\n",
    "etc/systemd/network/control.network":
        f"[Match]\nName={CONTROL}\n[Network]\nDHCP=ipv4\n[DHCPv4]\nUseDNS=no\n",
    # systemd would wait for links that tests bring up much later, or never
    "etc/systemd/system/systemd-networkd-wait-online.service.d/any.conf":
        f"[Service]\nExecStart=\nExecStart=/lib/systemd/systemd-networkd-wait-online"
        f" -i {CONTROL}\n",
    "etc/ssh/sshd_config.d/machine.conf":
        "UseDNS no\nPermitRootLogin prohibit-password\nMaxSessions 100\nMaxStartups 100\n",
    # qemu in the machine runs as the tests do, and can read their images
    "etc/libvirt/qemu.conf":
        'user = "root"\ngroup = "root"\nsecurity_driver = "none"\nremember_owner = 0\n'
        "max_core = 0\n",
    # the kernel patches its code at the first such hook and after the last, and an emulated
    # processor that goes on executing what was there meanwhile hangs for ever
    "etc/nftables.conf":
        "table netdev always {\n"
        "    chain in { type filter hook ingress device lo priority 0; }\n"
        "    chain out { type filter hook egress device lo priority 0; }\n"
        "}\n",
}
_WANTED = ("systemd-networkd", "nftables")
_MASKED = ("apt-daily.timer", "apt-daily-upgrade.timer", "e2scrub_all.timer", "fstrim.timer",
           "dpkg-db-backup.timer", "libvirt-guests.service", "getty@tty1.service")


@dataclass(frozen=True)
class DebianImage:
    """What a machine boots from; ``disk`` is raw and only read: machines write into overlays.

    ``key`` is the file with root's ssh key, good for every machine made from this image.
    """

    kernel: Path
    initramfs: Path
    disk: Path
    key: Path

    @classmethod
    def build(cls, cache: Path, name: str) -> "DebianImage":
        """Return the image of the release with this code name below ``cache``, built first when
        this recipe's is not there.

        Needs root and the packages of ``machine.apt``. Raises TestbedError naming the step.
        """
        place = kept(cache / f"{name}-{_recipe_key()}", lambda scratch: _build_into(scratch, name))
        return cls(place / "kernel", place / "initramfs", place / "disk.raw", place / "key")


def _recipe_key() -> str:
    digest = hashlib.sha256(Path(__file__).read_bytes() + _LIST.read_bytes())
    return digest.hexdigest()[:12]


def _build_into(scratch: Path, name: str) -> Path:
    image, tree = scratch / "image", scratch / "tree"
    image.mkdir(mode=0o755)
    release.bootstrap(name, tree, packages.read_list(_LIST))
    run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "nova-qos-test", "-f", image / "key")
    _configure(tree, image / "key")
    (kernel,) = (tree / "boot").glob("vmlinuz-*")
    (initramfs,) = (tree / "boot").glob("initrd.img-*")
    shutil.copy(kernel, image / "kernel")
    shutil.copy(initramfs, image / "initramfs")
    make_ext4(tree, image / "disk.raw", _DISK_MIB)
    return image


def _configure(tree: Path, key: Path) -> None:
    for name, text in _FILES.items():
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_text(text)
    (tree / PAYLOAD.lstrip("/")).mkdir()
    keys = tree / "root/.ssh"
    keys.mkdir(mode=0o700, exist_ok=True)
    shutil.copy(key.with_name("key.pub"), keys / "authorized_keys")
    # machines reach each other, as compute hosts do when they move servers
    shutil.copy(key, keys / "id_ed25519")
    (keys / "config").write_text("StrictHostKeyChecking no\nUserKnownHostsFile /dev/null\n"
                                 "LogLevel ERROR\n")
    units = tree / "etc/systemd/system"
    for unit in _WANTED:
        wants = units / "multi-user.target.wants"
        wants.mkdir(exist_ok=True)
        (wants / f"{unit}.service").symlink_to(f"/lib/systemd/system/{unit}.service")
    for unit in _MASKED:
        (units / unit).unlink(missing_ok=True)
        (units / unit).symlink_to("/dev/null")
    # each machine makes its own; "uninitialized" would have it enable every unit there is
    (tree / "etc/machine-id").write_text("")


def make_ext4(tree: Path, disk: Path, size_mib: int) -> None:
    """A file system with the content of ``tree`` in a sparse file. Raises TestbedError."""
    run("mke2fs", "-q", "-t", "ext4", "-O", "^has_journal", "-d", tree, disk, f"{size_mib}M")
