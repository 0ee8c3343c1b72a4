# SPDX-License-Identifier: Apache-2.0
"""Control groups of cgroup v2, as the kernel shows them."""

import errno
import os
import re
import time
from collections.abc import Iterator
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")
#: What systemd calls "infinity" and the kernel "max".
MOST = 2**64 - 1
#: The group inside a domain's own that libvirt puts its processes into, where systemd owns that.
INNER = "libvirt"
_MARK = "user.nova_qos"
#: systemd changes a group a moment after it has answered.
_ARRIVAL_SECONDS = 2.0
_POLL_SECONDS = 0.01


class Group:
    """One group. Every method may raise OSError: the group has gone, or is not ours to write."""

    def __init__(self, path: Path, root: Path = ROOT) -> None:
        self.path = path
        self._root = root

    @property
    def name(self) -> str:
        """The last part of its path; for a group of systemd's, the name of its unit."""
        return self.path.name

    @property
    def controllers(self) -> list[str]:
        """The controllers that it has."""
        return (self.path / "cgroup.controllers").read_text().split()

    def has(self, file: str) -> bool:
        """Whether the kernel offers a file here."""
        return (self.path / file).exists()

    def read(self, file: str) -> int:
        """The number in a file, ``MOST`` for "max"; of several lines the one named "default"."""
        words = (self.path / file).read_text().split()
        word = words[1] if words[0] == "default" else words[0]
        return MOST if word == "max" else int(word)

    def write(self, file: str, value: int) -> None:
        """Write a number into a file; ``MOST`` is written as "max"."""
        (self.path / file).write_text("max" if value >= MOST else str(value))

    @property
    def mark(self) -> tuple[int, ...]:
        """The numbers that were left on it, none at first; they go when the group goes."""
        try:
            return tuple(map(int, os.getxattr(self.path, _MARK).split()))
        except OSError as error:
            if error.errno == errno.ENODATA:
                return ()
            raise

    def set_mark(self, *values: int) -> None:
        """Leave numbers on it instead of those that are there; none take the mark off."""
        if values:
            os.setxattr(self.path, _MARK, " ".join(map(str, values)).encode())
        elif self.mark:
            os.removexattr(self.path, _MARK)

    def comes_to(self, file: str, value: int) -> bool:
        """Wait until a file has this number, two seconds at most; whether it has then."""
        give_up = time.monotonic() + _ARRIVAL_SECONDS
        while self.read(file) != value:
            if time.monotonic() > give_up:
                return False
            time.sleep(_POLL_SECONDS)
        return True

    def above(self) -> Iterator["Group"]:
        """The groups that it is in, from the nearest to the last below the root."""
        for path in self.path.parents:
            if path == self._root or self._root not in path.parents:
                return
            yield Group(path, self._root)

    def below(self) -> Iterator["Group"]:
        """The groups directly in it."""
        # a group has a hundred files: not one question each
        with os.scandir(self.path) as entries:
            for entry in entries:
                if entry.is_dir():
                    yield Group(self.path / entry.name, self._root)


def is_domain(group: Group) -> bool:
    """Whether a group is a domain's own, by the names that libvirt gives: with systemd a scope,
    without it a directory."""
    return group.name.startswith(("machine-qemu\\x2d", "qemu-"))


_DOMAIN = re.compile(r"(?:machine-qemu\\x2d|qemu-)(\d+)(?:\\x2d|-)")


def by_domain(root: Path = ROOT) -> dict[int, Group]:
    """The groups of all running domains by their ids, listed once."""
    return {int(named[1]): group for place in partitions(root) for group in place.below()
            if (named := _DOMAIN.match(group.name))}


def find(domain_id: int, root: Path = ROOT) -> Group | None:
    """The group of a running domain; None where it has none of its own."""
    starts = (f"machine-qemu\\x2d{domain_id}\\x2d", f"qemu-{domain_id}-")
    for place in partitions(root):
        for group in place.below():
            if group.name.startswith(starts):
                return group
    return None


def partitions(root: Path = ROOT) -> Iterator[Group]:
    """Every group that can hold those of domains, the outer ones last."""
    for group in Group(root, root).below():
        yield from _partitions(group)


def _partitions(group: Group) -> Iterator[Group]:
    if group.name == "machine" or group.name.endswith((".slice", ".partition")):
        for inner in group.below():
            yield from _partitions(inner)
        yield group
