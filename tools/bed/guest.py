# SPDX-License-Identifier: Apache-2.0
"""Tiny real guests: Debian's cloud kernel, a busybox initramfs, an ext4 disk with iperf3."""

import gzip
import hashlib
import lzma
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from . import packages
from .command import run
from .errors import TestbedError
from .kept import kept

_FILES = Path(__file__).with_name("guest_files")
_PROGRAMS = ("dhcp-lease", "serve-serial", "occupy-memory", "burn-cpu", "burn-io", "iperf3")
#: Of C, since it touches each page as fast as the guest can.
_COMPILED = "work-memory"
_DISK_MIB = 64
# The userspace datapath of Open vSwitch finishes no offloaded checksums.
_PARAMETERS = {"virtio_net.ko": "csum=0 gso=0"}
_MODULES = ("virtio_pci", "virtio_balloon", "virtio_net", "virtio_blk")


@dataclass(frozen=True)
class GuestImages:
    """What a guest boots from; ``disk`` is a qcow2 that each guest needs its own copy of."""

    kernel: Path
    initramfs: Path
    disk: Path

    @classmethod
    def build(cls, cache: Path) -> "GuestImages":
        """Return the images below ``cache``, built first when this recipe's are not there.

        Needs the packages of ``host.apt``; the kernel is downloaded, not installed.
        Raises TestbedError naming the step that failed.
        """
        place = kept(cache / f"guest-{_recipe_key()}", _build_into)
        return cls(place / "kernel", place / "initramfs", place / "disk.qcow2")


def _recipe_key() -> str:
    digest = hashlib.sha256()
    for path in (Path(__file__), *sorted(_FILES.iterdir())):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:12]


def _build_into(scratch: Path) -> Path:
    images = scratch / "images"
    images.mkdir(mode=0o755)
    system = scratch / "kernel-package"
    name = packages.dependency("linux-image-cloud-amd64", "linux-image-")
    run("dpkg-deb", "-x", packages.download(name, scratch), system)
    if not (system / "lib").exists():
        # from Debian 13 on, packages hold no /lib, which is a link on every installed system
        (system / "lib").symlink_to("usr/lib")
    version = name.removeprefix("linux-image-")
    shutil.copy(system / "boot" / f"vmlinuz-{version}", images / "kernel")
    run("depmod", "-b", system, version)
    root = scratch / "root"
    _fill_root(root, _module_files(system, version))
    _pack(root, images / "initramfs")
    _fill_disk(scratch / "disk" / "iperf3", "iperf3")
    _make_disk(scratch / "disk", images / "disk.qcow2")
    return images


def _module_files(system: Path, version: str) -> list[Path]:
    """Return the files of our modules and of all they need, in the order to load them."""
    files: list[Path] = []
    for module in _MODULES:
        answer = run("modprobe", "-d", system, "-S", version, "--show-depends", module)
        for line in answer.splitlines():
            action, _, path = line.strip().partition(" ")
            if action == "insmod" and Path(path) not in files:
                files.append(Path(path))
    return files


def _fill_root(root: Path, modules: list[Path]) -> None:
    for name in ("bin", "dev", "modules", "proc", "sys", "tmp", "www/cgi-bin"):
        (root / name).mkdir(parents=True)
    shutil.copy("/bin/busybox", root / "bin" / "busybox")
    shutil.copy(_FILES / "init", root / "init")
    shutil.copy(_FILES / "run.cgi", root / "www/cgi-bin/run")
    for name in _PROGRAMS:
        shutil.copy(_FILES / name, root / "bin" / name)
    run("gcc", "-static", "-Os", "-s", "-o", root / "bin" / _COMPILED, _FILES / f"{_COMPILED}.c")
    order = []
    for module in modules:
        name = module.name.removesuffix(".xz")
        (root / "modules" / name).write_bytes(_content(module))
        order.append(f"{name} {_PARAMETERS.get(name, '')}\n")
    (root / "modules" / "order").write_text("".join(order))


def _content(module: Path) -> bytes:
    """What the kernel loads; Debian 13 compresses modules."""
    content = module.read_bytes()
    return lzma.decompress(content) if module.suffix == ".xz" else content


def _pack(root: Path, initramfs: Path) -> None:
    names = b"\0".join(str(path.relative_to(root)).encode() for path in sorted(root.rglob("*")))
    archive = subprocess.run(
        ["cpio", "--create", "--null", "--format=newc", "--owner=+0:+0", "--quiet"],
        input=names,
        stdout=subprocess.PIPE,
        cwd=root,
        check=True,
    )
    initramfs.write_bytes(gzip.compress(archive.stdout, compresslevel=6))


def _fill_disk(place: Path, program: str) -> None:
    """Copy a program of this machine there, with its libraries and the loader as ``ld.so``."""
    place.mkdir(parents=True)
    found = shutil.which(program)
    if found is None:
        raise TestbedError(f"this machine has no {program}")
    shutil.copy(found, place / program)
    for line in run("ldd", found).splitlines():
        words = [word for word in line.split() if word.startswith("/")]
        for library in words[-1:]:
            is_loader = Path(library).name.startswith("ld-linux")
            shutil.copy(library, place / ("ld.so" if is_loader else Path(library).name))


def _make_disk(content: Path, disk: Path) -> None:
    raw = content.with_suffix(".raw")
    run("mke2fs", "-q", "-t", "ext4", "-d", content, raw, f"{_DISK_MIB}M")
    run("qemu-img", "convert", "-f", "raw", "-O", "qcow2", raw, disk)
